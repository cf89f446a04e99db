"""Watches the runs of units' programs on their cases (``--lm-cov``)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_lmprog.harness.coverage.log import CoverageLog
from pytest_lmprog.harness.coverage.observer import Arcs, Observer, make_observer
from pytest_lmprog.harness.coverage.scope import unit_scope
from pytest_lmprog.harness.preparing import program_of
from pytest_lmprog.harness.unit import Unit
from pytest_lmprog.programs import Example, Module, Run, Trace
from pytest_lmprog.programs.run import predictor_names
from pytest_lmprog.programs.trace import PredictorCall, tracing

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
        self._making: dict[str, Arcs] = {}
        self._watched: dict[str, _Watched] = {}

    @cached_property
    def _observer(self) -> Observer:
        return make_observer(self._root)

    def made(self, unit: Unit) -> Module:
        """Return the program of a unit, as ``program_of`` does: what making it runs is covered too."""
        with self._observer.watching() as arcs:
            program = program_of(unit)
        for file, found in arcs.items():
            self._making.setdefault(unit.id, {}).setdefault(file, set()).update(found)
        return program

    def watch(self, prepared: Prepared, make: Make) -> Make:
        """Return ``make``, watched; as it is for a unit without cases, which only compiles."""
        if not prepared.unit.cases:
            return make
        unit, observer = prepared.unit, self._observer
        scope = unit_scope(unit, prepared.written, prepared.program, self._root)
        files = {function.file for function in scope.functions}
        observer.add(str(self._root / file) for file in files)
        self.log.add_scope(scope, _within(files, self._making.get(unit.id, {})))
        self._watched[unit.id] = _Watched(unit.id, files, _Demos(prepared.program))

        def made(example: Example, rollout: int) -> Run:
            run = None
            with self._noting(unit.id, example, rollout) as calls:
                run = make(example, rollout)
                calls.extend(run.trace)
            return run

        return made

    @contextmanager
    def body(self, unit: str, example: Example, rollout: int) -> Iterator[None]:
        """Watch a test that runs the program itself on its example."""
        program = self._watched.get(unit)
        trace = Trace(names={} if program is None else program.demos.names)
        with self._noting(unit, example, rollout) as calls, tracing(trace):
            try:
                yield
            finally:
                calls.extend(trace)

    @contextmanager
    def _noting(self, unit: str, example: Example, rollout: int) -> Iterator[list[PredictorCall]]:
        watched, calls = self._watched.get(unit), list[PredictorCall]()
        with self._observer.watching() as arcs:
            try:
                yield calls
            finally:
                if watched is not None:
                    used = watched.demos.used(calls)
                    self.log.add(unit, example.id, rollout, arcs=_within(watched.files, arcs), used=used)

    def close(self) -> None:
        """Stop watching."""
        if "_observer" in vars(self):
            self._observer.close()
            del self._observer


@dataclass(frozen=True)
class _Watched:
    unit: str
    files: Collection[str]
    demos: _Demos


def _within(files: Collection[str], arcs: Arcs) -> Arcs:
    return {file: found for file, found in arcs.items() if file in files}


class _Demos:
    """Which demos of a program its runs put into prompts. Predictors that a program derives while it runs
    (``with_demos``) share the demos with those they come from."""

    def __init__(self, program: Module) -> None:
        self.names = predictor_names(program)
        self._of: dict[str, dict[int, int]] = {}
        self._any: dict[int, tuple[str, int]] = {}
        for name, predictor in program.named_predictors():
            indices = self._of[name] = {}
            for index, demo in enumerate(predictor.demos):
                indices[id(demo)] = index
                self._any.setdefault(id(demo), (name, index))

    def used(self, calls: Iterable[PredictorCall]) -> Iterator[tuple[str, int | None]]:
        """Return the predictors that were called, also with the index of each demo."""
        for call in calls:
            own = self._of.get(call.name)
            yield call.name, None
            for demo in call.predictor.demos:
                index = None if own is None else own.get(id(demo))
                if index is not None:
                    yield call.name, index
                elif id(demo) in self._any:
                    yield self._any[id(demo)]
