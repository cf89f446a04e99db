"""Frozen dataclasses that are quick to define: a replay's start defines a hundred of them.

For type checkers ``dataclass`` is the standard library's. That compiles six methods a class; this one
compiles ``__init__`` alone and shares the others, which does in a fifth of the time what the same class
would do otherwise. ``fields``, ``replace``, ``asdict``, copying and pickling work as usual.
"""

from __future__ import annotations

import dataclasses

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from dataclasses import dataclass as dataclass
    from typing import Any

__all__ = ["dataclass"]


def _dataclass(
    cls: type[Any] | None = None, /, *, frozen: bool = False, slots: bool = False, **options: Any
) -> Any:
    """Make ``cls`` a dataclass: quickly where it is frozen and derives from none, else the usual way."""
    if cls is None:
        return lambda made: _dataclass(made, frozen=frozen, slots=slots, **options)
    derived = any(dataclasses.is_dataclass(base) for base in cls.__bases__)
    if derived or options or not frozen:
        return dataclasses.dataclass(cls, frozen=frozen, slots=slots, **options)
    own = set(vars(cls))
    cls.__doc__ = cls.__doc__ or f"{cls.__qualname__}."  # else one is made of the signature, slowly
    made = dataclasses.dataclass(cls, init=False, repr=False, eq=False, slots=slots)
    _fit(made, own, slots=slots)
    return made


def _fit(cls: Any, own: set[str], *, slots: bool) -> None:
    """Give ``cls`` its methods, but for those that it defines itself."""
    fields = dataclasses.fields(cls)
    methods = {"__init__": _init(cls), "__repr__": _repr(fields), **_frozen(cls, fields)}
    if "__eq__" not in own:
        methods |= _comparing(fields)
    if slots:
        methods |= _state(fields)
    for name, method in methods.items():
        if name not in own:
            setattr(cls, name, method)
    cls.__dataclass_params__.frozen = cls.__dataclass_params__.eq = True


def _init(cls: Any) -> Any:
    parameters, lines = ["self"], []
    space: dict[str, Any] = {"_set": object.__setattr__, "_MISSING": dataclasses.MISSING}
    for field in dataclasses.fields(cls):
        if field.kw_only or not field.init:
            raise TypeError(f"{cls.__qualname__}.{field.name}: only plain fields here")
        name, value = field.name, field.name
        if field.default_factory is not dataclasses.MISSING:
            space[f"_make_{name}"] = field.default_factory
            parameters.append(f"{name}=_MISSING")
            value = f"_make_{name}() if {name} is _MISSING else {name}"
        elif field.default is not dataclasses.MISSING:
            space[f"_default_{name}"] = field.default
            parameters.append(f"{name}=_default_{name}")
        else:
            parameters.append(name)
        lines.append(f"_set(self, {name!r}, {value})")
    if hasattr(cls, "__post_init__"):
        lines.append("self.__post_init__()")
    exec(f"def __init__({', '.join(parameters)}):\n " + "\n ".join(lines or ["pass"]), space)
    method = space["__init__"]
    method.__qualname__ = f"{cls.__qualname__}.__init__"
    method.__annotations__ = {**{f.name: f.type for f in dataclasses.fields(cls)}, "return": None}
    return method


def _repr(fields: tuple[dataclasses.Field[Any], ...]) -> Callable[[Any], str]:
    names = [field.name for field in fields if field.repr]

    def __repr__(self: Any) -> str:
        shown = ", ".join(f"{name}={getattr(self, name)!r}" for name in names)
        return f"{type(self).__qualname__}({shown})"

    return __repr__


def _values(names: list[str]) -> Callable[[Any], tuple[Any, ...]]:
    from operator import attrgetter

    if len(names) > 1:
        return attrgetter(*names)
    return lambda self: tuple(getattr(self, name) for name in names)


def _comparing(fields: tuple[dataclasses.Field[Any], ...]) -> dict[str, Any]:
    compared = _values([field.name for field in fields if field.compare])
    hashed = _values([f.name for f in fields if (f.compare if f.hash is None else f.hash)])

    def __eq__(self: Any, other: object) -> bool:
        return compared(self) == compared(other) if type(other) is type(self) else NotImplemented

    def __hash__(self: Any) -> int:
        return hash(hashed(self))

    return {"__eq__": __eq__, "__hash__": __hash__}


def _frozen(cls: Any, fields: tuple[dataclasses.Field[Any], ...]) -> dict[str, Any]:
    names = frozenset(field.name for field in fields)

    def __setattr__(self: Any, name: str, value: Any) -> None:
        if type(self) is cls or name in names:
            raise dataclasses.FrozenInstanceError(f"cannot assign to field {name!r}")
        object.__setattr__(self, name, value)

    def __delattr__(self: Any, name: str) -> None:
        if type(self) is cls or name in names:
            raise dataclasses.FrozenInstanceError(f"cannot delete field {name!r}")
        object.__delattr__(self, name)

    return {"__setattr__": __setattr__, "__delattr__": __delattr__}


def _state(fields: tuple[dataclasses.Field[Any], ...]) -> dict[str, Any]:
    names = [field.name for field in fields]

    def __getstate__(self: Any) -> list[Any]:
        return [getattr(self, name) for name in names]

    def __setstate__(self: Any, state: list[Any]) -> None:
        for name, value in zip(names, state, strict=True):
            object.__setattr__(self, name, value)

    return {"__getstate__": __getstate__, "__setstate__": __setstate__}


if not TYPE_CHECKING:
    dataclass = _dataclass
