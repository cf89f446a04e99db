"""Population: the candidates that an evolution evaluated fully, and who of them is changed next. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from random import Random

from pytest_lmprog.records import dataclass

__all__ = ["Member", "Population", "Wording", "wording"]

Wording = tuple[tuple[str, str], ...]
"""The instructions of a program's predictors, by which equal programs are told."""


def wording(texts: Mapping[str, str]) -> Wording:
    """Return what tells programs with other instructions apart."""
    return tuple(sorted(texts.items()))


@dataclass(frozen=True)
class Member:
    """One candidate: ``texts`` are the instructions of the predictors that may change, ``scores`` those of
    the validation examples in order, ``mean`` their weighted mean, ``parents`` the indices of those that it
    was made from."""

    index: int
    texts: Mapping[str, str]
    scores: tuple[float, ...]
    mean: float
    parents: tuple[int, ...] = ()


@dataclass(frozen=True)
class Population:
    """The members in the order of their indices."""

    members: tuple[Member, ...] = ()

    def plus(self, member: Member) -> Population:
        """Return the population with one member more."""
        return Population((*self.members, member))

    def member(self, index: int) -> Member:
        """Return the member with this index."""
        return next(member for member in self.members if member.index == index)

    def best(self) -> Member:
        """Return the first of those with the greatest mean."""
        return max(self.members, key=lambda member: member.mean)

    def fronts(self) -> list[set[int]]:
        """Return for each example the indices of those that are best at it."""
        greatest = [max(column) for column in zip(*(m.scores for m in self.members), strict=True)]
        return [
            {m.index for m in self.members if m.scores[place] == best} for place, best in enumerate(greatest)
        ]

    def frequencies(self) -> dict[int, int]:
        """Return, by index, at how many examples each is best of those that are not dominated.

        Whoever is best only where others that stay are best too is dominated; the lowest mean, then the
        lowest index goes first (arXiv:2507.19457, algorithm 2; by mean, as the ``gepa`` package does)."""
        fronts = self.fronts()
        kept = {member.index for member in self.members}
        for member in sorted(self.members, key=lambda member: (member.mean, member.index)):
            if _covered(fronts, kept - {member.index}):
                kept.discard(member.index)
        counts = Counter(index for front in fronts for index in front & kept)
        return {index: counts[index] for index in sorted(counts)}

    def draw(self, rng: Random) -> Member:
        """Draw one that is not dominated, in proportion to its frequency."""
        frequencies = self.frequencies()
        (index,) = rng.choices(list(frequencies), weights=list(frequencies.values()))
        return self.member(index)

    def ancestors(self, index: int) -> set[int]:
        """Return the indices of its parents, their parents and so on."""
        found: set[int] = set()
        todo = list(self.member(index).parents)
        while todo:
            parent = todo.pop()
            if parent not in found:
                found.add(parent)
                todo += self.member(parent).parents
        return found


def _covered(fronts: Iterable[set[int]], kept: set[int]) -> bool:
    """Return whether someone of ``kept`` is on each front."""
    return all(front & kept for front in fronts)
