"""Observer: notes the steps from line to line that a block of code takes through some files.

It works beside a running coverage.py (pytest-cov, ``coverage run``) and neither takes from the other: from
Python 3.12 on it is a tool of its own in ``sys.monitoring``; before that, where there is one trace function
only, it calls the one that was there. A second ``coverage.Coverage`` would pause the first.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from contextlib import AbstractContextManager
from pathlib import Path
from types import CodeType
from typing import Protocol

__all__ = ["Arc", "Arcs", "Files", "Observer", "make_observer"]

Arc = tuple[int, int]
"""From one line to the next, as coverage.py counts: a function is entered from, and left to, the negative
number of its first line."""

Arcs = dict[str, set[Arc]]
"""By file: its path from the root, with forward slashes."""


class Files:
    """The files that are watched, by their path from ``root``: all within it that belong to no environment,
    and what is added."""

    def __init__(self, root: Path) -> None:
        self._root = os.path.realpath(root)
        self._added: set[str] = set()
        self._of_code: dict[CodeType, str | None] = {}
        self._of_path: dict[str, str | None] = {}

    def add(self, paths: Iterable[str]) -> bool:
        """Watch more files. Return whether any of them was not watched so far."""
        new = {path for path in paths if self._path(path) is None}
        self._added |= {os.path.realpath(path) for path in new}
        self._of_code.clear()
        self._of_path.clear()
        return bool(new)

    def name_of(self, code: CodeType) -> str | None:
        """Return what the file of ``code`` is called, or None where it is not watched. What runs when a
        module is imported is not."""
        try:
            return self._of_code[code]
        except KeyError:
            found = self._of_code[code] = None if code.co_name == "<module>" else self._path(code.co_filename)
            return found

    def _path(self, path: str) -> str | None:
        if path not in self._of_path:
            self._of_path[path] = None if path.startswith("<") else self._shown(os.path.realpath(path))
        return self._of_path[path]

    def _shown(self, path: str) -> str | None:
        if path.startswith(self._root + os.sep) and "site-packages" not in path:
            return os.path.relpath(path, self._root).replace(os.sep, "/")
        return path.replace(os.sep, "/") if path in self._added else None


class Observer(Protocol):
    """Watches one block at a time, and every thread that is at work meanwhile."""

    def add(self, paths: Iterable[str]) -> None:
        """Watch files outside of the root too."""

    def watching(self) -> AbstractContextManager[Arcs]:
        """Note in the value that is yielded what runs within the block."""
        ...

    def close(self) -> None:
        """Stop for good, and leave nothing behind in the interpreter."""


def make_observer(root: Path) -> Observer:
    """Return an observer of the files in ``root`` that fits this Python."""
    if sys.version_info >= (3, 12):
        from pytest_lmprog.harness.coverage.monitoring import MonitoringObserver, free_tool

        tool = free_tool()
        if tool is not None:
            return MonitoringObserver(tool, root)
    from pytest_lmprog.harness.coverage.tracing import TracingObserver

    return TracingObserver(root)
