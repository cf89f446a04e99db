"""Snapshots as they were committed: files of a git revision, read through git. Nothing is written."""

from __future__ import annotations

import os
import subprocess
from difflib import get_close_matches
from pathlib import Path

from pytest_lmprog.errors import SnapshotError, UsageError
from pytest_lmprog.records import dataclass

__all__ = ["Revision", "find_revision"]


@dataclass(frozen=True, slots=True)
class Revision:
    """One commit, seen from ``folder``. ``given``: as it was named."""

    given: str
    commit: str
    folder: Path

    @property
    def name(self) -> str:
        """What it is called in messages: ``main (1a2b3c4)``."""
        short = self.commit[:7]
        return self.given if self.commit.startswith(self.given) else f"{self.given} ({short})"

    def text(self, path: Path) -> str | None:
        """Return the text of a file as it was; None where it was not there. Raises SnapshotError where it
        is no UTF-8."""
        inside = Path(os.path.relpath(path, self.folder)).as_posix()
        found = _git(self.folder, "cat-file", "--batch", given=f"{self.commit}:./{inside}\n")
        head, _, rest = found.stdout.partition(b"\n")
        parts = head.rsplit(b" ", 2)
        if len(parts) != 3 or parts[1] != b"blob":
            return None
        try:
            return rest[: int(parts[2])].decode("utf-8-sig").replace("\r\n", "\n")
        except UnicodeDecodeError:
            raise SnapshotError("not UTF-8 text", path=f"{self.given}:{inside}") from None


def find_revision(given: str, folder: Path) -> Revision:
    """Return the commit that ``given`` names (``main``, ``HEAD~1``, a tag) in the repository of ``folder``.

    Raises UsageError that says whether git, the repository or the revision is missing."""
    if given.startswith("-"):
        raise UsageError("no revision begins with a dash")
    found = _git(folder, "rev-parse", "--verify", "--quiet", f"{given}^{{commit}}")
    commit = found.stdout.decode("ascii", "replace").strip()
    if found.returncode == 0 and commit:
        return Revision(given, commit, folder)
    if _git(folder, "rev-parse", "--git-dir").returncode != 0:
        raise UsageError(f"there is no such file or folder, and {folder} is in no git repository")
    raise UsageError(f"there is no such file, folder or git revision{_near(given, folder)}")


def _near(given: str, folder: Path) -> str:
    listed = _git(folder, "for-each-ref", "--format=%(refname:short)").stdout.decode("utf-8", "replace")
    near = get_close_matches(given, listed.split(), 3)
    return f"; did you mean {' or '.join(near)}?" if near else ""


def _git(folder: Path, *args: str, given: str = "") -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(
            ["git", "--no-optional-locks", *args],
            cwd=folder,
            input=given.encode("utf-8", "surrogateescape"),
            capture_output=True,
            check=False,
        )
    except FileNotFoundError:
        raise UsageError("there is no such file or folder, and git is not installed") from None
