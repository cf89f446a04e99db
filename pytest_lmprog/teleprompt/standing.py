"""What is known of a candidate's score while it is being evaluated, in exact arithmetic."""

from __future__ import annotations

import math
from collections.abc import Sequence

from pytest_lmprog.errors import UsageError
from pytest_lmprog.programs import Example

__all__ = ["Place", "Standing", "checked_weights"]

Place = tuple[float, int, int]
"""How candidates are ranked, greatest first: (score, -characters, -index)."""

_ONE = 1 << 1074
"""Every finite float is a whole multiple of 1/_ONE (the smallest subnormal): sums of them are exact."""


def _exact(value: float) -> int:
    numerator, denominator = value.as_integer_ratio()
    return numerator * (_ONE // denominator)


def checked_weights(examples: Sequence[Example]) -> tuple[float, ...]:
    """Return the examples' weights. Raises UsageError for one that is negative or not finite."""
    for example in examples:
        if not (math.isfinite(example.weight) and example.weight >= 0):
            raise UsageError(
                f"the weight of example {example.id!r} must be 0 or more and finite, not {example.weight!r}"
            )
    return tuple(example.weight for example in examples)


class Standing:
    """The least and the most that a candidate's weighted mean can still be.

    Both are the very float that ``evaluation.scores.mean`` returns if the open examples all score 0 or
    all score 1: sums are exact and rounded once, and rounding is monotonic, so ``least() <= final <= most()``
    holds without a margin.
    """

    def __init__(self, weights: Sequence[float]) -> None:
        self._weights = tuple(weights)
        self._whole = math.fsum(weights)
        self._earned = 0
        self._open_weight = sum(map(_exact, weights))
        self._open = set(range(len(self._weights)))

    def record(self, position: int, score: float) -> None:
        """Take note of the score of one example, once."""
        self._open.remove(position)
        weight = self._weights[position]
        self._earned += _exact(weight * score)
        self._open_weight -= _exact(weight)

    @property
    def complete(self) -> bool:
        """Whether every example has a score."""
        return not self._open

    def least(self) -> float:
        """The weighted mean if every open example scores 0; the final score where complete."""
        return self._mean(self._earned)

    def most(self) -> float:
        """The weighted mean if every open example scores 1."""
        return self._mean(self._earned + self._open_weight)

    def _mean(self, exact_sum: int) -> float:
        return (exact_sum / _ONE) / self._whole if self._whole else 0.0
