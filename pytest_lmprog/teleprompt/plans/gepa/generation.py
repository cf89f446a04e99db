"""Generation: one iteration of an evolution, as a plan of its own: a child is made, tried and evaluated."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from random import Random
from typing import Any

from pytest_lmprog.errors import BudgetExceededError, UsageError
from pytest_lmprog.evaluation.scores import CaseResult
from pytest_lmprog.programs import Example, Module
from pytest_lmprog.records import dataclass
from pytest_lmprog.teleprompt.engine.desk import Job, Plan
from pytest_lmprog.teleprompt.engine.gathering import gathered
from pytest_lmprog.teleprompt.engine.seeds import seeded
from pytest_lmprog.teleprompt.engine.study import Study
from pytest_lmprog.teleprompt.gepa import GEPA
from pytest_lmprog.teleprompt.material.demos import without_example
from pytest_lmprog.teleprompt.material.hearing import feedback
from pytest_lmprog.teleprompt.material.instructions import with_instructions
from pytest_lmprog.teleprompt.plans.gepa.crossover import Crossover
from pytest_lmprog.teleprompt.plans.gepa.population import Member, Population, Wording, wording
from pytest_lmprog.teleprompt.plans.gepa.reflection import Observation, Record, observed, proposed, rendered

__all__ = ["Lab", "Merging", "Outcome", "Reflecting", "Runs"]

Runs = Mapping[int, CaseResult]
"""What came of one program, by the place of the example."""


@dataclass(frozen=True)
class Outcome:
    """What came of an iteration.

    Parameters
    ----------
    label: what the child is called.
    parents: indices of the members that it was made from.
    texts: its instructions, or None where there is no child.
    runs: of the child.
    kept: whether it was better on the minibatch, and so was evaluated fully.
    price: evaluations, counted as DSPy does.
    made: evaluations that were made.
    parent_runs: those of the parent that had not been had.
    changed: predictors that were reflected on.
    unread: why reflections gave no instruction.
    spent: the budget ran out meanwhile.
    """

    label: str
    parents: tuple[int, ...]
    texts: Mapping[str, str] | None = None
    runs: Runs = field(default_factory=dict)
    kept: bool = False
    price: int = 0
    made: int = 0
    parent_runs: Runs = field(default_factory=dict)
    changed: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()
    spent: bool = False


@dataclass(frozen=True)
class Lab:
    """What iterations share. An example's place is its position among the training examples, followed by
    those of the validation examples where these are others."""

    settings: GEPA
    study: Study
    examples: Sequence[Example]
    validation: range

    def program(self, texts: Mapping[str, str]) -> Module:
        """Return the student with these instructions."""
        return with_instructions(self.study.task.student, texts)

    def rng(self, *parts: object) -> Random:
        """Return the generator for one choice."""
        return seeded(self.study.seed, "gepa", self.settings.seed, *parts)

    def run(
        self, texts: Mapping[str, str], places: Sequence[int], phase: str, *, number: int
    ) -> Plan[dict[int, CaseResult]]:
        """Run the program with these instructions on the examples at ``places``."""
        program = self.program(texts)
        examples = [self.examples[place] for place in places]
        jobs = [self.study.student_job(without_example(program, e), e, phase) for e in examples]
        results = yield from gathered(self.study, jobs, rank=(number,))
        return dict(zip(places, results, strict=True))

    def score(self, runs: Runs, places: Sequence[int]) -> float:
        """Return the sum of the scores at ``places``."""
        return math.fsum(self.study.ranking.score(runs[place]) for place in places)


@dataclass(frozen=True)
class Merging:
    """An iteration that merges two members."""

    lab: Lab
    number: int
    crossover: Crossover
    sample: tuple[int, ...]
    bar: float
    """What the better of the two scores in sum on the sample: the child must reach it."""

    @property
    def most(self) -> int:
        """The most evaluations that it can make."""
        return len(self.lab.validation)

    @property
    def price(self) -> int:
        """The least that it is counted with."""
        return len(self.sample)

    @property
    def parents(self) -> tuple[int, ...]:
        """The members that it is made from."""
        return self.crossover.first, self.crossover.second

    def plan(self) -> Plan[Outcome]:
        """Try the child on the sample, then on the rest."""
        first, second = self.parents
        label = f"merge of {first} and {second}"
        try:
            return (yield from self._tried(label))
        except BudgetExceededError:
            return Outcome(label, self.parents, spent=True)

    def _tried(self, label: str) -> Plan[Outcome]:
        lab, texts = self.lab, self.crossover.texts
        runs = yield from lab.run(texts, self.sample, "merge", number=self.number)
        kept = lab.score(runs, self.sample) >= self.bar
        price = self.price
        if kept:
            rest = [place for place in lab.validation if place not in runs]
            runs |= yield from lab.run(texts, rest, "evaluate", number=self.number)
            price += len(lab.validation)
        return Outcome(label, self.parents, texts, runs, kept, price, len(runs))


@dataclass(frozen=True)
class Reflecting:
    """An iteration that reflects on a member's runs.

    Parameters
    ----------
    population, tried, rejected: as they were when the iteration began: the members, their programs, and
        others with the minibatches that they were no better on.
    batch: places of the minibatch.
    known: runs of the parent that had been had.
    names: predictors to change, or the function that names them.
    rollout: how often the same was asked before.
    """

    lab: Lab
    number: int
    population: Population
    tried: frozenset[Wording]
    rejected: frozenset[tuple[Wording, frozenset[int]]]
    parent: Member
    batch: tuple[int, ...]
    known: Runs
    names: Sequence[str] | Callable[..., Sequence[str]]
    rollout: int

    @property
    def most(self) -> int:
        """The most evaluations that it can make."""
        validation = self.lab.validation
        unknown = sum(place not in self.known for place in self.batch)
        return unknown + len({*self.batch, *validation})

    @property
    def price(self) -> int:
        """The least that it is counted with, once it reflects."""
        return 2 * len(self.batch)

    @property
    def parents(self) -> tuple[int, ...]:
        """The member that it changes."""
        return (self.parent.index,)

    def plan(self) -> Plan[Outcome]:
        """Run the parent on the minibatch, reflect, try the child on it, and then on the valset."""
        try:
            return (yield from self._reflected())
        except BudgetExceededError:
            return Outcome("reflection", self.parents, spent=True)

    def _reflected(self) -> Plan[Outcome]:
        lab = self.lab
        open_places = [place for place in self.batch if place not in self.known]
        fresh = yield from lab.run(self.parent.texts, open_places, "minibatch", number=self.number)
        runs = {**self.known, **fresh}
        if self._is_perfect(runs):
            batch, made = len(self.batch), len(fresh)
            return Outcome("reflection", self.parents, price=batch, made=made, parent_runs=fresh)
        names = self._chosen(runs)
        changes, unread = yield from self._proposals(names, runs)
        texts = {**self.parent.texts, **changes}
        label = f"reflection on {', '.join(changes)} of {self.parent.index}"
        child, kept = yield from self._child(texts, runs)
        return Outcome(
            label,
            self.parents,
            texts if child else None,
            child,
            kept,
            self.price + (len(lab.validation) if kept else 0),
            len(fresh) + len(child),
            fresh,
            tuple(names),
            unread,
        )

    def _is_perfect(self, runs: Runs) -> bool:
        settings, ranking = self.lab.settings, self.lab.study.ranking
        return settings.skip_perfect_score and all(
            ranking.score(runs[place]) >= settings.perfect_score for place in self.batch
        )

    def _asked_for(
        self, selector: Callable[..., Sequence[str]], results: Sequence[CaseResult], scores: Sequence[float]
    ) -> list[str]:
        texts = dict(self.parent.texts)
        try:
            return list(selector(self.population, results, scores, self.parent.index, texts))
        except Exception as error:
            raise UsageError(
                f"component_selector raised {type(error).__name__}: {error}",
                hint="it is given population, trajectories, scores, index and texts, and returns names",
            ) from error

    def _chosen(self, runs: Runs) -> list[str]:
        if not callable(self.names):
            return list(self.names)
        results = [runs[place] for place in self.batch]
        scores = [self.lab.study.ranking.score(result) for result in results]
        chosen = self._asked_for(self.names, results, scores)
        unknown = [name for name in chosen if name not in self.parent.texts]
        if unknown:
            raise UsageError(
                f"component_selector named {unknown[0]!r}, which is no predictor that may be changed",
                hint=f"these are: {', '.join(self.parent.texts)}",
            )
        return list(dict.fromkeys(chosen))

    def _child(self, texts: Mapping[str, str], runs: Runs) -> Plan[tuple[dict[int, CaseResult], bool]]:
        lab = self.lab
        known = wording(texts)
        if known in self.tried or (known, frozenset(self.batch)) in self.rejected:
            return {}, False
        child = yield from lab.run(texts, self.batch, "minibatch", number=self.number)
        kept = lab.score(child, self.batch) > lab.score(runs, self.batch)
        if kept:
            rest = [place for place in lab.validation if place not in child]
            child |= yield from lab.run(texts, rest, "evaluate", number=self.number)
        return child, kept

    def _proposals(self, names: Sequence[str], runs: Runs) -> Plan[tuple[dict[str, str], tuple[str, ...]]]:
        """Return the new instructions by predictor, and why others have none."""
        dataset = {}
        for name in names:
            records = yield from self._records(name, runs)
            if records:
                dataset[name] = records
        if not dataset:
            return {}, ()
        return (yield from self._asked(dataset))

    def _asked(self, dataset: Mapping[str, Sequence[Record]]) -> Plan[tuple[dict[str, str], tuple[str, ...]]]:
        jobs = [self._job(inputs) for inputs in self._questions(dataset)]
        results = yield from gathered(self.lab.study, jobs, rank=(self.number,))
        unread = tuple(f"{r.error.kind}: {r.error.message}" for r in results if r.error is not None)
        answers = [result.prediction for result in results]
        if self.lab.settings.instruction_proposer is not None:
            found = answers[0].texts if answers[0] is not None else {}
        else:
            found = {n: a.new_instruction for n, a in zip(dataset, answers, strict=True) if a is not None}
        texts = {name: proposed(text) for name, text in found.items() if name in dataset}
        return {name: text for name, text in texts.items() if text}, unread

    def _questions(self, dataset: Mapping[str, Sequence[Record]]) -> list[dict[str, Any]]:
        texts = self.parent.texts
        if self.lab.settings.instruction_proposer is None:
            return [
                {"current_instruction": texts[name], "cases": rendered(records)}
                for name, records in dataset.items()
            ]
        listed = {name: [dict(record) for record in records] for name, records in dataset.items()}
        components = {"components_to_update": list(dataset)}
        return [{"candidate": dict(texts), "reflective_dataset": listed, **components}]

    def _job(self, inputs: Mapping[str, Any]) -> Job:
        settings, study = self.lab.settings, self.lab.study
        return study.ask_job(
            settings.reflector(study.task),
            inputs,
            phase="reflect",
            lm=settings.reflection_lm,
            rollout=self.rollout,
            temperature=1.0 if self.rollout else None,
        )

    def _records(self, name: str, runs: Runs) -> Plan[list[Record]]:
        seen = [self._observed(name, place, runs[place]) for place in self.batch]
        observations = [observation for observation in seen if observation is not None]
        words = yield from self._feedback(observations)
        ranking = self.lab.study.ranking
        return [
            observation.record(ranking.score(observation.result), text)
            for observation, text in zip(observations, words, strict=True)
        ]

    def _observed(self, name: str, place: int, result: CaseResult) -> Observation | None:
        unreadable = self.lab.settings.add_format_failure_as_feedback
        return observed(
            name, result, unreadable=unreadable, rng=self.lab.rng("call", self.number, name, place)
        )

    def _feedback(self, observations: Sequence[Observation]) -> Plan[list[str]]:
        """Return the words on each run; those on the predictor, where a metric tells predictors apart."""
        study = self.lab.study
        if not self.lab.settings.use_feedback:
            return ["" for _ in observations]
        return (yield from feedback(study, observations, rank=(self.number,)))
