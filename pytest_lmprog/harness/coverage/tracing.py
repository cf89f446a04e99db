"""The observer for Python 3.11: a trace function that hands every event on to the one in whose place it
stands (coverage.py's, a debugger's), so that both see all."""

from __future__ import annotations

import dis
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from pytest_lmprog.harness.coverage.observer import Arcs, Files

__all__ = ["TracingObserver"]

_Tracer = Callable[[FrameType, str, Any], Any]
_RETURNS = frozenset(dis.opmap[name] for name in ("RETURN_VALUE", "RETURN_CONST") if name in dis.opmap)


class TracingObserver:
    """See ``observer.Observer``."""

    def __init__(self, root: Path) -> None:
        self._files = Files(root)
        self._arcs: Arcs | None = None

    def add(self, paths: Iterable[str]) -> None:
        """See ``observer.Observer``."""
        self._files.add(paths)

    @contextmanager
    def watching(self) -> Iterator[Arcs]:
        """See ``observer.Observer``."""
        arcs: Arcs = {}
        outer, self._arcs = self._arcs, arcs
        threads, here = threading.gettrace(), sys.gettrace()
        threading.settrace(self._in_new_thread(threads))
        sys.settrace(self._beside(here))
        try:
            yield arcs
        finally:
            sys.settrace(here)
            threading.settrace(threads)
            self._arcs = outer

    def close(self) -> None:
        """See ``observer.Observer``."""

    def _in_new_thread(self, given: Any) -> _Tracer:
        """Return the trace function that a thread begins with: what was given installs itself first."""

        def trace(frame: FrameType, event: str, arg: Any) -> Any:
            sys.settrace(None)
            local = None if given is None else given(frame, event, arg)
            sys.settrace(self._beside(sys.gettrace()))
            return self._local(frame, local)

        return trace

    def _beside(self, theirs: Any) -> _Tracer:
        """Return a trace function that sees every call beside ``theirs``."""

        def trace(frame: FrameType, event: str, arg: Any) -> Any:
            local = None
            if theirs is not None:
                local = theirs(frame, event, arg)
                sys.settrace(trace)  # coverage.py's tracer puts itself in our place at every call
            return self._local(frame, local)

        return trace

    def _local(self, frame: FrameType, theirs: Any) -> Any:
        """Return the trace function of one frame: theirs alone, where the file is not watched."""
        code = frame.f_code
        name = None if self._arcs is None else self._files.name_of(code)
        if self._arcs is None or name is None:
            return theirs
        first = -code.co_firstlineno
        begins = code.co_code[frame.f_lasti + 1] == 0  # RESUME's argument: else a generator goes on
        tracer = _FrameTracer(first, first if begins else frame.f_lineno)
        tracer.arcs = self._arcs.setdefault(name, set())
        tracer.theirs, tracer.lines_too = theirs, frame.f_trace_lines
        frame.f_trace_lines = True  # coverage.py switches them off in files that it does not measure
        return tracer


class _FrameTracer:
    """Notes the steps of one frame."""

    __slots__ = ("arcs", "first", "last", "lines_too", "theirs")
    arcs: set[tuple[int, int]]
    theirs: Any
    lines_too: bool

    def __init__(self, first: int, last: int) -> None:
        self.first = first
        self.last = last

    def __call__(self, frame: FrameType, event: str, arg: Any) -> Any:
        if event == "line":
            self.arcs.add((self.last, frame.f_lineno))
            self.last = frame.f_lineno
        elif event == "return" and _really_returns(frame):
            self.arcs.add((self.last, self.first))
        if self.theirs is not None and (event != "line" or self.lines_too):
            self.theirs = self.theirs(frame, event, arg)
        return self


def _really_returns(frame: FrameType) -> bool:
    """Whether the frame ends by returning: a yield, and an exception that leaves it, are told as returns."""
    return frame.f_code.co_code[frame.f_lasti] in _RETURNS
