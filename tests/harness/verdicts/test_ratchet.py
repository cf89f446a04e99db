"""The ratchet as a table: what every pair of before and now means."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from pytest_lmprog.harness.results import CaseOutcome
from pytest_lmprog.harness.unit import Gate
from pytest_lmprog.harness.verdicts.ratchet import REPORTED, judge
from pytest_lmprog.snapshots.artifact import CaseBaseline

D = "0123456789ab"
NOW = {
    "pass": CaseOutcome("u", "m", "c", D, "pass"),
    "fail": CaseOutcome("u", "m", "c", D, "fail", message="assert 1 == 2"),
    "ParseError": CaseOutcome("u", "m", "c", D, "error", error="ParseError"),
    "KeyError": CaseOutcome("u", "m", "c", D, "error", error="KeyError"),
    "unscored": CaseOutcome("u", "m", "c", D, "unscored"),
    "broken": CaseOutcome("u", "m", "c", D, "broken", error="LMTimeoutError"),
}
BEFORE: dict[str, CaseBaseline | None] = {
    "nothing": None,
    "pass": CaseBaseline("pass", D),
    "fail": CaseBaseline("fail", D),
    "ParseError": CaseBaseline("error", D, error="ParseError"),
    "unscored": CaseBaseline("unscored", D),
    "other text": CaseBaseline("pass", "ba9876543210"),
}

TABLE = {
    # before: now -> verdict
    "nothing": "passed failed error error unscored broken",
    "pass": "passed regression regression regression unscored broken",
    "fail": "fixed known_miss error error unscored broken",
    "ParseError": "fixed known_miss known_error error unscored broken",
    "unscored": "passed failed error error unscored broken",
    "other text": "passed failed error error unscored broken",
}
CELLS = [
    (before, now, verdict)
    for before, row in TABLE.items()
    for now, verdict in zip(NOW, row.split(), strict=True)
]


@pytest.mark.parametrize(("before", "now", "verdict"), CELLS)
def test_table(before: str, now: str, verdict: str) -> None:
    assert judge(NOW[now], BEFORE[before], Gate()).kind == verdict


@pytest.mark.parametrize(("before", "now", "verdict"), CELLS)
def test_regressions_are_left_to_the_metric_where_some_are_allowed_or_calls_were_live(
    before: str, now: str, verdict: str
) -> None:
    expected = "regressed" if verdict == "regression" else verdict
    assert judge(NOW[now], BEFORE[before], Gate(max_regressions=1)).kind == expected
    assert judge(replace(NOW[now], live=True), BEFORE[before], Gate()).kind == expected


@pytest.mark.parametrize(("before", "now", "verdict"), CELLS)
def test_strict_refuses_what_is_fixed_and_nothing_else(before: str, now: str, verdict: str) -> None:
    found = judge(NOW[now], BEFORE[before], Gate(strict=True))
    assert found.kind == ("unaccepted_fix" if verdict == "fixed" else verdict)
    if verdict == "fixed":
        assert found.fails
        assert "--lm-update" in found.detail


@pytest.mark.parametrize(("before", "now", "verdict"), CELLS)
def test_a_run_that_makes_the_baseline_fails_by_errors_only(before: str, now: str, verdict: str) -> None:
    found = judge(NOW[now], BEFORE[before], Gate(strict=True), rebasing=True)
    errors = ("ParseError", "KeyError")
    if verdict == "regression":
        assert found.kind == ("error" if now in errors else "regressed")
    else:
        assert found.kind == {"failed": "missed"}.get(verdict, verdict)
    assert found.fails == (found.kind in ("error", "broken"))


def test_without_a_snapshot_it_is_any_test() -> None:
    verdict = judge(NOW["fail"], None, Gate(), has_snapshot=False)
    assert (verdict.kind, verdict.baseline, verdict.detail) == ("failed", "none", "assert 1 == 2")


@pytest.mark.parametrize(
    ("before", "state"),
    [("nothing", "new"), ("unscored", "new"), ("other text", "edited"), ("pass", "known")],
)
def test_what_can_be_compared(before: str, state: str) -> None:
    assert judge(NOW["pass"], BEFORE[before], Gate()).baseline == state


@pytest.mark.parametrize(
    ("was", "now", "pass_at", "verdict"),
    [
        (0.8, 0.8, None, "passed"),
        (0.8, 0.9, None, "passed"),
        (0.8, 0.8 - 1e-10, None, "passed"),
        (0.8, 0.8 - 1e-8, None, "regression"),
        (0.8, 0.7, 0.5, "passed"),
        (0.8, 0.4, 0.5, "regression"),
        (0.4, 0.3, 0.5, "known_miss"),
        (0.4, 0.6, 0.5, "fixed"),
        (0.0, 0.2, None, "fixed"),
        (0.2, 0.0, None, "regression"),
        (0.0, 0.0, None, "known_miss"),
    ],
)
def test_graded_scores(was: float, now: float, pass_at: float | None, verdict: str) -> None:
    def status(value: float) -> Any:
        return "pass" if (value >= pass_at if pass_at is not None else value > 0) else "fail"

    outcome = CaseOutcome("u", "m", "c", D, status(now), score=now)
    entry = CaseBaseline(status(was), D, score=was)
    assert judge(outcome, entry, Gate(pass_at=pass_at)).kind == verdict


@pytest.mark.parametrize(
    ("passes", "now", "verdict"),
    [
        (4, "pass", "passed"),
        (4, "fail", "regression"),
        (2, "pass", "passed"),
        (2, "fail", "flaky"),
        (0, "pass", "fixed"),
        (0, "fail", "known_miss"),
    ],
)
def test_rollouts(passes: int, now: str, verdict: str) -> None:
    status: Any = "pass" if passes == 4 else "fail"
    entry = CaseBaseline(status, D, passes=passes, n=4)
    for rollout in range(4):
        assert judge(replace(NOW[now], rollout=rollout), entry, Gate()).kind == verdict


def test_a_rollout_beyond_those_of_the_baseline_is_an_ordinary_test() -> None:
    entry = CaseBaseline("pass", D, passes=2, n=2)
    verdict = judge(replace(NOW["fail"], rollout=2), entry, Gate())
    assert (verdict.kind, verdict.baseline) == ("failed", "new")


def test_words_say_what_was_and_what_is() -> None:
    assert judge(NOW["fail"], BEFORE["pass"], Gate()).detail == (
        "fail; the accepted snapshot has pass\nassert 1 == 2"
    )
    graded = CaseOutcome("u", "m", "c", D, "pass", score=0.25)
    worse = judge(graded, CaseBaseline("pass", D, score=0.5), Gate())
    assert worse.detail == "score 0.25; the accepted snapshot has score 0.5"
    known = judge(NOW["ParseError"], BEFORE["ParseError"], Gate())
    assert known.detail == "error ParseError; the accepted snapshot has error ParseError"
    flaky = judge(NOW["fail"], CaseBaseline("fail", D, passes=3, n=4), Gate())
    assert "3 of 4 rollouts passed" in flaky.detail


def test_every_kind_is_reported_and_known_misses_as_pytest_shows_them() -> None:
    shown = {kind: (r.outcome, r.category, r.letter, r.word) for kind, r in REPORTED.items()}
    assert shown["known_miss"] == ("skipped", "xfailed", "k", "KNOWN MISS")
    assert shown["fixed"] == ("passed", "passed", "*", "FIXED")
    assert shown["regression"] == ("failed", "failed", "R", "REGRESSION")


@pytest.mark.parametrize(
    ("before", "now", "kind"),
    [
        ("fail", "fail", "failed"),
        ("pass", "fail", "regression"),
        ("nothing", "fail", "failed"),
        ("fail", "pass", "fixed"),
        ("pass", "pass", "passed"),
    ],
)
def test_a_case_that_must_pass_fails_whatever_is_known_of_it(before: str, now: str, kind: str) -> None:
    lenient = Gate(must_pass=("c",), max_regressions=9)
    found = judge(NOW[now], BEFORE[before], lenient)
    assert found.kind == kind
    assert found.fails == (now == "fail")
    assert judge(replace(NOW[now], live=True), BEFORE[before], lenient, rebasing=True).fails == found.fails
    if found.fails:
        assert found.detail.startswith("this case must pass (lm_gate): ")
    assert judge(NOW[now], BEFORE[before], replace(lenient, must_pass=("other",))).fails == (
        before == "nothing" and now == "fail"
    )


def test_an_error_of_a_case_that_must_pass() -> None:
    error = replace(NOW["fail"], status="error", error="ParseError")
    known = CaseBaseline("error", D, error="ParseError")
    assert judge(error, known, Gate()).kind == "known_error"
    assert judge(error, known, Gate(must_pass=("c",))).kind == "error"


def test_beside_another_run_the_metric_decides_and_nothing_is_accepted() -> None:
    worse = judge(NOW["fail"], BEFORE["pass"], Gate(), against="main (1a2b3c4)")
    assert worse.kind == "regressed"
    assert worse.detail.startswith("fail; main (1a2b3c4) has pass")
    assert judge(NOW["pass"], BEFORE["fail"], Gate(strict=True), against="main").kind == "fixed"
