"""Which modules check their predictors with ``Assert`` or ``Suggest``, and what that may cost."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from pytest_lmprog.errors import ConfigurationError
from pytest_lmprog.programs.context import current
from pytest_lmprog.programs.structure import children

if TYPE_CHECKING:
    from pytest_lmprog.programs.backtracking import Frame
    from pytest_lmprog.programs.module import Module

__all__ = ["backtracks", "calls_as_written", "has_checks", "most_calls", "own_limit"]

_NAMES = frozenset({"Assert", "Suggest"})
_OURS = "pytest_lmprog"
_MOST = 300

_known: WeakKeyDictionary[type, bool] = WeakKeyDictionary()


def most_calls(module: Module) -> int:
    """Return the most calls of one run: the sum of the parts' own maxima, times the retries of its checks."""
    return _most(module, (), current().max_backtracks)


def calls_as_written(module: Module | None) -> int | None:
    """Return the most calls of one pass through ``forward``, or None where the module counts itself."""
    from pytest_lmprog.programs.module import Module as Base

    if module is None or type(module).max_calls is not Base.max_calls:
        return None
    return _parts(module, (), own_limit(module, current().max_backtracks))


def _most(module: Module, within: tuple[Module, ...], limit: int) -> int:
    limit = own_limit(module, limit)
    total = _parts(module, within, limit)
    return total * (limit + 1) if limit and has_checks(module) else total


def _parts(module: Module, within: tuple[Module, ...], limit: int) -> int:
    # A part that is held twice counts twice: each holder may call it. Only cycles are cut.
    from pytest_lmprog.programs.module import Module as Base

    total = 0
    above = (*within, module)
    for _, part in children(module):
        if any(part is holder for holder in above):
            continue
        own = type(part).max_calls is not Base.max_calls
        total += part.max_calls() if own else _most(part, above, limit)
    return total


def own_limit(module: Module | None, otherwise: int) -> int:
    """Return the module's ``max_backtracks``, or that of its surroundings."""
    own = getattr(module, "max_backtracks", None)
    if own is None:
        return otherwise
    if isinstance(own, bool) or not isinstance(own, int) or own < 0:
        raise ConfigurationError(f"max_backtracks must be 0 or more, not {own!r}")
    return own


def backtracks(frame: Frame | None) -> int:
    """Return how often a call may be retried in ``frame``: as its module says, or the nearest around it
    that does, or the settings."""
    while frame is not None:
        own = own_limit(frame.module, -1)
        if own >= 0:
            return own
        frame = frame.parent
    return current().max_backtracks


def has_checks(module: Module) -> bool:
    """Whether ``forward``, or a function it names, names ``Assert`` or ``Suggest``. Told from the code alone;
    a check that is reached in another way works, but ``max_calls`` does not count it."""
    cls = type(module)
    if cls not in _known:
        _known[cls] = _reach_checks(cls, [getattr(cls, "forward", None), getattr(cls, "aforward", None)])
    if _known[cls]:
        return True
    held = [value for value in vars(module).values() if isinstance(value, FunctionType)]
    return bool(held) and _reach_checks(cls, held)


def _reach_checks(cls: type, roots: list[Any]) -> bool:
    todo: list[Any] = list(roots)
    seen: set[int] = set()
    while todo and len(seen) < _MOST:
        function = inspect.unwrap(todo.pop()) if callable(todo[-1]) else todo.pop()
        function = (
            function.__func__ if isinstance(function, MethodType | staticmethod | classmethod) else function
        )
        if not isinstance(function, FunctionType) or id(function) in seen:
            continue
        if (function.__module__ or "").partition(".")[0] == _OURS:
            if function.__name__ in _NAMES:
                return True
            continue
        seen.add(id(function))
        names = set(_names(function.__code__))
        if names & _NAMES:
            return True
        todo += _named(function, cls, names)
    return False


def _names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    yield from code.co_freevars
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)


def _named(function: FunctionType, cls: type, names: set[str]) -> Iterator[Any]:
    """Yield what ``names`` may stand for in ``function``: globals, functions of modules, methods, cells."""
    spaces: list[Mapping[str, Any]] = [vars(base) for base in cls.__mro__]
    for name in names:
        value = function.__globals__.get(name)
        if isinstance(value, ModuleType) and value.__name__.partition(".")[0] != _OURS:
            spaces.append(vars(value))
        yield value
    for cell in function.__closure__ or ():
        try:
            yield cell.cell_contents
        except ValueError:  # not set yet
            continue
    for space in spaces:
        yield from (space[name] for name in names if name in space)
