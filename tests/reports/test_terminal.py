"""The summary as a stranger reads it: whole texts, and widths that always hold."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_lmprog.harness.dryrun import UnitBound
from pytest_lmprog.harness.results import CaseOutcome, MetricInfo, RunResults, UnitInfo
from pytest_lmprog.harness.unit import Gate
from pytest_lmprog.harness.written.snapshots import Written
from pytest_lmprog.lm.tally import TallyCount
from pytest_lmprog.lm.types import Usage
from pytest_lmprog.reports import figures
from pytest_lmprog.reports.progress import progress_line
from pytest_lmprog.reports.table import paragraph, table
from pytest_lmprog.reports.terminal import bound_lines, summary_lines, written_lines
from pytest_lmprog.teleprompt.base import CallBound, ProgressEvent


def outcome(metric: str, case: str, status: Any = "pass", **changes: Any) -> CaseOutcome:
    return CaseOutcome("tests/test_support.py::TestTriage", metric, case, "0", status, **changes)


def results(*, partial: bool = False) -> RunResults:
    found = RunResults()
    path = "tests/test_support.py::TestTriage"
    metrics = (
        MetricInfo("test_team", f"{path}::test_team", 4, Gate(), 0.75, 4, ("old-1",)),
        MetricInfo("test_reason_is_short", f"{path}::test_reason_is_short", 4, Gate(min_score=0.9)),
    )
    unit = UnitInfo(path, "TestTriage", "tests/test_support.py", metrics, "local/smollm2-135m")
    found.add_unit(unit)
    found.add(outcome("test_team", "a", was=1.0, verdict="passed", baseline="known"))
    found.add(outcome("test_team", "b", "fail", was=1.0, verdict="regressed", baseline="known"))
    found.add(outcome("test_team", "c", was=0.0, verdict="fixed", baseline="known"))
    found.add(outcome("test_team", "d", "error", error="ParseError", verdict="error", baseline="new"))
    for case in "abcd"[: 2 if partial else 4]:
        found.add(outcome("test_reason_is_short", case, score=0.75, verdict="passed"))
    count = TallyCount(recording=3, live=1, usage=Usage(1000, 200), cost=0.5, live_cost=0.01, fallbacks=1)
    found.add_calls(unit.id, count)
    return found


def test_summary() -> None:
    assert summary_lines(results()) == [
        "unit, metric    verdict  n  score     95% CI   base  delta  worse  fixed  errors",
        "tests/test_support.py::TestTriage (local/smollm2-135m)",
        "  test_team        FAIL  4  0.500  0.15-0.85  0.750  0.000      1      1       1",
        "  test_reason_is_short",
        "                   FAIL  4  0.750  0.30-0.95      -      -      -      -       -",
        "TestTriage",
        "  test_team FAIL: 1 case got worse than the baseline, max_regressions is 0: b",
        "  test_team FAIL: 1 case failed: d",
        "  test_team, 1 worse than the baseline: b",
        "  test_team, 1 fixed: c",
        "  test_team, 1 not baselined: d",
        "  test_team, 1 in the baseline but gone: old-1",
        "  test_reason_is_short FAIL: score 0.750 over 4 cases is below min_score 0.9",
        "TestTriage: 4 calls, 75% cached, 1,200 tokens, $0.0100, 1 fallback to chat",
    ]


def test_a_wide_terminal_keeps_names_in_the_table() -> None:
    lines = summary_lines(results(), width=120)
    assert lines[3].startswith("  test_reason_is_short")
    assert lines[3].split()[1:4] == ["FAIL", "4", "0.750"]


def test_a_partial_run_is_not_judged() -> None:
    lines = summary_lines(results(partial=True))
    assert "  test_reason_is_short: not judged (2 of 4 ran)" in lines
    assert lines[4].split()[0] == "2/4"


def live(*kinds: str) -> RunResults:
    """A live run of cases that all passed in the baseline."""
    found = RunResults()
    found.add_unit(UnitInfo("t.py::TestTriage", "TestTriage", "t.py", (MetricInfo("test_team", "m", 6),)))
    for index, kind in enumerate(kinds):
        status: Any = "pass" if kind in ("passed", "fixed") else "error" if kind == "known_error" else "fail"
        found.add(
            CaseOutcome(
                *("t.py::TestTriage", "test_team", f"c{index}", "0", status),
                verdict=kind,  # type: ignore[arg-type]
                baseline="known",
                was=1.0,
                live=True,
            )
        )
    return found


def test_where_there_is_no_room_the_verdict_stands_behind_the_name() -> None:
    found = live("passed", "regressed", "fixed", "flaky", "known_miss", "known_error")
    lines = summary_lines(found)
    assert lines[:4] == [
        "unit, metric      n  score     95% CI  base   delta  worse  fixed  known  errors",
        "t.py::TestTriage",
        "  test_team INCONCLUSIVE",
        "                  6  0.333  0.10-0.70     -  -0.667      1      1      2       1",
    ]
    assert summary_lines(found, width=120)[0].split()[2] == "verdict"


def test_what_statistics_decided_is_told_with_its_figures() -> None:
    text = " ".join(" ".join(summary_lines(live(*["passed"] * 5, "regressed"))).split())
    assert (
        "test_team INCONCLUSIVE: the score fell by 0.167 (96% CI -0.580 to +0.315), which may be a real "
        "drop, or noise (p = 0.5 > alpha 0.02); 1 worse, 0 better of 6 cases (exact McNemar); worse: c5"
    ) in text
    text = " ".join(" ".join(summary_lines(live(*["passed"] * 5, "failed"))).split())
    assert "test_team FAIL: 1 case failed: c5 test_team, compared: the score fell by 0.167" in text
    text = " ".join(" ".join(summary_lines(live(*["passed"] * 6))).split())
    assert (
        "test_team PASS: no case got worse (96% CI -0.413 to +0.413); 0 worse, 0 better of 6 cases (exact "
        in text
    )


@given(st.integers(80, 160))
def test_nothing_is_wider_than_the_terminal(width: int) -> None:
    assert all(len(line) <= width for line in summary_lines(results(), width=width))


def test_stale_reasons_and_lost_workers_are_told() -> None:
    found = results()
    old = found.unit("tests/test_support.py::TestTriage").info
    found.add_unit(UnitInfo(**{**_fields(old), "stale": ("metric test_team changed",), "notes": ("x y",)}))
    found.lose_worker("gw1")
    lines = summary_lines(found)
    assert "  stale snapshot: metric test_team changed" in lines
    assert "  x y" in lines
    assert lines[-1] == "worker lost: gw1; what it had not reported yet is missing here"


def _fields(info: UnitInfo) -> dict[str, Any]:
    return {name: getattr(info, name) for name in UnitInfo.__dataclass_fields__}


def test_nothing_to_say() -> None:
    assert summary_lines(RunResults()) == []


def test_rollouts() -> None:
    found = RunResults()
    found.add_unit(UnitInfo("u", "u", "t.py", (MetricInfo("u", "u", 4),), repeat=2))
    for case, status in (("a", "pass"), ("b", "fail")):
        for rollout in range(2):
            found.add(CaseOutcome("u", "u", case, "0", "pass" if rollout else status, rollout))
    lines = summary_lines(found)
    assert lines[2].split()[:4] == ["u", "PASS", "2x2", "0.750"]
    assert "  u, 1 flaky: b 1/2" in lines
    assert "  u, 2 rollouts: pass rate 0.750, pass@2 1.000, pass^2 0.500" in lines


def test_written() -> None:
    lines = written_lines(
        [
            Written("u", "pending", "s/T.new.yaml"),
            Written("v", "accepted", "s/V.yaml", ("metric m changed",)),
            Written("w", "kept", "s/W.yaml", detail="not scored again: m: 3 of 4 ran"),
        ]
    )
    assert lines == [
        "pending review: s/T.new.yaml (lmprog review)",
        "accepted: s/V.yaml",
        "  changed since the compile: metric m changed",
        "left as it was: s/W.yaml: not scored again: m: 3 of 4 ran",
    ]


def test_bounds() -> None:
    unit = UnitBound("t.py::T", CallBound(10, 20), CallBound(4, 8), CallBound(4, 8), 3600)
    other = UnitBound(
        "t.py::U", CallBound(0, 0), CallBound(0, 0), CallBound(1000, 1000), None, None, "9calls"
    )
    lines = bound_lines([unit, other])
    assert lines[1:5] == [
        "unit          compile  before  cases  calls  tokens out",
        "t.py::T            20       8      8     36       3,600",
        "t.py::U             0       0  1,000  1,000           -",
        "all together                          1,036           -",
    ]
    assert lines[-1] == "--lm-budget stops each unit's compile before 9calls."
    assert all(len(line) <= 80 for line in lines)


@pytest.mark.parametrize(
    ("calls", "text"),
    [
        (TallyCount(), "no calls"),
        (TallyCount(live=1), "1 call, all live"),
        (TallyCount(live=1, unpriced=1), "1 call, all live, price unknown"),
        (TallyCount(live=1, recording=999), "1,000 calls, >99% cached"),
        (TallyCount(live=999, cache=1), "1,000 calls, <1% cached"),
        (TallyCount(cache=2, retries=1), "2 calls, 100% cached, 1 retry"),
        (TallyCount(live=2, unpriced=1, live_cost=2.5), "2 calls, all live, $2.50 or more"),
    ],
)
def test_calls(calls: TallyCount, text: str) -> None:
    assert figures.calls_text(calls) == text


@pytest.mark.parametrize(
    ("value", "text"), [(None, "-"), (0.0, "0.000"), (-0.0001, "0.000"), (0.1, "+0.100"), (-0.1, "-0.100")]
)
def test_changes(value: float | None, text: str) -> None:
    assert figures.change(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.2, "1 s"), (99, "99 s"), (100, "2 min"), (3600, "60 min"), (7200, "2.0 h")]
)
def test_durations(seconds: float, text: str) -> None:
    assert figures.duration(seconds) == text


def test_progress() -> None:
    event = ProgressEvent("bootstrap", 10, 40, 0.625, "set 3")
    calls = TallyCount(live=5, cache=15)
    line = progress_line("TestTriage", event, calls, elapsed=20, width=100)
    assert line == "TestTriage: bootstrap 10/40, 20 calls (75% cached), best 0.625, 60 s left, set 3"
    assert progress_line("TestTriage", event, calls, elapsed=20, width=60) == (
        "TestTriage: bootstrap 10/40, 20 calls (75% cached)"
    )


@given(st.text(max_size=60), st.integers(10, 100))
def test_progress_never_exceeds_the_width(unit: str, width: int) -> None:
    line = progress_line(unit, ProgressEvent("evaluate", 1, 2), TallyCount(), elapsed=1, width=width)
    assert len(line) <= width


def test_a_table_aligns() -> None:
    assert table(["name", "n"], [["a", "1"], ["bb", "200"]]) == ["name    n", "a       1", "bb    200"]


def test_a_long_name_stands_on_its_own_line() -> None:
    assert table(["name", "n"], [["x" * 30, "1"]], width=20) == [
        "name" + " " * 15 + "n",
        "x" * 30,
        " " * 19 + "1",
    ]


def test_a_path_is_not_broken() -> None:
    path = "tests/__lm_snapshots__/test_support/TestTriage.new.yaml"
    assert any(path in line for line in paragraph(f"pending review: {path}", width=30))
