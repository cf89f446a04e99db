"""Gates: a metric as a whole, and when nothing can be said of it."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from pytest_lmprog.harness.results import CaseOutcome, MetricInfo, MetricResult, UnitInfo, UnitResult
from pytest_lmprog.harness.unit import Gate
from pytest_lmprog.harness.verdicts.gates import MetricVerdict, judge_metric, judge_run, rollout_figures
from pytest_lmprog.harness.verdicts.rollouts import flaky_cases
from pytest_lmprog.lm.tally import TallyCount


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


def test_a_regression_that_failed_at_once_is_not_reported_twice() -> None:
    verdict = judge_metric(metric("pf", verdict="regression"))
    assert (verdict.state, verdict.told) == ("failed", True)
    assert verdict.reasons == ("2 cases failed: c0, c1",)


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


# --- beside the baseline ------------------------------------------------------------------------------


def beside(
    worse: int,
    better: int,
    same: int,
    gate: Gate | None = None,
    *,
    live: bool = True,
    against: str | None = None,
) -> MetricResult:
    """A metric of which so many cases got worse, better, or stayed as they were."""
    kinds = [("fail", "regressed", 1.0)] * worse + [("pass", "fixed", 0.0)] * better
    kinds += [("pass", "passed", 1.0)] * same
    outcomes = tuple(
        CaseOutcome("u", "m", f"c{i}", "0", status, verdict=kind, baseline="known", was=was, live=live)  # type: ignore[arg-type]
        for i, (status, kind, was) in enumerate(kinds)
    )
    return MetricResult(MetricInfo("m", "t::m", len(kinds), gate or Gate(), against=against), outcomes)


@pytest.mark.parametrize(
    ("counts", "gate", "state"),
    [
        ((0, 0, 4), Gate(), "passed"),
        ((1, 1, 4), Gate(), "passed"),
        ((1, 0, 4), Gate(), "inconclusive"),
        ((6, 0, 4), Gate(), "failed"),
        ((6, 0, 4), Gate(alpha=0.01), "inconclusive"),
        ((6, 0, 94), Gate(max_drop=0.2, max_regressions=None), "passed"),
        ((6, 0, 94), Gate(max_drop=0.05, max_regressions=None), "failed"),
        ((6, 0, 94), Gate(max_regressions=5), "failed"),
        ((6, 0, 94), Gate(max_regressions=20), "passed"),
        ((6, 0, 94), Gate(max_drop=0.2, max_regressions=5), "failed"),
        ((6, 0, 94), Gate(max_regressions=None), "passed"),
    ],
)
def test_statistics_decide_where_calls_were_live(counts: Any, gate: Gate, state: str) -> None:
    verdict = judge_metric(beside(*counts, gate))
    assert verdict.state == state
    assert verdict.figures["decided_by"] == "statistics"


@pytest.mark.parametrize(
    ("counts", "gate", "state"),
    [
        ((0, 3, 4), Gate(), "passed"),
        ((1, 3, 4), Gate(), "failed"),
        ((1, 0, 4), Gate(max_regressions=1), "passed"),
        ((2, 0, 18), Gate(max_drop=0.1, max_regressions=None), "passed"),
        ((3, 0, 17), Gate(max_drop=0.1, max_regressions=None), "failed"),
        ((3, 1, 16), Gate(max_drop=0.1, max_regressions=None), "passed"),
        ((2, 0, 18), Gate(max_drop=0.1, max_regressions=1), "failed"),
    ],
)
def test_every_flip_counts_where_nothing_is_random(counts: Any, gate: Gate, state: str) -> None:
    verdict = judge_metric(beside(*counts, gate, live=False))
    assert verdict.state == state
    assert verdict.figures["decided_by"] == "every flip"
    assert "p_value" not in verdict.figures


def test_another_run_as_baseline_is_compared_by_statistics() -> None:
    verdict = judge_metric(beside(1, 0, 9, live=False, against="main"))
    assert (verdict.state, verdict.figures["against"]) == ("inconclusive", "main")


def test_the_reason_of_a_drop_has_the_figures() -> None:
    gate = Gate(max_drop=0.1, max_regressions=None)
    assert judge_metric(beside(3, 0, 17, gate, live=False)).reasons == (
        "the score fell by 0.150 over 20 cases, max_drop is 0.1",
    )
    assert judge_metric(beside(6, 0, 4)).reasons == (
        "the score fell by 0.600 (96% CI -0.839 to -0.125), which noise does not explain "
        "(p = 0.016 <= alpha 0.02); 6 worse, 0 better of 10 cases (exact McNemar); "
        "worse: c0, c1, c2, c3, c4, c5",
    )


def test_the_limit_is_named_as_it_was_given() -> None:
    (reason,) = judge_metric(beside(3, 0, 17, Gate(max_regressions=2))).reasons
    assert "which may be more than max_regressions 2, or noise" in reason
    (reason,) = judge_metric(beside(3, 0, 17, Gate(max_drop=0.05, max_regressions=2))).reasons
    assert "which may be more than max_drop 0.05, or noise" in reason


@pytest.mark.parametrize(
    ("policy", "fails", "warns"), [("fail", True, False), ("warn", False, True), ("pass", False, False)]
)
def test_what_becomes_of_an_inconclusive_metric(policy: Any, fails: bool, warns: bool) -> None:
    verdict = judge_metric(beside(1, 0, 4, Gate(on_inconclusive=policy)))
    assert (verdict.state, verdict.word) == ("inconclusive", "INCONCLUSIVE")
    assert (verdict.fails, verdict.warns) == (fails, warns)


def test_a_failed_case_outweighs_a_good_comparison() -> None:
    good = beside(0, 3, 4)
    first = replace(good.outcomes[-1], verdict="failed", status="fail", was=None, baseline="new")
    verdict = judge_metric(replace(good, outcomes=(*good.outcomes[:-1], first)))
    assert (verdict.state, verdict.told, verdict.fails) == ("failed", True, True)


def test_the_metrics_of_a_run_share_one_alpha() -> None:
    def unit(name: str, *counts: int) -> UnitResult:
        metric = beside(*counts)
        return UnitResult(UnitInfo(name, name, "t.py", (metric.info,)), (metric,), TallyCount())

    alone = judge_run([unit("a", 6, 0, 4)])
    both = judge_run([unit("a", 6, 0, 4), unit("b", 0, 0, 9)])
    assert (alone["a", "m"].state, both["a", "m"].state, both["b", "m"].state) == (
        "failed",
        "inconclusive",
        "passed",
    )
    assert both["a", "m"].figures["metrics"] == 2
    assert both["a", "m"].figures["p_corrected"] == 2 * both["a", "m"].figures["p_value"]


def test_a_run_that_makes_the_baseline_is_not_compared() -> None:
    verdict = judge_metric(beside(6, 0, 4), rebasing=True)
    assert verdict.state == "passed"
    assert verdict.figures["decided_by"] == "every flip"


def test_rollouts_are_compared_by_example() -> None:
    groups = {f"c{i}": "ppf" if i < 12 else "ppp" for i in range(20)}
    found = rollouts(groups)
    known = tuple(replace(o, was=1.0, baseline="known", verdict="flaky") for o in found.outcomes)
    verdict = judge_metric(replace(found, outcomes=known, repeat=3))
    assert verdict.state == "failed"
    assert (verdict.figures["n"], verdict.figures["test"]) == (20, "paired bootstrap")
    assert verdict.figures["change"] == pytest.approx(-0.2)


def test_cases_without_a_baseline_are_not_paired() -> None:
    found = beside(1, 0, 4)
    new = replace(found.outcomes[0], case="new", was=None, baseline="new", verdict="passed", status="pass")
    skipped = replace(found.outcomes[1], case="skipped", verdict="unscored", status="unscored")
    verdict = judge_metric(MetricResult(MetricInfo("m", "t::m", 7), (*found.outcomes, new, skipped)))
    assert verdict.figures["n"] == 5


def test_flaky_cases_are_named_with_what_passed() -> None:
    assert flaky_cases(rollouts({"a": "pp", "b": "pf", "c": "ff"})) == {"b": (1, 2)}
    assert flaky_cases(metric("pf")) == {}
