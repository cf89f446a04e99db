"""What is to be covered of a unit: the functions that its program reaches, its predictors and demos."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import FunctionType
from typing import Any

from pytest_lmprog.harness.changes.names import SourceNames
from pytest_lmprog.harness.unit import Unit
from pytest_lmprog.programs import Module
from pytest_lmprog.snapshots.closure import Closure
from pytest_lmprog.snapshots.code_parts import program_closure, project_sources
from pytest_lmprog.snapshots.definitions import Place

__all__ = ["Function", "UnitScope", "shown_path", "unit_scope"]


@dataclass(frozen=True, slots=True)
class Function:
    """A function of a program: its qualified name within its module; it stands from ``first`` to ``last``,
    its body from ``body`` on."""

    name: str
    file: str
    first: int
    body: int
    last: int

    def holds(self, line: int) -> bool:
        """Whether ``line`` belongs to the body."""
        return self.body <= line <= self.last

    def branches_at(self, line: int) -> bool:
        """Whether what branches at ``line`` is within the body: on the line of ``def`` it is not alone."""
        return self.holds(line) and line > self.first


@dataclass(frozen=True)
class UnitScope:
    """What is to be covered of a unit.

    Parameters
    ----------
    expected: runs of the program, if each example is run with each rollout.
    functions: in the order of files and lines, none within another.
    demos: predictor -> number of its demos.
    """

    unit: str
    expected: int
    functions: tuple[Function, ...]
    demos: Mapping[str, int]

    def to_plain(self) -> dict[str, Any]:
        """Return JSON data."""
        functions = [[f.name, f.file, f.first, f.body, f.last] for f in self.functions]
        return {
            "unit": self.unit,
            "expected": self.expected,
            "functions": functions,
            "demos": dict(self.demos),
        }

    @classmethod
    def from_plain(cls, data: Mapping[str, Any]) -> UnitScope:
        """Read what ``to_plain`` returned."""
        functions = tuple(Function(*given) for given in data["functions"])
        return cls(data["unit"], data["expected"], functions, dict(data["demos"]))


def shown_path(path: str, root: Path) -> str:
    """Return ``path`` relative to the rootdir where it lies within, with forward slashes."""
    resolved = Path(path).resolve()
    if resolved.is_relative_to(root.resolve()):
        return resolved.relative_to(root.resolve()).as_posix()
    return resolved.as_posix()


def unit_scope(unit: Unit, written: Module, tested: Module, root: Path) -> UnitScope:
    """Return what is to be covered: ``written`` is the program as written, ``tested`` with its demos."""
    factory = unit.program if isinstance(unit.program, FunctionType) else None
    sources = project_sources(root, type(written))
    closure = program_closure(written, factory=factory, sources=sources)
    if isinstance(unit.program, Module):
        closure = _without_making(closure, written)
    return UnitScope(
        unit.id,
        len(unit.cases) * unit.repeat,
        tuple(_outermost(_functions(closure, SourceNames(closure, sources), root))),
        {name: len(predictor.demos) for name, predictor in tested.named_predictors()},
    )


def _without_making(closure: Closure, program: Module) -> Closure:
    """A program that is given made was made before anybody watched."""
    for _, module in program.named_sub_modules():
        for cls in type(module).__mro__:
            closure.places.pop(f"{cls.__module__}.{cls.__qualname__}.__init__", None)
    return closure


def _functions(closure: Closure, names: SourceNames, root: Path) -> list[Function]:
    found = [
        Function(_short(item), shown_path(place.file, root), place.first, place.body, place.last)
        for item, places in closure.places.items()
        for place in (names.nested(item) if names.runs_when_imported(item) else places)
        if not _is_stub(place)
    ]
    return sorted(set(found), key=lambda f: (f.file, f.body, -f.last, f.name))


def _is_stub(place: Place) -> bool:
    return bool({"overload", "abstractmethod"} & set(place.decorators))


def _short(name: str) -> str:
    """Return a qualified name without its module."""
    parts = name.split(".")
    for end in range(len(parts) - 1, 0, -1):
        if ".".join(parts[:end]) in sys.modules:
            return ".".join(parts[end:]).replace(".<locals>", "")
    return name


def _outermost(functions: Iterable[Function]) -> list[Function]:
    kept: list[Function] = []
    for function in functions:
        last = kept[-1] if kept else None
        if last is None or last.file != function.file or function.body > last.last:
            kept.append(function)
    return kept
