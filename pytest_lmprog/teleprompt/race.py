"""Race: candidates that are evaluated on the same examples, and dropped as soon as they cannot win."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field
from functools import cached_property, partial

from pytest_lmprog.programs import Example, Module
from pytest_lmprog.records import dataclass
from pytest_lmprog.teleprompt.base import Candidate, Spent
from pytest_lmprog.teleprompt.demos import without_example
from pytest_lmprog.teleprompt.desk import Job, Ticket
from pytest_lmprog.teleprompt.standing import Place, Standing, checked_weights
from pytest_lmprog.teleprompt.study import Study

__all__ = ["Entry", "Proposal", "Race"]

_FIRST_SORTS = 4


@dataclass(frozen=True)
class Proposal:
    """A candidate that is to be evaluated. ``notes``: what is to be told of it if it wins."""

    index: int
    label: str
    program: Module
    parent: int | None = None
    notes: tuple[str, ...] = ()


class Entry:
    """A candidate in the race: what is known of its score.

    ``unstarted`` are the positions of examples that no run has taken, the next one last.
    """

    def __init__(self, proposal: Proposal, study: Study, weights: Sequence[float]) -> None:
        self.proposal = proposal
        self.standing = Standing(weights)
        self.unstarted = list(range(len(weights)))
        self.in_flight = 0
        self.errors = 0
        self.spent = Spent()
        self.dropped = False
        self.demos = sum(len(predictor.demos) for predictor in proposal.program.predictors())
        self._study = study
        self._size = len(weights)
        self._taken = 0
        self._sort_at = 0

    def take(self, misses: Sequence[float]) -> int:
        """Take the example that others failed most, at equal failures the first one.

        What others failed becomes known meanwhile, so the order is refreshed, each time after twice as
        many as before: n examples cost n log² n."""
        if self._taken >= self._sort_at:
            self.unstarted.sort(key=lambda position: (misses[position], -position))
            self._sort_at = max(_FIRST_SORTS, 2 * self._taken)
        self._taken += 1
        return self.unstarted.pop()

    def likely_lost(self) -> float:
        """The share of the score that is lost, if half of the runs in flight fail."""
        return 1.0 - self.standing.most() + self.in_flight / (2 * self._size)

    @property
    def open(self) -> bool:
        """Whether it is still in the race, with examples to come."""
        return not self.dropped and not self.standing.complete

    @cached_property
    def characters(self) -> int:
        """Characters of the rendered prompts. First asked for when an answer has been had: only then
        is known which adapter the LM takes."""
        return self._study.characters(self.proposal.program)

    def least(self) -> Place:
        """The place that it has at least."""
        return self.standing.least(), -self.characters, -self.proposal.index

    def most(self) -> Place:
        """The place that it can still reach."""
        return self.standing.most(), -self.characters, -self.proposal.index

    def candidate(self) -> Candidate:
        """Return what is reported of it. The score of a dropped candidate is None."""
        proposal = self.proposal
        score = self.standing.least() if self.standing.complete else None
        return Candidate(
            proposal.index,
            proposal.label,
            proposal.program,
            score,
            self.characters,
            proposal.parent,
            self.spent,
        )


@dataclass
class _Run:
    """One evaluation run. Of which candidate, and on which example, is decided when it starts."""

    entry: Entry | None = None
    position: int = -1


@dataclass
class Race:
    """Evaluates candidates against each other, as part of a plan: ``enter`` them, and ``record`` the
    tickets that the plan is given.

    The winner has the greatest score; at equal score the fewest characters, then the lowest index.
    A candidate is dropped when the best that it can still reach loses, under this rule, to the least
    that another has already: so the winner and its score are those of a full evaluation, whatever
    order runs end in. Which losers are dropped, and so have no score, depends on timing: of a race
    only the winner, its score and its label may enter an artifact.

    Each run that starts goes to the candidate that can still reach most: what an exact search cannot
    do without (A*, with the upper bound of the score as its estimate), spread over candidates so that
    little is in flight for one that is dropped. Before that one candidate, that with the most demos,
    is evaluated to its end: it sets the pace, and it is what a budget that runs out leaves. Of a
    candidate's examples those that others failed come first, because they tell soonest.

    No example's own demo is in the prompt that it is scored with.

    Parameters
    ----------
    phase: what progress calls the runs.
    rank: of the jobs.
    drop: False where scores feed something else than this race.
    """

    study: Study
    examples: Sequence[Example]
    phase: str = "evaluate"
    rank: int = 1
    drop: bool = True
    entries: dict[int, Entry] = field(default_factory=dict)
    _waiting: dict[Ticket, _Run] = field(default_factory=dict)
    _running: dict[Ticket, _Run] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._weights = checked_weights(self.examples)
        self._misses = [0.0] * len(self.examples)

    @property
    def running(self) -> bool:
        """Whether a run is open whose ticket is still to come."""
        return bool(self._waiting or self._running)

    def enter(self, proposal: Proposal) -> Entry:
        """Let a candidate take part."""
        entry = Entry(proposal, self.study, self._weights)
        self.entries[proposal.index] = entry
        self._hand_in()
        return entry

    def _hand_in(self) -> None:
        """Have as many runs wait as can start before the next one ends, and no more than are needed."""
        desk = self.study.desk
        wanted = min(desk.slots, sum(len(entry.unstarted) for entry in self._open()))
        while len(self._waiting) < wanted:
            run = _Run()
            ticket = desk.submit((self.rank,), partial(self._started, run))
            self._waiting[ticket] = run
        while len(self._waiting) > wanted:
            desk.withdraw(self._waiting.popitem()[0])

    def _open(self) -> list[Entry]:
        return [entry for entry in self.entries.values() if entry.open]

    def _started(self, run: _Run) -> Job:
        run.entry = entry = self._next()
        run.position = entry.take(self._misses)
        entry.in_flight += 1
        ticket = next(ticket for ticket, waiting in self._waiting.items() if waiting is run)
        self._running[ticket] = self._waiting.pop(ticket)
        example = self.examples[run.position]
        return self.study.student_job(without_example(entry.proposal.program, example), example, self.phase)

    def _next(self) -> Entry:
        ready = [entry for entry in self._open() if entry.unstarted]
        if self.leader() is None:
            return min(ready, key=lambda entry: (-entry.demos, entry.proposal.index))
        return min(ready, key=lambda entry: (entry.likely_lost(), entry.proposal.index))

    def record(self, ticket: Ticket) -> None:
        """Take in a finished run, and drop whom it puts out of the race."""
        run = self._running.pop(ticket)
        entry = run.entry
        assert entry is not None
        result = ticket.value()
        score = self.study.ranking.score(result)
        entry.in_flight -= 1
        entry.errors += result.error is not None
        entry.spent = entry.spent.plus(result.trace)
        entry.standing.record(run.position, score)
        self._misses[run.position] += 1.0 - score
        if self.drop:
            self._cut()
        self._hand_in()
        self._announce(entry)

    def _cut(self) -> None:
        bar = max(entry.least() for entry in self.entries.values())
        for entry in self._open():
            if entry.most() < bar:
                self._drop(entry)

    def _drop(self, entry: Entry) -> None:
        entry.dropped = True
        for ticket in [ticket for ticket, run in self._running.items() if run.entry is entry]:
            del self._running[ticket]
            self.study.desk.withdraw(ticket)
        self.study.desk.expect(-len(entry.unstarted))

    def _announce(self, entry: Entry) -> None:
        if entry.standing.complete and entry is self.leader():
            self.study.desk.best(entry.standing.least(), entry.proposal.label)

    def leader(self) -> Entry | None:
        """Return the best of the candidates that are evaluated fully, or None."""
        complete = [entry for entry in self.entries.values() if entry.standing.complete]
        return max(complete, key=Entry.least, default=None)

    def all_below(self, score: float) -> bool:
        """Return whether no candidate in the race can reach ``score`` any more."""
        return all(entry.standing.most() < score for entry in self.entries.values())
