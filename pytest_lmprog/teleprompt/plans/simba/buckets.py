"""Buckets: the runs of one example, and what they can teach compared with the rest of the batch. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence

from pytest_lmprog.evaluation.scores import CaseResult
from pytest_lmprog.records import dataclass

__all__ = ["Batch", "Bucket", "Scored", "batch_of_runs", "percentile"]

_DIGITS = 9


@dataclass(frozen=True, slots=True)
class Scored:
    """A run and its score; ``feedback`` is what the tests said of it."""

    result: CaseResult
    score: float
    feedback: str = ""


@dataclass(frozen=True, slots=True)
class Bucket:
    """The runs of one example, the best first; equal ones in the order of their rollouts."""

    runs: tuple[Scored, ...]

    @property
    def best(self) -> Scored:
        """The best run."""
        return self.runs[0]

    @property
    def worst(self) -> Scored:
        """The worst run."""
        return self.runs[-1]

    @property
    def gap(self) -> float:
        """How far best and worst are apart."""
        return self.best.score - self.worst.score

    @property
    def promise(self) -> tuple[float, float, float]:
        """How much can be learnt from it, greatest first: gap, best score, best above average. Rounded, so
        that 0.7 - 0.2 is no less than 0.5."""
        average = math.fsum(run.score for run in self.runs) / len(self.runs)
        return round(self.gap, _DIGITS), self.best.score, round(self.best.score - average, _DIGITS)


@dataclass(frozen=True, slots=True)
class Batch:
    """The buckets of a mini-batch, the most promising first; ``low`` and ``high`` are the 10th and 90th
    percentile of all scores.

    Where an example's runs score alike, the percentiles say whether they are good or bad: DSPy has them
    decide where the runs differ, too. Of metrics that pass or fail both percentiles are often the same, and
    the rare success or failure would teach nothing; so here a difference always teaches.
    """

    buckets: tuple[Bucket, ...]
    low: float
    high: float

    def teaches_demo(self, bucket: Bucket) -> bool:
        """Return whether the best run is worth being shown."""
        return bucket.gap > 0 or bucket.best.score > self.low

    def teaches_rule(self, bucket: Bucket) -> bool:
        """Return whether there is something to compare, or a reason was given why the runs fall short."""
        if bucket.gap > 0 or (bucket.worst.score < 1 and bucket.worst.feedback):
            return True
        return self.low < bucket.best.score and bucket.worst.score < self.high


def batch_of_runs(runs: Sequence[Sequence[Scored]]) -> Batch:
    """Return the batch of the runs by example."""
    buckets = [Bucket(tuple(sorted(of_one, key=lambda run: -run.score))) for of_one in runs]
    scores = sorted(run.score for of_one in runs for run in of_one)
    buckets.sort(key=lambda bucket: bucket.promise, reverse=True)
    return Batch(tuple(buckets), percentile(scores, 10), percentile(scores, 90))


def percentile(ordered: Sequence[float], percent: int) -> float:
    """Return the percentile of values in ascending order, linear between two of them."""
    whole, rest = divmod(percent * (len(ordered) - 1), 100)
    low, high = ordered[whole], ordered[min(whole + 1, len(ordered) - 1)]
    return low + (high - low) * rest / 100
