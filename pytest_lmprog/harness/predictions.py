"""Predictions: the runs of a unit's program on its cases, each made once and shared by all metrics."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import Executor
from typing import Protocol

from pytest_lmprog.errors import LmprogError
from pytest_lmprog.evaluation.pool import Task, WorkPool
from pytest_lmprog.programs import Example, Run
from pytest_lmprog.records import dataclass

__all__ = ["Predictions"]

_Key = tuple[str, int]


class _Work(Protocol):
    def result(self) -> Run | LmprogError: ...


class Predictions:
    """Runs on demand, and ahead of the demand.

    A run is kept until every item that was expected to ask for it has done so; asked for once more (a
    rerun) it is made again, from the stored answers.

    Parameters
    ----------
    make: runs the program on an example, for a rollout. Called from several threads.
    concurrency: runs in flight at most.
    ahead: how many runs are started beyond the one that is asked for; None: all that are expected;
        0: each run is made when it is asked for, in the asking thread.
    executor: of threads, or None.
    """

    def __init__(
        self,
        make: Callable[[Example, int], Run],
        *,
        concurrency: int = 8,
        ahead: int | None = None,
        executor: Executor | None = None,
    ) -> None:
        self._make = make
        self._concurrency = concurrency
        self._ahead = ahead
        self._executor = executor
        self._uses: dict[_Key, int] = {}
        self._order: list[tuple[Example, int]] = []
        self._position: dict[_Key, int] = {}
        self._started: dict[_Key, _Work] = {}
        self._horizon = 0  # what lies before it in the order has been started or passed over
        self._pool: WorkPool | None = None

    def expect(self, items: Iterable[tuple[Example, int]]) -> None:
        """Say which runs will be asked for, an entry for each time, in the order of the items."""
        for example, rollout in items:
            key = example.id, rollout
            if key not in self._uses:
                self._uses[key] = 0
                self._position[key] = len(self._order)
                self._order.append((example, rollout))
            self._uses[key] += 1

    def get(self, example: Example, rollout: int = 0) -> Run:
        """Return the run, waiting for it. Raises what is no verdict on the program (LMError,
        ReplayMissError, ...): for each item that asks, the run having been tried once."""
        key = example.id, rollout
        work = self._started.get(key) or self._start(example, rollout)
        if self._ahead != 0:
            self._start_ahead(self._position.get(key, len(self._order)))
        found = work.result()
        self._used(key)
        if isinstance(found, Run):
            return found
        raise found.with_traceback(None)

    def _start(self, example: Example, rollout: int) -> _Work:
        work: _Work
        if self._ahead == 0:
            work = _Done(self._attempt(example, rollout))
        else:
            work = self._threads().submit((), self._attempt, example, rollout)
        self._started[example.id, rollout] = work
        return work

    def _start_ahead(self, position: int) -> None:
        if self._ahead is None:
            first, last = self._horizon, len(self._order)
        else:
            first = max(self._horizon, position + 1)
            last = min(position + 1 + self._ahead, len(self._order))
        for example, rollout in self._order[first:last]:
            key = example.id, rollout
            if key not in self._started and self._uses[key]:
                self._start(example, rollout)
        self._horizon = max(self._horizon, last)

    def _attempt(self, example: Example, rollout: int) -> Run | LmprogError:
        try:
            return self._make(example, rollout)
        except LmprogError as error:
            return error

    def _threads(self) -> WorkPool:
        if self._pool is None:
            self._pool = WorkPool(self._concurrency, self._executor, eager=True)
        return self._pool

    def _used(self, key: _Key) -> None:
        left = self._uses.get(key, 0) - 1
        self._uses[key] = max(left, 0)
        if left > 0:
            return
        work = self._started.pop(key, None)
        if self._pool is not None and isinstance(work, Task):
            self._pool.cancel([work])  # it is over: this makes the pool forget its result

    def close(self, *, wait: bool = True) -> None:
        """Drop what was not started; ``wait`` for what is in flight (it is paid for), or abandon it."""
        if self._pool is not None:
            self._pool.close(wait=wait)
            self._pool = None


@dataclass(frozen=True, slots=True)
class _Done:
    found: Run | LmprogError

    def result(self) -> Run | LmprogError:
        return self.found
