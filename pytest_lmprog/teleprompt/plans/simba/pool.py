"""Pool: the programs that an ascent has made, with their scores on mini-batches. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import field
from functools import cached_property
from random import Random

from pytest_lmprog.programs import Example, Module
from pytest_lmprog.programs.describing import as_text
from pytest_lmprog.records import dataclass
from pytest_lmprog.teleprompt.base import Spent
from pytest_lmprog.teleprompt.engine.seeds import seeded
from pytest_lmprog.teleprompt.engine.standing import Place
from pytest_lmprog.teleprompt.engine.study import Study

__all__ = ["Member", "Pool", "batch_of", "setting_of"]


class Member:
    """A program in the pool. ``score`` is its mean on the mini-batch that it was made from, or None where
    it was not scored yet."""

    def __init__(
        self,
        index: int,
        label: str,
        program: Module,
        study: Study,
        *,
        score: float | None = None,
        parents: tuple[int, ...] = (),
        spent: Spent | None = None,
    ) -> None:
        self.index = index
        self.label = label
        self.program = program
        self.score = score
        self.parents = parents
        self.spent = spent or Spent()
        self._study = study

    @cached_property
    def characters(self) -> int:
        """Characters of the rendered prompts. First asked for when an answer has been had: only then is
        known which adapter the LM takes."""
        return self._study.characters(self.program)

    def place(self) -> Place:
        """Where it ranks, greatest first."""
        return self.score or 0.0, -self.characters, -self.index


@dataclass
class Pool:
    """The programs so far, in the order of their indices; the first is the student."""

    members: list[Member] = field(default_factory=list)
    _settings: set[str] = field(default_factory=set)

    def add(self, member: Member) -> None:
        """Take in one more program."""
        self.members.append(member)
        self._settings.add(setting_of(member.program))

    def knows(self, program: Module) -> bool:
        """Return whether a program with the same instructions and demos is in the pool."""
        return setting_of(program) in self._settings

    def top(self, size: int) -> list[Member]:
        """Return the best by score; the student has the last place if it has no other."""
        if len(self.members) == 1:
            return list(self.members)
        best = sorted(self.members, key=Member.place, reverse=True)[:size]
        return best if self.members[0] in best else [*best[:-1], self.members[0]]

    def draw(self, rng: Random, size: int, temperature: float) -> Member:
        """Draw one of the best by the softmax of their scores; at temperature 0 the best."""
        best = self.top(size)
        if not temperature:
            return best[0]
        highest = max(member.score or 0.0 for member in best)
        weights = [math.exp(((member.score or 0.0) - highest) / temperature) for member in best]
        return rng.choices(best, weights)[0]


def setting_of(program: Module) -> str:
    """Return the instructions and demos of all predictors as text: equal texts are the same candidate."""
    named = program.named_predictors()
    return as_text([[name, p.signature.instructions, [dict(demo) for demo in p.demos]] for name, p in named])


def batch_of(trainset: Sequence[Example], size: int, *, seed: int, step: int) -> list[Example]:
    """Return the mini-batch of a step: the next ``size`` examples of a shuffled trainset, which is shuffled
    anew when fewer are left."""
    epoch, place = divmod(step, len(trainset) // size)
    rows = list(trainset)
    seeded(seed, "batches", epoch).shuffle(rows)
    return rows[place * size : (place + 1) * size]
