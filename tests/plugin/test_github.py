from __future__ import annotations

import re
from pathlib import Path

import pytest

from pytest_lmprog.harness.verdicts.gates import MetricVerdict
from pytest_lmprog.reports.github import Annotation, annotations_of, command, commands
from tests.plugin.conftest import UNIT, Project
from tests.reports.test_markdown import GOOD, outcome, run

SUMMARY = "summary.md"


@pytest.fixture
def github(project: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_WORKSPACE", str(project.path.parent))
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(project.path / SUMMARY))
    project.answers(dark="bug")
    project.test()
    return project


def annotated(result: pytest.RunResult) -> list[str]:
    return [line for line in result.outlines if line.startswith("::")]


def test_the_syntax_of_a_command() -> None:
    one = Annotation("error", "a: b, c", "50%\r\nof: it, ::set-output::x", ("src/a,b:c.py", 3))
    assert command(one) == (
        "::error file=src/a%2Cb%3Ac.py,line=3,title=a%3A b%2C c::50%25%0Aof: it, ::set-output::x"
    )
    assert command(Annotation("warning", "t", "m")) == "::warning title=t::m"


@pytest.mark.parametrize("text", ["a\n::error::b", "\r::add-mask::x", "\x1b[31mred\x85\u2028\x0b::debug::x"])
def test_hostile_text_is_one_line_and_one_command(text: str) -> None:
    line = command(Annotation("error", text, text, (text, 1)))
    assert len(line.splitlines()) == 1
    assert "\x1b" not in line


def test_ten_of_a_kind_are_shown_and_the_rest_counted() -> None:
    many = [Annotation("error", f"e{n}", "x") for n in range(25)] + [Annotation("warning", "w", "x")]
    lines = commands(many)
    assert len(lines) == 11
    assert lines[9] == "::error title=16 more::and 16 more; the step summary has them all"
    assert lines[10] == "::warning title=w::x"


def test_what_is_annotated() -> None:
    saved = run(
        outcome("a", "regression", "wrong team", was=1.0),
        outcome("b", "known_miss", "still", was=0.0),
        outcome("c", "flaky", "sometimes"),
        verdict=MetricVerdict("failed", ("score 0.3 is below",)),
        info={"stale": ("f changed",), "snapshot": "tests/x.yaml"},
        settings={"ci": True},
        lost_workers=("gw0",),
        missing=("t[x]",),
        problems=("disk",),
    )
    lines = commands(annotations_of(saved, lambda name: (name.partition("::")[0], 7)))
    assert lines == [
        "::error file=tests/test_x.py,line=7,title=TestX test_team%3A 1 regression::a (1.000 -> 0.000): wrong team",
        "::error file=tests/test_x.py,line=7,title=TestX test_team%3A gate failed::score 0.3 is below",
        "::error file=tests/x.yaml,line=7,title=TestX%3A stale snapshot::f changed%0A"
        "pytest --lm-compile compiles it anew; --lm-update keeps the prompts",
        "::error title=LM programs%3A worker died::gw0",
        "::error title=LM programs%3A 1 test without a result::t[x]",
        "::error title=LM programs::disk",
        "::warning file=tests/test_x.py,line=7,title=TestX test_team%3A 1 flaky case::c: sometimes",
        "::warning file=tests/test_x.py,line=7,title=TestX test_team%3A 1 known miss::b (0.000 -> 0.000): still",
    ]


def test_inconclusive_and_stale_elsewhere_are_warnings() -> None:
    saved = run(
        *GOOD,
        verdict=MetricVerdict("inconclusive", ("p = 0.3",)),
        info={"stale": ("f",), "snapshot": "s.yaml"},
    )
    found = annotations_of(saved, lambda name: (name, 1))
    assert [(a.level, a.message.splitlines()[0]) for a in found] == [("warning", "p = 0.3"), ("warning", "f")]


def test_a_failure_is_annotated_at_the_line_of_its_test(github: Project) -> None:
    lines = annotated(github.run())
    number = UNIT.splitlines().index("    def test_team(self, example, prediction):") + 1
    folder = github.path.name
    assert lines[0].startswith(
        f"::error file={folder}/test_support.py,line={number},title=TestTriage test_team%3A 1 failure::dark-1: assert"
    )
    assert len(lines) == 1


def test_the_report_is_appended_to_the_step_summary(github: Project) -> None:
    summary = github.write(SUMMARY, "from another tool\n")
    github.run()
    text = summary.read_text(encoding="utf-8")
    assert text.startswith("from another tool\n**LM programs: FAIL** 1 case failed")


def test_a_full_summary_is_left_as_it_is(github: Project) -> None:
    summary = github.write(SUMMARY, "x" * (1024 * 1024 - 10))
    github.run()
    assert summary.stat().st_size == 1024 * 1024 - 10


def test_a_summary_that_cannot_be_written_is_said(github: Project) -> None:
    (github.path / SUMMARY).mkdir()
    result = github.run()
    result.stdout.fnmatch_lines(["the step summary cannot be written: *"])
    result.assert_outcomes(passed=3, failed=1)


def test_the_same_under_xdist_and_once(github: Project) -> None:
    alone = annotated(github.run())
    (github.path / SUMMARY).unlink()
    assert annotated(github.run_apart("-n2")) == alone
    assert (github.path / SUMMARY).read_text(encoding="utf-8").count("**LM programs:") == 1


@pytest.mark.parametrize("how", ["ini", "env", "elsewhere"])
def test_switched_off(github: Project, how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if how == "ini":
        github.write("pytest.ini", "[pytest]\npythonpath = .\nlm_github = off\n")
    elif how == "env":
        monkeypatch.setenv("PYTEST_LMPROG_GITHUB", "off")
    else:
        monkeypatch.delenv("GITHUB_ACTIONS")
    assert annotated(github.run()) == []
    assert not (github.path / SUMMARY).exists()


def test_a_bad_setting_is_refused(github: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTEST_LMPROG_GITHUB", "loud")
    result = github.run()
    assert "neither auto nor off" in "\n".join(result.errlines + result.outlines)


def test_a_project_without_units_says_nothing(github: Project) -> None:
    (github.path / "test_support.py").write_text("def test_x():\n    pass\n")
    assert annotated(github.run()) == []
    assert not (github.path / SUMMARY).exists()


def test_outside_of_the_workspace_the_path_is_the_projects(
    github: Project, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("GITHUB_WORKSPACE", str(tmp_path / "elsewhere"))
    assert re.match(r"::error file=test_support\.py,line=\d+,", annotated(github.run())[0])
