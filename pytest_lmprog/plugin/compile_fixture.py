"""The ``lm_compile`` fixture: a unit that a test makes by hand."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_lmprog.errors import ConfigurationError, LmprogError
from pytest_lmprog.evaluation.callables import as_metric
from pytest_lmprog.evaluation.datasets import Dataset, load_dataset
from pytest_lmprog.harness.unit import Unit
from pytest_lmprog.plugin import surroundings
from pytest_lmprog.plugin.marks import ProgramMark
from pytest_lmprog.plugin.outcome import steady_assertions
from pytest_lmprog.plugin.progress import CompileProgress
from pytest_lmprog.plugin.runner import overridden_lm
from pytest_lmprog.plugin.units import data_file, folded, snapshot_path
from pytest_lmprog.programs import Module
from pytest_lmprog.programs.making import instantiate
from pytest_lmprog.reports.terminal import compile_text

if TYPE_CHECKING:
    from pytest_lmprog.plugin.run import Run

__all__ = ["LmCompile"]


class LmCompile:
    """Compiles programs for the tests of one module, under their names.

    With ``--lm-compile`` the teleprompter runs and a snapshot is written; otherwise the program comes
    restored from its snapshot, or as written where there is none.
    """

    def __init__(self, run: Run, request: pytest.FixtureRequest) -> None:
        self._run = run
        self._path = request.path
        self._module_id = request.node.nodeid
        self._made: dict[str, Module] = {}

    def __call__(
        self,
        program: Module | type[Module],
        *,
        teleprompter: Any,
        trainset: Any,
        metric: Any = None,
        name: str | None = None,
        train_split: str | None = None,
        valset: Any = None,
        val_split: str | None = None,
        teacher: Any = None,
        snapshot: str | Path | None = None,
        max_calls: int | None = None,
    ) -> Module:
        """Return the compiled program. ``metric`` is a callable ``f(example, prediction, trace=None)`` or a
        list of them; the other parameters are those of ``lm_program``. ``name`` is the class's by default.

        Raises LmprogError as a compile does; a name that is used twice in a module is an error.
        """
        try:
            mark = ProgramMark(
                program,
                None,
                teleprompter,
                trainset,
                train_split,
                valset,
                val_split,
                teacher,
                name,
                snapshot,
                max_calls,
            )
            unit = self._unit(mark, metric)
            return self._compiled(unit)
        except LmprogError as error:
            pytest.fail(f"lm_compile: {error}", pytrace=False)

    def _unit(self, mark: ProgramMark, metric: Any) -> Unit:
        program = instantiate(mark.program, "lm_program")
        name = mark.name or type(program).__name__
        if name in self._made:
            raise ConfigurationError(f"two programs of this module are compiled as {name!r}", hint="name=...")
        path = snapshot_path(self._path, name, mark, None)
        if folded(path) in self._run.snapshots:
            raise ConfigurationError(f"another unit has the snapshot {path.name}", hint="name=...")
        self._made[name] = program
        train = self._data(mark.trainset, mark.train_split, program)
        validation = self._data(mark.valset, mark.val_split, program)
        return Unit(
            id=f"{self._module_id}::{name}",
            name=name,
            module_id=self._module_id,
            module_path=self._path,
            program=mark.program,
            snapshot=path,
            cases=(),
            metrics=tuple(as_metric(m) for m in _listed(metric)),
            teleprompter=mark.teleprompter,
            trainset=() if train is None else train.examples,
            valset=None if validation is None else validation.examples,
            teacher=mark.teacher,
            max_calls=mark.max_calls,
            train_file=data_file(train, mark.train_split),
            val_file=data_file(validation, mark.val_split),
        )

    def _data(self, source: Any, split: str | None, program: Module) -> Dataset | None:
        if source is None:
            return None
        return load_dataset(source, base=self._path.parent).split(split).for_program(program)

    def _compiled(self, unit: Unit) -> Module:
        session = surroundings.session_of(self._run.config)
        fixture_lm = overridden_lm(self._run.item)
        if self._run.settings.compile and not self._run.settings.dry_run:
            if self._run.item is not None:
                surroundings.suppress_timeout(self._run.item)
            progress = CompileProgress(self._run.config, unit.name, session.tally_of(unit.id).count)
            with steady_assertions():
                outcome = session.compile(unit, progress, fixture_lm=fixture_lm)
            progress.end(f"{unit.name}: {compile_text(outcome)}")
        program: Module = session.prepare(unit, fixture_lm=fixture_lm).program
        return program


def _listed(metric: Any) -> Iterable[Any]:
    if metric is None:
        return ()
    return metric if isinstance(metric, list | tuple) else (metric,)
