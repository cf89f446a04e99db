"""Watches the runs of units' programs on their cases (``--lm-cov``)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_lmprog.errors import LmprogError
from pytest_lmprog.harness.coverage.log import CoverageLog
from pytest_lmprog.harness.coverage.observer import Arcs, Observer, make_observer
from pytest_lmprog.harness.coverage.scope import UnitScope, unit_scope
from pytest_lmprog.harness.preparing import program_of
from pytest_lmprog.programs import Example, Module, Run

if TYPE_CHECKING:
    from pytest_lmprog.harness.state import Prepared

__all__ = ["CoverageRecorder", "Make"]

Make = Callable[[Example, int], Run]
"""Runs a program on an example, for a rollout."""


class CoverageRecorder:
    """Notes in ``log`` what the programs of units do. Runs are to be made one after the other."""

    def __init__(self, root: Path) -> None:
        self.log = CoverageLog()
        self._root = root
        self._observer: Observer | None = None

    def watch(self, prepared: Prepared, make: Make) -> Make:
        """Return ``make``, watched. The program is made once more: what making it runs is covered too."""
        unit = prepared.unit
        scope = unit_scope(unit, prepared.written, prepared.program, self._root)
        observer = self._watching(scope)
        self.log.add_scope(scope, self._making(prepared, observer))
        demos = _Demos(prepared.program)

        def made(example: Example, rollout: int) -> Run:
            run = None
            with observer.watching() as arcs:
                try:
                    run = make(example, rollout)
                finally:
                    used = () if run is None else demos.used(run)
                    self.log.add(unit.id, example.id, rollout, arcs=arcs, used=used)
            return run

        return made

    def _watching(self, scope: UnitScope) -> Observer:
        if self._observer is None:
            self._observer = make_observer()
        self._observer.add({str(self._root / f.file): f.file for f in scope.functions})
        return self._observer

    def _making(self, prepared: Prepared, observer: Observer) -> Arcs:
        if isinstance(prepared.unit.program, Module):
            return {}
        with observer.watching() as arcs, suppress(LmprogError):
            program_of(prepared.unit)
        return arcs

    def close(self) -> None:
        """Stop watching."""
        if self._observer is not None:
            self._observer.close()
            self._observer = None


class _Demos:
    """Which demos of a program its runs put into prompts. Predictors that a program derives while it runs
    (``with_demos``) share the demos with those they come from."""

    def __init__(self, program: Module) -> None:
        self._of: dict[str, dict[int, int]] = {}
        self._any: dict[int, tuple[str, int]] = {}
        for name, predictor in program.named_predictors():
            indices = self._of[name] = {}
            for index, demo in enumerate(predictor.demos):
                indices[id(demo)] = index
                self._any.setdefault(id(demo), (name, index))

    def used(self, run: Run) -> Iterator[tuple[str, int | None]]:
        for call in run.trace:
            own = self._of.get(call.name)
            yield call.name, None
            for demo in call.predictor.demos:
                index = None if own is None else own.get(id(demo))
                if index is not None:
                    yield call.name, index
                elif id(demo) in self._any:
                    yield self._any[id(demo)]
