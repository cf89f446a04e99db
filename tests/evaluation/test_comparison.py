"""Did it get worse? Verdicts on small tables, to be checked by eye, and on thousands of simulated runs."""

from __future__ import annotations

import json
import random
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import pytest_lmprog as lmp
from pytest_lmprog.errors import UsageError
from pytest_lmprog.evaluation.comparison import compare, corrected


def runs(both: int, worse: int, better: int, neither: int = 0) -> tuple[list[bool], list[bool]]:
    pairs = [(True, True)] * both + [(True, False)] * worse + [(False, True)] * better
    pairs += [(False, False)] * neither
    return [a for a, _ in pairs], [b for _, b in pairs]


@pytest.mark.parametrize(
    ("table", "limits", "verdict"),
    [
        ((20, 0, 0), {}, "PASS"),
        ((0, 0, 0, 3), {}, "PASS"),
        ((10, 2, 2), {}, "PASS"),
        ((10, 2, 5), {}, "PASS"),
        ((3, 1, 0), {}, "INCONCLUSIVE"),
        ((0, 5, 0), {}, "INCONCLUSIVE"),
        ((0, 6, 0), {}, "FAIL"),
        ((94, 6, 0), {}, "FAIL"),
        ((94, 6, 0), {"alpha": 0.01}, "INCONCLUSIVE"),
        ((94, 6, 0), {"max_drop": 0.06}, "INCONCLUSIVE"),
        ((94, 6, 0), {"max_drop": 0.2}, "PASS"),
        ((94, 6, 0), {"max_drop": 0.05}, "FAIL"),
        ((95, 3, 2), {"max_drop": 0.1}, "PASS"),
        ((19, 1, 0), {"max_drop": 0.1}, "INCONCLUSIVE"),
    ],
)
def test_verdicts(table: tuple[int, ...], limits: dict[str, float], verdict: str) -> None:
    before, after = runs(*table)
    assert compare(before, after, **limits).verdict == verdict


def test_the_reasons_have_the_figures() -> None:
    fell = compare(*runs(88, 10, 0, 2))
    assert fell.reason == (
        "the score fell by 0.100 (96% CI -0.179 to -0.054), which noise does not explain "
        "(p = 0.00098 <= alpha 0.02)"
    )
    unclear = compare(*runs(17, 3, 0))
    assert unclear.reason == (
        "the score fell by 0.150 (96% CI -0.372 to +0.050), which may be a real drop, or noise "
        "(p = 0.12 > alpha 0.02)"
    )
    assert compare(*runs(5, 0, 0)).reason == "no case got worse (96% CI -0.458 to +0.458)"
    assert compare(*runs(5, 1, 1)).reason.startswith("the score is the same (96% CI -")
    assert "surely by no more than max_drop 0.2" in compare(*runs(94, 6, 0), max_drop=0.2).reason


def test_cases_are_paired_by_id() -> None:
    before = {"a": True, "b": True, "old": True, "skipped": None, "c": 0}
    after = {"c": 1, "new": False, "b": False, "a": True, "skipped": True}
    found = compare(before, after)
    assert (found.n, found.worse, found.better) == (3, ("b",), ("c",))
    assert (found.added, found.removed, found.unscored) == (("new",), ("old",), ("skipped",))
    assert (found.before, found.after) == (pytest.approx(2 / 3), pytest.approx(2 / 3))
    assert (found.verdict, found.test, found.change) == ("PASS", "exact McNemar", 0.0)


def test_graded_scores_are_bootstrapped() -> None:
    rng = random.Random(7)
    before = {i: rng.uniform(0.5, 1.0) for i in range(40)}
    after = {i: max(0.0, value - rng.uniform(0.0, 0.2)) for i, value in before.items()}
    found = compare(before, after)
    assert (found.verdict, found.test) == ("FAIL", "paired bootstrap")
    assert found.interval[0] < found.change < found.interval[1] < 0
    assert compare(before, before).verdict == "PASS"
    assert compare(before, after, max_drop=0.3).verdict == "PASS"


def test_weights_decide_which_way_it_went() -> None:
    before, after = runs(30, 6, 6)
    case_weights = {i: 10.0 if 30 <= i < 36 else 1.0 for i in range(42)}
    found = compare(before, after, weights=case_weights)
    assert found.test == "paired bootstrap"
    assert found.change == pytest.approx((6 - 60) / 96)
    assert compare(before, after, weights=dict.fromkeys(range(42), 3.0)).test == "exact McNemar"


