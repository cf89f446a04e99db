"""The driver: runs the plans of strategies on a pool of threads, and owns concurrency, budget, call
limits, failures and progress.

Only the coordinating thread, which is the caller's, runs plans; a worker runs one program and never
waits for another worker: so there is no lock in a strategy and no deadlock at concurrency 1.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeVar

from pytest_lmprog.errors import BudgetExceededError, CompileError, LMError, LmprogError, MetricError
from pytest_lmprog.evaluation.pool import Task as Work
from pytest_lmprog.evaluation.pool import WorkPool
from pytest_lmprog.evaluation.runner import run_case
from pytest_lmprog.evaluation.scores import CaseResult
from pytest_lmprog.lm.scope import CallScope, current_scope, use_scope
from pytest_lmprog.programs import context
from pytest_lmprog.records import dataclass
from pytest_lmprog.teleprompt.base import CompileRuntime
from pytest_lmprog.teleprompt.desk import Desk, Job, Plan, PlanTask, Ticket

__all__ = ["MAX_CAUSES", "drive"]

MAX_CAUSES = 3
"""Failures that an error tells of."""

_T = TypeVar("_T")


def drive(plan: Callable[[Desk], Plan[_T]], runtime: CompileRuntime) -> _T:
    """Run ``plan`` to its end and return its result.

    Raises CompileError, with the first causes, where runs got no answer or could not be scored: no run
    is started any more, those in flight end, so that what they were answered is stored. When the budget
    is spent, BudgetExceededError is thrown into each waiting plan, innermost first, to conclude with
    what it has. Any other error of a run (replay miss, call limit, usage) is raised as it is.
    """
    scope = runtime.scope or current_scope()
    with use_scope(scope), WorkPool(runtime.concurrency, runtime.executor) as pool:
        result: _T = _Driver(Desk(runtime.concurrency), runtime, pool, scope).run(plan)
    return result


@dataclass(frozen=True, slots=True)
class _Started:
    ticket: Ticket
    job: Job


class _Driver:
    def __init__(self, desk: Desk, runtime: CompileRuntime, pool: WorkPool, scope: CallScope) -> None:
        self._desk = desk
        self._runtime = runtime
        self._pool = pool
        self._scope = scope
        self._running: dict[Work[CaseResult], _Started] = {}
        self._spent: BudgetExceededError | None = None

    def run(self, plan: Callable[[Desk], Plan[Any]]) -> Any:
        root = self._desk.spawn(plan(self._desk))
        try:
            while self._desk.open:
                self._step()
        except LmprogError:
            self._drain()
            raise
        return root.value()

    def _step(self) -> None:
        if self._desk.news:
            self._tell(*self._desk.news.popleft())
            return
        self._fill()
        if self._running:
            self._collect()
        elif self._spent is not None:
            self._conclude(self._spent)
        else:
            raise RuntimeError("a plan waits although nothing that it handed in is open")

    def _tell(self, task: PlanTask, ticket: Ticket | None) -> None:
        if not task.ticket.void and not (ticket is not None and ticket.withdrawn):
            # The first send to a generator must be None; later ones bring the finished ticket.
            self._resume(task, partial(task.generator.send, ticket))  # type: ignore[arg-type]

    def _resume(self, task: PlanTask, step: Callable[[], Any]) -> None:
        self._desk.active = task
        try:
            step()
        except StopIteration as end:
            self._desk.close(task, end.value, None)
        except BudgetExceededError as error:
            self._desk.close(task, None, error)
        finally:
            self._desk.active = None

    def _fill(self) -> None:
        while self._spent is None and len(self._running) < self._runtime.concurrency:
            taken = self._desk.take()
            if taken is None:
                return
            started = _Started(*taken)
            work = self._pool.submit((started.ticket.number,), _run, started.job, self._scope)
            self._running[work] = started

    def _collect(self) -> None:
        work = self._pool.next()
        assert work is not None
        started = self._running.pop(work)
        if isinstance(work.error, BudgetExceededError):
            self._spent = work.error
        elif work.error is not None:
            raise self._failed(started, work.error)
        elif work.value is not None:
            self._desk.finish(started.ticket, work.value)
            self._runtime.progress(self._desk.meter.event(started.job.phase))

    def _conclude(self, spent: BudgetExceededError) -> None:
        task = self._desk.innermost()
        self._resume(task, partial(task.generator.throw, spent))
        if task in self._desk.tasks:
            raise RuntimeError("a plan waits although the budget is spent")

    def _failed(self, started: _Started, error: BaseException) -> BaseException:
        failures = [(started, error), *self._drain()]
        failures.sort(key=lambda failure: failure[0].ticket.number)
        return _stopped([(started.job, error) for started, error in failures])

    def _drain(self) -> list[tuple[_Started, BaseException]]:
        """Let what is in flight end, so that its answers are stored, and return the failures."""
        failures = []
        while self._running and (work := self._pool.next()) is not None:
            started = self._running.pop(work)
            if work.error is not None and not isinstance(work.error, BudgetExceededError):
                failures.append((started, work.error))
        return failures


def _run(job: Job, scope: CallScope) -> CaseResult:
    with context(**job.settings):
        return run_case(
            job.program,
            job.example,
            job.objective,
            rollout=job.rollout,
            params=job.params,
            scope=scope,
            max_calls=job.max_calls,
        )


def _stopped(failures: Sequence[tuple[Job, BaseException]]) -> BaseException:
    """Return what to raise: an error of the user's or ours as it is, else one CompileError for all."""
    for _, error in failures:
        if not isinstance(error, LMError | MetricError):
            return error
    first = failures[0][1]
    what = "a metric failed" if isinstance(first, MetricError) else "the LM gave no answer"
    count = "1 run" if len(failures) == 1 else f"{len(failures)} runs"
    causes = [f"{job.phase} [{job.example.id}]: {_told(error)}" for job, error in failures[:MAX_CAUSES]]
    stopped = CompileError(
        f"the compile stopped because {what} ({count}):\n  " + "\n  ".join(causes),
        hint=_hint(first) or "answers had so far are stored: mend the cause and run it again to resume",
    )
    stopped.__cause__ = first
    return stopped


def _told(error: BaseException) -> str:
    message = error.message if isinstance(error, LmprogError) else str(error)
    return f"{type(error).__name__}: {message}"


def _hint(error: BaseException) -> str | None:
    return error.hint if isinstance(error, LmprogError) else None
