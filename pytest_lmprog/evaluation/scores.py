"""Scores: what a metric says of one prediction, and what a unit's metrics say of one run together."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import Protocol, runtime_checkable

from pytest_lmprog.errors import UsageError
from pytest_lmprog.programs.example import Example, Prediction
from pytest_lmprog.programs.trace import Trace
from pytest_lmprog.records import dataclass

__all__ = ["MAX_FEEDBACK", "CaseResult", "ErrorInfo", "Metric", "Objective", "Score"]

MAX_FEEDBACK = 2000
"""Characters of feedback that are kept: it enters prompts and keys."""


@dataclass(frozen=True, slots=True)
class Score:
    """What one metric says of one prediction.

    Parameters
    ----------
    value: within [0, 1], or None where the metric leaves the case unscored (skip, xfail).
    graded: the metric returned or recorded a number or bool; otherwise it passed (1.0) or failed (0.0).
    feedback: why, in words, normalised; at most ``MAX_FEEDBACK`` characters.

    Raises UsageError for a value outside [0, 1].
    """

    value: float | None
    graded: bool = False
    feedback: str = ""

    def __post_init__(self) -> None:
        if self.value is not None and not (math.isfinite(self.value) and 0.0 <= self.value <= 1.0):
            raise UsageError(f"a score must be finite and within [0, 1], not {self.value!r}")

    def passes(self, pass_at: float | None) -> bool:
        """Return whether the case passes: a graded score at ``pass_at``, else above 0; unscored passes.

        A failed assertion fails, whatever ``pass_at`` is: it is no grade."""
        if self.value is None:
            return True
        if pass_at is None or not self.graded:
            return self.value > 0
        return self.value >= pass_at


@runtime_checkable
class Metric(Protocol):
    """Scores one prediction. Raises MetricError where the metric itself fails."""

    @property
    def name(self) -> str:
        """Unique within the unit."""
        ...

    @property
    def weight(self) -> float:
        """Weight in a candidate's score."""
        ...

    @property
    def optimize(self) -> bool:
        """Whether a demo must pass this metric to be kept, and candidates are ranked by it."""
        ...

    @property
    def pass_at(self) -> float | None:
        """The graded score at which a case passes, or None: above 0."""
        ...

    def score(self, example: Example, prediction: Prediction, trace: Trace) -> Score:
        """Score ``prediction`` (a copy of its own) for ``example``. Called from several threads."""
        ...


@dataclass(frozen=True, slots=True)
class ErrorInfo:
    """Why there is no prediction to score. ``kind`` is stable (``ParseError``, ``ZeroDivisionError``);
    ``message`` is for people."""

    kind: str
    message: str


@dataclass(frozen=True, slots=True)
class CaseResult:
    """One run of a program on one example, scored.

    ``scores`` has an entry a metric, empty where ``error`` is set: an error counts 0 in every mean and
    is shown apart.
    """

    example: Example
    prediction: Prediction | None
    trace: Trace
    scores: Mapping[str, Score] = field(default_factory=dict)
    error: ErrorInfo | None = None
    rollout: int = 0


@dataclass(frozen=True, slots=True)
class Objective:
    """What a compile optimizes: the weighted mean of the metrics with ``optimize=True``."""

    metrics: tuple[Metric, ...]

    @property
    def ranked(self) -> tuple[Metric, ...]:
        """The metrics that count."""
        return tuple(m for m in self.metrics if m.optimize)

    def score(self, result: CaseResult) -> float:
        """Return the weighted mean of the scored metrics, within [0, 1]; 0 for an error."""
        if result.error is not None:
            return 0.0
        pairs = [(m.weight, s.value) for m in self.ranked if (s := result.scores[m.name]).value is not None]
        total = math.fsum(weight for weight, _ in pairs)
        return math.fsum(w * v for w, v in pairs if v is not None) / total if total else 0.0

    def keeps(self, result: CaseResult, threshold: float | None = None) -> bool:
        """Return whether the run may become a demo: every ranked metric passes, a graded one at
        ``threshold`` where given, else at its own ``pass_at``, else above 0."""
        if result.error is not None or not self.ranked:
            return False
        return all(
            result.scores[m.name].passes(threshold if threshold is not None else m.pass_at)
            for m in self.ranked
        )

    def feedback(self, result: CaseResult) -> str:
        """Return the metrics' words on the run, one paragraph each."""
        if result.error is not None:
            return f"{result.error.kind}: {result.error.message}"
        return "\n".join(s.feedback for m in self.metrics if (s := result.scores[m.name]).feedback)


def mean(scores: Sequence[float], weights: Sequence[float]) -> float:
    """Return the weighted mean over all examples, errors included as 0. 0.0 for no example."""
    total = math.fsum(weights)
    return math.fsum(s * w for s, w in zip(scores, weights, strict=True)) / total if total else 0.0
