"""Crossover: what two descendants of one ancestor learnt, each about other predictors, put together. Pure."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import combinations
from random import Random

from pytest_lmprog.records import dataclass
from pytest_lmprog.teleprompt.plans.gepa.population import Member, Population, Wording, wording

__all__ = ["SUBSAMPLE", "Crossover", "crossed", "find_crossover", "subsample"]

SUBSAMPLE = 5
"""Validation examples that a merge is tried on first."""

Sources = tuple[int, ...]
"""Whose instruction each predictor takes, by member index."""


@dataclass(frozen=True)
class Crossover:
    """A merge of ``first`` and ``second``, descendants of ``ancestor``: indices of members."""

    first: int
    second: int
    ancestor: int
    texts: Mapping[str, str]
    sources: Sources

    @property
    def triplet(self) -> tuple[int, int, int]:
        """The three members."""
        return self.first, self.second, self.ancestor


def find_crossover(
    population: Population, done: Collection[Crossover], tried: Collection[Wording], rng: Random
) -> Crossover | None:
    """Return a merge that is worth a try, or None (arXiv:2507.19457, appendix on merging; conditions and
    probabilities are the ``gepa`` package's, whose random attempts are a draw from all that qualify here).

    Both descendants are best at some example and not dominated, neither descends from the other, the ancestor
    is better than neither, and some predictor was changed by one of them alone. The pair is drawn evenly, the
    ancestor in proportion to its score. Merges that are ``done``, and programs that were ``tried``, are left
    out."""
    past = {crossover.triplet for crossover in done}
    known = {*tried, *(wording(crossover.texts) for crossover in done)}
    pairs = {pair: [a for a in ancestors if (*pair, a) not in past] for pair, ancestors in _pairs(population)}
    while open_pairs := [pair for pair, ancestors in pairs.items() if ancestors]:
        pair = rng.choice(open_pairs)
        ancestor = _drawn(population, pairs[pair], rng)
        made = crossed(population, *pair, ancestor, rng)
        if wording(made.texts) not in known:
            return made
        pairs[pair].remove(ancestor)
    return None


def _pairs(population: Population) -> Iterator[tuple[tuple[int, int], list[int]]]:
    for first, second in combinations(population.frequencies(), 2):
        above, beyond = population.ancestors(first), population.ancestors(second)
        if first in beyond or second in above:
            continue
        shared = [index for index in sorted(above & beyond) if _qualifies(population, index, first, second)]
        yield (first, second), shared


def _qualifies(population: Population, ancestor: int, first: int, second: int) -> bool:
    root, one, other = (population.member(index) for index in (ancestor, first, second))
    if root.mean > min(one.mean, other.mean):
        return False
    return any(_changed_by_one(root, one, other, name) for name in root.texts)


def _changed_by_one(root: Member, one: Member, other: Member, name: str) -> bool:
    return one.texts[name] != other.texts[name] and root.texts[name] in (one.texts[name], other.texts[name])


def _drawn(population: Population, indices: Sequence[int], rng: Random) -> int:
    weights = [population.member(index).mean for index in indices]
    (drawn,) = rng.choices(indices, weights=weights if sum(weights) else None)
    return drawn


def crossed(population: Population, first: int, second: int, ancestor: int, rng: Random) -> Crossover:
    """Return the merge: a predictor that one of the two changed is taken from that one; one that both
    changed from the better of them (at equal scores from either); others are the same anyway."""
    root, one, other = (population.member(index) for index in (ancestor, first, second))
    sources = {name: _source(root, one, other, name, rng) for name in root.texts}
    texts = {name: source.texts[name] for name, source in sources.items()}
    return Crossover(first, second, ancestor, texts, tuple(source.index for source in sources.values()))


def _source(root: Member, one: Member, other: Member, name: str, rng: Random) -> Member:
    if one.texts[name] == other.texts[name]:
        return one
    if _changed_by_one(root, one, other, name):
        return other if one.texts[name] == root.texts[name] else one
    if one.mean == other.mean:
        return rng.choice((one, other))
    return max(one, other, key=lambda member: member.mean)


def subsample(first: Sequence[float], second: Sequence[float], rng: Random) -> list[int]:
    """Return the places of ``SUBSAMPLE`` examples (all, where there are fewer), in order: about a third each
    where the first is better, where the second is, and where they are equal; filled up with any."""
    places = range(len(first))
    groups = (
        [place for place in places if first[place] > second[place]],
        [place for place in places if first[place] < second[place]],
        [place for place in places if first[place] == second[place]],
    )
    chosen: list[int] = []
    for group in groups:
        size = min(len(group), math.ceil(SUBSAMPLE / len(groups)), SUBSAMPLE - len(chosen))
        chosen += rng.sample(group, size)
    others = [place for place in places if place not in chosen]
    chosen += rng.sample(others, min(len(others), SUBSAMPLE - len(chosen)))
    return sorted(chosen)
