"""The verdict on a whole run: which word wins, and what is said."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_lmprog.harness.saved.run import SavedRun, SavedWritten
from pytest_lmprog.harness.verdicts.gates import MetricVerdict
from pytest_lmprog.reports.overall import overall
from tests.reports.runs import passing_run


def with_verdict(run: SavedRun, verdict: MetricVerdict) -> SavedRun:
    unit = run.units[0]
    return replace(run, units=(replace(unit, verdicts={**unit.verdicts, "test_tone": verdict}),))


def with_case(run: SavedRun, kind: str, status: str = "fail") -> SavedRun:
    unit = run.units[0]
    first, *rest = unit.outcomes
    outcomes = (replace(first, verdict=kind, status=status), *rest)
    return replace(run, passed=False, units=(replace(unit, outcomes=outcomes),))


def test_a_run_without_anything_wrong_passes_and_has_no_reason():
    found = overall(passing_run())
    assert (found.word, found.reasons, found.incomplete) == ("PASS", (), False)


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("regression", "1 case got worse than the baseline"),
        ("failed", "1 case failed"),
        ("error", "1 case failed with an error"),
        ("broken", "1 case could not be scored"),
        ("unaccepted_fix", "1 case is fixed but not accepted"),
    ],
)
def test_a_failed_case_fails_the_run_and_is_named(kind, said):
    run = with_case(passing_run(), kind)
    found = overall(run)
    assert found.word == "FAIL"
    assert [(r.text, r.metric, r.cases) for r in found.reasons] == [
        (said, "test_team", (run.units[0].outcomes[0].case,))
    ]


@pytest.mark.parametrize("kind", ["known_miss", "known_error", "flaky", "fixed", "unscored", "missed"])
def test_what_pytest_does_not_fail_is_no_reason(kind):
    assert overall(replace(with_case(passing_run(), kind), passed=True)).word == "PASS"


def test_an_item_that_the_ratchet_has_not_judged_counts_as_a_test():
    assert overall(replace(with_case(passing_run(), None), passed=False)).word == "FAIL"  # type: ignore[arg-type]


def test_a_gate_that_fails_is_said_with_its_figures():
    found = overall(
        with_verdict(passing_run(), MetricVerdict("failed", ("score 0.4 is below min_score 0.5",)))
    )
    assert found.word == "FAIL"
    assert found.reasons[0].text == "score 0.4 is below min_score 0.5"
    assert (found.reasons[0].unit, found.reasons[0].metric) == (passing_run().units[0].id, "test_tone")


def test_cases_that_a_gate_names_are_not_said_twice():
    reasons = ("3 cases got worse than the baseline, max_regressions is 0: a, b, c", "2 cases failed: d, e")
    found = overall(with_verdict(passing_run(), MetricVerdict("failed", reasons)))
    assert [r.text for r in found.reasons] == ["3 cases got worse than the baseline, max_regressions is 0"]


def test_missing_results_come_first_and_never_pass():
    lost = replace(passing_run(), lost_workers=("gw1",), missing=("t.py::T::m[a]", "t.py::T::m[b]"))
    found = overall(lost)
    assert found.word == "INCOMPLETE"
    assert found.incomplete
    assert [r.text for r in found.reasons] == [
        "1 worker lost: gw1",
        "2 selected tests have no result: t.py::T::m[a], t.py::T::m[b]",
    ]
    both = overall(with_case(lost, "regression"))
    assert both.word == "FAIL"
    assert both.incomplete
    assert both.reasons[0].text == "1 worker lost: gw1"
    assert overall(replace(passing_run(), interrupted=True)).word == "INCOMPLETE"


def test_inconclusive_is_a_word_of_its_own_also_where_it_fails_the_run():
    run = with_verdict(passing_run(), MetricVerdict("inconclusive", ("too few cases",)))
    for passed in (True, False):
        found = overall(replace(run, passed=passed))
        assert found.word == "INCONCLUSIVE"
        assert found.reasons[0].text == "inconclusive: too few cases"
    assert overall(with_case(run, "failed")).word == "FAIL"


def test_what_belongs_to_no_case_is_said():
    run = replace(
        passing_run(),
        problems=("recordings cannot be written",),
        written=(SavedWritten("u", "failed", "x.yaml", detail="disk full"),),
    )
    assert [r.text for r in overall(run).reasons] == [
        "recordings cannot be written",
        "snapshot not written: x.yaml: disk full",
    ]
    assert overall(run).word == "FAIL"
    assert overall(replace(passing_run(), passed=False)).word == "FAIL"


def test_a_stale_snapshot_fails_in_ci_only():
    run = passing_run()
    unit = run.units[0]
    stale = replace(run, units=(replace(unit, info=replace(unit.info, stale=("metric test_team changed",))),))
    assert overall(stale).word == "PASS"
    in_ci = overall(replace(stale, settings={"ci": True}, passed=False))
    assert (in_ci.word, in_ci.reasons[0].text) == ("FAIL", "stale snapshot: metric test_team changed")
