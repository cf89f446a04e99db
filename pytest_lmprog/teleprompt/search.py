"""Search: the candidates of a random search, proposed, bootstrapped and raced side by side, as a plan."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import field, replace

from pytest_lmprog.errors import BudgetExceededError
from pytest_lmprog.programs import Example
from pytest_lmprog.records import dataclass
from pytest_lmprog.teleprompt.base import Candidate, CompileResult
from pytest_lmprog.teleprompt.bootstrapping import Bootstrap, Bootstrapped, bootstrap
from pytest_lmprog.teleprompt.demos import labeled_program, with_demos
from pytest_lmprog.teleprompt.desk import Plan, Ticket
from pytest_lmprog.teleprompt.race import Entry, Proposal, Race
from pytest_lmprog.teleprompt.random_search import FIXED, BootstrapFewShotWithRandomSearch
from pytest_lmprog.teleprompt.seeds import seeded
from pytest_lmprog.teleprompt.study import Study

__all__ = ["Search", "Source", "sources"]


@dataclass(frozen=True)
class Source:
    """What a candidate is made from: a bootstrap, or none."""

    index: int
    label: str
    spec: Bootstrap | None = None


def sources(settings: BootstrapFewShotWithRandomSearch, study: Study) -> list[Source]:
    """Return what the candidates are made from, in order."""
    shuffled = [_shuffled(settings, study, number) for number in range(settings.num_candidate_programs)]
    whole = _spec(settings, study.task.trainset, settings.max_bootstrapped_demos, 2)
    return [Source(0, "zero-shot"), Source(1, "labeled"), Source(2, "bootstrap", whole), *shuffled]


def _shuffled(settings: BootstrapFewShotWithRandomSearch, study: Study, number: int) -> Source:
    rows = list(study.task.trainset)
    seeded(study.seed, number).shuffle(rows)
    most = settings.max_bootstrapped_demos
    size = seeded(study.seed, number).randint(1, most) if most else 0
    index = number + FIXED
    return Source(index, f"bootstrap, shuffle {number}", _spec(settings, rows, size, index))


def _spec(
    settings: BootstrapFewShotWithRandomSearch, rows: Sequence[Example], size: int, index: int
) -> Bootstrap:
    # Bootstraps come before evaluations: they are chains of runs, so they are the critical path.
    return settings.bootstrapper().spec(rows, size, rank=(0, index))


@dataclass
class Search:
    """One search: candidates that are still to be proposed, being bootstrapped, or in the race."""

    settings: BootstrapFewShotWithRandomSearch
    study: Study
    bootstraps: dict[Ticket, Source] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.race = Race(self.study, self.settings.validation(self.study.task))
        self.waiting = deque(sources(self.settings, self.study))

    def plan(self) -> Plan[CompileResult]:
        """Propose the candidates, and let them race."""
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

    def _start(self, source: Source) -> None:
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

    def _enter(self, source: Source, found: Bootstrapped) -> None:
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
