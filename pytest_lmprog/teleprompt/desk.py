"""The desk: where the plans of strategies hand in runs of programs and further plans.

A *plan* is a generator. It hands work in, then yields to be given the next of its own tickets that is
finished; what it returns is its result. A plan that it spawns comes back the same way, so that many
candidates share one pool. Plans run on the coordinating thread only and never block it::

    def twice(desk: Desk, job: Job) -> Plan[list[CaseResult]]:
        desk.submit((0,), job)
        desk.submit((1,), job)
        first = yield
        second = yield
        return [first.value(), second.value()]
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Generator, Mapping
from dataclasses import field
from functools import partial
from typing import Any, TypeVar

from pytest_lmprog.errors import BudgetExceededError
from pytest_lmprog.evaluation.scores import CaseResult, Objective
from pytest_lmprog.programs import Example, Module
from pytest_lmprog.records import dataclass
from pytest_lmprog.teleprompt.base import ProgressEvent

__all__ = ["Desk", "Job", "Plan", "PlanTask", "Rank", "Ticket"]

_T = TypeVar("_T")

Rank = tuple[int, ...]
"""Order in which jobs are started: lowest first, then as handed in. It never changes a result."""


@dataclass(frozen=True, slots=True)
class Job:
    """One run of a program on an example, scored.

    Parameters
    ----------
    phase: what progress calls it.
    max_calls: the most LM calls of the run.
    objective: the metrics to score with; none leaves the run unscored.
    settings: overrides of the context (``lm``, ``adapter``).
    """

    program: Module
    example: Example
    phase: str
    max_calls: int
    objective: Objective
    rollout: int = 0
    params: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)


class Ticket:
    """Stands for a job or a plan that was handed in; ``value()`` once it is finished."""

    __slots__ = ("_error", "_value", "number", "owner", "withdrawn")

    def __init__(self, number: int, owner: PlanTask | None) -> None:
        self.number = number
        self.owner = owner
        self.withdrawn = False
        self._value: Any = None
        self._error: BudgetExceededError | None = None

    def value(self) -> Any:
        """Return the CaseResult of a job or the result of a plan. Raises BudgetExceededError where a
        plan could not conclude within the budget."""
        if self._error is not None:
            raise self._error
        return self._value

    def close(self, value: Any, error: BudgetExceededError | None = None) -> None:
        """Set the value or error."""
        self._value, self._error = value, error

    @property
    def void(self) -> bool:
        """Whether nobody waits for it any more."""
        return self.withdrawn or (self.owner is not None and self.owner.ticket.void)


Plan = Generator[None, Ticket, _T]
"""What a strategy is to the driver: it yields for its next finished ticket and returns its result."""


class PlanTask:
    """A plan that runs."""

    __slots__ = ("generator", "ticket")

    def __init__(self, generator: Plan[Any], ticket: Ticket) -> None:
        self.generator = generator
        self.ticket = ticket


@dataclass
class Meter:
    """Runs done and to be done, and the best score so far."""

    total: int = 0
    done: int = 0
    best: float | None = None
    candidate: str | None = None

    def event(self, phase: str) -> ProgressEvent:
        """Return the event that tells of it."""
        return ProgressEvent(phase, self.done, max(self.total, self.done), self.best, self.candidate)


class Desk:
    """Where plans hand in work. One a compile; for the coordinating thread only.

    ``slots`` is how many runs are in flight at most: handing in more at a time speeds nothing up.
    """

    def __init__(self, slots: int) -> None:
        self.slots = slots
        self._waiting: list[tuple[Rank, int, Ticket, Callable[[], Job]]] = []
        self._numbers = 0
        self.tasks: list[PlanTask] = []
        self.news: deque[tuple[PlanTask, Ticket | None]] = deque()
        self.active: PlanTask | None = None
        self.meter = Meter()

    def submit(self, rank: Rank, job: Job | Callable[[], Job]) -> Ticket:
        """Hand in a job, or a callable that makes it when a slot is free; the calling plan is given
        the ticket when the run is over."""
        ticket = self._ticket()
        make = partial(_same, job) if isinstance(job, Job) else job
        heapq.heappush(self._waiting, (rank, ticket.number, ticket, make))
        return ticket

    def spawn(self, plan: Plan[Any]) -> Ticket:
        """Start a plan beside the calling one, which is given the ticket when the plan has returned."""
        task = PlanTask(plan, self._ticket())
        self.tasks.append(task)
        self.news.append((task, None))
        return task.ticket

    def withdraw(self, ticket: Ticket) -> None:
        """Give up a job or plan and whatever it handed in. What runs already is not interrupted, but
        nobody is told of it."""
        ticket.withdrawn = True
        self.tasks = [task for task in self.tasks if not task.ticket.void]

    def expect(self, runs: int) -> None:
        """Change the number of runs that this compile takes at most (for progress)."""
        self.meter.total += runs

    def best(self, score: float, candidate: str) -> None:
        """Tell of the best score so far (for progress)."""
        self.meter.best, self.meter.candidate = score, candidate

    @property
    def open(self) -> bool:
        """Whether a plan has not returned yet."""
        return bool(self.tasks)

    def take(self) -> tuple[Ticket, Job] | None:
        """Return the next job to start, or None."""
        while self._waiting:
            _, _, ticket, make = heapq.heappop(self._waiting)
            if not ticket.void:
                return ticket, make()
        return None

    def finish(self, ticket: Ticket, result: CaseResult) -> None:
        """Take in the result of a job."""
        self.meter.done += 1
        self._close(ticket, result, None)

    def close(self, task: PlanTask, value: Any, error: BudgetExceededError | None) -> None:
        """Take in the result of a plan."""
        self.tasks.remove(task)
        self._close(task.ticket, value, error)

    def innermost(self) -> PlanTask:
        """Return the plan that was spawned last."""
        return self.tasks[-1]

    def _close(self, ticket: Ticket, value: Any, error: BudgetExceededError | None) -> None:
        ticket.close(value, error)
        if ticket.owner is not None:
            self.news.append((ticket.owner, ticket))

    def _ticket(self) -> Ticket:
        self._numbers += 1
        return Ticket(self._numbers, self.active)


def _same(job: Job) -> Job:
    return job
