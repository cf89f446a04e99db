"""Watches the runs of units' programs on their cases (``--lm-cov``)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_lmprog.harness.coverage.log import CoverageLog
from pytest_lmprog.harness.coverage.observer import Arcs, Observer, make_observer
from pytest_lmprog.harness.coverage.scope import unit_scope
from pytest_lmprog.harness.preparing import program_of
from pytest_lmprog.harness.unit import Unit
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
        self._making: dict[str, Arcs] = {}

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
        demos = _Demos(prepared.program)

        def made(example: Example, rollout: int) -> Run:
            run = None
            with observer.watching() as arcs:
                try:
                    run = make(example, rollout)
                finally:
                    used = () if run is None else demos.used(run)
                    self.log.add(unit.id, example.id, rollout, arcs=_within(files, arcs), used=used)
            return run

        return made

    def close(self) -> None:
        """Stop watching."""
        if "_observer" in vars(self):
            self._observer.close()
            del self._observer


def _within(files: Collection[str], arcs: Arcs) -> Arcs:
    return {file: found for file, found in arcs.items() if file in files}


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
