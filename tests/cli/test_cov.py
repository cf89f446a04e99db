"""``lmprog cov``: what no example exercised, and which examples reach a line."""

from __future__ import annotations

import json

import pytest

from pytest_lmprog.harness.coverage.analysis import file_digest
from pytest_lmprog.harness.coverage.report import (
    CoverageReport,
    FileCoverage,
    FunctionCoverage,
    Gap,
    UnitUse,
    Way,
    report_path,
    write_report,
)
from tests.cli.conftest import Workplace

SOURCE = """\
class Desk:
    def forward(self, text):
        if text:
            return (
                text
            )
        return None
"""
UNIT = "tests/test_desk.py::TestDesk"
FILE = FileCoverage(
    "support/program.py",
    (
        FunctionCoverage("Desk.forward", 2, 3, 7, (3, 4), (7,), 2, ((3, 7),)),
        FunctionCoverage("idle", 20, 21, 22, (), (21, 22)),
    ),
    (
        Gap("Desk.forward", 3, 3, 7, "if text:", "never false, 7 not run"),
        Gap("idle", 21, 22, why="never called"),
    ),
    file_digest(SOURCE.encode()),
)
REPORT = CoverageReport(
    (FILE, FileCoverage("other/program.py", ())),
    (UnitUse(UNIT, 3, 4, {"classify": 3, "reply": 0}, {"classify": 2, "reply": 0}, {"classify": (2,)}),),
    (
        Way({"support/program.py": ((3, 4),)}, ((UNIT, "a", 0), (UNIT, "b", 0))),
        Way({"support/program.py": ((3, 3),)}, ((UNIT, "c", 0),)),
    ),
)


@pytest.fixture
def covered(place: Workplace) -> Workplace:
    (place.root / "support").mkdir()
    (place.root / "support" / "program.py").write_text(SOURCE, encoding="utf-8", newline="\n")
    write_report(place.root / ".lm_cache", REPORT)
    return place


def test_tells_everything(covered: Workplace) -> None:
    code, out, err = covered.run("cov")
    assert (code, err) == (0, "")
    assert out.splitlines() == [
        "support/program.py  lines 2/5, branches 1/2",
        "  Desk.forward  3->7   if text: never false, 7 not run",
        "  idle          21-22  never called",
        "other/program.py  lines 0/0",
        f"{UNIT}: 3 of 4 runs; predictors never called: reply; demos never used:",
        "  classify 2 (of 2)",
    ]


def test_lists_the_examples_that_reach_a_line(covered: Workplace) -> None:
    code, out, _ = covered.run("cov", "support/program.py:4")
    assert code == 0
    assert out.splitlines() == [
        "support/program.py:4  return (",
        "in Desk.forward: 2 of 3 runs reach it",
        UNIT,
        "  a",
        "  b",
    ]


@pytest.mark.parametrize(
    ("line", "shown", "reached"),
    [(5, 4, ["a", "b"]), (2, 3, ["a", "b", "c"]), (3, 3, ["a", "b", "c"]), (7, 7, [])],
)
def test_a_line_stands_for_its_statement(
    covered: Workplace, line: int, shown: int, reached: list[str]
) -> None:
    code, out, _ = covered.run("cov", f"support/program.py:{line}", "--json")
    found = json.loads(out)
    assert code == 0
    assert found["line"] == shown
    assert [run["example"] for run in found["reached_by"]] == reached


def test_says_that_no_example_reaches_a_line(covered: Workplace) -> None:
    code, out, _ = covered.run("cov", "support/program.py:7")
    assert code == 0
    assert "in Desk.forward: no example reaches it" in out


def test_one_file(covered: Workplace) -> None:
    code, out, _ = covered.run("cov", "support/program.py")
    assert code == 0
    assert "other" not in out
    assert "never called" in out


def test_paths_are_from_where_one_is_or_a_unique_end(covered: Workplace) -> None:
    assert covered.run("cov", "program.py:4", cwd="support")[0] == 0
    assert covered.run("cov", "support/program.py:4", cwd="support")[0] == 0
    code, _, err = covered.run("cov", "program.py:4")
    assert code == 2
    assert "is more than one file" in err


def test_a_file_or_line_that_is_none_of_a_program(covered: Workplace) -> None:
    code, _, err = covered.run("cov", "nothing.py")
    assert code == 2
    assert "there are: support/program.py, other/program.py" in err
    code, _, err = covered.run("cov", "support/program.py:1")
    assert code == 2
    assert "lines that are: Desk.forward 2-7, idle 20-22" in err


def test_says_that_the_file_has_changed(covered: Workplace) -> None:
    (covered.root / "support" / "program.py").write_text("x = 1\n" + SOURCE, encoding="utf-8")
    code, _, err = covered.run("cov", "support/program.py:4")
    assert code == 0
    assert "has changed since" in err


def test_json_of_everything(covered: Workplace) -> None:
    code, out, _ = covered.run("cov", "--json")
    found = json.loads(out)
    assert code == 0
    assert found["format"] == 1
    assert [gap["to"] for gap in found["files"][0]["gaps"]] == [7, None]
    assert found["units"][0]["calls"] == {"classify": 3, "reply": 0}


def test_says_how_to_get_coverage(place: Workplace) -> None:
    code, _, err = place.run("cov")
    assert code == 1
    assert "there is no coverage yet" in err
    assert "pytest --lm-cov" in err


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"format": 2}', '{"format": 1}', '{"format": 1, "files": [1]}']
)
def test_a_damaged_file_is_one_line(covered: Workplace, text: str) -> None:
    report_path(covered.root / ".lm_cache").write_text(text, encoding="utf-8")
    code, _, err = covered.run("cov")
    assert code == 1
    assert "cannot be read" in err
    assert "Traceback" not in err
