"""Combination: a candidate that was put together from choices, and what is known of its score."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from functools import cached_property

from pytest_lmprog.evaluation.scores import CaseResult, mean
from pytest_lmprog.programs import Module
from pytest_lmprog.records import dataclass
from pytest_lmprog.teleprompt.base import Candidate, Spent
from pytest_lmprog.teleprompt.engine.study import Study
from pytest_lmprog.teleprompt.plans.mipro.tpe import Point

__all__ = ["Combination", "Made"]


@dataclass(frozen=True)
class Made:
    """A program made from choices. ``notes``: what is to be told of it if it wins."""

    label: str
    program: Module
    notes: tuple[str, ...] = ()


class Combination:
    """A candidate and its scores by the position of the example.

    ``point`` is what was chosen (None where it was no choice). ``claimed`` are the examples that it was
    or is being run on; ``told`` those whose scores were reported to the sampler, ``means`` the scores of
    its trials as reported.
    """

    def __init__(
        self, index: int, made: Made, point: Point | None, study: Study, weights: Sequence[float]
    ) -> None:
        self.index = index
        self.made = made
        self.point = point
        self.claimed: set[int] = set()
        self.told: set[int] = set()
        self.means: list[float] = []
        self.spent = Spent()
        self.failures: dict[int, str] = {}
        self._scores: dict[int, float] = {}
        self._study = study
        self._weights = weights

    def claim(self, positions: Collection[int]) -> list[int]:
        """Return those of ``positions`` that it has to be run on yet, which it is from now on."""
        new = [position for position in positions if position not in self.claimed]
        self.claimed.update(new)
        return new

    def record(self, position: int, result: CaseResult) -> None:
        """Take note of a run."""
        self._scores[position] = self._study.ranking.score(result)
        if result.error is not None:
            self.failures[position] = result.error.message
        self.spent = self.spent.plus(result.trace)

    def knows(self, positions: Collection[int]) -> bool:
        """Whether each of ``positions`` has a score."""
        return all(position in self._scores for position in positions)

    def mean(self, positions: Collection[int]) -> float:
        """Return the weighted mean of the scores on ``positions``."""
        return mean([self._scores[p] for p in positions], [self._weights[p] for p in positions])

    @property
    def complete(self) -> bool:
        """Whether every example has a score."""
        return len(self._scores) == len(self._weights)

    @property
    def score(self) -> float | None:
        """The weighted mean over all examples, or None while some have no score."""
        return self.mean(range(len(self._weights))) if self.complete else None

    @property
    def tried(self) -> float:
        """The mean of what its trials were told to score."""
        return math.fsum(self.means) / len(self.means)

    @cached_property
    def characters(self) -> int:
        """Characters of the rendered prompts. To be asked for when an answer has been had: only then is
        known which adapter the LM takes."""
        return self._study.characters(self.made.program)

    def candidate(self) -> Candidate:
        """Return what is reported of it. The score is None unless it was evaluated fully."""
        made = self.made
        return Candidate(self.index, made.label, made.program, self.score, self.characters, (), self.spent)
