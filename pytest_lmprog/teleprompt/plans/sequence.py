"""Sequel: the steps of BetterTogether, one after the other, as a plan."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import field, replace

from pytest_lmprog.errors import BudgetExceededError
from pytest_lmprog.evaluation.scores import mean
from pytest_lmprog.programs import Example
from pytest_lmprog.records import dataclass
from pytest_lmprog.teleprompt.base import Candidate, CompileResult, CompileTask, StopReason
from pytest_lmprog.teleprompt.better_together import BetterTogether
from pytest_lmprog.teleprompt.engine.desk import Plan
from pytest_lmprog.teleprompt.engine.gathering import scored
from pytest_lmprog.teleprompt.engine.nested import moved, same_ranking, substudy
from pytest_lmprog.teleprompt.engine.seeds import seeded
from pytest_lmprog.teleprompt.engine.shortfalls import shortfalls
from pytest_lmprog.teleprompt.engine.standing import checked_weights
from pytest_lmprog.teleprompt.engine.study import Study

__all__ = ["Sequel"]

AS_WRITTEN = "as written"


@dataclass
class Sequel:
    """One run through the steps.

    ``candidates`` are all that any step proposed, after the program as written, by index; ``finals`` the
    indices of those that a step made its result, with what the step told; ``judged`` what their evaluation
    told, ``scores`` theirs on each validation example, where known.
    """

    settings: BetterTogether
    study: Study
    candidates: dict[int, Candidate] = field(default_factory=dict)
    finals: dict[int, tuple[str, ...]] = field(default_factory=dict)
    judged: dict[int, tuple[str, ...]] = field(default_factory=dict)
    scores: dict[int, tuple[float, ...]] = field(default_factory=dict)
    stopped: StopReason = "done"

    def __post_init__(self) -> None:
        own = self.settings.seed
        self.study = self.study if own is None else replace(self.study, seed=own)
        train, self.validation = self.settings.split(self.study.task)
        self._rows = list(train)
        self._order = seeded(self.study.seed, 0)

    def plan(self) -> Plan[CompileResult]:
        """Run the steps, until there is none left or the budget is spent."""
        try:
            yield from self._run()
        except BudgetExceededError:
            self.stopped = "budget"
        return self._result()

    def _run(self) -> Plan[None]:
        student = self.study.task.student.copy()
        self._list(Candidate(0, AS_WRITTEN, student, None, self.study.characters(student)))
        self.finals[0] = ()
        yield from self._judged(0, self.study.task)
        tasks = self.settings.step_tasks(self.study.task)
        latest = 0
        for number, task in enumerate(tasks):
            latest = yield from self._step(number, task, latest)
            if self.stopped == "budget":
                return

    def _step(self, number: int, task: CompileTask, latest: int) -> Plan[int]:
        """Run a step on the program of candidate ``latest``; return the index of the step's own."""
        names = self.settings.steps()[: number + 1]
        inner = self.settings.optimizers[names[-1]]
        first, chain = max(self.candidates) + 1, " -> ".join(names)
        known = same_ranking(self.settings, inner)

        def own(candidate: Candidate) -> Candidate:
            return moved(candidate, first, origin=latest, chain=chain)

        def note(candidate: Candidate) -> None:
            if known and candidate.score is not None:
                self._list(own(candidate))
                self.study.note(self.candidates[first + candidate.index])
                noted.add(first + candidate.index)

        noted: set[int] = set()
        program = self.candidates[latest].program
        task = replace(task, student=program, trainset=self._shuffled())
        result = yield from inner.plan(substudy(self.study, inner, task, note=note))
        for candidate in result.candidates:
            self._list(own(candidate if known else replace(candidate, score=None)))
        final = first + result.candidates[result.winner].index
        self.finals[final] = tuple(f"{chain}: {told}" for told in result.notes)
        self.stopped = result.stopped
        try:
            yield from self._compared(final, result, replace(task, max_calls=inner.run_calls(task)))
        finally:
            for index in sorted(self.candidates):
                if index >= first and index not in noted:
                    self.study.note(self.candidates[index])
        return final

    def _shuffled(self) -> list[Example]:
        if self.settings.shuffle_trainset_between_steps:
            self._order.shuffle(self._rows)
        return list(self._rows)

    def _list(self, candidate: Candidate) -> None:
        self.candidates[candidate.index] = candidate

    def _compared(self, index: int, result: CompileResult, task: CompileTask) -> Plan[None]:
        """See to it that a step's result has a score, if that can still be had."""
        if self.candidates[index].score is not None and result.validated_on == len(self.validation):
            self.scores[index] = result.scores
            self.study.desk.expect(-len(self.validation))
        elif self.stopped == "done":
            yield from self._judged(index, task)

    def _judged(self, index: int, task: CompileTask) -> Plan[None]:
        if not self.validation:
            return
        candidate = self.candidates[index]
        study = replace(self.study, task=task)
        results = yield from scored(study, candidate.program, self.validation)
        scores = self.scores[index] = tuple(self.study.ranking.score(result) for result in results)
        score = mean(scores, checked_weights(self.validation))
        spent = candidate.spent
        for result in results:
            spent = spent.plus(result.trace)
        characters = self.study.characters(candidate.program)
        self._list(replace(candidate, score=score, spent=spent, characters=characters))
        errors = [result.error for result in results]
        failures = {place: error.message for place, error in enumerate(errors) if error is not None}
        self.judged[index] = shortfalls(failures, len(results), score)
        if index == 0:
            self.study.note(self.candidates[0])
        self.study.desk.best(score, candidate.label)

    def _result(self) -> CompileResult:
        listed = tuple(self.candidates[index] for index in sorted(self.candidates))
        winner = self._winner()
        notes = (*self._steps_notes(), *self.judged.get(winner.index, ()))
        if self.stopped == "budget" and winner.score is None and self.validation:
            notes = ("the budget was spent before a program was evaluated: the program is as written",)
        return CompileResult(
            winner.program,
            listed,
            listed.index(winner),
            winner.score,
            len(self.validation) if winner.score is not None else 0,
            self.stopped,
            notes,
            self.scores.get(winner.index, ()),
        )

    def _steps_notes(self) -> Iterator[str]:
        """What the steps told, also those after the winner's: it says why they came to nothing."""
        for index in sorted(self.finals):
            yield from self.finals[index]

    def _winner(self) -> Candidate:
        """The best that was evaluated; without a validation, what the last step made."""
        finals = [self.candidates[index] for index in self.finals]
        if not self.validation:
            return finals[-1]
        known = [(c.score, -c.characters, -c.index) for c in finals if c.score is not None]
        return self.candidates[-max(known)[2]] if known else finals[0]
