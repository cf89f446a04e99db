"""The observer for Python 3.12 and newer: a tool of its own in ``sys.monitoring``, disturbing no other."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import CodeType
from typing import Any

from pytest_lmprog.harness.coverage.observer import Arcs, Files

__all__ = ["MonitoringObserver", "free_tool"]

_TOOLS = (4, 3)
"""Numbers that are not set aside for debuggers, coverage, profilers and optimizers (PEP 669)."""

_NAME = "pytest-lmprog"
_monitoring: Any = getattr(sys, "monitoring", None)


def free_tool() -> int | None:
    """Return the number of a tool that nobody uses, or None."""
    return next((tool for tool in _TOOLS if _monitoring.get_tool(tool) is None), None)


class MonitoringObserver:
    """See ``observer.Observer``."""

    def __init__(self, tool: int, root: Path) -> None:
        self._tool = tool
        self._files = Files(root)
        self._arcs: Arcs | None = None
        self._last: dict[int, int] = {}  # by frame: its last line
        events = _monitoring.events
        self._within = events.LINE | events.PY_RETURN
        _monitoring.use_tool_id(tool, _NAME)
        _monitoring.register_callback(tool, events.PY_START, self._started)
        _monitoring.register_callback(tool, events.LINE, self._line)
        _monitoring.register_callback(tool, events.PY_RETURN, self._returned)
        _monitoring.set_events(tool, events.PY_START)

    def add(self, paths: Iterable[str]) -> None:
        """See ``observer.Observer``."""
        if self._files.add(paths):
            # What was of no interest is now. Others hear old events again, hence only where it must be.
            _monitoring.restart_events()

    @contextmanager
    def watching(self) -> Iterator[Arcs]:
        """See ``observer.Observer``."""
        arcs: Arcs = {}
        outer, self._arcs = self._arcs, arcs
        if outer is None:
            self._last.clear()
        try:
            yield arcs
        finally:
            self._arcs = outer

    def close(self) -> None:
        """See ``observer.Observer``."""
        if _monitoring.get_tool(self._tool) != _NAME:
            return
        _monitoring.set_events(self._tool, 0)
        for event in (_monitoring.events.PY_START, _monitoring.events.LINE, _monitoring.events.PY_RETURN):
            _monitoring.register_callback(self._tool, event, None)
        _monitoring.free_tool_id(self._tool)

    def _started(self, code: CodeType, offset: int) -> Any:
        del offset
        if self._files.name_of(code) is None:
            return _monitoring.DISABLE
        if not _monitoring.get_local_events(self._tool, code):
            _monitoring.set_local_events(self._tool, code, self._within)
        if self._arcs is not None:
            self._last[id(sys._getframe(1))] = -code.co_firstlineno
        return None

    def _line(self, code: CodeType, line: int) -> None:
        arcs = self._arcs
        name = None if arcs is None else self._files.name_of(code)
        if arcs is None or name is None:
            return
        frame = id(sys._getframe(1))
        arcs.setdefault(name, set()).add((self._last.get(frame, -code.co_firstlineno), line))
        self._last[frame] = line

    def _returned(self, code: CodeType, offset: int, value: object) -> None:
        del offset, value
        arcs = self._arcs
        name = None if arcs is None else self._files.name_of(code)
        if arcs is None or name is None:
            return
        last = self._last.pop(id(sys._getframe(1)), None)
        if last is not None:
            arcs.setdefault(name, set()).add((last, -code.co_firstlineno))
