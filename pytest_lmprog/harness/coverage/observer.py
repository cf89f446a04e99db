"""Observer: notes the steps from line to line that a block of code takes through some files.

It works beside a running coverage.py (pytest-cov, ``coverage run``) and neither takes from the other: from
Python 3.12 on it is a tool of its own in ``sys.monitoring``; before that, where there is one trace function
only, it calls the one that was there. A second ``coverage.Coverage`` would pause the first.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from contextlib import AbstractContextManager
from types import CodeType
from typing import Protocol

__all__ = ["Arc", "Arcs", "Files", "Observer", "make_observer"]

Arc = tuple[int, int]
"""From one line to the next, as coverage.py counts: a function is entered from, and left to, the negative
number of its first line."""

Arcs = dict[str, set[Arc]]
"""By file, as it is called in what is noted."""


class Files:
    """The files that are watched, by what they are called in what is noted."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}
        self._of_code: dict[CodeType, str | None] = {}
        self._of_path: dict[str, str | None] = {}

    def add(self, names: Mapping[str, str]) -> bool:
        """Watch more files, by path. Return whether any is new."""
        new = {os.path.realpath(path): name for path, name in names.items()}
        if new.keys() <= self._names.keys():
            return False
        self._names.update(new)
        self._of_code.clear()
        self._of_path.clear()
        return True

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
            self._of_path[path] = self._names.get(os.path.realpath(path))
        return self._of_path[path]


class Observer(Protocol):
    """Watches one block at a time, and every thread that is at work meanwhile."""

    def add(self, names: Mapping[str, str]) -> None:
        """Watch more files: path -> what it is called in what is noted."""

    def watching(self) -> AbstractContextManager[Arcs]:
        """Note in the value that is yielded what runs within the block."""
        ...

    def close(self) -> None:
        """Stop for good, and leave nothing behind in the interpreter."""


def make_observer() -> Observer:
    """Return an observer that fits this Python. Only one is to be open at a time."""
    if sys.version_info >= (3, 12):
        from pytest_lmprog.harness.coverage.monitoring import MonitoringObserver, free_tool

        tool = free_tool()
        if tool is not None:
            return MonitoringObserver(tool)
    from pytest_lmprog.harness.coverage.tracing import TracingObserver

    return TracingObserver()
