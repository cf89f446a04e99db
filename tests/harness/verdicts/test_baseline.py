"""From outcomes to baselines."""

from __future__ import annotations

import random
from typing import Any

from pytest_lmprog.harness.results import CaseOutcome, MetricInfo, MetricResult
from pytest_lmprog.harness.verdicts.baseline import metric_baseline
from pytest_lmprog.programs.example import Example
from pytest_lmprog.snapshots.artifact import CaseBaseline

CASES = tuple(Example(id=f"c{i}", x=i).with_inputs("x") for i in range(4))


def outcome(case: int, status: Any = "pass", **changes: Any) -> CaseOutcome:
    return CaseOutcome("u", "m", f"c{case}", f"d{case}", status, **changes)


def result(*outcomes: CaseOutcome) -> MetricResult:
    return MetricResult(MetricInfo("m", "t::m", len(outcomes)), outcomes)


def test_one_rollout() -> None:
    found = metric_baseline(
        result(
            outcome(0), outcome(1, "fail"), outcome(2, "error", error="ParseError"), outcome(3, "unscored")
        ),
        CASES,
    )
    assert found.cases == {
        "c0": CaseBaseline("pass", "d0"),
        "c1": CaseBaseline("fail", "d1"),
        "c2": CaseBaseline("error", "d2", error="ParseError"),
        "c3": CaseBaseline("unscored", "d3"),
    }
    assert (found.score, found.count) == (1 / 3, 3)


def test_the_order_is_that_of_the_cases() -> None:
    outcomes = [outcome(i, score=i / 7) for i in range(4)]
    expected = metric_baseline(result(*outcomes), CASES)
    random.Random(1).shuffle(outcomes)
    found = metric_baseline(result(*outcomes), CASES)
    assert list(found.cases.items()) == list(expected.cases.items())
    assert found == expected


def test_rollouts_are_counted() -> None:
    found = metric_baseline(
        result(
            outcome(0),
            outcome(0, rollout=1),
            outcome(1),
            outcome(1, "fail", rollout=1),
            outcome(2, "error", error="X"),
            outcome(2, "error", rollout=1, error="X"),
            outcome(3, score=0.5),
            outcome(3, score=1.0, rollout=1),
        ),
        CASES,
    )
    assert found.cases == {
        "c0": CaseBaseline("pass", "d0", passes=2, n=2),
        "c1": CaseBaseline("fail", "d1", passes=1, n=2),
        "c2": CaseBaseline("error", "d2", error="X", passes=0, n=2),
        "c3": CaseBaseline("pass", "d3", score=0.75, passes=2, n=2),
    }
    assert found.score == (1 + 0.5 + 0 + 0.75) / 4


def test_weights_count() -> None:
    cases = (CASES[0].copy(weight=3), CASES[1])
    assert metric_baseline(result(outcome(0), outcome(1, "fail")), cases).score == 0.75
