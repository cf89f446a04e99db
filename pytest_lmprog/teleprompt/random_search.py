"""BootstrapFewShotWithRandomSearch: bootstraps over shuffled trainsets, ranked on validation examples."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

from pytest_lmprog.errors import BudgetExceededError, UsageError
from pytest_lmprog.evaluation.scores import Metric
from pytest_lmprog.programs import Example
from pytest_lmprog.teleprompt.base import CallBound, Candidate, CompileResult, CompileTask
from pytest_lmprog.teleprompt.bootstrap import Bootstrap, BootstrapFewShot, Bootstrapped, bootstrap
from pytest_lmprog.teleprompt.demos import labeled_program, with_demos
from pytest_lmprog.teleprompt.desk import Plan, Ticket
from pytest_lmprog.teleprompt.race import Entry, Proposal, Race
from pytest_lmprog.teleprompt.seeds import seeded
from pytest_lmprog.teleprompt.strategy import TeleprompterBase
from pytest_lmprog.teleprompt.study import Study, student_bound, teacher_bound

__all__ = ["BootstrapFewShotWithRandomSearch", "BootstrapRS"]

_FIXED = 3
"""Candidates before the shuffled ones: zero-shot, labeled, bootstrap in the given order."""


@dataclass(frozen=True)
class BootstrapFewShotWithRandomSearch(TeleprompterBase):
    """Random search over bootstrapped demos (DSPy, arXiv:2310.03714, algorithm 2).

    Candidates: zero-shot; labeled demos only; a bootstrap over the trainset in the given order; then
    ``num_candidate_programs`` bootstraps over shuffles of it, each for a random number of demos from 1 to
    ``max_bootstrapped_demos``. All bootstrap and are evaluated side by side. The best score on the
    valset (without one: on the trainset, an example's own demo left out) wins.

    Settings as for BootstrapFewShot, and

    Parameters
    ----------
    num_candidate_programs: shuffled candidates.
    num_threads: runs at a time where ``compile`` is called outside pytest.
    stop_at_score: the first candidate, in order, that reaches it is the last one tried. Within [0, 1];
        above 1 it is read as a percentage, as in DSPy. Candidates then start one after the other, each
        as soon as those before it cannot reach it: no call is made in vain.
    max_errors: as for BootstrapFewShot, for each bootstrap by itself. In validation an error scores 0.
    """

    metric: Callable[..., Any] | Metric | None = None
    teacher_settings: Mapping[str, Any] | None = None
    max_bootstrapped_demos: int = 4
    max_labeled_demos: int = 16
    max_rounds: int = 1
    num_candidate_programs: int = 16
    num_threads: int | None = None
    max_errors: int | None = None
    stop_at_score: float | None = None
    metric_threshold: float | None = None

    headline: ClassVar[tuple[str, ...]] = ("max_bootstrapped_demos", "num_candidate_programs")
    unlisted: ClassVar[frozenset[str]] = frozenset({"num_threads"})

    def __post_init__(self) -> None:
        if self.num_candidate_programs < 0:
            raise UsageError(f"num_candidate_programs must be 0 or more, not {self.num_candidate_programs}")
        self._bootstrapper()  # checks the settings that they share

    def _bootstrapper(self) -> BootstrapFewShot:
        return BootstrapFewShot(
            self.metric,
            self.metric_threshold,
            self.teacher_settings,
            self.max_bootstrapped_demos,
            self.max_labeled_demos,
            self.max_rounds,
            self.max_errors,
        )

    def check(self, task: CompileTask) -> None:
        """As for BootstrapFewShot; and there must be a metric to rank by."""
        self._bootstrapper().check(task)
        if self.metric is None and not task.objective.metrics:
            raise UsageError(
                "candidates cannot be ranked without a metric",
                hint=f"{type(self).__name__}(metric=f), with f(example, prediction, trace=None)",
            )

    def threads(self) -> int:
        """``num_threads``, where given."""
        return super().threads() if self.num_threads is None else self.num_threads

    def bound(self, task: CompileTask) -> CallBound:
        """All bootstraps in full, and all candidates evaluated fully."""
        bootstraps = self.num_candidate_programs + 1
        runs = bootstraps * self._bootstrapper().bound(task).runs
        evaluated = (self.num_candidate_programs + _FIXED) * len(_validation(task))
        return teacher_bound(task, runs) + student_bound(task, evaluated)

    def plan(self, study: Study) -> Plan[CompileResult]:
        """Propose the candidates, and let them race."""
        return (yield from _Search(self, study).plan())

    def sources(self, study: Study) -> list[_Source]:
        """Return what the candidates are made from, in order."""
        trainset = study.task.trainset
        size = self.max_bootstrapped_demos
        shuffled = [self._shuffled(study, number) for number in range(self.num_candidate_programs)]
        return [
            _Source(0, "zero-shot"),
            _Source(1, "labeled"),
            _Source(2, "bootstrap", self._spec(trainset, size, 2)),
            *shuffled,
        ]

    def _shuffled(self, study: Study, number: int) -> _Source:
        rows = list(study.task.trainset)
        seeded(study.seed, number).shuffle(rows)
        most = self.max_bootstrapped_demos
        size = seeded(study.seed, number).randint(1, most) if most else 0
        index = number + _FIXED
        return _Source(index, f"bootstrap, shuffle {number}", self._spec(rows, size, index))

    def _spec(self, rows: Sequence[Example], size: int, index: int) -> Bootstrap:
        # Bootstraps come before evaluations: they are chains of runs, so they are the critical path.
        return self._bootstrapper().spec(rows, size, rank=(0, index))


BootstrapRS = BootstrapFewShotWithRandomSearch


@dataclass(frozen=True)
class _Source:
    index: int
    label: str
    spec: Bootstrap | None = None


def _validation(task: CompileTask) -> Sequence[Example]:
    return task.trainset if task.valset is None else task.valset


@dataclass
class _Search:
    """One search: candidates that are still to be proposed, being bootstrapped, or in the race."""

    settings: BootstrapFewShotWithRandomSearch
    study: Study
    bootstraps: dict[Ticket, _Source] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.race = Race(self.study, _validation(self.study.task))
        self.waiting = deque(self.settings.sources(self.study))

    def plan(self) -> Plan[CompileResult]:
        try:
            yield from self._run()
        except BudgetExceededError:
            return self._best_so_far()
        return self._result(self.race.leader())

    def _run(self) -> Plan[None]:
        self._propose()
        while self.bootstraps or self.race.running:
            self._take(ticket=(yield))
            self._propose()

    def _take(self, ticket: Ticket) -> None:
        source = self.bootstraps.pop(ticket, None)
        if source is None:
            self.race.record(ticket)
            return
        found: Bootstrapped = ticket.value()
        self._enter(source, found)

    def _propose(self) -> None:
        while self.waiting and self._may_propose():
            self._start(self.waiting.popleft())

    def _may_propose(self) -> bool:
        """Without ``stop_at_score``: always. With it: if every candidate so far is known to miss it."""
        stop = self.settings.stop_at_score
        if stop is None:
            return True
        return not self.bootstraps and self.race.all_below(stop / 100 if stop > 1 else stop)

    def _start(self, source: _Source) -> None:
        if source.spec is not None:
            self.bootstraps[self.study.desk.spawn(bootstrap(self.study, source.spec))] = source
            return
        task = self.study.task
        if source.index == 0:
            program = with_demos(task.student, {})
        else:
            size = self.settings.max_labeled_demos
            program = labeled_program(task.student, task.trainset, size, seed=self.study.seed)
        self._enter(source, Bootstrapped(program))

    def _enter(self, source: _Source, found: Bootstrapped) -> None:
        self.race.enter(Proposal(source.index, source.label, found.program, notes=found.notes))

    def _best_so_far(self) -> CompileResult:
        """The budget is spent: the best candidate that is evaluated fully, else the student as it is."""
        leader = self.race.leader()
        if leader is not None:
            return replace(self._result(leader), stopped="budget")
        own = self.study.task.student.copy()
        listed = self._candidates()
        unevaluated = Candidate(
            len(listed) and listed[-1].index + 1, "student", own, None, self.study.characters(own)
        )
        note = "the budget was spent before a candidate was evaluated: the program is as written"
        return CompileResult(own, (*listed, unevaluated), len(listed), stopped="budget", notes=(note,))

    def _result(self, winner: Entry | None) -> CompileResult:
        assert winner is not None  # the first candidates need no run to be proposed
        candidates = self._candidates()
        examples = len(self.race.examples)
        return CompileResult(
            winner.proposal.program,
            candidates,
            next(i for i, c in enumerate(candidates) if c.index == winner.proposal.index),
            winner.standing.least(),
            examples,
            notes=(*winner.proposal.notes, *_errors(winner, examples)),
        )

    def _candidates(self) -> tuple[Candidate, ...]:
        return tuple(self.race.entries[index].candidate() for index in sorted(self.race.entries))


def _errors(winner: Entry, examples: int) -> tuple[str, ...]:
    return (f"{winner.errors} of {examples} validation runs ended in an error",) if winner.errors else ()
