"""``lmprog diff`` of git revisions, and git's own commands with the recipe of the README."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace

import pytest

from pytest_lmprog.snapshots import store
from tests.cli.conftest import NEW, OLD

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="there is no git")

PATH = "tests/__lm_snapshots__/test_support/TestTriage.yaml"
WORDS = "Decide which [-team-]{+person+} should"
BACK = "Decide which [-person-]{+team+} should"


class Repository:
    """The project as a git repository, with two commits: the old and the new snapshot."""

    def __init__(self, place, bin_folder, monkeypatch) -> None:
        for name, value in {
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_CONFIG_NOSYSTEM": "1",
            "PATH": f"{bin_folder}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": os.pathsep.join(sys.path),
        }.items():
            monkeypatch.setenv(name, value)
        for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"):
            monkeypatch.delenv(name, raising=False)
        self.place = place
        self.git("init", "-q", "-b", "main")
        self.git("config", "user.name", "someone")
        self.git("config", "user.email", "someone@example.org")
        place.accepted()
        self.commit("one")
        place.accepted(snapshot=NEW)
        self.commit("two")

    def git(self, *args: str) -> str:
        done = subprocess.run(
            ["git", *args], cwd=self.place.root, capture_output=True, text=True, check=False, encoding="utf-8"
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def commit(self, message: str) -> None:
        self.git("add", "-A")
        self.git("commit", "-q", "-m", message)

    def diff(self, *args: str, cwd: str = ".") -> str:
        code, out, err = self.place.run("diff", *args, cwd=cwd)
        assert (code, err) == (0, "")
        return out


@pytest.fixture
def repo(place, tmp_path_factory, monkeypatch):
    folder = tmp_path_factory.mktemp("bin")
    script = folder / "lmprog"
    code = "from pytest_lmprog.cli import main; raise SystemExit(main())"
    script.write_text(f"#!/bin/sh\nexec '{sys.executable}' -c '{code}' \"$@\"\n", encoding="utf-8")
    script.chmod(0o755)
    return Repository(place, folder, monkeypatch)


@pytest.mark.parametrize(
    "args",
    [
        [f"HEAD~1:{PATH}", f"HEAD:{PATH}"],
        [f"HEAD~1:{PATH}"],
        [f"HEAD~1:{PATH}", PATH],
        ["HEAD~1:TestTriage", "TestTriage"],
        [f"HEAD~1:{PATH}", f":{PATH}"],
        ["HEAD~1", "HEAD"],
        ["HEAD~1"],
        ["HEAD~1..HEAD"],
        ["HEAD~1..."],
        ["HEAD~1", "TestTriage"],
    ],
    ids=" ".join,
)
def test_revisions(repo, args):
    assert WORDS in repo.diff(*args)


def test_back_in_time(repo):
    assert BACK in repo.diff("HEAD", "HEAD~1")


def test_paths_are_from_the_top_or_from_here(repo):
    assert WORDS in repo.diff("HEAD~1:test_support/TestTriage.yaml", cwd="tests/__lm_snapshots__")
    assert WORDS in repo.diff("HEAD~1:./test_support/TestTriage.yaml", cwd="tests/__lm_snapshots__")
    assert WORDS in repo.diff(f"HEAD~1:{PATH}", cwd="tests/__lm_snapshots__")


def test_the_working_tree_counts_as_it_is(repo):
    repo.place.accepted(snapshot=OLD)
    assert BACK in repo.diff("HEAD")
    assert repo.diff("HEAD~1") == "no difference\n"


def test_snapshots_that_came_and_went(repo):
    repo.place.accepted("TestOther")
    repo.place.path().unlink()
    repo.commit("three")
    out = repo.diff("HEAD~1", "HEAD")
    assert "TestOther.yaml  new, mean of 2 metrics 0.375\n" in out
    assert "TestTriage.yaml  removed, score 1.000\n" in out


def test_a_merge_base(repo):
    repo.git("checkout", "-q", "-b", "side", "HEAD~1")
    repo.place.accepted("TestOther")
    repo.commit("aside")
    out = repo.diff("main...side")
    assert "TestOther" in out
    assert "TestTriage" not in out
    assert "TestTriage" in repo.diff("main..side")


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["nope:x.yaml"], "git knows no revision 'nope'"),
        (["HEAD:nope.yaml"], "there is no such snapshot"),
        (["HEAD~7"], "no snapshot 'HEAD~7', and no git revision"),
        (["--", "--all:x"], "git knows no revision '--all'"),
        (["HEAD", "x.yaml"], "no such file"),
    ],
    ids=str,
)
def test_what_git_does_not_know_is_one_message(repo, args, message):
    code, out, err = repo.place.run("diff", *args)
    assert (code, out) == (2, "")
    assert message in err


def test_without_a_repository(place):
    place.accepted()
    code, _, err = place.run("diff", "HEAD~1:TestTriage")
    assert code == 2
    assert "git knows no revision" in err


def test_as_json_with_names(repo):
    [found] = json.loads(repo.diff("HEAD~1", "HEAD", "--json"))["diffs"]
    assert (found["name"], found["old"]) == (PATH, f"HEAD~1:{PATH}")
    assert found["diff"]["flips"] == {"fixed": 1, "regressed": 0, "compared": 2}


@pytest.fixture
def recipe(repo):
    """The README's lines."""
    attributes = "**/__lm_snapshots__/**/*.yaml diff=lmprog\n"
    (repo.place.root / ".gitattributes").write_text(attributes, encoding="utf-8")
    repo.git("config", "diff.lmprog.textconv", "lmprog show --for-diff")
    repo.git("config", "diff.lmprog.xfuncname", "^((predictor|metric) .*)$")
    repo.git("config", "difftool.lmprog.cmd", 'lmprog diff "$LOCAL" "$REMOTE"')
    return repo


