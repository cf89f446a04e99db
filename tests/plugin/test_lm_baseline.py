"""``--lm-baseline``: another run, snapshot, folder or revision instead of the accepted snapshot."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.plugin.conftest import UNIT
from tests.plugin.test_ratchet import baseline

SNAPSHOT = "__lm_snapshots__/test_support/TestTriage.yaml"


def git(project, *args: str) -> None:
    who = ("-c", "user.name=a", "-c", "user.email=a@example.com", "-c", "commit.gpgsign=false")
    subprocess.run(["git", *who, *args], cwd=project.path, check=True, capture_output=True)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("template") / "project"


@pytest.fixture
def changed(project, template: Path):
    """A project whose main has a baseline in which all pass; since then a miss was accepted."""
    if template.exists():  # made by the first test that asked for it
        shutil.copytree(template, project.path, dirs_exist_ok=True)
        return project
    baseline(project)
    git(project, "init", "-q", "-b", "main")
    git(project, "add", ".")
    git(project, "commit", "-q", "-m", "all pass")
    shutil.copy(project.path / SNAPSHOT, project.path / "old.yaml")
    project.run("--lm-report=before.json")
    project.answers(dark="bug")
    project.forget()
    project.run("--lm-update")
    project.run()
    shutil.copytree(project.path, template)
    return project


def told(result) -> str:
    return " ".join(result.stdout.str().split())


def test_without_it_the_accepted_miss_is_known(changed) -> None:
    result = changed.run("--lm-record=none")
    assert result.ret == 0
    result.assert_outcomes(passed=3, xfailed=1)


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("main", "main ("),
        ("old.yaml", "old.yaml"),
        ("before.json", "before.json"),
        ("copied", "copied"),
        ("checkout", "checkout"),
        ("flat", "flat"),
    ],
)
def test_what_it_can_name(changed, given: str, name: str) -> None:
    path = changed.path
    for folder in ("copied/test_support", "checkout/__lm_snapshots__/test_support", "flat"):
        (path / folder).mkdir(parents=True)
        shutil.copy(path / "old.yaml", path / folder / "TestTriage.yaml")
    result = changed.run("--lm-record=none", "-v", f"--lm-baseline={given}")
    assert result.ret == 1
    result.assert_outcomes(passed=3, xfailed=1, failed=1)
    result.stdout.fnmatch_lines(
        [f"*test_team?dark-1? REGRESSED (fail; {name[:4]}*", f"*compared with {name}*"]
    )
    assert "INCONCLUSIVE: the score fell by 0.250" in told(result)


def test_the_ini_file_and_the_environment_can_name_it(changed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTEST_LMPROG_BASELINE", "main")
    assert changed.run("--lm-record=none").ret == 1
    monkeypatch.delenv("PYTEST_LMPROG_BASELINE")
    changed.write("pytest.ini", "[pytest]\npythonpath = .\nlm_baseline = old.yaml\n")
    assert changed.run("--lm-record=none").ret == 1
    assert changed.run("--lm-record=none", "--lm-baseline=HEAD").ret == 1


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("mian", "--lm-baseline=mian: there is no such file, folder or git revision; did you mean main?"),
        ("gone.json", "--lm-baseline=gone.json: there is no such file"),
        ("-x", "--lm-baseline=-x: no revision begins with a dash"),
        ("conftest.json", "conftest.json:1: is not JSON"),
        ("other.json", "other.json: is no pytest-lmprog run"),
        ("program.py", "program.py"),
    ],
)
def test_what_it_cannot_name_is_told_at_the_start(changed, given: str, message: str) -> None:
    changed.write("conftest.json", "no json")
    changed.write("other.json", "{}")
    result = changed.run(f"--lm-baseline={given}")
    assert result.ret == 4
    text = result.stderr.str() + result.stdout.str()
    assert message in text
    assert "Traceback" not in text


def test_outside_of_a_repository(project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(project.path.parent))
    project.test()
    result = project.run("--lm-baseline=main")
    assert result.ret == 4
    assert "is in no git repository" in result.stderr.str()


def test_a_unit_that_was_not_there_is_judged_by_its_snapshot(changed) -> None:
    changed.write("test_other.py", UNIT.replace("TestTriage", "TestOther"))
    changed.run("--lm-compile", "test_other.py")
    changed.run("test_other.py")
    result = changed.run("--lm-record=none", "test_other.py", "--lm-baseline=main")
    assert result.ret == 0
    result.assert_outcomes(passed=3, xfailed=1)
    result.stdout.fnmatch_lines(["*no baseline in main (*"])


def test_a_metric_and_a_case_that_were_not_there(changed) -> None:
    with (changed.path / "tickets.yaml").open("a") as file:
        file.write('- {id: late, ticket: "A late one", team: feature, split: dev}\n')
    changed.test(UNIT + "    def test_more(self, prediction):\n        assert prediction.team != 'x'\n")
    changed.answers({})
    changed.run("--lm-update")
    result = changed.run("--lm-record=none", "--lm-baseline=main", "-v")
    text = told(result)
    assert "test_team[late] KNOWN MISS" in text
    assert "test_team, 1 not baselined: late" in text
    assert "of 4 cases" in text
    assert "test_more, 5 not baselined" in text


def test_an_edited_example_is_not_paired(changed) -> None:
    rows = (changed.path / "tickets.yaml").read_text()
    changed.write("tickets.yaml", rows.replace("Please add a dark mode", "Please add dark mode"))
    changed.run("--lm-update")
    result = changed.run("--lm-record=none", "--lm-baseline=main")
    assert result.ret == 0
    text = told(result)
    assert "test_team, 1 edited since the baseline: dark-1" in text
    assert "PASS: no case got worse (96% CI -0.584 to +0.584); 0 worse, 0 better of 3 cases" in text


def test_staleness_stays_about_the_accepted_snapshot(changed) -> None:
    code = (changed.path / "program.py").read_text()
    changed.write("program.py", code.replace("Decide which team", "Decide now which team"))
    text = told(changed.run("--lm-baseline=main"))
    assert f"the snapshot {SNAPSHOT} is stale" in text


def test_a_compile_lists_what_flipped_against_it(changed) -> None:
    result = changed.run("--lm-compile", "--lm-baseline=main")
    assert result.ret == 0
    assert "1 worse than the baseline: dark-1" in told(result)


def test_a_damaged_snapshot_of_a_revision(changed) -> None:
    changed.write(SNAPSHOT, "<<<<<<< HEAD\n")
    git(changed, "commit", "-q", "-a", "-m", "broken")
    git(changed, "branch", "broken")
    git(changed, "checkout", "-q", "HEAD~1", "--", SNAPSHOT)
    result = changed.run("--lm-record=none", "--lm-baseline=broken")
    assert result.ret == 1
    assert "broken (" in told(result)
    assert "Traceback" not in result.stdout.str()


def test_workers_compare_too(changed) -> None:
    result = changed.run_apart("-n", "2", "-p", "no:cacheprovider", "--lm-record=none", "--lm-baseline=main")
    assert result.ret == 1
    assert "compared with main (" in told(result)
    assert "test_team INCONCLUSIVE" in told(result)
