"""Progress of a compile: one line that is rewritten on a terminal, plain lines elsewhere; without ``-s``."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import pytest

from pytest_lmprog.lm.tally import TallyCount
from pytest_lmprog.reports.progress import progress_line
from pytest_lmprog.teleprompt.base import ProgressEvent

__all__ = ["CompileProgress", "say"]

_LIVE_EVERY = 0.1
_PLAIN_EVERY = 10.0


class CompileProgress:
    """Shows how far the compile of one unit is. Called from the main thread.

    Parameters
    ----------
    count: gives the calls made so far.
    clock: seconds, monotonic.
    """

    def __init__(
        self,
        config: pytest.Config,
        unit: str,
        count: Callable[[], TallyCount],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._config = config
        self._unit = unit
        self._count = count
        self._clock = clock
        self._begun = clock()
        self._shown = -_PLAIN_EVERY
        self._phases: set[str] = set()
        self._reporter = config.pluginmanager.get_plugin("terminalreporter")
        self._live = bool(self._reporter is not None and self._reporter.isatty)

    def __call__(self, event: ProgressEvent) -> None:
        """Show an event, unless the last one was shown just now."""
        if self._reporter is None:
            return
        now = self._clock()
        first = event.phase not in self._phases
        pause = _LIVE_EVERY if self._live else _PLAIN_EVERY
        if now - self._shown < pause and not (first and not self._live):
            return
        self._shown = now
        self._phases.add(event.phase)
        width = self._reporter._tw.fullwidth - 1
        text = progress_line(self._unit, event, self._count(), elapsed=now - self._begun, width=width)
        with _uncaptured(self._config):
            self._write(self._reporter, text, last=False)

    def end(self, text: str, item: pytest.Item | None = None) -> None:
        """Write the last line, and where pytest was: at ``item``, in the line of its file."""
        if self._reporter is None:
            return
        with _uncaptured(self._config):
            self._write(self._reporter, text, last=True)
            if item is not None and self._reporter.showfspath and not self._reporter.showlongtestinfo:
                self._reporter.write_fspath_result(item.nodeid, "")

    def _write(self, reporter: Any, text: str, *, last: bool) -> None:
        reporter.ensure_newline()
        if not self._live:
            reporter.write_line(text)
            return
        reporter.rewrite(text, erase=True)
        if last:
            reporter.write_line("")


def say(config: pytest.Config, lines: list[str]) -> None:
    """Write lines to the terminal, whatever is captured."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None:
        return
    with _uncaptured(config):
        reporter.ensure_newline()
        for line in lines:
            reporter.write_line(line)


@contextmanager
def _uncaptured(config: pytest.Config) -> Iterator[None]:
    capture: Any = config.pluginmanager.get_plugin("capturemanager")
    with nullcontext() if capture is None else capture.global_and_fixture_disabled():
        yield
