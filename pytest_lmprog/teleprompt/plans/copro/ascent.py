"""Ascent: the rounds of COPRO, one predictor after the other, as a plan."""

from __future__ import annotations

from dataclasses import field, replace

from pytest_lmprog.errors import BudgetExceededError
from pytest_lmprog.records import dataclass
from pytest_lmprog.teleprompt.base import CompileResult
from pytest_lmprog.teleprompt.copro import COPRO
from pytest_lmprog.teleprompt.engine.desk import Job, Plan
from pytest_lmprog.teleprompt.engine.race import Entry, Proposal, Race
from pytest_lmprog.teleprompt.engine.study import Study
from pytest_lmprog.teleprompt.engine.verdict import best_so_far, verdict
from pytest_lmprog.teleprompt.plans.copro.wordings import (
    Proposer,
    Wording,
    proposed,
    with_wording,
    wordings_of,
)

__all__ = ["Ascent", "evaluations", "proposals"]


def proposals(settings: COPRO, depth: int) -> int:
    """Return how many proposals a predictor gets in the round ``depth``, the first being 0."""
    return settings.breadth - (depth == 0)


def evaluations(settings: COPRO, predictors: int, depth: int, turn: int) -> int:
    """Return the most programs that are new when the predictor ``turn`` is taken in the round ``depth``.

    One of several predictors has all its wordings tried again, because the others have changed; the
    program that leads is among them, and is evaluated already."""
    rounds = 1 if predictors == 1 else depth + 1
    leads = (depth, turn) != (0, 0) and predictors > 1
    return settings.breadth * rounds - leads


@dataclass
class Ascent:
    """One ascent: the wordings proposed for each predictor, and the race that their programs are in.

    Whoever leads the race is the program that the next predictor is taken in: it is among those that are
    evaluated then, so the lead never falls.

    Parameters
    ----------
    pools: wordings by predictor, as proposed; the student's own first.
    scores: the best that each of these came to while its predictor was the one that changed.
    known: the programs in the race, by their wordings.
    """

    settings: COPRO
    study: Study
    pools: dict[str, list[Wording]] = field(default_factory=dict)
    scores: dict[str, dict[Wording, float]] = field(default_factory=dict)
    known: dict[tuple[Wording, ...], Entry] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.race = Race(self.study, self.study.task.validation, drop=False)
        self.proposer = Proposer(self.study, self.settings.prompt_model, self.settings.init_temperature)
        self.written = wordings_of(self.study.task.student)
        self.pools = {name: [wording] for name, wording in self.written.items()}
        self.scores = {name: {} for name in self.written}
        self._asked = self._useless = 0

    def plan(self) -> Plan[CompileResult]:
        """Climb. A budget that runs out leaves the best program so far."""
        start = self._enter(Proposal(0, "as written", self.study.task.student.copy()))
        try:
            yield from self._climb(start)
        except BudgetExceededError:
            result = best_so_far(self.race, start.candidate())
        else:
            result = verdict(self.race)
        return replace(result, notes=(*self._notes(), *result.notes))

    def _notes(self) -> tuple[str, ...]:
        told = f"{self._useless} of {self._asked} proposals could not be read or had no instruction"
        return (told,) if self._useless else ()

    def _climb(self, start: Entry) -> Plan[None]:
        for depth in range(self.settings.depth):
            yield from self._propose(depth)
            # In the last round scores decide only who leads.
            self.race.drop = depth == self.settings.depth - 1
            for turn, name in enumerate(self.pools):
                yield from self._take(self.race.leader() or start, depth, turn, name)

    def _propose(self, depth: int) -> Plan[None]:
        """Ask for the wordings of all predictors side by side; what is in the race goes on meanwhile."""
        count = proposals(self.settings, depth)
        asked = [(name, self._ask(name, depth, number)) for name in self.pools for number in range(count)]
        tickets = [self.study.desk.submit((0, place), job) for place, (_, job) in enumerate(asked)]
        missing = set(tickets)
        while missing:
            ticket = yield
            if ticket in missing:
                missing.remove(ticket)
            else:
                self.race.record(ticket)
        for (name, _), ticket in zip(asked, tickets, strict=True):
            wording = proposed(ticket.value(), self.written[name])
            self._asked += 1
            self._useless += wording is None
            if wording is not None and wording not in self.pools[name]:
                self.pools[name].append(wording)

    def _ask(self, name: str, depth: int, number: int) -> Job:
        # Rollouts count on from round to round: with the same attempts to show, other answers come.
        rollout = depth * self.settings.breadth + number
        if depth == 0:
            return self.proposer.first(self.written[name], rollout)
        best = sorted(self.scores[name].items(), key=lambda attempt: -attempt[1])[: self.settings.breadth]
        return self.proposer.next(best[::-1], rollout)

    def _take(self, base: Entry, depth: int, turn: int, name: str) -> Plan[None]:
        """Evaluate every wording of the predictor ``name`` in the program that leads."""
        before = len(self.race.entries)
        tried = [(wording, self._tried(base, depth, name, wording)) for wording in self.pools[name]]
        new = len(self.race.entries) - before + ((depth, turn) == (0, 0))  # the start is in already
        foreseen = evaluations(self.settings, len(self.pools), depth, turn)
        self.study.desk.expect((new - foreseen) * len(self.race.examples))
        while self.race.running:
            self.race.record((yield))
        scores = self.scores[name]
        for wording, entry in tried:  # after the last round, in which some are dropped, nobody asks for them
            scores[wording] = max(scores.get(wording, 0.0), entry.standing.least())

    def _tried(self, base: Entry, depth: int, name: str, wording: Wording) -> Entry:
        worded = {**wordings_of(base.proposal.program), name: wording}
        known = self.known.get(tuple(worded.values()))
        if known is not None:
            return known
        index = len(self.race.entries)
        label = f"round {depth + 1}, {name} #{self.pools[name].index(wording)}"
        program = with_wording(base.proposal.program, name, wording)
        return self._enter(Proposal(index, label, program, (base.proposal.index,)))

    def _enter(self, proposal: Proposal) -> Entry:
        entry = self.race.enter(proposal)
        self.known[tuple(wordings_of(proposal.program).values())] = entry
        return entry
