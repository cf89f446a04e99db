"""What differs between two snapshots, as data. ``diff.diff`` finds it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import TYPE_CHECKING, Any, Literal

from pytest_lmprog.records import dataclass
from pytest_lmprog.snapshots.artifact import CaseBaseline, MetricBaseline
from pytest_lmprog.snapshots.worddiff import Piece

if TYPE_CHECKING:
    from pytest_lmprog.lm.recordings.usage import CallFigures

__all__ = [
    "DemoChange",
    "Existence",
    "Flip",
    "FlipCount",
    "FlipKind",
    "MetricDiff",
    "PredictorDiff",
    "SnapshotDiff",
    "ValueChange",
]

TOLERANCE = 1e-9

Existence = Literal["added", "removed", "changed"]
FlipKind = Literal["fixed", "regressed", "changed", "added", "removed"]


@dataclass(frozen=True, slots=True)
class ValueChange:
    """A named value that differs; None stands for its absence."""

    name: str
    old: Any
    new: Any


@dataclass(frozen=True, slots=True)
class DemoChange:
    """A demo that was added, removed, or differs in the fields named in ``changes``, word by word.

    ``demo`` is the new one (the old one, where it was removed) and ``position`` its place in that prompt,
    from 1."""

    kind: Existence
    demo: Mapping[str, Any]
    changes: tuple[tuple[str, tuple[Piece, ...]], ...] = ()
    position: int = 0


@dataclass(frozen=True)
class PredictorDiff:
    """How one predictor's prompt differs. ``instructions`` is empty where they are the same.

    ``demo_counts`` and ``tokens`` (estimated, before inputs) are old and new; ``rendering`` says that the
    same prompt is rendered otherwise; ``adapter`` is set where it differs."""

    name: str
    kind: Existence
    instructions: tuple[Piece, ...] = ()
    fields: tuple[ValueChange, ...] = ()
    demos: tuple[DemoChange, ...] = ()
    demos_reordered: bool = False
    rendering: bool = False
    tokens: tuple[int, int] = (0, 0)
    demo_counts: tuple[int, int] = (0, 0)
    adapter: ValueChange | None = None

    def count(self, kind: Existence) -> int:
        """The number of demos that were added, removed or changed."""
        return sum(demo.kind == kind for demo in self.demos)


@dataclass(frozen=True, slots=True)
class Flip:
    """A case whose standing under a metric differs; ``old`` or ``new`` is None where it was not there."""

    case: str
    old: CaseBaseline | None
    new: CaseBaseline | None

    @property
    def kind(self) -> FlipKind:
        """What it means: ``changed`` is neither better nor worse (one error for another)."""
        if self.old is None or self.new is None:
            return "added" if self.old is None else "removed"
        before, after = self.old.value, self.new.value
        if before is None or after is None or abs(after - before) <= TOLERANCE:
            return "changed"
        return "fixed" if after > before else "regressed"

    @property
    def edited(self) -> bool:
        """Whether the example itself was edited between the two."""
        return self.old is not None and self.new is not None and self.old.example != self.new.example


@dataclass(frozen=True, slots=True)
class FlipCount:
    """How many of the ``compared`` cases (those that both sides have) got better and worse."""

    fixed: int = 0
    regressed: int = 0
    compared: int = 0

    @property
    def flipped(self) -> int:
        """Cases that got better or worse."""
        return self.fixed + self.regressed

    def __add__(self, other: FlipCount) -> FlipCount:
        return FlipCount(
            self.fixed + other.fixed, self.regressed + other.regressed, self.compared + other.compared
        )


@dataclass(frozen=True)
class MetricDiff:
    """How one metric's baseline stands before and after; ``flips`` is empty where no case differs."""

    name: str
    old: MetricBaseline | None
    new: MetricBaseline | None
    flips: tuple[Flip, ...] = ()

    @property
    def changed(self) -> bool:
        """Whether anything differs: the mean, the cases, how they stand, or the examples themselves."""
        return self.old != self.new

    @property
    def scores(self) -> tuple[float | None, float | None]:
        """The means, old and new; None where there is none."""
        return (self.old.score if self.old else None, self.new.score if self.new else None)

    @property
    def delta(self) -> float | None:
        """New less old mean; None where either is missing."""
        old, new = self.scores
        return None if old is None or new is None else new - old

    @property
    def count(self) -> FlipCount:
        """Flips among the cases that both sides have."""
        if self.old is None or self.new is None:
            return FlipCount()
        kinds = [flip.kind for flip in self.flips]
        compared = len(self.old.cases.keys() & self.new.cases.keys())
        return FlipCount(kinds.count("fixed"), kinds.count("regressed"), compared)

    def of_kind(self, kind: FlipKind) -> list[Flip]:
        """The flips of one kind, in the order of the cases."""
        return [flip for flip in self.flips if flip.kind == kind]


@dataclass(frozen=True)
class SnapshotDiff:
    """All that differs between two snapshots. False where nothing does.

    ``metrics`` holds every metric, changed or not. ``tokens``: of all prompts together, estimated, old and
    new. ``kind`` is ``added`` or ``removed`` where there is only one snapshot. ``same_predictors`` names
    those whose prompts are equal. ``calls`` holds, by predictor, what recorded calls with the old and with
    the new prompt took, each None where none is known."""

    header: tuple[ValueChange, ...] = ()
    predictors: tuple[PredictorDiff, ...] = ()
    metrics: tuple[MetricDiff, ...] = ()
    tokens: tuple[int, int] = (0, 0)
    fingerprint: tuple[str, ...] = ()
    kind: Existence = "changed"
    same_predictors: tuple[str, ...] = ()
    calls: Mapping[str, tuple[CallFigures | None, CallFigures | None]] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return self.kind != "changed" or bool(
            self.header or self.predictors or self.fingerprint or any(m.changed for m in self.metrics)
        )

    @property
    def scores(self) -> tuple[float | None, float | None]:
        """The mean of the metrics' means, old and new, over the metrics that are scored on both sides
        (all that are scored, where there is only one snapshot)."""
        both = [m.scores for m in self.metrics if None not in m.scores]
        if self.kind == "changed":
            return _mean([old for old, _ in both]), _mean([new for _, new in both])
        scores = [m.scores for m in self.metrics]
        return _mean([old for old, _ in scores]), _mean([new for _, new in scores])

    @property
    def scored_metrics(self) -> int:
        """The number of metrics in ``scores``."""
        if self.kind == "changed":
            return sum(None not in m.scores for m in self.metrics)
        return sum(m.scores != (None, None) for m in self.metrics)

    @property
    def count(self) -> FlipCount:
        """Flips of all metrics together."""
        return sum((metric.count for metric in self.metrics), FlipCount())


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None
