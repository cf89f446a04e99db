"""Several independent answers at once, as if they had been given one after the other."""

from __future__ import annotations

import contextvars
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import TypeVar

from pytest_lmprog.programs.trace import Trace, current_trace, tracing

__all__ = ["gathered", "in_parallel"]

_T = TypeVar("_T")
_MOST = 8


class _Traces:
    """A trace for each of several calls; in the end the surrounding one has them in the calls' order."""

    def __init__(self, count: int) -> None:
        self._outer = current_trace()
        names = {} if self._outer is None else self._outer.names
        self._own = [Trace(names=names) for _ in range(count)]

    @contextmanager
    def of(self, index: int) -> Iterator[None]:
        with nullcontext() if self._outer is None else tracing(self._own[index]):
            yield

    def close(self) -> None:
        if self._outer is not None:
            for trace in self._own:
                self._outer.calls.extend(trace.calls)


def in_parallel(ask: Callable[[int], _T], count: int) -> list[_T]:
    """Return ``[ask(0), ..., ask(count - 1)]``, made on threads that see the caller's settings and scope.

    The trace has the calls in this order, whichever ended first. Raises the first error in this order."""
    from concurrent.futures import ThreadPoolExecutor

    traces = _Traces(count)

    def one(index: int) -> _T:
        with traces.of(index):
            return ask(index)

    try:
        with ThreadPoolExecutor(min(count, _MOST)) as pool:
            futures = [pool.submit(contextvars.copy_context().run, one, index) for index in range(count)]
            return [future.result() for future in futures]
    finally:
        traces.close()


async def gathered(ask: Callable[[int], Awaitable[_T]], count: int) -> list[_T]:
    """The same for coroutines."""
    import asyncio

    traces = _Traces(count)

    async def one(index: int) -> _T:
        with traces.of(index):
            return await ask(index)

    try:
        results: Sequence[_T | BaseException]
        results = await asyncio.gather(*map(one, range(count)), return_exceptions=True)
    finally:
        traces.close()
    return [_value(result) for result in results]


def _value(result: _T | BaseException) -> _T:
    if isinstance(result, BaseException):
        raise result
    return result
