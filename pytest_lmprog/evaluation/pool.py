"""Concurrent work with priorities, cancellation and results in completion order: one thread coordinates."""

from __future__ import annotations

import contextvars
import heapq
import itertools
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, Generic, Literal, Protocol, Self, TypeVar

from pytest_lmprog.errors import UsageError

if TYPE_CHECKING:
    from concurrent.futures import Executor
    from types import TracebackType

__all__ = ["Task", "TaskState", "WorkPool"]

_T = TypeVar("_T")
TaskState = Literal["pending", "running", "done", "cancelled"]
_POLL = 0.2  # seconds between looks at Ctrl-C where a lock cannot be interrupted (Windows)


class Task(Generic[_T]):
    """One piece of work. ``priority``, ``args`` and ``kwargs`` are as submitted."""

    __slots__ = ("_context", "_pool", "args", "error", "function", "kwargs", "priority", "state", "value")

    def __init__(
        self, pool: WorkPool, priority: tuple[Any, ...], function: Callable[..., _T], args: Any, kwargs: Any
    ) -> None:
        self._pool = pool
        self._context = contextvars.copy_context()
        self.priority = priority
        self.function = function
        self.args = args
        self.kwargs = kwargs
        self.state: TaskState = "pending"
        self.value: _T | None = None
        self.error: BaseException | None = None

    def run(self) -> None:
        """Do the work, in the context of its submission; what it raises is kept."""
        try:
            self.value = self._context.run(self.function, *self.args, **self.kwargs)
        except BaseException as error:  # noqa: BLE001 - kept with the task and raised by result()
            self.error = error

    def result(self) -> _T:
        """Wait for the end and return the value, or raise what the work raised.

        Raises UsageError for a task that was cancelled."""
        self._pool.wait(self)
        if self.state == "cancelled":
            raise UsageError("the task was cancelled")
        if self.error is not None:
            raise self.error
        return self.value  # type: ignore[return-value]

    def __repr__(self) -> str:
        return f"Task({self.priority!r}, {self.state})"


class _Starter(Protocol):
    def submit(self, function: Callable[..., Any], /, *args: Any) -> Any: ...


