"""From what changed since a snapshot to what of a program is to be watched for: functions and predictors."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import FunctionType
from typing import Any

from pytest_lmprog.harness.changes.effects import unseen_attribute
from pytest_lmprog.harness.changes.names import SourceNames, module_of
from pytest_lmprog.harness.unit import Unit
from pytest_lmprog.programs import Module
from pytest_lmprog.signatures.signature import SignatureMeta
from pytest_lmprog.snapshots.closure import Closure
from pytest_lmprog.snapshots.fingerprint import Change
from pytest_lmprog.snapshots.module_facts import is_ours

__all__ = ["Affected", "affected"]

_FOR_ALL = ("model", "prompt_format", "metric_helpers")
_NOT_RUN = ("teleprompter", "trainset", "valset")
_IDENTIFIER = re.compile(r"[^\W\d]\w*")


@dataclass
class Affected:
    """What cases are to be run for. ``everything`` says why all are, or is empty."""

    functions: set[str] = field(default_factory=set)
    predictors: set[str] = field(default_factory=set)
    metrics: set[str] = field(default_factory=set)
    everything: str = ""

    @property
    def of_program(self) -> bool:
        """Whether the program itself is not what it was."""
        return bool(self.functions or self.predictors or self.everything)


class _Everything(Exception):
    """Nothing less than all cases will do. The argument says why."""


def affected(
    changes: Iterable[Change], unit: Unit, program: Module, *, closure: Closure, names: SourceNames
) -> Affected:
    """Return what ``changes`` (since the snapshot) mean for the runs of a unit's cases.

    ``program`` is as written, ``closure`` its code."""
    found = _Finder(unit, program, closure, names)
    try:
        for change in changes:
            found.add(change)
        found.check()
    except _Everything as why:
        found.result.everything = str(why)
    return found.result


class _Finder:
    def __init__(self, unit: Unit, program: Module, closure: Closure, names: SourceNames) -> None:
        self.result = Affected()
        self._unit = unit
        self._program = program
        self._closure = closure
        self._names = names
        self._predictors = dict(program.named_predictors())
        self._settings = _settings_items(program)
        self._makers = _makers(unit, program)
        self._making_changed = False

    def add(self, change: Change) -> None:
        if change.part == "teleprompter" and change.item.startswith("code."):
            raise _Everything(change.text)  # a compiled program may call it: a vectorizer, a reduce function
        if change.part in _NOT_RUN:
            return
        if change.part == "metrics":
            self.result.metrics.add(change.item)
        elif change.part == "signatures":
            self._add_predictor(change.item.rpartition(":")[0], change)
        elif change.part == "program":
            self._add_code(change)
        else:
            raise _Everything(change.text)

    def _add_predictor(self, name: str, change: Change) -> None:
        if name not in self._predictors:
            raise _Everything(change.text)
        self.result.predictors.add(name)

    def _add_code(self, change: Change) -> None:
        item = change.item
        if change.kind == "removed":
            raise _Everything(change.text)
        if item in self._settings:
            for name in self._settings[item]:
                self._add_predictor(name, change)
            if not self._settings[item]:
                raise _Everything(change.text)
        elif item in self._makers:
            self._making_changed = True
        elif item in self._closure.places:
            self.result.functions.add(item)
        elif (cls := _object(item)) is not None and isinstance(cls, SignatureMeta):
            self._add_signature(cls, change)
        else:
            self._add_constant(change)

    def _add_signature(self, cls: SignatureMeta, change: Change) -> None:
        users = {
            name
            for name, predictor in self._predictors.items()
            if any(_is_made_from(predictor.signature, one) for one in _derived(cls, self._closure))
        }
        if not users:
            raise _Everything(change.text)
        self.result.predictors |= users

    def _add_constant(self, change: Change) -> None:
        """A constant counts where it is used: in functions, or in signatures."""
        module, _, name = change.item.rpartition(".")
        if module not in sys.modules or name in self._names.when_imported:
            raise _Everything(change.text)
        users = {item for item, used in self._names.of_function.items() if name in used}
        signatures = self._names.signatures_using(name)
        if not (users or signatures):
            raise _Everything(change.text)
        self._making_changed |= bool(users & self._makers)
        self.result.functions |= users - self._makers
        for cls in signatures:
            self._add_signature(cls, change)

    def check(self) -> None:
        """Raise where following the functions and predictors would not find every case."""
        last_names = {item.rpartition(".")[2] for item in self.result.functions}
        shared = sorted(last_names & self._names.when_imported)
        if shared:
            raise _Everything(f"program code: {shared[0]}, which is used when its file is imported, changed")
        if self._making_changed or any(last_names & self._names.reached(maker) for maker in self._makers):
            unseen = unseen_attribute(self._program)
            if unseen is not None:
                raise _Everything(f"program code changed that may have made {unseen}")
        parts = {part for name in self.result.predictors for part in _IDENTIFIER.findall(name)}
        remembered = self._names.remembered(last_names | parts)
        if remembered is not None:
            raise _Everything(f"{remembered}, which is decorated, may remember what changed")


def _settings_items(program: Module) -> Mapping[str, list[str]]:
    """Return the predictors that each of our modules in the program has, by its item in the closure."""
    names = [name for name, _ in program.named_predictors()]
    return {
        f"{type(module).__name__} {path or 'self'}": [n for n in names if not path or n.startswith(path)]
        for path, module in program.named_sub_modules()
        if is_ours(module)
    }


def _makers(unit: Unit, program: Module) -> set[str]:
    """Return the items of the functions that only make the program."""
    found = {
        f"{cls.__module__}.{cls.__qualname__}.__init__"
        for _, module in program.named_sub_modules()
        for cls in type(module).__mro__
    }
    if isinstance(unit.program, FunctionType):
        found.add(f"{unit.program.__module__}.{unit.program.__qualname__}")
    return found


def _object(item: str) -> Any:
    module = module_of(item)
    value: Any = sys.modules.get(module)
    for name in item[len(module) + 1 :].split("."):
        value = getattr(value, name, None)
    return value


def _derived(cls: SignatureMeta, closure: Closure) -> list[SignatureMeta]:
    """Return ``cls`` and the signatures of the program that are based on it."""
    found = [one for item in closure.items if isinstance(one := _object(item), SignatureMeta)]
    return [cls, *(one for one in found if one is not cls and issubclass(one, cls))]


def _is_made_from(signature: SignatureMeta, cls: SignatureMeta) -> bool:
    """Edited signatures keep the name and module of the class that they come from."""
    return signature is cls or (signature.__module__, signature.__name__) == (cls.__module__, cls.__name__)
