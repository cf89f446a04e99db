"""Results: plain data there and back, reruns, completeness, means, counts."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_lmprog.harness.results import (
    CaseOutcome,
    MetricInfo,
    RunResults,
    UnitInfo,
)
from pytest_lmprog.harness.unit import Gate
from pytest_lmprog.lm.tally import TallyCount

OUTCOMES = st.builds(
    CaseOutcome,
    unit=st.text(max_size=5),
    metric=st.text(max_size=5),
    case=st.text(max_size=5),
    digest=st.just("0" * 12),
    status=st.sampled_from(["pass", "fail", "error", "unscored", "broken"]),
    rollout=st.integers(0, 3),
    score=st.none() | st.floats(0, 1),
    error=st.none() | st.text(max_size=5),
    message=st.text(max_size=20),
    weight=st.floats(0, 10),
    live=st.booleans(),
    verdict=st.none() | st.sampled_from(["passed", "fixed", "regression"]),
    baseline=st.sampled_from(["none", "known", "new"]),
    was=st.none() | st.floats(0, 1),
    detail=st.text(max_size=20),
)


@given(OUTCOMES)
def test_outcomes_survive_the_way_to_the_controller(outcome: CaseOutcome) -> None:
    assert CaseOutcome.from_plain(json.loads(json.dumps(outcome.to_plain()))) == outcome


def info(expected: int = 2, **changes: object) -> UnitInfo:
    metric = MetricInfo("m", "t.py::U::m", expected, Gate(0.5), 0.75, 2, ("gone",))
    return UnitInfo("u", "U", "t.py", (metric,), "model", **changes)  # type: ignore[arg-type]


def test_units_survive_it() -> None:
    unit = info(stale=("metric m changed",), notes=("x",), snapshot="s.yaml", repeat=2)
    assert UnitInfo.from_plain(json.loads(json.dumps(unit.to_plain()))) == unit


def outcome(case: str, status: str = "pass", **changes: object) -> CaseOutcome:
    return CaseOutcome("u", "m", case, "0" * 12, status, **changes)  # type: ignore[arg-type]


def results(*outcomes: CaseOutcome, expected: int = 2) -> RunResults:
    collected = RunResults()
    collected.add_unit(info(expected))
    for one in outcomes:
        collected.add(one)
    return collected


def test_a_rerun_replaces_what_was_said_before() -> None:
    (metric,) = results(outcome("a", "fail"), outcome("b"), outcome("a")).unit("u").metrics
    assert [(o.case, o.status) for o in metric.outcomes] == [("a", "pass"), ("b", "pass")]


@pytest.mark.parametrize(
    ("outcomes", "complete"),
    [
        ((outcome("a"),), False),
        ((outcome("a"), outcome("b")), True),
        ((outcome("a"), outcome("b", "broken")), False),
        ((outcome("a"), outcome("b", "unscored")), True),
        ((outcome("a"), outcome("b", "error")), True),
    ],
)
def test_complete_needs_every_item_and_none_broken(outcomes: tuple[CaseOutcome, ...], complete: bool) -> None:
    unit = results(*outcomes).unit("u")
    assert unit.complete is complete


def test_errors_count_nothing_and_unscored_do_not_count() -> None:
    (metric,) = (
        results(outcome("a"), outcome("b", "error", error="X"), outcome("c", "unscored")).unit("u").metrics
    )
    assert metric.score == 0.5
    assert metric.cases == 2


def test_the_mean_is_weighted() -> None:
    (metric,) = results(outcome("a", weight=3.0), outcome("b", "fail")).unit("u").metrics
    assert metric.score == 0.75


def test_no_scored_item_gives_no_score() -> None:
    (metric,) = results(outcome("a", "unscored")).unit("u").metrics
    assert metric.score is None
    assert metric.delta is None


def test_delta_compares_what_both_have() -> None:
    (metric,) = (
        results(outcome("a", was=0.0), outcome("b", was=1.0), outcome("new", "fail")).unit("u").metrics
    )
    assert metric.delta == 0.5


def test_examples_are_listed_once_whatever_their_rollouts() -> None:
    (metric,) = (
        results(
            outcome("a", "fail", verdict="regressed"),
            outcome("a", "fail", verdict="regressed", rollout=1),
            outcome("b", "fail", verdict="regression"),
        )
        .unit("u")
        .metrics
    )
    assert metric.regressions == ("a", "b")


def test_calls_are_kept_by_unit_and_summed() -> None:
    collected = results(outcome("a"))
    collected.add_calls("u", TallyCount(live=2))
    collected.add_calls("u", TallyCount(live=1))
    collected.add_calls(None, TallyCount(recording=4))
    assert collected.unit("u").calls.live == 3
    assert collected.calls.calls == 7


def test_a_lost_worker_is_remembered() -> None:
    collected = results()
    collected.lose_worker("gw1")
    assert collected.lost_workers == ("gw1",)
