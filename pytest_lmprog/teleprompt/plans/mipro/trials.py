"""Trials: combinations that a sampler proposes, scored on minibatches or fully, as part of a plan."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import field
from functools import partial

from pytest_lmprog.programs import Example
from pytest_lmprog.records import dataclass
from pytest_lmprog.teleprompt.base import Candidate, CompileResult
from pytest_lmprog.teleprompt.engine.desk import Job, Ticket
from pytest_lmprog.teleprompt.engine.seeds import seeded
from pytest_lmprog.teleprompt.engine.shortfalls import shortfalls
from pytest_lmprog.teleprompt.engine.standing import checked_weights
from pytest_lmprog.teleprompt.engine.study import Study
from pytest_lmprog.teleprompt.material.demos import without_example
from pytest_lmprog.teleprompt.plans.mipro.combination import Combination, Made
from pytest_lmprog.teleprompt.plans.mipro.tpe import STARTUP, Point, Sampler, Space, size_of

__all__ = ["Schedule", "Trials"]


@dataclass(frozen=True)
class Schedule:
    """What is evaluated in which order.

    Parameters
    ----------
    trials: combinations that the sampler proposes; one may come again.
    batch: examples that a trial is scored on, drawn for each; None: all of them.
    every: trials after which the best of the combinations that were not evaluated fully is so; also after
        the last one.
    in_flight: steps at a time. A trial is proposed from the scores of all steps but the last so many less
        one before it.
    seed: of the draws.
    """

    trials: int
    batch: int | None = None
    every: int = 5
    in_flight: int = 1
    seed: int = 0

    def full(self, trial: int) -> bool:
        """Whether a full evaluation follows the trial (numbered from 0)."""
        return self.batch is not None and ((trial + 1) % self.every == 0 or trial + 1 == self.trials)

    def runs(self, examples: int) -> int:
        """Return the most runs that it takes. A combination that is evaluated fully has been scored on a
        minibatch before, and no run is made twice."""
        if self.batch is None:
            return self.trials * examples
        fulls = sum(map(self.full, range(self.trials)))
        return self.trials * self.batch + fulls * (examples - self.batch)


@dataclass
class _Step:
    """One evaluation: of the combination that the sampler proposes, or (``full``) of the best so far.

    ``allowed``: the most runs that it takes. ``entry`` is what is evaluated; ``void``: there was none."""

    positions: Sequence[int]
    allowed: int
    full: bool = False
    entry: Combination | None = None
    void: bool = False

    @property
    def started(self) -> bool:
        return self.void or self.entry is not None

    @property
    def finished(self) -> bool:
        return self.void or (self.entry is not None and self.entry.knows(self.positions))


@dataclass
class Trials:
    """Evaluates combinations: ``begin`` with the program as it is, ``open`` the space, and ``record`` the
    tickets that the plan is given.

    Steps are told to the sampler in their order, and each is proposed when exactly those before it (but
    for the ones that may be in flight) have been told: what is proposed does not depend on the order runs
    end in. Trials among the first ``STARTUP`` steps are drawn at random, whatever scores come in: so they
    are drawn at once, and run side by side. No example is run twice on one combination.

    Only combinations that were evaluated on all examples can win: the greatest score, then the fewest
    characters, then the lowest index. No example's own demo is in the prompt that it is scored with.
    """

    study: Study
    examples: Sequence[Example]
    schedule: Schedule
    entries: list[Combination] = field(default_factory=list)
    _steps: list[_Step] = field(default_factory=list)
    _runs: dict[Ticket, tuple[Combination, int]] = field(default_factory=dict)
    _told: int = 0
    _sampler: Sampler | None = None

    def __post_init__(self) -> None:
        self._weights = checked_weights(self.examples)
        self._everything = range(len(self.examples))

    @property
    def running(self) -> bool:
        """Whether a run is open whose ticket is still to come."""
        return bool(self._runs)

    def begin(self, made: Made) -> None:
        """Evaluate the program as it is, fully: the first step."""
        first = _Step(self._everything, len(self.examples), full=True)
        self._steps.append(first)
        self._start(0, self._entered(made, None))

    def open(
        self, space: Space, sampler: Sampler, make: Callable[[Point], Made], *, begun: Point | None = None
    ) -> None:
        """Go on with trials over ``space``. ``begun`` is the point of the program that it began with, if it
        did."""
        self._sampler, self._make = sampler, make
        if begun is not None:
            self.entries[0].point = begun
        if begun is not None and size_of(space) == 1:
            self.study.desk.expect(-self.schedule.runs(len(self.examples)))
        else:
            self._plan_steps(sampler)
        self._advance()

    def _plan_steps(self, sampler: Sampler) -> None:
        size = self.schedule.batch or len(self.examples)
        for trial in range(self.schedule.trials):
            self._steps.append(_Step(self._batch(trial, size), size))
            if self.schedule.full(trial):
                self._steps.append(_Step(self._everything, len(self.examples) - size, full=True))
        for number, step in enumerate(self._steps[:STARTUP]):
            if not step.full:
                self._start(number, self._at(sampler.ask()))

    def _batch(self, trial: int, size: int) -> Sequence[int]:
        if size == len(self.examples):
            return self._everything
        return sorted(seeded(self.schedule.seed, "minibatch", trial).sample(self._everything, size))

    def _advance(self) -> None:
        """Start what may start and tell what is finished, by turns, as far as it goes."""
        if self._sampler is not None:
            while self._start_next(self._sampler) or self._tell_next(self._sampler):
                pass

    def _start_next(self, sampler: Sampler) -> bool:
        number = next((n for n, step in enumerate(self._steps) if not step.started), None)
        if number is None or number - self._told >= self._ahead(self._steps[number]):
            return False
        entry = self._best_tried() if self._steps[number].full else self._at(sampler.ask())
        self._start(number, entry)
        return True

    def _ahead(self, step: _Step) -> int:
        return 1 if step.full else self.schedule.in_flight

    def _best_tried(self) -> Combination | None:
        """Return the combination with the best mean over its trials, of those not told to be complete."""
        open_ones = [e for e in self.entries if e.means and len(e.told) < len(self.examples)]
        return max(open_ones, key=lambda e: (e.tried, -e.characters, -e.index), default=None)

    def _at(self, point: Point) -> Combination:
        known = next((entry for entry in self.entries if entry.point == point), None)
        return known or self._entered(self._make(point), point)

    def _entered(self, made: Made, point: Point | None) -> Combination:
        entry = Combination(len(self.entries), made, point, self.study, self._weights)
        self.entries.append(entry)
        return entry

    def _start(self, number: int, entry: Combination | None) -> None:
        step = self._steps[number]
        step.entry, step.void = entry, entry is None
        positions = [] if entry is None else entry.claim(step.positions)
        self.study.desk.expect(len(positions) - step.allowed)
        for place, position in enumerate(positions):
            assert entry is not None
            job = partial(self._job, entry, position)
            self._runs[self.study.desk.submit((1, number, place), job)] = (entry, position)

    def _job(self, entry: Combination, position: int) -> Job:
        example = self.examples[position]
        return self.study.student_job(without_example(entry.made.program, example), example, "evaluate")

    def record(self, ticket: Ticket) -> None:
        """Take in a finished run, and go on."""
        entry, position = self._runs.pop(ticket)
        entry.record(position, ticket.value())
        if entry.complete:
            self.study.note(entry.candidate())
            if entry is self.leader() and entry.score is not None:
                self.study.desk.best(entry.score, entry.made.label)
        self._advance()

    def _tell_next(self, sampler: Sampler) -> bool:
        if self._told == len(self._steps) or not self._steps[self._told].finished:
            return False
        step = self._steps[self._told]
        self._told += 1
        if step.entry is not None:
            self._tell(sampler, step, step.entry)
        return True

    def _tell(self, sampler: Sampler, step: _Step, entry: Combination) -> None:
        score = entry.mean(step.positions)
        entry.told.update(step.positions)
        if not step.full:
            entry.means.append(score)
        assert entry.point is not None  # whoever begins with a program says which point it is
        sampler.tell(entry.point, score)

    def leader(self) -> Combination | None:
        """Return the best of the combinations that are evaluated fully, or None."""
        complete = [(e.score, -e.characters, -e.index, e) for e in self.entries if e.score is not None]
        return max(complete, default=(None,))[-1]

    def result(self) -> CompileResult:
        """Return the outcome: what is not evaluated by now will not be."""
        for entry in self.entries:
            if not entry.complete:
                self.study.note(entry.candidate())
        winner = self.leader()
        return self._unevaluated() if winner is None else self._won(winner)

    def _won(self, winner: Combination) -> CompileResult:
        return CompileResult(
            winner.made.program,
            self._candidates(),
            winner.index,
            winner.score,
            len(self.examples),
            notes=(*winner.made.notes, *shortfalls(winner.failures, len(self.examples), winner.score)),
        )

    def _unevaluated(self) -> CompileResult:
        """Return the student as it is: the budget was spent before a candidate was evaluated."""
        own = self.study.task.student.copy()
        listed = self._candidates()
        student = Candidate(len(listed), "student", own, None, self.study.characters(own))
        note = "the budget was spent before a candidate was evaluated: the program is as written"
        return CompileResult(own, (*listed, student), student.index, notes=(note,))

    def _candidates(self) -> tuple[Candidate, ...]:
        return tuple(entry.candidate() for entry in self.entries)
