"""From runs to a report: figures, gaps in words, and which example runs what."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from pytest_lmprog.harness.coverage.analysis import analysed
from pytest_lmprog.harness.coverage.log import CoverageLog
from pytest_lmprog.harness.coverage.report import CoverageReport, read_report, write_report
from pytest_lmprog.harness.coverage.scope import Function, UnitScope

SOURCE = '''\
def forward(text, kind):
    """Doc."""
    if text:
        text = text.strip()

        text = text + "."
    elif kind:
        return kind
    for word in text:
        if word == "x":
            continue
        kind = word
    while kind:
        kind = kind[1:]
    match text:
        case "a":
            return 1
        case _:
            pass
    return [
        text,
        kind,
    ]


def helper():
    return 1


def excluded():  # pragma: no cover
    return 1
'''

FUNCTIONS = (
    Function("forward", "program.py", 1, 2, 23),
    Function("helper", "program.py", 26, 27, 27),
    Function("excluded", "program.py", 30, 31, 31),
)


def arcs_of(*lines: int, first: int = 1) -> set[tuple[int, int]]:
    way = [-first, *lines, -first]
    return set(pairwise(way))


def log_of(root: Path, **runs: set[tuple[int, int]]) -> CoverageLog:
    (root / "program.py").write_text(SOURCE, encoding="utf-8")
    log = CoverageLog()
    log.add_scope(UnitScope("unit", len(runs), FUNCTIONS, {"ask": 2, "idle": 0}), {})
    for example, arcs in runs.items():
        log.add("unit", example, 0, arcs={"program.py": arcs}, used=[("ask", None), ("ask", 1)])
    return log


LONG = arcs_of(3, 4, 6, 9, 10, 12, 9, 13, 15, 16, 18, 19, 20)
EMPTY = arcs_of(3, 7, 9, 13, 15, 16, 18, 19, 20)


def told(report: CoverageReport) -> list[str]:
    return [f"{gap.function} {gap.place} {gap.text}|{gap.why}" for gap in report.files[0].gaps]


def test_each_gap_is_told_once_and_in_words(tmp_path: Path) -> None:
    report = analysed(log_of(tmp_path, a=LONG, b=EMPTY), tmp_path)
    assert told(report) == [
        "forward 7->8 elif kind:|never true, 8 not run",
        'forward 10->11 if word == "x":|never true, 11 not run',
        "forward 13->14 while kind:|never true, 14 not run",
        'forward 16->17 case "a":|never matched, 17 not run',
        "helper 27 |never called",
    ]
    (file,) = report.files
    assert (file.ran, file.lines) == (13, 18)
    assert (file.taken, file.branches) == (8, 12)


def test_a_body_that_never_ran_is_told_with_its_test(tmp_path: Path) -> None:
    report = analysed(log_of(tmp_path, b=EMPTY), tmp_path)
    assert "forward 3->4 if text:|never true, 4-6 not run" in told(report)
    assert "forward 9->10 for word in text:|never entered, 10-12 not run" in told(report)


def test_a_test_that_always_holds(tmp_path: Path) -> None:
    report = analysed(log_of(tmp_path, a=LONG), tmp_path)
    assert "forward 3->7 if text:|never false, 7-8 not run" in told(report)


def test_lines_of_statements_that_span_several(tmp_path: Path) -> None:
    spread = arcs_of(3, 7, 9, 13, 15, 16, 18, 19, 20, 21, 22, 20)
    report = analysed(log_of(tmp_path, b=spread), tmp_path)
    assert all(21 not in f.missing_lines and 22 not in f.missing_lines for f in report.files[0].functions)


def test_which_examples_reach_a_line(tmp_path: Path) -> None:
    report = analysed(log_of(tmp_path, a=LONG, b=EMPTY, c=LONG), tmp_path)
    assert [example for _, example, _ in report.reaching("program.py", 12)] == ["a", "c"]
    assert [example for _, example, _ in report.reaching("program.py", 7)] == ["b"]
    assert report.reaching("program.py", 8) == []
    assert len(report.ways) == 2


def test_what_was_used(tmp_path: Path) -> None:
    (use,) = analysed(log_of(tmp_path, a=LONG, b=EMPTY), tmp_path).units
    assert use.calls == {"ask": 2, "idle": 0}
    assert use.unused == {"ask": (1,)}
    assert (use.ran, use.expected) == (2, 2)


def test_a_file_that_cannot_be_read_is_a_problem_of_its_own(tmp_path: Path) -> None:
    log = log_of(tmp_path, a=LONG)
    (tmp_path / "program.py").write_text("def broken(:\n", encoding="utf-8")
    (file,) = analysed(log, tmp_path).files
    assert file.problem
    (tmp_path / "program.py").unlink()
    (file,) = analysed(log, tmp_path).files
    assert "FileNotFoundError" in file.problem


def test_what_workers_send_is_what_was_noted(tmp_path: Path) -> None:
    whole = log_of(tmp_path, a=LONG, b=EMPTY, c=LONG)
    gathered, first, second = CoverageLog(), log_of(tmp_path, a=LONG), log_of(tmp_path, b=EMPTY)
    for log in (first, second):
        gathered.absorb(log.harvest() or {})
        assert log.harvest() is None
    second.add("unit", "c", 0, arcs={"program.py": LONG}, used=[("ask", None), ("ask", 1)])
    late = second.harvest() or {}
    assert late["scopes"] == []
    gathered.absorb(late)
    gathered.scopes["unit"] = whole.scopes["unit"]
    assert analysed(gathered, tmp_path) == analysed(whole, tmp_path)


def test_an_example_that_took_two_ways_is_in_both(tmp_path: Path) -> None:
    log = log_of(tmp_path, a=LONG)
    log.add("unit", "a", 0, arcs={"program.py": EMPTY}, used=[])
    report = analysed(log, tmp_path)
    assert report.ran == 1
    assert report.reaching("program.py", 7) == report.reaching("program.py", 12) == [("unit", "a", 0)]


def test_is_kept_and_read_again(tmp_path: Path) -> None:
    report = analysed(log_of(tmp_path, a=LONG, b=EMPTY), tmp_path)
    write_report(tmp_path / ".lm_cache", report)
    assert read_report(tmp_path / ".lm_cache") == report
    text = (tmp_path / ".lm_cache/coverage/last.json").read_text(encoding="utf-8")
    assert str(tmp_path) not in text
    assert (tmp_path / ".lm_cache/.gitignore").read_text() == "*\n"


@pytest.mark.parametrize("line", [0, 24, 25])
def test_lines_of_no_function_are_of_no_account(tmp_path: Path, line: int) -> None:
    report = analysed(log_of(tmp_path, a=LONG), tmp_path)
    assert not any(f.body <= line <= f.last for f in report.files[0].functions)
