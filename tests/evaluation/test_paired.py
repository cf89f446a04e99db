"""Paired tests and intervals: by hand, by their laws, and where there is next to nothing to go by."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_lmprog.errors import UsageError
from pytest_lmprog.evaluation.paired import change_interval, holm, mcnemar, paired_bootstrap
from pytest_lmprog.evaluation.statistics import upper_binomial


@pytest.mark.parametrize(
    ("worse", "better", "p"),
    [(0, 0, 1.0), (1, 0, 1 / 2), (5, 0, 1 / 32), (6, 0, 1 / 64), (0, 6, 1.0), (2, 1, 4 / 8), (3, 1, 5 / 16)],
)
def test_mcnemar_by_hand(worse: int, better: int, p: float) -> None:
    assert mcnemar(worse, better) == p


def test_many_changes_take_the_other_way_to_the_same_figure() -> None:
    exact = sum(math.comb(1001, k) for k in range(530, 1002)) / 2**1001
    assert upper_binomial(530, 1001) == pytest.approx(exact, rel=1e-9)


@pytest.mark.parametrize(("worse", "better"), [(-1, 0), (0, -1)])
def test_mcnemar_refuses(worse: int, better: int) -> None:
    with pytest.raises(UsageError, match="0 or more"):
        mcnemar(worse, better)


tables = st.integers(1, 60).flatmap(
    lambda n: st.tuples(st.integers(0, n), st.just(n)).flatmap(
        lambda wn: st.tuples(st.just(wn[0]), st.integers(0, wn[1] - wn[0]), st.just(wn[1]))
    )
)


@given(tables, st.sampled_from([0.005, 0.02, 0.1]))
def test_the_interval_holds_what_was_seen_and_agrees_with_the_test(
    table: tuple[int, int, int], alpha: float
) -> None:
    worse, better, n = table
    low, high = change_interval(worse, better, n, alpha=alpha)
    assert -1 <= low <= (better - worse) / n + 1e-9
    assert (better - worse) / n - 1e-9 <= high <= 1
    if mcnemar(worse, better) > alpha:
        assert high >= 0
    if mcnemar(better, worse) > alpha:
        assert low <= 0


@given(tables)
def test_the_interval_turned_round(table: tuple[int, int, int]) -> None:
    worse, better, n = table
    low, high = change_interval(worse, better, n)
    assert change_interval(better, worse, n) == pytest.approx((-high, -low), abs=1e-9)


def test_no_change_still_has_an_interval() -> None:
    z2 = 2.0537489106318225**2
    assert change_interval(0, 0, 100) == pytest.approx((-z2 / (100 + z2), z2 / (100 + z2)), abs=1e-9)
    assert change_interval(0, 0, 0) == (-1.0, 1.0)


def test_the_interval_refuses_more_changes_than_cases() -> None:
    with pytest.raises(UsageError, match="too many"):
        change_interval(3, 3, 5)


def noise(seed: int, n: int, drop: float = 0.0) -> list[float]:
    rng = random.Random(seed)
    return [max(-1.0, min(1.0, rng.gauss(-drop, 0.2))) for _ in range(n)]


def test_the_bootstrap_repeats_itself() -> None:
    changes = noise(1, 40, 0.05)
    assert paired_bootstrap(changes) == paired_bootstrap(changes)
    assert paired_bootstrap(changes) != paired_bootstrap(changes, seed=1)


def test_the_order_of_the_cases_changes_no_figure() -> None:
    rng = random.Random(5)
    cases = [(rng.choice([-0.4, -0.1, 0.0, 0.3]), rng.choice([1.0, 2.0])) for _ in range(15)]
    found = {paired_bootstrap(*zip(*rng.sample(cases, len(cases)), strict=True)) for _ in range(5)}
    assert len(found) == 1


def test_the_bootstrap_leaves_other_generators_alone() -> None:
    random.seed(5)
    expected = random.Random(5).random()
    paired_bootstrap(noise(1, 10))
    assert random.random() == expected


def test_a_drop_and_a_rise() -> None:
    fell, rose = paired_bootstrap(noise(2, 60, 0.2)), paired_bootstrap(noise(2, 60, -0.2))
    assert fell.p_value < 0.001
    assert fell.high < 0
    assert rose.p_value > 0.999
    assert rose.low > 0


@given(st.lists(st.sampled_from([-0.5, -0.25, 0.0, 0.25, 0.5]), min_size=1, max_size=12), st.integers(0, 3))
def test_p_and_interval_agree(changes: list[float], seed: int) -> None:
    found = paired_bootstrap(changes, seed=seed)
    mean = math.fsum(changes) / len(changes)
    assert 0 <= found.p_value <= 1
    assert found.low - 1e-9 <= mean <= found.high + 1e-9
    if found.p_value > 0.02:
        assert found.high >= 0


def test_a_few_cases_prove_no_more_than_their_signs() -> None:
    assert paired_bootstrap([-0.5, -0.5, -0.4]).p_value == pytest.approx(1 / 8)
    assert paired_bootstrap([-0.5] * 3).p_value == pytest.approx(1 / 8)
    assert paired_bootstrap([-0.5] * 6).p_value == pytest.approx(1 / 64)
    assert paired_bootstrap([-0.5, 0.0, 0.0]).p_value >= 1 / 2


def test_scores_that_never_change_are_not_known_for_sure() -> None:
    assert paired_bootstrap([0.0] * 100).p_value == 1.0
    same = paired_bootstrap([0.0] * 100)
    assert (same.low, same.high) == pytest.approx(change_interval(0, 0, 100))
    assert paired_bootstrap([]).p_value == 1.0


def test_weights_count() -> None:
    changes = [-0.4] * 10 + [0.4] * 10
    light = [0.1 if i < 10 else 1.0 for i in range(20)]
    assert paired_bootstrap(changes, light).p_value > 0.9
    heavy = [1.0 if i < 10 else 0.1 for i in range(20)]
    assert paired_bootstrap(changes, heavy).p_value < 0.02


def test_one_case_that_weighs_all() -> None:
    found = paired_bootstrap([-0.5, 0.1], [1e9, 1e-9])
    assert 0.25 <= found.p_value <= 1


def test_many_cases_are_quick_and_agree_with_few() -> None:
    small, large = noise(3, 4_999, 0.006), noise(3, 5_000, 0.006)
    drawn, normal = paired_bootstrap(small), paired_bootstrap(large)
    assert drawn.p_value == pytest.approx(normal.p_value, abs=0.01)
    assert (drawn.low, drawn.high) == pytest.approx((normal.low, normal.high), abs=0.001)


@pytest.mark.parametrize(
    ("p_values", "expected"),
    [
        ([], []),
        ([0.01], [0.01]),
        ([0.01, 0.04, 0.03], [0.03, 0.06, 0.06]),
        ([0.5, 0.6], [1.0, 1.0]),
        ([0.02, 0.02], [0.04, 0.04]),
    ],
)
def test_holm(p_values: list[float], expected: list[float]) -> None:
    assert holm(p_values) == pytest.approx(expected)
