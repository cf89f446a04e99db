"""Units while they are collected: marks and data are read here, metrics gathered, and a Unit made of them."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_lmprog.errors import ConfigurationError
from pytest_lmprog.harness.unit import DataFile, Gate, Unit
from pytest_lmprog.plugin.cases import Case
from pytest_lmprog.plugin.function_metric import FunctionMetric, SharedFixtures
from pytest_lmprog.plugin.marks import ProgramMark
from pytest_lmprog.programs import Example, Module

if TYPE_CHECKING:
    from pytest_lmprog.evaluation.datasets import Dataset
    from pytest_lmprog.plugin.run import Run
    from pytest_lmprog.plugin.runner import UnitRunner

__all__ = ["SNAPSHOT_FOLDER", "UnitPlan", "data_file", "model_labels", "snapshot_path"]

SNAPSHOT_FOLDER = "__lm_snapshots__"
_UNSAFE = re.compile(r'[\\/:*?"<>|\x00-\x1f]+')
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)


@dataclass(eq=False)
class UnitPlan:
    """One unit as collection goes on; ``unit`` is final once every function has been seen.

    Parameters
    ----------
    owner: node id of the class or function.
    label: of the model in ids, where there is one unit a model, else None.
    cases: all of them, whatever ``--lm-limit`` says.
    """

    run: Run
    owner: str
    name: str
    module_id: str
    module_path: Path
    mark: ProgramMark
    program: Module
    snapshot: Path
    label: str | None = None
    lm: Any = None
    teleprompter: Any = None
    cases: tuple[Example, ...] = ()
    trainset: tuple[Example, ...] = ()
    valset: tuple[Example, ...] | None = None
    selected_on_cases: bool = False
    train_file: DataFile | None = None
    val_file: DataFile | None = None
    metrics: dict[str, FunctionMetric] = field(default_factory=dict)
    gates: dict[str, Gate] = field(default_factory=dict)
    repeats: dict[str, int] = field(default_factory=dict)
    selected: list[Case] = field(default_factory=list)
    shared: SharedFixtures = field(default_factory=SharedFixtures)
    runner: UnitRunner | None = None
    _unit: Unit | None = None

    def started(self) -> UnitRunner:
        """Return the unit's runner, made at its first case."""
        return self.run.runner(self)

    @property
    def id(self) -> str:
        """The unit's id."""
        return self.owner if self.label is None else f"{self.owner}[{self.label}]"

    @property
    def node_ids(self) -> dict[str, str]:
        """Node id of each metric, without a case."""
        return {name: metric.node_id for name, metric in self.metrics.items()}

    @property
    def unit(self) -> Unit:
        """The unit as the harness takes it. To be asked for after collection."""
        if self._unit is None:
            self._unit = self._made()
        return self._unit

    def _made(self) -> Unit:
        return Unit(
            id=self.id,
            name=self.name if self.label is None else f"{self.name}[{self.label}]",
            module_id=self.module_id,
            module_path=self.module_path,
            program=self.mark.program,
            snapshot=self.snapshot,
            cases=self.cases,
            metrics=tuple(self.metrics.values()),
            gates=dict(self.gates),
            repeat=max(self.repeats.values(), default=1),
            repeats=dict(self.repeats),
            lm=self.lm,
            teleprompter=self.teleprompter,
            trainset=self.trainset,
            valset=self.valset,
            teacher=self.mark.teacher,
            max_calls=self.mark.max_calls,
            selected_on_cases=self.selected_on_cases,
            train_file=self.train_file,
            val_file=self.val_file,
        )


def data_file(data: Dataset | None, split: str | None) -> DataFile | None:
    """Return where ``data`` was read from; None where code made it."""
    return None if data is None or data.path is None else DataFile(data.path, split)


def model_labels(lms: tuple[Any, ...]) -> list[str | None]:
    """Return a short distinct label for each model: the last part of its name, or the whole name where
    two share that. None where there is only the mark's single model or none.

    Raises ConfigurationError where two models have one name."""
    names = [lm if isinstance(lm, str) else getattr(lm, "model", "") for lm in lms]
    folded = [name.casefold() for name in names]
    twice = next((name for name, low in zip(names, folded, strict=True) if folded.count(low) > 1), None)
    if twice is not None:
        raise ConfigurationError(f"lm_program: the model {twice!r} is named twice in lm=")
    short = [name.rsplit("/", 1)[-1] for name in names]
    low = [name.casefold() for name in short]
    return [
        part if low.count(part.casefold()) == 1 else name.replace("/", "-")
        for part, name in zip(short, names, strict=True)
    ]


def snapshot_path(module: Path, qualname: str, mark: ProgramMark, label: str | None) -> Path:
    """Return where a unit's accepted snapshot is: ``__lm_snapshots__/<module>/<qualname>[@model].yaml``.

    ``name=`` replaces the last part of the qualified name; ``snapshot=`` is a path from the test file."""
    model = "" if label is None else f"@{_safe(label)}"
    if mark.snapshot is not None:
        placed = Path(os.path.normpath(module.parent / mark.snapshot))
        return placed.with_name(f"{placed.stem}{model}{placed.suffix or '.yaml'}")
    *outer, last = qualname.split(".")
    name = ".".join([*outer, mark.name or last])
    return module.parent / SNAPSHOT_FOLDER / module.stem / f"{_safe(name)}{model}.yaml"


def _safe(name: str) -> str:
    safe = _UNSAFE.sub("-", name).strip(" ")
    return f"_{safe}" if _RESERVED.fullmatch(safe) else safe


def folded(path: Path) -> str:
    """Return the path as a file system that ignores case would see it."""
    return os.path.normpath(path).casefold()


def claimed(claims: Mapping[str, UnitPlan], plan: UnitPlan) -> ConfigurationError | None:
    """Return the error for a snapshot path that another unit has, or None."""
    other = claims.get(folded(plan.snapshot))
    if other is None or other.id == plan.id:
        return None
    return ConfigurationError(
        f"two units have one snapshot, {plan.snapshot.name}: {other.id} and {plan.id}",
        hint="give one of them lm_program(name=...) or lm_program(snapshot=...)",
    )