class WorkPool:
    """Runs at most ``concurrency`` tasks at a time, smaller priority tuples first.

    A task starts when its result is asked for: by ``completed``, ``next`` or ``Task.result``. So a
    free slot is given away only after the coordinating thread has seen every result so far, and
    has submitted or cancelled what follows from it: nothing is run that was known not to be needed.
    ``eager=True`` starts tasks at once, without regard to who waits.

    Parameters
    ----------
    concurrency: tasks in flight at most.
    executor: of threads, with at least ``concurrency`` workers, or None for daemon threads of its own.
    eager: start tasks as they are submitted.

    Leaving the ``with`` block drops what is pending and waits for what is running; when it is left by an
    exception (Ctrl-C too), what is running is abandoned. Tasks see the context variables of ``submit``.
    """

    def __init__(self, concurrency: int, executor: Executor | None = None, *, eager: bool = False) -> None:
        if concurrency < 1:
            raise UsageError(f"concurrency must be 1 or more, not {concurrency}")
        self.concurrency = concurrency
        self._eager = eager
        self._threads = None if executor is not None else _Threads(concurrency)
        self._starter: _Starter = executor or self._threads  # type: ignore[assignment]
        self._changed = threading.Condition()
        self._order = itertools.count()
        self._pending: list[tuple[tuple[Any, ...], int, Task[Any]]] = []
        self._waiting = 0
        self._wanted = 0
        self._active: set[Task[Any]] = set()
        self._finished: deque[Task[Any]] = deque()
        self._closed = False

    def submit(
        self, priority: tuple[Any, ...], function: Callable[..., _T], /, *args: Any, **kwargs: Any
    ) -> Task[_T]:
        """Queue ``function(*args, **kwargs)``. Equal priorities keep the order of submission."""
        task: Task[_T] = Task(self, priority, function, args, kwargs)
        with self._changed:
            if self._closed:
                raise UsageError("the pool is closed")
            heapq.heappush(self._pending, (priority, next(self._order), task))
            self._waiting += 1
        if self._eager:
            self._fill()
        return task

    def completed(self) -> Iterator[Task[Any]]:
        """Yield tasks as they end, until none is left. Tasks may be submitted and cancelled meanwhile."""
        while (task := self.next()) is not None:
            yield task

    def next(self) -> Task[Any] | None:
        """Wait for a task to end and return it (each task once), or None where none is left."""
        with self._changed:
            while not self._finished:
                self._fill()
                if self._finished:  # an executor may run at submission
                    break
                if not self._waiting and not self._wanted:
                    return None
                self._changed.wait(_POLL)
            return self._finished.popleft()

    def wait(self, task: Task[Any]) -> None:
        """Wait for ``task`` to end or to be cancelled."""
        with self._changed:
            while True:
                self._fill()
                if task.state in ("done", "cancelled"):
                    return
                self._changed.wait(_POLL)

    def cancel(self, tasks: Iterable[Task[Any]] | None = None) -> int:
        """Drop ``tasks`` (default: all that are not delivered) and return how many had not been started.

        One that is running goes on, but its result is not delivered."""
        unstarted = 0
        with self._changed:
            for task in self._undelivered() if tasks is None else tasks:
                unstarted += self._cancel(task)
            self._changed.notify_all()
        return unstarted

    def _undelivered(self) -> list[Task[Any]]:
        return [*(task for *_, task in self._pending), *self._active, *self._finished]

    def _cancel(self, task: Task[Any]) -> bool:
        was = task.state
        if was == "pending":
            self._waiting -= 1
        elif was == "running":
            self._wanted -= 1
        elif was == "done" and task in self._finished:
            self._finished.remove(task)
        else:
            return False
        task.state = "cancelled"
        return was == "pending"

    def _fill(self) -> None:
        with self._changed:
            for _ in range(self.concurrency - len(self._active)):
                task = self._pop()
                if task is None:
                    return
                self._begin(task)
                self._starter.submit(self._work, task)

    def _pop(self) -> Task[Any] | None:
        while self._pending:
            task = heapq.heappop(self._pending)[2]
            if task.state == "pending":
                return task
        return None

    def _begin(self, task: Task[Any]) -> None:
        task.state = "running"
        self._waiting -= 1
        self._wanted += 1
        self._active.add(task)

    def _work(self, task: Task[Any]) -> None:
        task.run()
        with self._changed:
            self._active.discard(task)
            if task.state == "running":
                task.state = "done"
                self._wanted -= 1
                self._finished.append(task)
            self._changed.notify_all()
        if self._eager:
            self._fill()

    def close(self, *, wait: bool = True) -> None:
        """Drop what is pending; ``wait`` for what is running, or abandon it."""
        with self._changed:
            self._closed = True
            self.cancel([task for *_, task in self._pending])
            while wait and self._active:
                self._changed.wait(_POLL)
        if self._threads is not None:
            self._threads.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close(wait=kind is None)


class _Threads:
    """Daemon threads, started as needed: an abandoned call must not keep the interpreter from exiting."""

    def __init__(self, maximum: int) -> None:
        self._maximum = maximum
        self._started = 0
        self._idle = threading.Semaphore(0)
        self._queue: SimpleQueue[tuple[Callable[..., Any], tuple[Any, ...]] | None] = SimpleQueue()

    def submit(self, function: Callable[..., Any], /, *args: Any) -> None:
        self._queue.put((function, args))
        if not self._idle.acquire(blocking=False) and self._started < self._maximum:
            self._started += 1
            threading.Thread(target=self._loop, name=f"lmprog-{self._started}", daemon=True).start()

    def _loop(self) -> None:
        while (job := self._queue.get()) is not None:
            function, args = job
            function(*args)
            del job, function, args
            self._idle.release()

    def stop(self) -> None:
        for _ in range(self._started):
            self._queue.put(None)
