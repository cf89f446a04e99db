"""Module: a program or a part of one. Its predictors are found by walking its attributes."""

from __future__ import annotations

import contextvars
import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from pytest_lmprog.errors import UsageError
from pytest_lmprog.programs.example import Example
from pytest_lmprog.programs.structure import children, copied_program, walk

if TYPE_CHECKING:
    from pytest_lmprog.lm.types import LanguageModel
    from pytest_lmprog.programs.predict import Predict

__all__ = ["Module", "finish"]


class Module:
    """Base of programs. Subclasses define ``forward`` (or ``async def forward``, or ``aforward``); calling
    the module calls it. ``super().__init__()`` is not needed.

    Predictors are named by their attribute path: ``classify``, ``hops[1].query``, ``tools['search']``.
    One that can be reached by two paths has the first (attributes in the order of assignment).

    A copy (``copy``, ``copy.deepcopy``) has modules of its own and shares everything else, so that a
    module may hold locks, clients and data.
    """

    def forward(self, /, *args: Any, **kwargs: Any) -> Any:
        """Run the program. To be overridden."""
        aforward = getattr(self, "aforward", None)
        if aforward is None:
            raise UsageError(f"{type(self).__name__} defines no forward()")
        return aforward(*args, **kwargs)

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        """Run ``forward``, to its end where it is a coroutine function. An Example whose inputs are known,
        given alone to a ``forward`` that takes these inputs by name, stands for them."""
        if args and isinstance(args[0], Example):
            args, kwargs = self._spread(args, kwargs)
        result = self.forward(*args, **kwargs)
        return finish(result) if inspect.iscoroutine(result) else result

    def _spread(
        self, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        example = args[0]
        if len(args) > 1 or kwargs or example.input_names is None:
            return args, dict(kwargs)
        taken = inspect.signature(self.forward).parameters
        named = all(name in taken for name in example.input_names)
        return ((), dict(example.inputs())) if named else (args, {})

    async def acall(self, /, *args: Any, **kwargs: Any) -> Any:
        """Run the program without blocking the event loop: ``aforward`` if defined (and ``forward`` not
        overridden below it), an ``async`` forward as it is, a plain forward in a thread."""
        aforward = getattr(self, "aforward", None)
        if aforward is not None and not _overrides(type(self), "forward", "aforward"):
            return await aforward(*args, **kwargs)
        if inspect.iscoroutinefunction(self.forward):
            return await self.forward(*args, **kwargs)
        import asyncio

        return await asyncio.to_thread(self.__call__, *args, **kwargs)

    def named_sub_modules(self) -> list[tuple[str, Module]]:
        """Return every module reachable through attributes, lists, tuples and dicts, with its path.
        The module itself comes first, with the path ``""``."""
        return list(walk(self))

    def named_predictors(self) -> list[tuple[str, Predict]]:
        """Return (path, predictor) in the order of assignment. A predictor's own path is ``self``."""
        from pytest_lmprog.programs.predict import Predict

        return [(path or "self", m) for path, m in walk(self) if isinstance(m, Predict)]

    def predictors(self) -> list[Predict]:
        """Return the predictors in the order of ``named_predictors``."""
        return [predictor for _, predictor in self.named_predictors()]

    def max_calls(self) -> int:
        """Return the most LM calls that one run can make, if each module runs once: the sum of the
        parts' own maxima. A module that loops overrides it."""
        return _sum_of_parts(self, ())

    def with_predictors(self, edit: Callable[[str, Predict], Predict]) -> Self:
        """Return a copy of the program in which each predictor is what ``edit(path, predictor)`` returns.

        ``edit`` is given a copy and may change and return it. Modules, the lists, tuples and dicts that
        hold them and methods bound to them are copied, everything else is shared; this program is
        untouched."""
        copied: Self = copied_program(self, edit)
        return copied

    def copy(self) -> Self:
        """Return a copy that shares nothing that compiling changes."""
        return self.with_predictors(lambda _, predictor: predictor)

    def deepcopy(self) -> Self:
        """The same as ``copy``, by DSPy's name."""
        return self.copy()

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self.copy()

    def reset_copy(self) -> Self:
        """Return a copy without demos."""
        return self.with_predictors(lambda _, predictor: predictor.with_demos(()))

    def set_lm(self, lm: LanguageModel | None) -> None:
        """Give every predictor an LM of its own (None: the configured one)."""
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

    def load_state(self, state: Mapping[str, Any]) -> None:
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
        from pytest_lmprog.programs.state import load_state, read_state

        load_state(self, read_state(Path(path)), source=str(path))

    def __repr__(self) -> str:
        parts = ", ".join(f"{name}={p!r}" for name, p in self.named_predictors() if p is not self)
        return f"{type(self).__name__}({parts})"


def _overrides(cls: type, name: str, other: str) -> bool:
    """Return whether ``name`` is defined in a more derived class than ``other``."""
    homes = [next((i for i, c in enumerate(cls.__mro__) if n in vars(c)), -1) for n in (name, other)]
    return -1 < homes[0] < homes[1]


def _sum_of_parts(module: Module, within: tuple[Module, ...]) -> int:
    # A part that is held twice counts twice: each holder may call it. Only cycles are cut.
    total = 0
    above = (*within, module)
    for _, part in children(module):
        if any(part is holder for holder in above):
            continue
        own = type(part).max_calls is not Module.max_calls
        total += part.max_calls() if own else _sum_of_parts(part, above)
    return total


def finish(coroutine: Any) -> Any:
    """Run a coroutine to its end from synchronous code, inside a running event loop too."""
    import asyncio

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(coroutine)
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(contextvars.copy_context().run, asyncio.run, coroutine).result()
