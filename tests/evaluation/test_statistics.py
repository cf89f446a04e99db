"""Intervals and estimators against published values."""

from __future__ import annotations

import itertools
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_lmprog.errors import UsageError
from pytest_lmprog.evaluation.statistics import (
    Flips,
    Interval,
    flips,
    mean_interval,
    pass_at_k,
    pass_hat_k,
    score_interval,
    t_quantile,
    wilson,
)


@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    # R: binom::binom.confint(x, n, methods = "wilson")
    [
        (8, 10, 0.4901625, 0.9433178),
        (0, 10, 0.0, 0.2775328),
        (10, 10, 0.7224672, 1.0),
        (81, 263, 0.2553076, 0.3662092),
    ],
)
def test_wilson(successes: int, n: int, low: float, high: float) -> None:
    interval = wilson(successes, n)
    assert interval.low == pytest.approx(low, abs=2e-4)
    assert interval.high == pytest.approx(high, abs=2e-4)


def test_wilson_at_the_edges() -> None:
    assert wilson(0, 0) == Interval(0.0, 1.0)
    assert wilson(0, 5).low == 0.0
    assert wilson(5, 5).high == 1.0
    for bad in [(-1, 5), (6, 5), (0, -1)]:
        with pytest.raises(UsageError):
            wilson(*bad)


@pytest.mark.parametrize(
    ("degrees", "t"),
    [
        (1, 12.706205),
        (2, 4.302653),
        (3, 3.182446),
        (5, 2.570582),
        (10, 2.228139),
        (30, 2.042272),
        (100, 1.983972),
        (1000000.0, 1.959966),
        (2.5, 3.574655),
    ],
)
def test_quantiles_of_t(degrees: float, t: float) -> None:
    assert t_quantile(degrees) == pytest.approx(t, rel=1e-6)


def test_the_interval_of_a_mean() -> None:
    scores = [0.2, 0.4, 0.5, 0.9]  # mean 0.5, s = 0.294392, t(3) = 3.182446
    half = 3.182446 * 0.2943920 / 2
    interval = mean_interval(scores)
    assert interval.low == pytest.approx(0.5 - half, abs=1e-6)
    assert interval.high == pytest.approx(0.5 + half, abs=1e-6)
    assert mean_interval(scores, [2.0] * 4) == mean_interval(scores)
    assert mean_interval([]) == Interval(0.0, 1.0)
    assert mean_interval([0.5, 0.7], [0.0, 0.0]) == Interval(0.0, 1.0)


def test_equal_scores_do_not_feign_certainty() -> None:
    assert mean_interval([0.7] * 10) == wilson(7, 10)
    assert mean_interval([0.7]) == wilson(0.7, 1)


def test_weights_shrink_the_effective_sample() -> None:
    even, uneven = score_interval([1, 0, 1, 1]), score_interval([1, 0, 1, 1], [3, 3, 1, 5])
    assert uneven.high - uneven.low > even.high - even.low
    assert score_interval([1, 0, 1, 1]) == wilson(3, 4)
    assert score_interval([1, 0, 0.5, 1]) == mean_interval([1, 0, 0.5, 1])


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30), st.randoms(use_true_random=False))
def test_intervals_hold_the_mean_and_do_not_depend_on_order(
    scores: list[float], random_: random.Random
) -> None:
    interval = score_interval(scores)
    mean = sum(scores) / len(scores)
    assert 0.0 <= interval.low <= mean + 1e-9
    assert mean - 1e-9 <= interval.high <= 1.0
    random_.shuffle(scores)
    again = score_interval(scores)
    assert (again.low, again.high) == pytest.approx((interval.low, interval.high), abs=1e-9)


def test_the_interval_covers_the_true_mean_nineteen_times_in_twenty() -> None:
    random_ = random.Random(5)
    covered = 0
    for _ in range(400):
        interval = mean_interval([random_.betavariate(2, 3) for _ in range(12)])
        covered += interval.low <= 0.4 <= interval.high
    assert 0.92 <= covered / 400 <= 0.98


@pytest.mark.parametrize(("n", "passed"), [(5, 0), (5, 2), (5, 5), (6, 1)])
def test_pass_at_k_and_pass_hat_k_are_what_drawing_gives(n: int, passed: int) -> None:
    rollouts = [True] * passed + [False] * (n - passed)
    for k in range(1, n + 1):
        draws = list(itertools.combinations(rollouts, k))
        assert pass_at_k(n, passed, k) == pytest.approx(sum(any(d) for d in draws) / len(draws))
        assert pass_hat_k(n, passed, k) == pytest.approx(sum(all(d) for d in draws) / len(draws))


@pytest.mark.parametrize(("n", "passed", "k"), [(5, 6, 1), (5, -1, 1), (5, 2, 0), (5, 2, 6), (0, 0, 1)])
def test_impossible_counts(n: int, passed: int, k: int) -> None:
    for estimate in (pass_at_k, pass_hat_k):
        with pytest.raises(UsageError):
            estimate(n, passed, k)


def test_flips() -> None:
    before = {"a": True, "b": False, "c": True, "gone": True}
    after = {"new": False, "c": False, "b": True, "a": True}
    assert flips(before, after) == Flips(fixed=("b",), broken=("c",), added=("new",), removed=("gone",))
    assert flips(before, before) == Flips()
