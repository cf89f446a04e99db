"""Parallel: many runs at once, with results and traces as if they had been made one after the other."""

from __future__ import annotations

import contextvars
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from pytest_lmprog.errors import AnswerError, LmprogError, LmprogWarning, UsageError
from pytest_lmprog.lm.scope import current_scope
from pytest_lmprog.programs.backtracking import Backtrack, branched
from pytest_lmprog.programs.context import current
from pytest_lmprog.programs.example import Example
from pytest_lmprog.programs.module import Module
from pytest_lmprog.programs.trace import Trace, current_trace, tracing

__all__ = ["Parallel"]

_THREADS = 8
_MAX_ERRORS = 10


class Parallel(Module):
    """Runs ``(module, inputs)`` pairs, several at a time, and returns the results in the pairs' order.

    Inputs are an Example (its inputs), a mapping (by name) or a tuple (by position). The threads see the
    caller's settings and call scope; equal runs share their answers. A program that uses it declares
    ``max_calls``. In a replay, and on an LM that answers in the order of the requests, runs are made one
    after the other.

    Parameters
    ----------
    num_threads: runs at a time (8).
    max_errors: failed runs at which the error is raised (10). Fewer leave None in their places, and a
        warning. Errors that are not the program's (no answer, no budget) are raised at once.
    access_examples: False passes an Example as it is.
    return_failed_examples: return ``(results, failed inputs, their errors)``.
    provide_traceback, disable_progress_bar, timeout: taken as in DSPy, and of no effect.
    """

    def __init__(
        self,
        num_threads: int | None = None,
        max_errors: int | None = None,
        access_examples: bool = True,
        return_failed_examples: bool = False,
        provide_traceback: bool | None = None,
        disable_progress_bar: bool = False,
        timeout: float | None = None,
    ) -> None:
        del provide_traceback, disable_progress_bar, timeout
        for name, value in (("num_threads", num_threads), ("max_errors", max_errors)):
            if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
                raise UsageError(f"{name} must be 1 or more, not {value!r}")
        self.num_threads = num_threads or _THREADS
        self.max_errors = max_errors or _MAX_ERRORS
        self.access_examples = access_examples
        self.return_failed_examples = return_failed_examples

    def forward(self, exec_pairs: Iterable[tuple[Any, Any]], num_threads: int | None = None) -> Any:
        """Run the pairs."""
        pairs = _checked(exec_pairs)
        branches = _Branches(len(pairs))

        def one(index: int) -> Any:
            with branches.of(index):
                return self._call(*pairs[index], lambda module: module)

        try:
            done = _in_threads(one, len(pairs), num_threads or self.num_threads)
        finally:
            branches.close()
        return self._results(pairs, done)

    async def aforward(self, exec_pairs: Iterable[tuple[Any, Any]], num_threads: int | None = None) -> Any:
        """The same, awaiting the modules."""
        import asyncio

        pairs = _checked(exec_pairs)
        branches = _Branches(len(pairs))
        slots = asyncio.Semaphore(_at_once(num_threads or self.num_threads))

        async def one(index: int) -> Any:
            async with slots:
                with branches.of(index):
                    return await self._call(*pairs[index], _awaited)

        try:
            done = await asyncio.gather(*map(one, range(len(pairs))), return_exceptions=True)
        finally:
            branches.close()
        return self._results(pairs, done)

    def _call(self, module: Any, inputs: Any, how: Callable[[Any], Any]) -> Any:
        run = how(module)
        if isinstance(inputs, Example) and not self.access_examples:
            return run(inputs)
        if isinstance(inputs, Example):
            return run(**inputs.inputs())
        if isinstance(inputs, Mapping):
            return run(**inputs)
        return run(*inputs) if isinstance(inputs, tuple) else run(inputs)

    def _results(self, pairs: Sequence[tuple[Any, Any]], done: Sequence[Any]) -> Any:
        failed = [index for index, result in enumerate(done) if isinstance(result, BaseException)]
        for index in failed:
            if _is_raised(done[index]):
                raise done[index]
        if len(failed) >= self.max_errors:
            raise done[failed[0]]
        results = [None if isinstance(result, BaseException) else result for result in done]
        if self.return_failed_examples:
            return results, [pairs[index][1] for index in failed], [done[index] for index in failed]
        if failed:
            warnings.warn(
                f"{len(failed)} of {len(pairs)} parallel runs failed; the first: {done[failed[0]]}",
                LmprogWarning,
                stacklevel=5,
            )
        return results


def _checked(pairs: Iterable[tuple[Any, Any]]) -> list[tuple[Any, Any]]:
    listed = list(pairs)
    for pair in listed:
        if not isinstance(pair, tuple | list) or len(pair) != 2 or not callable(pair[0]):
            raise UsageError(f"Parallel takes pairs of a module and its inputs, not {pair!r:.80}")
        if not isinstance(pair[1], Mapping | tuple | list):
            raise UsageError(f"the inputs of a run are an Example, a mapping or a tuple, not {pair[1]!r:.80}")
    return [(module, inputs) for module, inputs in listed]


def _is_raised(error: BaseException) -> bool:
    if not isinstance(error, Exception):
        return True
    return isinstance(error, LmprogError) and not isinstance(error, AnswerError)


def _awaited(module: Any) -> Any:
    if isinstance(module, Module):
        return module.acall
    import asyncio

    async def call(*args: Any, **kwargs: Any) -> Any:
        return await asyncio.to_thread(module, *args, **kwargs)

    return call


def _at_once(threads: int) -> int:
    """One where nothing is waited for, or the order of the requests decides who gets which answer."""
    in_order = getattr(current().lm, "in_order", False)
    return 1 if in_order or current_scope().mode == "none" else threads


def _in_threads(one: Callable[[int], Any], count: int, threads: int) -> list[Any]:
    def caught(index: int) -> Any:
        try:
            return one(index)
        except (Exception, Backtrack) as error:  # noqa: BLE001 - handed on as a result
            return error

    threads = min(_at_once(threads), count)
    if threads <= 1:
        return [caught(index) for index in range(count)]
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(threads) as pool:
        futures = [pool.submit(contextvars.copy_context().run, caught, index) for index in range(count)]
        return [future.result() for future in futures]


class _Branches:
    """A trace and a frame for each run; in the end those around have them in the runs' order."""

    def __init__(self, count: int) -> None:
        self._outer = current_trace()
        names = {} if self._outer is None else self._outer.names
        self._traces = [Trace(names=names) for _ in range(count)]
        self._frames = [branched() for _ in range(count)]

    @contextmanager
    def of(self, index: int) -> Any:
        with self._frames[index].active(), tracing(None if self._outer is None else self._traces[index]):
            yield

    def close(self) -> None:
        for frame in self._frames:
            frame.close()
        if self._outer is not None:
            for trace in self._traces:
                self._outer.extend(trace)
