"""Module: a program or a part of one. Its predictors are found by walking its attributes."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from pytest_lmprog.errors import UsageError

if TYPE_CHECKING:
    from pytest_lmprog.lm.types import LanguageModel
    from pytest_lmprog.programs.predict import Predict

__all__ = ["Module"]


class Module:
    """Base of programs. Subclasses define ``forward`` (or ``async def forward``); calling the module
    calls it. ``super().__init__()`` is not needed.

    Predictors are named by their attribute path: ``classify``, ``hops[1].query``, ``tools['search']``.
    One that can be reached by two paths has the first (attributes in the order of assignment).
    """

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Run the program. To be overridden."""
        raise UsageError(f"{type(self).__name__} defines no forward()")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        result = self.forward(*args, **kwargs)
        return _finish(result) if inspect.iscoroutine(result) else result

    async def acall(self, *args: Any, **kwargs: Any) -> Any:
        """Run the program without blocking the event loop: ``aforward`` if defined, an ``async``
        forward as it is, a plain forward in a thread."""
        aforward = getattr(self, "aforward", None)
        if aforward is not None:
            return await aforward(*args, **kwargs)
        if inspect.iscoroutinefunction(self.forward):
            return await self.forward(*args, **kwargs)
        return await asyncio.to_thread(self.__call__, *args, **kwargs)

    def named_sub_modules(self) -> list[tuple[str, Module]]:
        """Return every module reachable through attributes, lists, tuples and dicts, with its path.
        The module itself comes first, with the path ``""``."""
        return list(_walk(self))

    def named_predictors(self) -> list[tuple[str, Predict]]:
        """Return (path, predictor) in the order of assignment. A predictor's own path is ``self``."""
        from pytest_lmprog.programs.predict import Predict

        return [(path or "self", m) for path, m in _walk(self) if isinstance(m, Predict)]

    def predictors(self) -> list[Predict]:
        """Return the predictors in the order of ``named_predictors``."""
        return [predictor for _, predictor in self.named_predictors()]

    def max_calls(self) -> int:
        """Return the most LM calls that one run can make, if each module runs once: the sum of the
        parts' own maxima. A module that loops overrides it."""
        own_parts = _children(self)
        return sum(part.max_calls() for _, part in own_parts)

    def with_predictors(self, edit: Callable[[str, Predict], Predict]) -> Self:
        """Return a copy of the program in which each predictor is what ``edit(path, predictor)`` returns.

        Modules and the lists, tuples and dicts that hold them are copied, everything else is shared;
        this program is untouched."""
        from pytest_lmprog.programs.predict import Predict

        memo: dict[int, Any] = {}
        names = {id(m): path or "self" for path, m in _walk(self)}

        def copied(value: Any) -> Any:
            if id(value) in memo:
                return memo[id(value)]
            if isinstance(value, Module):
                return copied_module(value)
            if type(value) in (list, tuple) and _holds_module(value):
                return type(value)(copied(v) for v in value)
            if type(value) is dict and _holds_module(value):
                return {k: copied(v) for k, v in value.items()}
            return value

        def copied_module(module: Module) -> Module:
            new = object.__new__(type(module))
            memo[id(module)] = new
            for name, value in vars(module).items():
                new.__dict__[name] = copied(value)
            if isinstance(new, Predict):
                new = memo[id(module)] = edit(names[id(module)], new)
            return new

        result: Self = copied(self)
        return result

    def copy(self) -> Self:
        """Return a copy that shares nothing that compiling changes."""
        return self.with_predictors(lambda _, predictor: predictor)

    def reset_copy(self) -> Self:
        """Return a copy without demos."""
        return self.with_predictors(lambda _, predictor: predictor.with_demos(()))

    deepcopy = copy

    def set_lm(self, lm: LanguageModel) -> None:
        """Give every predictor an LM of its own."""
        for predictor in self.predictors():
            predictor.lm = lm

    def get_lm(self) -> LanguageModel | None:
        """Return the LM of the predictors, or None where they use the configured one.

        Raises UsageError where they differ."""
        lms = {id(p.lm): p.lm for p in self.predictors()}
        if len(lms) > 1:
            raise UsageError("the predictors have different LMs")
        return next(iter(lms.values()), None)

    def map_named_predictors(self, function: Callable[[Predict], Predict]) -> Self:
        """Return a copy in which each predictor is what ``function`` returns for it."""
        return self.with_predictors(lambda _, predictor: function(predictor))

    def dump_state(self) -> dict[str, Any]:
        """Return what compiling changes, by predictor path, as plain data."""
        from pytest_lmprog.programs.state import dump_state

        return dump_state(self)

    def load_state(self, state: dict[str, Any]) -> None:
        """Take over what ``dump_state`` returned. Raises SnapshotError naming the field that no longer
        fits; then nothing is changed."""
        from pytest_lmprog.programs.state import load_state

        load_state(self, state)

    def save(self, path: str | Path) -> None:
        """Write ``dump_state()`` to ``path`` (.json, or YAML for any other suffix)."""
        from pytest_lmprog.programs.state import save_state

        save_state(self, Path(path))

    def load(self, path: str | Path) -> None:
        """Take over what ``save`` wrote to ``path``."""
        from pytest_lmprog.programs.state import read_state

        self.load_state(read_state(Path(path)))

    def __repr__(self) -> str:
        parts = "\n".join(f"{name} = {p!r}" for name, p in self.named_predictors() if p is not self)
        return f"{type(self).__name__}({parts})"


def _finish(coroutine: Any) -> Any:
    """Run a coroutine to its end from synchronous code, inside a running event loop too."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(coroutine)
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(contextvars.copy_context().run, asyncio.run, coroutine).result()


def _walk(root: Module) -> Iterator[tuple[str, Module]]:
    seen: set[int] = set()

    def visit(path: str, module: Module) -> Iterator[tuple[str, Module]]:
        if id(module) in seen:
            return
        seen.add(id(module))
        yield path, module
        for step, part in _children(module):
            yield from visit(_joined(path, step), part)

    yield from visit("", root)


def _joined(path: str, step: str) -> str:
    return f"{path}.{step}" if path else step


def _children(module: Module) -> list[tuple[str, Module]]:
    found: list[tuple[str, Module]] = []
    for name, value in vars(module).items():
        _collect(name, value, found, 0)
    return found


def _collect(step: str, value: Any, found: list[tuple[str, Module]], depth: int) -> None:
    if isinstance(value, Module):
        found.append((step, value))
    elif depth < 20 and isinstance(value, list | tuple):
        for index, item in enumerate(value):
            _collect(f"{step}[{index}]", item, found, depth + 1)
    elif depth < 20 and isinstance(value, dict):
        for key, item in value.items():
            _collect(f"{step}[{key!r}]", item, found, depth + 1)


def _holds_module(value: Any) -> bool:
    found: list[tuple[str, Module]] = []
    _collect("", value, found, 0)
    return bool(found)
