"""What makes a snapshot stale, told by name, in runs of a real pytest."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.e2e.desk import Desk


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    desk = Desk(tmp_path_factory.mktemp("compiled"))
    code, out = desk.pytest("--lm-compile", "--lm-update")
    assert code == 0, out
    code, out = desk.pytest(CI="1")
    assert (code, "stale" in out) == (0, False), out
    return desk.path


@pytest.fixture
def desk(compiled: Path, tmp_path: Path) -> Desk:
    desk = Desk(tmp_path)
    shutil.copytree(compiled, tmp_path, dirs_exist_ok=True)
    return desk


CHANGES = {
    "metric": ("test_support.py", "assert same(", "assert True and same(", "metric test_team changed"),
    "helper of a metric": ("test_support.py", "one == other", "other == one", "test_support.same changed"),
    "example edited": ("tickets.yaml", "theme, when?", "theme?", "training example 'dark-2' edited"),
    "example added": (
        "tickets.yaml",
        "- {id: refund-2",
        "- {id: more, ticket: x, team: bug, split: train}\n- {id: refund-2",
        "training example 'more' added",
    ),
    "example removed": (
        "tickets.yaml",
        '- {id: dark-2, ticket: "A dark theme, when?", team: feature, split: train}\n',
        "",
        "training example 'dark-2' removed",
    ),
    "docstring of the signature": (
        "program.py",
        "a support ticket",
        "any ticket",
        "signature of classify: instructions changed",
    ),
    "docstring of the program": (
        "program.py",
        "Sorts tickets",
        "Sorts",
        "program code: program.Triage changed",
    ),
    "helper of the program": (
        "program.py",
        "text.strip()",
        "text.lstrip()",
        "program code: program.clean changed",
    ),
    "teleprompter": ("test_support.py", "demos=2", "demos=1", "setting max_bootstrapped_demos: 2 -> 1"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_is_an_error_a_unit_in_ci_that_names_it_and_the_cases_run(desk: Desk, change: str) -> None:
    file, old, new, told = CHANGES[change]
    desk.edit(file, old, new)
    code, out = desk.pytest(CI="1")
    assert code == 1
    assert "9 passed, 1 xfailed, 1 error" in out
    [error] = [line for line in out.splitlines() if line.startswith("ERROR test_support.py::TestTriage -")]
    assert told in error


def test_elsewhere_it_is_a_warning(desk: Desk) -> None:
    desk.edit("test_support.py", "demos=2", "demos=1")
    code, out = desk.pytest()
    assert code == 0
    assert "9 passed, 1 xfailed, 1 warning" in out
    assert "stale: teleprompter setting max_bootstrapped_demos: 2 -> 1" in out


def test_the_model(desk: Desk) -> None:
    code, out = desk.pytest(DESK_MODEL="scripted/other")
    assert code == 0
    assert "stale: model: scripted/desk -> scripted/other" in out
    code, out = desk.pytest(CI="1", DESK_MODEL="scripted/other")
    assert code == 1
    assert "stale: model: scripted/desk -> scripted/other" in out


def test_under_xdist_it_is_one_error_too(desk: Desk) -> None:
    desk.edit("test_support.py", "demos=2", "demos=1")
    code, out = desk.pytest("-n", "2", CI="1")
    assert code == 1
    assert "9 passed, 1 xfailed, 1 error" in out


def test_comments_and_formatting_are_not_stale(desk: Desk) -> None:
    desk.edit("program.py", "return text.strip()", "# a comment\n    return (  text . strip( ) )")
    desk.edit(
        "test_support.py", "assert same(prediction.team,", "assert same(  # so\n            prediction.team,"
    )
    code, out = desk.pytest(CI="1")
    assert (code, "stale" in out) == (0, False), out


def test_an_added_case_is_not_baselined_and_a_removed_one_gone(desk: Desk) -> None:
    desk.edit(
        "tickets.yaml",
        "- {id: refund-2",
        "- {id: new-1, ticket: crash, team: bug, split: dev}\n- {id: refund-2",
    )
    desk.edit("tickets.yaml", '- {id: login-1, ticket: "I cannot log in", team: account, split: dev}\n', "")
    code, out = desk.pytest()
    assert (code, "stale" in out) == (0, False), out
    assert "test_team, 1 not baselined: new-1" in out
    assert "test_team, 1 in the baseline but gone: login-1" in out
