"""A function with predictors as a Module: ``@program``."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, cast, overload

from pytest_lmprog.errors import UsageError
from pytest_lmprog.programs.context import stand_ins
from pytest_lmprog.programs.function_parts import Parts, parts_of
from pytest_lmprog.programs.module import Module

__all__ = ["FunctionProgram", "program"]

_running: ContextVar[FunctionProgram | None] = ContextVar("lmprog_function_program", default=None)


@overload
def program(function: Callable[..., Any], /) -> FunctionProgram: ...
@overload
def program(
    function: None = None, /, *, max_calls: int | None = None
) -> Callable[[Callable[..., Any]], FunctionProgram]: ...
def program(function: Any = None, /, *, max_calls: int | None = None) -> Any:
    """Make a function (or coroutine function) with predictors inside a Module.

    Its predictors are the modules that it uses by name: of its own module, of functions that it calls, of
    its closure, its arguments' defaults; and those that it makes itself, ``name = Predict(...)``, which are
    then made once. They are named as the function names them (``classify``, ``hops[1]``); one that has no
    name by its class (``predict``, ``predict_2``). The function itself stays as written: compiling, loading
    and copying change what its predictors answer while it runs as this program.

    Parameters
    ----------
    max_calls: the most LM calls of one run, where a predictor is called in a loop.

    Raises UsageError, when the predictors are first needed, for one that is made from local variables: its
    demos would be lost from run to run.
    """
    if function is None:
        return lambda given: program(given, max_calls=max_calls)
    if not inspect.isfunction(function):
        raise UsageError(f"program takes a function, not {function!r}")
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise UsageError(f"{function.__name__}() is a generator, which cannot be a program")
    return _class_of(function)(max_calls)


def _class_of(function: Callable[..., Any]) -> type[FunctionProgram]:
    """Return a class of its own, so that the program is called what the function is called."""
    is_async = inspect.iscoroutinefunction(function)
    namespace = {
        "__module__": function.__module__,
        "__qualname__": function.__qualname__,
        "__doc__": function.__doc__,
        "__wrapped__": staticmethod(function),
        "forward": _async_forward(function) if is_async else _forward(function),
    }
    return cast("type[FunctionProgram]", type(function.__name__, (FunctionProgram,), namespace))


def _forward(function: Callable[..., Any]) -> Any:
    def forward(self: FunctionProgram, /, *args: Any, **kwargs: Any) -> Any:
        with self._answering():
            return self._parts_now().function(*args, **kwargs)

    return _like(forward, function)


def _async_forward(function: Callable[..., Any]) -> Any:
    async def forward(self: FunctionProgram, /, *args: Any, **kwargs: Any) -> Any:
        with self._answering():
            return await self._parts_now().function(*args, **kwargs)

    return _like(forward, function)


def _like(forward: Any, function: Callable[..., Any]) -> Any:
    """Give ``forward`` the function's parameters, but for those whose default is a module."""
    own = inspect.Parameter("self", inspect.Parameter.POSITIONAL_ONLY)
    given = inspect.signature(function)
    kept = [p for p in given.parameters.values() if not isinstance(p.default, Module)]
    forward.__signature__ = given.replace(parameters=[own, *kept])
    forward.__doc__ = function.__doc__
    return forward


class FunctionProgram(Module):
    """A function as a Module. Its predictors are attributes, named as the function names them."""

    def __init__(self, max_calls: int | None = None) -> None:
        self._max_calls = max_calls
        self._parts: Parts | None = None

    def max_calls(self) -> int:
        """What ``@program(max_calls=...)`` says, else one run of each predictor."""
        return super().max_calls() if self._max_calls is None else self._max_calls

    def settle_parts(self) -> None:
        """Find the predictors, if that has not been done: names may be bound after the function."""
        if self._parts is None:
            function = type(self).__dict__["__wrapped__"].__func__
            parts = parts_of(function, self._made)
            self._parts = parts
            taken = frozenset(dir(Module)) | {"settle_parts"}
            for name, part in parts.modules.items():
                setattr(self, f"{name}_" if name in taken or name.startswith("_") else name, part)

    def _parts_now(self) -> Parts:
        self.settle_parts()
        assert self._parts is not None
        return self._parts

    @staticmethod
    def _made(name: str) -> Any:
        """Return the predictor that the running program has under ``name``."""
        running = _running.get()
        assert running is not None
        return getattr(running, name)

    @contextmanager
    def _answering(self) -> Iterator[None]:
        """Let this program's predictors answer for those that the function uses."""
        mine = dict(self.named_predictors())
        changed = {id(p): mine[n] for n, p in self._parts_now().originals if n in mine and mine[n] is not p}
        outer = stand_ins.get()
        running = _running.set(self)
        token = stand_ins.set({**(outer or {}), **changed} if changed or outer else None)
        try:
            yield
        finally:
            stand_ins.reset(token)
            _running.reset(running)
