"""What metrics may ask an LM themselves: the judges and other modules that their code can reach."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Mapping
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any

from pytest_lmprog.programs import Module
from pytest_lmprog.records import dataclass

__all__ = ["Asked", "asked_by"]

_DEPTH = 4


@dataclass(frozen=True, slots=True)
class Asked:
    """A module that a metric can reach: its name there, and the most calls of one run of it."""

    metric: str
    module: str
    calls: int


def asked_by(metrics: Mapping[str, Any], owner: type | None = None) -> tuple[Asked, ...]:
    """Return the modules that the functions ``metrics`` (by name) refer to, by global name, closure, or as a
    member of the test class ``owner``, also through other functions. What fixtures or the functions
    themselves make is not found."""
    found: list[Asked] = []
    for metric, function in metrics.items():
        modules: dict[int, tuple[str, Module]] = {}
        for name, module in _reached("the metric", function, owner, _DEPTH, set()):
            modules.setdefault(id(module), (name, module))
        found += [Asked(metric, _called(name, m), m.max_calls()) for name, m in modules.values()]
    return tuple(found)


def _called(name: str, module: Module) -> str:
    return str(getattr(module, "name", None) or name)


def _reached(
    name: str, value: Any, owner: type | None, depth: int, seen: set[int]
) -> Iterator[tuple[str, Module]]:
    if id(value) in seen or depth < 0 or isinstance(value, type | ModuleType):
        return
    seen.add(id(value))
    if isinstance(value, Module):
        yield name, value
        return
    for inner_name, inner in _parts(value, owner):
        yield from _reached(inner_name, inner, owner, depth - 1, seen)


def _parts(value: Any, owner: type | None) -> Iterable[tuple[str, Any]]:
    if isinstance(value, MethodType):
        return [("", value.__func__)]
    if isinstance(value, functools.partial):
        return [("", value.func), *(("", argument) for argument in value.args), *value.keywords.items()]
    if not isinstance(value, FunctionType):
        return []
    wrapped = getattr(value, "__wrapped__", None)
    cells = zip(value.__code__.co_freevars, value.__closure__ or (), strict=False)
    names = _names(value.__code__)
    return [
        *([] if wrapped is None else [("", wrapped)]),
        *((name, _content(cell)) for name, cell in cells),
        *((name, value.__globals__[name]) for name in names if name in value.__globals__),
        *((name, getattr(module, other)) for name, module, other in _dotted(names, value.__globals__)),
        *((name, vars(cls)[name]) for cls in _classes(owner) for name in names if name in vars(cls)),
    ]


def _dotted(names: list[str], scope: Mapping[str, Any]) -> Iterator[tuple[str, ModuleType, str]]:
    """Yield ``judges.apt``: a global that is a Python module, and a name that it has."""
    for name in names:
        module = scope.get(name)
        if isinstance(module, ModuleType) and not module.__name__.startswith(("pytest_lmprog", "pytest")):
            yield from ((other, module, other) for other in names if other in vars(module))


def _classes(owner: type | None) -> tuple[type, ...]:
    return () if owner is None else owner.__mro__[:-1]


def _names(code: CodeType) -> list[str]:
    inner = [constant for constant in code.co_consts if isinstance(constant, CodeType)]
    return [*code.co_names, *(name for part in inner for name in _names(part))]


def _content(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # not filled yet
        return None
