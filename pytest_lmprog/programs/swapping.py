"""Taking the place of library functions, however they were imported, while a block is open.

A function's code is swapped, not the name that it is bound to: ``from litellm import completion`` holds the
function itself. A library that is not imported yet is seen to when it is.
"""

from __future__ import annotations

import importlib.abc
import sys
from collections.abc import Callable, Sequence
from dataclasses import field
from importlib.machinery import ModuleSpec
from inspect import CO_COROUTINE
from threading import RLock
from types import CodeType, FunctionType, ModuleType
from typing import Any

from pytest_lmprog.errors import UsageError
from pytest_lmprog.records import dataclass

__all__ = ["Swapped", "Swaps", "Target"]


@dataclass(frozen=True)
class Target:
    """A function of a library. ``library`` is whose conventions it has, empty where it is only refused."""

    module: str
    path: str
    library: str
    is_async: bool = False


@dataclass(frozen=True)
class Swapped:
    """A function whose code was swapped, the code it had, and what calls that."""

    target: Target
    function: FunctionType
    code: CodeType
    original: Callable[..., Any] = field(repr=False)


class Swaps:
    """The functions of one process that are swapped while blocks are open. ``home`` is the module whose
    ``dispatch(number, args, kwargs)`` takes their place."""

    def __init__(self, targets: Sequence[Target], home: str) -> None:
        self._targets = tuple(targets)
        self._home = home
        self._lock = RLock()
        self._blocks: list[Any] = []
        self._swapped: dict[int, Swapped] = {}
        self._finder = _Finder({target.module for target in targets}, self._swap_module)

    def enter(self, block: Any) -> None:
        """Swap what is imported, and what will be, unless that is done."""
        with self._lock:
            self._blocks.append(block)
            if self._finder not in sys.meta_path:
                sys.meta_path.insert(0, self._finder)
            for name in {target.module for target in self._targets}:
                if name in sys.modules:
                    self._swap_module(sys.modules[name])

    def leave(self, block: Any) -> None:
        """Give everything back when the last block ends."""
        with self._lock:
            self._blocks.remove(block)
            if self._blocks:
                return
            sys.meta_path.remove(self._finder)
            for swapped in self._swapped.values():
                swapped.function.__code__ = swapped.code

    def swapped(self, number: int) -> Swapped:
        """Return what is known of a swapped function."""
        return self._swapped[number]

    def only_block(self) -> Any:
        """Return the block that a thread belongs to which was started without its context; None without
        any. Raises UsageError where several are open with different surroundings."""
        with self._lock:
            scopes = {id(block.scope) for block in self._blocks}
            if len(scopes) > 1:
                raise UsageError(
                    "several intercept() blocks are open and this thread does not tell which is its own",
                    hint="start the thread's work with contextvars.copy_context().run(...)",
                )
            return self._blocks[-1] if self._blocks else None

    def _swap_module(self, module: ModuleType) -> None:
        with self._lock:
            for number, target in enumerate(self._targets):
                if target.module == module.__name__ and self._blocks:
                    self._swap(number, target, module)

    def _swap(self, number: int, target: Target, module: ModuleType) -> None:
        function: Any = module
        for step in target.path.split("."):
            function = getattr(function, step, None)
        if not isinstance(function, FunctionType):
            return
        known = self._swapped.get(number)
        if known is None or known.function is not function:
            known = self._swapped[number] = Swapped(target, function, function.__code__, _twin(function))
        function.__code__ = _calling(function.__name__, known.code, self._home, number)


def _twin(function: FunctionType) -> Callable[..., Any]:
    twin = FunctionType(
        function.__code__,
        function.__globals__,
        function.__name__,
        function.__defaults__,
        function.__closure__,
    )
    twin.__kwdefaults__ = function.__kwdefaults__
    twin.__dict__.update(function.__dict__)
    return twin


def _calling(name: str, code: CodeType, home: str, number: int) -> CodeType:
    """Return code that calls ``dispatch``, with the free variables that a function's code must have."""
    is_async = bool(code.co_flags & CO_COROUTINE)
    free = ", ".join(code.co_freevars)
    source = (
        f"def outer({free}):\n {'async ' if is_async else ''}def {name}(*args, **kwargs):\n"
        + (f"  if False: ({free},)\n" if free else "")
        + f"  from {home} import dispatch\n"
        + f"  return {'await ' if is_async else ''}dispatch({number}, args, kwargs)\n"
    )
    outer = compile(source, __file__, "exec").co_consts[0]
    return next(const for const in outer.co_consts if isinstance(const, CodeType))


class _Finder(importlib.abc.MetaPathFinder):
    """Lets the other finders find a module, and sees to it once it has been executed."""

    def __init__(self, names: set[str], done: Callable[[ModuleType], None]) -> None:
        self._names = names
        self._done = done

    def find_spec(self, name: str, path: Any, target: ModuleType | None = None) -> ModuleSpec | None:
        """Return the spec of a module that is waited for; None for any other."""
        if name not in self._names:
            return None
        for finder in sys.meta_path:
            spec = None if finder is self else finder.find_spec(name, path, target)
            if spec is not None:
                if spec.loader is not None:
                    spec.loader = _Loader(spec.loader, self._done)
                return spec
        return None


class _Loader(importlib.abc.Loader):
    def __init__(self, loader: Any, done: Callable[[ModuleType], None]) -> None:
        self._loader = loader
        self._done = done

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        made: ModuleType | None = self._loader.create_module(spec)
        return made

    def exec_module(self, module: ModuleType) -> None:
        self._loader.exec_module(module)
        self._done(module)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)