def test_nothing_to_compare() -> None:
    found = compare({"a": True}, {"b": True})
    assert (found.verdict, found.n, found.before) == ("INCONCLUSIVE", 0, None)
    assert found.reason == "there is no case that both runs scored"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([True], [True, False]), "1 and 2 scores do not pair"),
        (([True], {"a": True}), "not one of each"),
        (([1.5], [1.0]), r"case 0 must be within \[0, 1\], not 1.5"),
        (([1.0], [float("nan")]), "not nan"),
        (({"a": "x"}, {"a": 1}), "not 'x'"),
        (({"a": "1"}, {"a": 1}), "not '1'"),
    ],
)
def test_what_cannot_be_compared(arguments: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        compare(*arguments)


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ({"alpha": 0.0}, "alpha must be above 0"),
        ({"alpha": 0.5}, "below 0.5"),
        ({"max_drop": -0.1}, "max_drop must be within"),
        ({"weights": [0.0]}, "weights must be finite and above 0"),
    ],
)
def test_limits_that_make_no_sense(limits: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        compare([True], [False], **limits)


def test_several_metrics_share_one_alpha() -> None:
    one = compare(*runs(94, 6, 0))
    both = corrected({"a": one, "b": compare(*runs(90, 0, 0))})
    assert one.verdict == "FAIL"
    assert both["a"].verdict == "INCONCLUSIVE"
    assert both["a"].p_corrected == pytest.approx(2 * one.p_value)
    assert "p = 0.031 corrected" in both["a"].reason
    assert both["b"].verdict == "PASS"
    assert corrected({"a": one, "none": compare([], [])})["a"] == one


def test_it_is_plain_data() -> None:
    found = compare({"a": True, "b": True}, {"a": True, "b": False})
    plain = json.loads(json.dumps(found.to_plain()))
    assert (plain["worse"], plain["n"], plain["verdict"]) == (["b"], 2, "INCONCLUSIVE")


@given(st.lists(st.tuples(st.booleans(), st.booleans()), max_size=40), st.sampled_from([0.0, 0.1, 0.5]))
def test_a_rise_never_fails_and_a_larger_max_drop_never_hurts(
    pairs: list[tuple[bool, bool]], max_drop: float
) -> None:
    before, after = [b for b, _ in pairs], [a for _, a in pairs]
    order = ["FAIL", "INCONCLUSIVE", "PASS"]
    strict, loose = compare(before, after), compare(before, after, max_drop=max_drop)
    assert order.index(loose.verdict) >= order.index(strict.verdict)
    if pairs and sum(after) >= sum(before):
        assert strict.verdict == "PASS"


CASES, NOISE, RUNS = 100, 0.05, 2000


def simulated(base: float, drop: int, **limits: float) -> Counter[str]:
    """Verdicts on runs of 100 cases: each outcome flips with 5 %, before and after; ``drop`` got worse."""
    verdicts: Counter[str] = Counter()
    able = round(base * CASES)
    for seed in range(RUNS):
        rng = random.Random(seed)
        before = [(i < able) ^ (rng.random() < NOISE) for i in range(CASES)]
        after = [(i < able - drop) ^ (rng.random() < NOISE) for i in range(CASES)]
        verdicts[lmp.compare(before, after, alpha=0.02, **limits).verdict] += 1
    return verdicts


@pytest.mark.parametrize("base", [0.5, 0.9])
def test_an_unchanged_program_hardly_ever_fails(base: float) -> None:
    assert simulated(base, 0)["FAIL"] < 0.02 * RUNS


@pytest.mark.parametrize("base", [0.5, 0.9])
def test_a_drop_of_15_points_is_mostly_found(base: float) -> None:
    found = simulated(base, 15)
    assert found["FAIL"] > 0.8 * RUNS
    assert found["PASS"] < 0.005 * RUNS


def test_what_max_drop_does_to_them() -> None:
    assert simulated(0.9, 0, max_drop=0.1)["PASS"] > 0.75 * RUNS
    assert simulated(0.9, 5, max_drop=0.1)["FAIL"] < 0.03 * RUNS
    assert simulated(0.9, 25, max_drop=0.1)["FAIL"] > 0.99 * RUNS
