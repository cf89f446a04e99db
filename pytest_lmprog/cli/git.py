"""What ``lmprog diff`` asks git: revisions, and files as they were."""

from __future__ import annotations

import subprocess
from functools import cached_property
from pathlib import Path

from pytest_lmprog.errors import UsageError

__all__ = ["Git"]


class Git:
    """The repository around ``cwd``. Only reads."""

    def __init__(self, cwd: Path) -> None:
        self._cwd = cwd

    @cached_property
    def top(self) -> Path | None:
        """The working tree's folder; None outside of a repository, or without git."""
        found = self._run("rev-parse", "--show-toplevel")
        return None if not found else Path(found.decode("utf-8", "surrogateescape").rstrip("\r\n")).resolve()

    def tree(self, revision: str) -> str | None:
        """Return the id of the tree that a revision (``main``, ``HEAD~1``) names; None if it names none."""
        if not revision or revision.startswith("-") or self.top is None:
            return None
        found = self._run("rev-parse", "--verify", "--quiet", f"{revision}^{{tree}}")
        return found.decode("ascii", "replace").strip() or None if found else None

    def merge_base(self, one: str, other: str) -> str:
        """Return the commit that two revisions come from. Raises UsageError where there is none."""
        if not one.startswith("-") and not other.startswith("-"):
            found = self._run("merge-base", one, other)
            if found:
                return found.decode("ascii", "replace").strip()
        raise UsageError(f"git finds no merge base of {one} and {other}")

    def file(self, tree: str, path: str) -> bytes | None:
        """Return the content of a file (``path`` from the top); the index's, if ``tree`` is empty."""
        return self._run("cat-file", "blob", f"{tree}:{path}")

    def files(self, tree: str) -> list[str]:
        """Return the paths of all files of a tree, from the top."""
        found = self._run("ls-tree", "-r", "-z", "--name-only", "--full-tree", tree) or b""
        return [path.decode("utf-8", "surrogateescape") for path in found.split(b"\0") if path]

    def _run(self, *args: str) -> bytes | None:
        try:
            done = subprocess.run(
                ["git", "--no-optional-locks", *args],
                cwd=self._cwd,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                check=False,
            )
        except OSError:
            return None
        return done.stdout if done.returncode == 0 else None
