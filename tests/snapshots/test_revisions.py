"""Files of a git revision, in real repositories."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from pytest_lmprog.errors import SnapshotError, UsageError
from pytest_lmprog.snapshots.revisions import find_revision

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")


def git(folder: Path, *args: str) -> None:
    who = ("-c", "user.name=a", "-c", "user.email=a@example.com", "-c", "commit.gpgsign=false")
    subprocess.run(["git", *who, *args], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    root = tmp_path / "repo"
    (root / "project/tests").mkdir(parents=True)
    (root / "shared").mkdir()
    git(root, "init", "-q", "-b", "main")
    (root / "project/tests/a.yaml").write_bytes("é: 1\r\nb: 2\n".encode())
    (root / "shared/s.yaml").write_text("shared\n")
    (root / "project/bad.yaml").write_bytes(b"\xff\xfe")
    git(root, "add", ".")
    git(root, "commit", "-q", "-m", "one")
    git(root, "tag", "v1")
    (root / "project/tests/a.yaml").write_text("later\n")
    git(root, "commit", "-q", "-a", "-m", "two")
    return root


def test_a_file_as_it_was(repository: Path) -> None:
    project = repository / "project"
    old, new = find_revision("HEAD~1", project), find_revision("main", project)
    assert old.text(project / "tests/a.yaml") == "é: 1\nb: 2\n"
    assert new.text(project / "tests/a.yaml") == "later\n"
    assert find_revision("v1", project).commit == old.commit
    assert old.text(repository / "shared/s.yaml") == "shared\n"


def test_a_file_that_was_not_there(repository: Path) -> None:
    revision = find_revision("v1", repository)
    assert revision.text(repository / "project/new.yaml") is None
    assert revision.text(repository / "project") is None
    assert revision.text(repository.parent / "elsewhere.yaml") is None


def test_what_it_is_called(repository: Path) -> None:
    revision = find_revision("v1", repository)
    assert revision.name == f"v1 ({revision.commit[:7]})"
    short = revision.commit[:10]
    assert find_revision(short, repository).name == short


def test_a_file_that_is_no_text(repository: Path) -> None:
    with pytest.raises(SnapshotError, match=r"v1:project/bad\.yaml"):
        find_revision("v1", repository).text(repository / "project/bad.yaml")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("mian", "no such file, folder or git revision; did you mean main?"),
        ("zzz", "there is no such file, folder or git revision$"),
        ("--help", "no revision begins with a dash"),
        ("", "no such file, folder or git revision"),
        ("HEAD; echo x", "no such file, folder or git revision"),
    ],
)
def test_what_is_no_revision(repository: Path, given: str, message: str) -> None:
    with pytest.raises(UsageError, match=message.replace("?", r"\?")):
        find_revision(given, repository)


def test_no_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    with pytest.raises(UsageError, match="is in no git repository"):
        find_revision("main", tmp_path)


def test_no_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UsageError, match="git is not installed"):
        find_revision("main", tmp_path)
