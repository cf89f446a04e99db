"""Threads for blocking work that an event loop waits for.

Not the loop's default executor, whose few threads may be busy with something that waits for us, and
not ``concurrent.futures``, which holds up the interpreter's exit until every call has returned.
"""

from __future__ import annotations

import contextvars
import os
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from threading import Condition, Thread
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, Future

__all__ = ["Workers", "workers"]

T = TypeVar("T")


class Workers:
    """Daemon threads, started as needed up to ``maximum``, gone after ``idle`` seconds without work."""

    def __init__(self, maximum: int = 256, *, idle: float = 5.0) -> None:
        self._maximum = maximum
        self._idle = idle
        self._begin()

    def _begin(self) -> None:
        self._pid = os.getpid()
        self._changed = Condition()
        self._jobs: deque[Callable[[], None]] = deque()
        self._threads = 0
        self._free = 0

    async def run(self, work: Callable[[], T]) -> T:
        """Return what ``work`` returns, run in a thread with the caller's context.

        If the awaiting task is cancelled, the work goes on and its result is dropped."""
        import asyncio

        loop = asyncio.get_running_loop()
        future: Future[T] = loop.create_future()
        context = contextvars.copy_context()
        self._submit(lambda: _deliver(loop, future, lambda: context.run(work)))
        return await future

    def _submit(self, job: Callable[[], None]) -> None:
        if self._pid != os.getpid():
            self._begin()
        with self._changed:
            self._jobs.append(job)
            if self._free >= len(self._jobs) or self._threads >= self._maximum:
                self._changed.notify()
                return
            self._threads += 1
        Thread(target=self._work, name="lmprog-call", daemon=True).start()

    def _work(self) -> None:
        while (job := self._next()) is not None:
            job()
            del job

    def _next(self) -> Callable[[], None] | None:
        with self._changed:
            self._free += 1
            some = self._changed.wait_for(lambda: self._jobs, self._idle)
            self._free -= 1
            if some:
                return self._jobs.popleft()
            self._threads -= 1
            return None


def _deliver(loop: AbstractEventLoop, future: Future[Any], work: Callable[[], Any]) -> None:
    try:
        result, error = work(), None
    except BaseException as raised:  # noqa: BLE001 - whatever it is, it belongs to the awaiting task
        result, error = None, raised

    def settle() -> None:
        if future.done():
            return
        if error is None:
            future.set_result(result)
        else:
            future.set_exception(error)

    with suppress(RuntimeError):  # the loop is closed: nobody waits any more
        loop.call_soon_threadsafe(settle)


workers = Workers()
"""The one pool of this process, empty until something awaits an LM."""
