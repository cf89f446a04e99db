"""How far two raters agree: Cohen's kappa and Spearman's rank correlation. Pure and deterministic."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from typing import TypeVar

__all__ = ["cohen_kappa", "confusion", "spearman"]


_V = TypeVar("_V", bound=Hashable)


def confusion(pairs: Sequence[tuple[_V, _V]]) -> dict[_V, dict[_V, int]]:
    """Return counts by the first rater's verdict, then the second's; pairs that never occur are left out."""
    counts: dict[_V, dict[_V, int]] = {}
    for first, second in pairs:
        row = counts.setdefault(first, {})
        row[second] = row.get(second, 0) + 1
    return counts


def cohen_kappa(
    pairs: Sequence[tuple[Hashable, Hashable]], *, places: Mapping[Hashable, float] | None = None
) -> float | None:
    """Return agreement beyond chance (J. Cohen, Educ. Psychol. Meas. 20, 1960); 1 is perfect, 0 is chance.

    ``places`` of the verdicts on a scale weigh disagreements by their squared distance (Cohen, Psychol.
    Bull. 70, 1968). None where chance alone agrees always: no pair, or both raters say one same thing."""
    n = len(pairs)
    firsts, seconds = [a for a, _ in pairs], [b for _, b in pairs]
    expected = math.fsum(
        firsts.count(a) * seconds.count(b) / n * _distance(a, b, places)
        for a in dict.fromkeys(firsts)
        for b in dict.fromkeys(seconds)
    )
    observed = math.fsum(_distance(a, b, places) for a, b in pairs)
    return 1.0 - observed / expected if expected else None


def _distance(first: Hashable, second: Hashable, places: Mapping[Hashable, float] | None) -> float:
    if places is None:
        return float(first != second)
    return (places[first] - places[second]) ** 2


def spearman(pairs: Sequence[tuple[float, float]]) -> float | None:
    """Return the rank correlation (C. Spearman, Am. J. Psychol. 15, 1904), ties at their mean rank.

    None for fewer than two pairs, and where a rater says one thing only."""
    if len(pairs) < 2:
        return None
    first, second = _ranks([a for a, _ in pairs]), _ranks([b for _, b in pairs])
    middle = (len(pairs) + 1) / 2
    both = math.fsum((a - middle) * (b - middle) for a, b in zip(first, second, strict=True))
    spread = math.fsum((a - middle) ** 2 for a in first) * math.fsum((b - middle) ** 2 for b in second)
    return both / math.sqrt(spread) if spread else None


def _ranks(values: Sequence[float]) -> list[float]:
    order = sorted(values)
    first = {value: index for index, value in reversed(list(enumerate(order, 1)))}
    last = {value: index for index, value in enumerate(order, 1)}
    return [(first[value] + last[value]) / 2 for value in values]
