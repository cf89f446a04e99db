"""Gates: a metric as a whole, and when nothing can be said of it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pytest_lmprog.harness.gates import MetricVerdict, judge_metric, rollout_figures
from pytest_lmprog.harness.results import CaseOutcome, MetricInfo, MetricResult
from pytest_lmprog.harness.unit import Gate


def metric(
    statuses: str, gate: Gate | None = None, *, expected: int | None = None, **changes: Any
) -> MetricResult:
    names = {"p": "pass", "f": "fail", "e": "error", "u": "unscored", "b": "broken"}
    outcomes: list[CaseOutcome] = []
    for index, letter in enumerate(statuses):
        status: Any = names[letter]
        outcomes.append(CaseOutcome("u", "m", f"c{index}", "0", status, **changes))
    total = len(statuses) if expected is None else expected
    return MetricResult(MetricInfo("m", "t::m", total, gate or Gate()), tuple(outcomes))


@pytest.mark.parametrize(
    ("statuses", "least", "state"),
    [
        ("ppf", 0.6, "passed"),
        ("ppf", 2 / 3, "passed"),
        ("ppf", 0.7, "failed"),
        ("ppe", 0.7, "failed"),
        ("ppu", 1.0, "passed"),
        ("uu", 0.1, "failed"),
        ("ff", 0.0, "passed"),
    ],
)
def test_min_score(statuses: str, least: float, state: str) -> None:
    assert judge_metric(metric(statuses, Gate(min_score=least))).state == state


def test_the_reason_has_the_figures() -> None:
    verdict = judge_metric(metric("ppfe", Gate(min_score=0.9)))
    assert verdict.fails
    assert verdict.reasons == ("score 0.500 over 4 cases, 1 of them errors is below min_score 0.9",)


def test_a_score_just_below_does_not_look_equal() -> None:
    verdict = judge_metric(metric("p" * 1999 + "f", Gate(min_score=0.99951)))
    assert "score 0.9995 over" in verdict.reasons[0]
    assert (
        "score 0.89996 over" in judge_metric(metric("p" * 22499 + "f" * 2501, Gate(min_score=0.9))).reasons[0]
    )


@pytest.mark.parametrize(("statuses", "expected", "ran"), [("ppf", 40, 3), ("ppb", 3, 2), ("", 5, 0)])
def test_not_judged_unless_all_ran(statuses: str, expected: int, ran: int) -> None:
    verdict = judge_metric(metric(statuses, Gate(min_score=1.0), expected=expected))
    assert verdict.state == "not_judged"
    assert verdict.reasons == (f"not judged ({ran} of {expected} ran)",)
    assert not verdict.fails


@pytest.mark.parametrize(("allowed", "state"), [(0, "failed"), (1, "failed"), (2, "passed")])
def test_max_regressions(allowed: int, state: str) -> None:
    worse = metric("ff", Gate(max_regressions=allowed), verdict="regressed")
    assert judge_metric(worse).state == state
    assert judge_metric(worse, rebasing=True).state == "passed"


def test_a_regression_that_failed_at_once_does_not_fail_twice() -> None:
    assert judge_metric(metric("f", verdict="regression")).state == "passed"


def test_min_score_holds_in_a_run_that_makes_the_baseline() -> None:
    assert judge_metric(metric("f", Gate(min_score=0.5)), rebasing=True).fails


def rollouts(groups: dict[str, str]) -> MetricResult:
    outcomes = [
        CaseOutcome("u", "m", case, "0", "pass" if letter == "p" else "fail", rollout=i)
        for case, letters in groups.items()
        for i, letter in enumerate(letters)
    ]
    return MetricResult(MetricInfo("m", "t::m", len(outcomes)), tuple(outcomes), repeat=2)


def test_rollout_figures() -> None:
    figures = rollout_figures(rollouts({"a": "pp", "b": "pf", "c": "ff"}))
    assert figures is not None
    assert (figures.n, figures.pass_rate) == (2, 0.5)
    assert figures.pass_at_k == pytest.approx(2 / 3)
    assert figures.pass_hat_k == pytest.approx(1 / 3)


def test_one_rollout_has_no_figures() -> None:
    assert rollout_figures(metric("pf")) is None


def test_a_verdict_survives_as_plain_data() -> None:
    verdict = MetricVerdict("inconclusive", ("too few cases",), {"p_value": 0.3, "interval": [-0.2, 0.1]})
    assert MetricVerdict.from_plain(json.loads(json.dumps(verdict.to_plain()))) == verdict
    assert not verdict.fails
