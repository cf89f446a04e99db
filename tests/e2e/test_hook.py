"""``lmprog check`` as a pre-commit hook of a real git repository."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from pytest_lmprog.snapshots import store

TOP = Path(__file__).parents[2]
SNAPSHOT = "tests/__lm_snapshots__/test_support/TestTriage.yaml"
PROGRAM = "support/program.py"
FORWARD = "def forward(self, ticket):\n"
EDITED = f"{FORWARD}        ticket = ticket.strip()\n"
LMPROG = shutil.which("lmprog", path=str(Path(sys.executable).parent)) or shutil.which("lmprog")

pytestmark = pytest.mark.skipif(not (LMPROG and shutil.which("git")), reason="needs git and lmprog")


class Repository:
    """A git repository that holds a copy of the example project in a folder, with the hook installed."""

    def __init__(self, top: Path, hook: str) -> None:
        self.top = top
        self.project = top / "service"
        ignored = shutil.ignore_patterns(".*cache", "__pycache__")
        shutil.copytree(TOP / "example_project", self.project, ignore=ignored)
        self.git("init", "-q")
        self.git("add", ".")
        self.git("commit", "-q", "-m", "start")
        path = top / ".git" / "hooks" / "pre-commit"
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\nexec '{LMPROG}' {hook}\n", encoding="utf-8", newline="\n")
        path.chmod(0o755)

    def git(self, *args: str) -> subprocess.CompletedProcess[str]:
        names = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
        people = {
            f"GIT_{who}_{what}": "a@b.c" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")
        }
        own = {k: v for k, v in os.environ.items() if not k.startswith(("GIT_", "PYTEST_"))}
        return subprocess.run(
            ["git", *args],
            cwd=self.top,
            env={**own, **names, **people},
            capture_output=True,
            text=True,
            timeout=60,
        )

    def commit(self, *args: str) -> tuple[bool, str]:
        """Commit; return whether git did, and what was said."""
        before = self.git("rev-parse", "HEAD").stdout
        done = self.git("commit", "-q", "-m", "change", *args)
        moved = self.git("rev-parse", "HEAD").stdout != before
        assert moved == (done.returncode == 0)
        return moved, done.stdout + done.stderr

    def edit(self, path: str, old: str, new: str) -> None:
        file = self.project / path
        text = file.read_text(encoding="utf-8")
        assert old in text
        file.write_text(text.replace(old, new), encoding="utf-8", newline="\n")

    def pend(self) -> Path:
        path = self.project / SNAPSHOT
        return store.write_pending(path, store.read(path))


@pytest.fixture(params=["check", "check --staged"])
def repository(tmp_path: Path, request: pytest.FixtureRequest) -> Repository:
    return Repository(tmp_path / "repository", request.param)


@pytest.fixture
def staging(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "repository", "check --staged")


def test_a_harmless_change_is_committed(repository: Repository) -> None:
    repository.edit(PROGRAM, FORWARD, f"{FORWARD}        # a comment\n")
    committed, said = repository.commit("-a")
    assert committed, said


def test_a_stale_snapshot_blocks_until_it_is_put_right(repository: Repository) -> None:
    repository.edit(PROGRAM, FORWARD, EDITED)
    committed, said = repository.commit("-a")
    assert not committed
    assert f"service/{SNAPSHOT}: stale: program code: support.program.Triage.forward changed" in said
    repository.edit(PROGRAM, EDITED, FORWARD)
    repository.edit("README.md", "# Support triage", "# Triage")
    assert repository.commit("-a")[0]


def test_a_pending_snapshot_blocks_until_it_is_decided(repository: Repository) -> None:
    pending = repository.pend()
    repository.edit("README.md", "# Support triage", "# Triage")
    committed, said = repository.commit("-a")
    assert not committed
    assert "TestTriage.new.yaml: pending: a compiled prompt awaits review" in said
    assert said.count("awaits review") == 1
    repository.git("add", ".")
    committed, said = repository.commit()
    assert not committed
    assert said.count("awaits review") == 1
    store.reject(pending)
    repository.git("add", "-A", ".")
    assert repository.commit()[0]


def test_a_conflict_blocks(repository: Repository) -> None:
    repository.edit(SNAPSHOT, "\nseed: 0\n", "\n<<<<<<< HEAD\nseed: 0\n=======\nseed: 1\n>>>>>>> other\n")
    committed, said = repository.commit("-a")
    assert not committed
    assert "conflict: there are git conflict markers in the file" in said


def test_what_is_staged_is_judged_and_not_what_lies_about(staging: Repository) -> None:
    staging.edit(PROGRAM, FORWARD, EDITED)
    staging.edit("README.md", "# Support triage", "# Triage")
    staging.git("add", "service/README.md")
    assert staging.commit()[0]
    staging.git("add", f"service/{PROGRAM}")
    staging.edit(PROGRAM, EDITED, FORWARD)
    committed, said = staging.commit()
    assert not committed
    assert "support.program.Triage.forward changed" in said


def test_a_commit_of_named_files_is_judged_as_such(staging: Repository) -> None:
    staging.edit(PROGRAM, FORWARD, EDITED)
    staging.edit("README.md", "# Support triage", "# Triage")
    assert staging.commit("service/README.md")[0]
    assert not staging.commit(f"service/{PROGRAM}")[0]


def test_staged_without_a_repository(tmp_path: Path) -> None:
    done = subprocess.run(
        [str(LMPROG), "check", "--staged"], cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 2
    assert "--staged: git rev-parse failed: " in done.stderr


@pytest.mark.parametrize("path", [".pre-commit-hooks.yaml", "example_project/.pre-commit-config.yaml"])
def test_the_hooks_of_the_framework_run_what_is_tried_here(path: str) -> None:
    data = yaml.safe_load((TOP / path).read_text(encoding="utf-8"))
    (hook,) = data if isinstance(data, list) else data["repos"][0]["hooks"]
    assert hook["id"] == "lmprog-check"
    assert hook["entry"] == "lmprog check"
    assert hook["always_run"] is True
    assert hook["pass_filenames"] is False
