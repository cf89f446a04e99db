"""Programs of several steps as flows: a generator yields steps and is sent what came of them.

The same generator is run by a blocking and by an awaiting caller, so the two cannot differ.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Generator, Mapping
from typing import Any

from pytest_lmprog.errors import LmprogError
from pytest_lmprog.programs.example import Prediction
from pytest_lmprog.programs.module import Module
from pytest_lmprog.records import dataclass
from pytest_lmprog.waiting import finish

__all__ = ["Asking", "Calling", "Flow", "Step", "awaited", "finished"]


@dataclass(frozen=True, slots=True)
class Asking:
    """A step that runs a module (a predictor)."""

    module: Module
    inputs: Mapping[str, Any]

    def run(self) -> Any:
        """Run it to its end."""
        return self.module(**self.inputs)

    async def arun(self) -> Any:
        """Run it, awaiting."""
        return await self.module.acall(**self.inputs)


@dataclass(frozen=True, slots=True)
class Calling:
    """A step that calls a function, plain or ``async``."""

    function: Callable[..., Any]
    arguments: Mapping[str, Any]

    def run(self) -> Any:
        """Call it, to its end."""
        result = self.function(**self.arguments)
        return finish(result) if inspect.iscoroutine(result) else result

    async def arun(self) -> Any:
        """Call it; a plain function runs in a thread."""
        if inspect.iscoroutinefunction(self.function):
            return await self.function(**self.arguments)
        import asyncio

        result = await asyncio.to_thread(self.function, **self.arguments)
        return await result if inspect.isawaitable(result) else result


Step = Asking | Calling
Flow = Generator[Step, Any, Prediction]
"""Yields steps, is sent their results (or has what they raised thrown in) and returns the prediction."""


def finished(flow: Flow) -> Prediction:
    """Run ``flow`` to its end."""
    try:
        step = next(flow)
        while True:
            try:
                result = step.run()
            except LmprogError as error:
                step = flow.throw(error)
            else:
                step = flow.send(result)
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]


async def awaited(flow: Flow) -> Prediction:
    """Run ``flow`` to its end, awaiting its steps."""
    try:
        step = next(flow)
        while True:
            try:
                result = await step.arun()
            except LmprogError as error:
                step = flow.throw(error)
            else:
                step = flow.send(result)
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]
