"""Race: candidates that are evaluated on the same examples, and dropped as soon as they cannot win."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial

from pytest_lmprog.programs import Example, Module
from pytest_lmprog.teleprompt.base import Candidate
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


@dataclass
class _Slot:
    """One evaluation run; which example it takes is decided when it starts."""

    position: int | None = None


class Entry:
    """A candidate in the race: what is known of its score, and its open runs.

    ``unstarted`` are the positions of examples that no run has taken, the next one last.
    """

    def __init__(self, proposal: Proposal, study: Study, weights: Sequence[float]) -> None:
        self.proposal = proposal
        self.standing = Standing(weights)
        self.unstarted = list(range(len(weights)))
        self.slots: dict[Ticket, _Slot] = {}
        self.errors = 0
        self.dropped = False
        self._study = study
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

    def lacks_slots(self) -> bool:
        """Whether an example is left that no open run is going to take."""
        return len(self.unstarted) > sum(slot.position is None for slot in self.slots.values())

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
            proposal.index, proposal.label, proposal.program, score, self.characters, proposal.parent
        )


@dataclass
class Race:
    """Evaluates candidates against each other, as part of a plan: ``enter`` them, and ``record`` the
    tickets that the plan is given.

    The winner has the greatest score; at equal score the fewest characters, then the lowest index.
    A candidate is dropped when the best that it can still reach loses, under this rule, to the least
    that another has already: so the winner and its score are those of a full evaluation, whatever
    order runs end in. Which losers are dropped, and so have no score, depends on timing: of a race
    only the winner, its score and its label may enter an artifact.

    No example's own demo is in the prompt that it is scored with. Examples that other candidates
    failed come first, because they tell soonest that a candidate cannot win.

    Parameters
    ----------
    phase: what progress calls the runs.
    rank: leads the rank of the jobs; the candidate's index follows.
    drop: False where scores feed something else than this race.
    """

    study: Study
    examples: Sequence[Example]
    phase: str = "evaluate"
    rank: int = 1
    drop: bool = True
    entries: dict[int, Entry] = field(default_factory=dict)
    _owner: dict[Ticket, Entry] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._weights = checked_weights(self.examples)
        self._misses = [0.0] * len(self.examples)

    @property
    def running(self) -> bool:
        """Whether a run is open whose ticket is still to come."""
        return bool(self._owner)

    def enter(self, proposal: Proposal) -> Entry:
        """Hand in the runs of a candidate: as many at a time as can be in flight."""
        entry = Entry(proposal, self.study, self._weights)
        self.entries[proposal.index] = entry
        for _ in self.examples[: self.study.desk.slots]:
            self._submit(entry)
        return entry

    def _submit(self, entry: Entry) -> None:
        slot = _Slot()
        rank = (self.rank, entry.proposal.index)
        ticket = self.study.desk.submit(rank, partial(self._assigned, entry, slot))
        entry.slots[ticket] = slot
        self._owner[ticket] = entry

    def _assigned(self, entry: Entry, slot: _Slot) -> Job:
        slot.position = entry.take(self._misses)
        example = self.examples[slot.position]
        return self.study.student_job(without_example(entry.proposal.program, example), example, self.phase)

    def record(self, ticket: Ticket) -> None:
        """Take in a finished run, and drop whom it puts out of the race."""
        entry = self._owner.pop(ticket)
        slot = entry.slots.pop(ticket)
        result = ticket.value()
        assert slot.position is not None
        score = self.study.ranking.score(result)
        entry.errors += result.error is not None
        entry.standing.record(slot.position, score)
        self._misses[slot.position] += 1.0 - score
        if self.drop:
            self._cut()
        if entry.open and entry.lacks_slots():
            self._submit(entry)
        self._announce(entry)

    def _cut(self) -> None:
        bar = max(entry.least() for entry in self.entries.values())
        for entry in self.entries.values():
            if entry.open and entry.most() < bar:
                self._drop(entry)

    def _drop(self, entry: Entry) -> None:
        entry.dropped = True
        for ticket in entry.slots:
            del self._owner[ticket]
            self.study.desk.withdraw(ticket)
        entry.slots.clear()
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
