"""The structure of a program: which modules it holds, under which paths, and how to copy it."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Iterator
from types import MappingProxyType, MethodType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pytest_lmprog.programs.module import Module
    from pytest_lmprog.programs.predict import Predict

__all__ = ["attributes", "children", "copied_program", "walk"]


def attributes(module: Module) -> Iterator[tuple[str, Any]]:
    """Yield (name, value) of the instance attributes in the order of assignment, slots first."""
    for cls in reversed(type(module).__mro__):
        slots = vars(cls).get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            if name not in ("__dict__", "__weakref__") and hasattr(module, name):
                yield name, getattr(module, name)
    yield from vars(module).items()


def children(module: Module) -> list[tuple[str, Module]]:
    """Return (step, module) for each module held by an attribute, or by lists, tuples and dicts in it."""
    found: list[tuple[str, Module]] = []
    for name, value in attributes(module):
        _collect(name, value, found, set())
    return found


def _collect(step: str, value: Any, found: list[tuple[str, Module]], within: set[int]) -> None:
    from pytest_lmprog.programs.module import Module

    if isinstance(value, Module):
        found.append((step, value))
    elif isinstance(value, _CONTAINERS) and id(value) not in within:
        within.add(id(value))
        keyed = value.items() if isinstance(value, dict | MappingProxyType) else enumerate(value)
        for key, item in keyed:
            _collect(f"{step}[{key!r}]", item, found, within)


_CONTAINERS = (list, tuple, dict, MappingProxyType)


def walk(root: Module) -> Iterator[tuple[str, Module]]:
    """Yield (path, module) for ``root`` (path ``""``) and every module reachable from it, each once."""
    seen: set[int] = set()
    todo = [("", root)]
    while todo:
        path, module = todo.pop()
        if id(module) in seen:
            continue
        seen.add(id(module))
        yield path, module
        todo += [(f"{path}.{step}" if path else step, part) for step, part in reversed(children(module))]


def copied_program(root: Module, edit: Callable[[str, Predict], Predict]) -> Any:
    """Return a copy of ``root`` in which each predictor is what ``edit(path, copy of it)`` returns."""
    return _Copier(root, edit).copied(root)


class _Copier:
    """One copy in the making. Modules, containers that hold them and methods bound to them are copied,
    everything else (locks, clients, data) is shared."""

    def __init__(self, root: Module, edit: Callable[[str, Predict], Predict]) -> None:
        self._edit = edit
        self._paths = {id(m): path or "self" for path, m in walk(root)}
        self._memo: dict[int, Any] = {}

    def copied(self, value: Any) -> Any:
        from pytest_lmprog.programs.module import Module

        if id(value) in self._memo:
            return self._memo[id(value)]
        if isinstance(value, Module):
            return self._module(value)
        if isinstance(value, _CONTAINERS) and _holds_module(value):
            return self._container(value)
        if isinstance(value, MethodType) and id(value.__self__) in self._paths:
            return MethodType(value.__func__, self.copied(value.__self__))
        if type(value) is functools.partial:
            keywords = {k: self.copied(v) for k, v in value.keywords.items()}
            return functools.partial(self.copied(value.func), *map(self.copied, value.args), **keywords)
        return value

    def _module(self, module: Module) -> Module:
        from pytest_lmprog.programs.predict import Predict

        new = object.__new__(type(module))
        self._memo[id(module)] = new
        for name, value in attributes(module):
            if name in vars(module):
                new.__dict__[name] = self.copied(value)
            else:
                object.__setattr__(new, name, self.copied(value))
        if isinstance(new, Predict):
            new = self._edited(module, new)
        return new

    def _edited(self, module: Module, new: Predict) -> Module:
        edited = self._edit(self._paths[id(module)], new)
        if edited is not new and type(edited) is type(new):
            # A cycle may hold ``new`` already: it takes over what was edited.
            new.__dict__.clear()
            new.__dict__.update(edited.__dict__)
            edited = new
        self._memo[id(module)] = edited
        return edited

    def _container(self, value: Any) -> Any:
        new: Any
        if isinstance(value, tuple):
            new = _tuple_like(value, [self.copied(item) for item in value])
        elif isinstance(value, MappingProxyType):
            new = MappingProxyType({key: self.copied(item) for key, item in value.items()})
        else:
            new = self._memo[id(value)] = copy.copy(value)
            for key in list(value) if isinstance(value, dict) else range(len(value)):
                new[key] = self.copied(value[key])
        self._memo[id(value)] = new
        return new


def _tuple_like(value: tuple[Any, ...], items: list[Any]) -> tuple[Any, ...]:
    new = tuple.__new__(type(value), items)  # not its constructor: a namedtuple's takes the items apart
    if hasattr(value, "__dict__"):
        new.__dict__.update(value.__dict__)
    return new


def _holds_module(value: Any) -> bool:
    found: list[tuple[str, Module]] = []
    _collect("", value, found, set())
    return bool(found)