def test_git_log_shows_meaning(recipe):
    text = recipe.git("log", "-p", "-1")
    assert "-    Decide which team should handle a support ticket.\n" in text
    assert "+    Decide which person should handle a support ticket.\n" in text
    assert "-  login-1: fail\n" in text
    assert "+  login-1: pass\n" in text
    assert "role: system" not in text


def test_git_difftool(recipe):
    assert WORDS in recipe.git("difftool", "-y", "-t", "lmprog", "HEAD~1")
    recipe.place.path().unlink()
    assert "TestTriage  removed" in recipe.git("difftool", "-y", "-t", "lmprog", "HEAD")


def test_git_diff_goes_on_with_a_damaged_file(recipe):
    recipe.place.path().write_text("<<<<<<< HEAD\n", encoding="utf-8")
    text = recipe.git("diff")
    assert "+(not a sound snapshot: the file as it is)\n+<<<<<<< HEAD\n" in text


def test_whatever_changes_shows(repo):
    place = repo.place
    path = place.path()
    seen = set()
    metric = OLD.baseline["test_team"]
    cases = {name: replace(case, example="ffff") for name, case in metric.cases.items()}
    classify = OLD.predictors["classify"]
    for snapshot in (
        OLD,
        replace(OLD, fingerprint={"program": {"x": "0"}}),
        replace(OLD, baseline={**OLD.baseline, "test_team": replace(metric, cases=cases)}),
        replace(OLD, predictors={"classify": replace(classify, messages=classify.messages[1:])}),
        replace(OLD, header=replace(OLD.header, seed=7)),
    ):
        store.write_accepted(path, snapshot)
        seen.add(place.run("show", "--for-diff", PATH)[1])
    assert len(seen) == 5


def test_sentences_stand_on_lines_of_their_own(place):
    text = "1. Read it. Decide!\nどうする。決める。"
    classify = replace(OLD.predictors["classify"], instructions=text, messages=())
    place.accepted(snapshot=replace(OLD, predictors={"classify": classify}))
    out = place.run("show", "--for-diff", PATH)[1]
    assert "  instructions\n    1. Read it.\n    Decide!\n    どうする。\n    決める。\n  field" in out


def test_textconv_of_no_file(place):
    code, out, err = place.run("show", "--for-diff", "nope.yaml")
    assert (code, out) == (1, "")
    assert "cannot be read" in err
