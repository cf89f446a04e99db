"""What a run found, as plain data: workers send it with their reports, one process puts it together."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import field, fields
from typing import TYPE_CHECKING, Any, Literal

from pytest_lmprog.harness.unit import Gate
from pytest_lmprog.lm.tally import TallyCount
from pytest_lmprog.records import dataclass

if TYPE_CHECKING:
    from pytest_lmprog.harness.verdicts.ratchet import VerdictKind

__all__ = [
    "CaseOutcome",
    "MetricInfo",
    "MetricResult",
    "OutcomeStatus",
    "RunResults",
    "UnitInfo",
    "UnitResult",
]

OutcomeStatus = Literal["pass", "fail", "error", "unscored", "broken"]
"""``error`` is the program's; ``broken`` says nothing about the program (transport, replay miss, a metric's
own exception) and is never part of a baseline."""


@dataclass(frozen=True, slots=True)
class CaseOutcome:
    """What became of one item: a metric on an example and rollout.

    Parameters
    ----------
    unit, metric, case: the unit's id, the metric's name, the example's id.
    digest: 12 hexadecimal digits of the digest of the example's fields.
    status: see ``OutcomeStatus``.
    score: of a graded metric; None where it only passes or fails.
    error: stable kind, with status ``error`` or ``broken``.
    message: why, for people; without secrets.
    live: the program's run made a live call; on an xdist worker also where an answer was in the cache,
        into which another worker may have put it.
    verdict: the ratchet's, once judged.
    baseline: ``known``, ``new``, ``edited`` or ``none`` (see ``ratchet.Verdict``).
    was: what the baseline counts the case with, or None.
    detail: the verdict's words.
    compared: people's verdict and the judge's (None: it gave none), where the program is a judge.
    """

    unit: str
    metric: str
    case: str
    digest: str
    status: OutcomeStatus
    rollout: int = 0
    score: float | None = None
    error: str | None = None
    message: str = ""
    weight: float = 1.0
    live: bool = False
    verdict: VerdictKind | None = None
    baseline: str = "none"
    was: float | None = None
    detail: str = ""
    compared: tuple[Any, Any] | None = None

    @property
    def value(self) -> float | None:
        """What the item counts with, within [0, 1]; None where it is not scored."""
        if self.status in ("unscored", "broken"):
            return None
        if self.status == "error":
            return 0.0
        return self.score if self.score is not None else float(self.status == "pass")

    def to_plain(self) -> dict[str, Any]:
        """Return JSON data: what differs from the defaults."""
        return {name: value for name, usual in _DEFAULTS if (value := getattr(self, name)) != usual}

    @classmethod
    def from_plain(cls, data: Mapping[str, Any]) -> CaseOutcome:
        """Read what ``to_plain`` returned."""
        compared = data.get("compared")
        return cls(**data) if compared is None else cls(**{**data, "compared": tuple(compared)})


_DEFAULTS = tuple((f.name, f.default) for f in fields(CaseOutcome))


@dataclass(frozen=True, slots=True)
class MetricInfo:
    """What must be known of a metric where there are no units (xdist's controller).

    ``expected`` counts its items (cases times rollouts), whatever is selected. ``baseline`` is the accepted
    mean over ``baseline_cases``; ``removed`` are baseline ids without a case; ``repeat`` are its rollouts a
    case, or None: the unit's. ``against``: what the baseline is (``--lm-baseline``), or None: the accepted
    snapshot's.
    """

    name: str
    node_id: str
    expected: int
    gate: Gate = field(default_factory=Gate)
    baseline: float | None = None
    baseline_cases: int = 0
    removed: tuple[str, ...] = ()
    repeat: int | None = None
    against: str | None = None

    def to_plain(self) -> dict[str, Any]:
        """Return JSON data."""
        plain = {f.name: getattr(self, f.name) for f in fields(self)}
        return {**plain, "gate": self.gate.to_plain(), "removed": list(self.removed)}

    @classmethod
    def from_plain(cls, data: Mapping[str, Any]) -> MetricInfo:
        """Read what ``to_plain`` returned."""
        return cls(**{**data, "gate": Gate.from_plain(data["gate"]), "removed": tuple(data["removed"])})


@dataclass(frozen=True, slots=True)
class UnitInfo:
    """What must be known of a unit where there are no units.

    Parameters
    ----------
    model: name of the LM.
    snapshot: path of the accepted snapshot relative to the rootdir, or None where there is none.
    stale: what changed since it was made, in words.
    notes: warnings and remarks (``selected on these cases``), in words.
    rebasing: the run makes the unit's baseline anew.
    """

    id: str
    name: str
    module_id: str
    metrics: tuple[MetricInfo, ...]
    model: str | None = None
    snapshot: str | None = None
    repeat: int = 1
    stale: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    rebasing: bool = False

    def to_plain(self) -> dict[str, Any]:
        """Return JSON data."""
        plain = {f.name: getattr(self, f.name) for f in fields(self)}
        plain["metrics"] = [m.to_plain() for m in self.metrics]
        return {**plain, "stale": list(self.stale), "notes": list(self.notes)}

    @classmethod
    def from_plain(cls, data: Mapping[str, Any]) -> UnitInfo:
        """Read what ``to_plain`` returned."""
        return cls(
            **{
                **data,
                "metrics": tuple(MetricInfo.from_plain(m) for m in data["metrics"]),
                "stale": tuple(data["stale"]),
                "notes": tuple(data["notes"]),
            }
        )


@dataclass(frozen=True)
class MetricResult:
    """One metric's outcomes: the last of each item, in the order in which the items first ended."""

    info: MetricInfo
    outcomes: tuple[CaseOutcome, ...]
    repeat: int = 1

    @property
    def complete(self) -> bool:
        """Whether every item of the metric ran and none is ``broken``."""
        return self.ran >= self.info.expected and not self.count("broken")

    @property
    def ran(self) -> int:
        """Number of items that ran."""
        return len(self.outcomes)

    @property
    def judged(self) -> tuple[CaseOutcome, ...]:
        """The outcomes that count in the mean: errors as 0, unscored and broken ones not."""
        return tuple(o for o in self.outcomes if o.value is not None)

    @property
    def score(self) -> float | None:
        """Weighted mean of the scores, errors counted 0; None where nothing was scored."""
        total = math.fsum(o.weight for o in self.judged)
        if not total:
            return None
        return math.fsum(o.weight * (o.value or 0.0) for o in self.judged) / total

    @property
    def cases(self) -> int:
        """Number of different examples that counted."""
        return len({o.case for o in self.judged})

    def count(self, *statuses: OutcomeStatus) -> int:
        """Number of items with one of these statuses."""
        return sum(o.status in statuses for o in self.outcomes)

    def with_verdict(self, *kinds: VerdictKind) -> tuple[str, ...]:
        """Ids of the examples of which an item has one of these verdicts, in order, each once."""
        return tuple(dict.fromkeys(o.case for o in self.outcomes if o.verdict in kinds))

    def with_status(self, status: OutcomeStatus) -> tuple[str, ...]:
        """Ids of the examples of which an item has this status."""
        return tuple(dict.fromkeys(o.case for o in self.outcomes if o.status == status))

    def with_baseline(self, state: str) -> tuple[str, ...]:
        """Ids of the examples that are ``new`` or ``edited`` beside the baseline."""
        return tuple(dict.fromkeys(o.case for o in self.outcomes if o.baseline == state))

    @property
    def regressions(self) -> tuple[str, ...]:
        """Ids of the examples that got worse than the baseline."""
        return self.with_verdict("regression", "regressed")

    @property
    def fixed(self) -> tuple[str, ...]:
        """Ids of the examples that failed in the baseline and pass."""
        return self.with_verdict("fixed", "unaccepted_fix")

    @property
    def delta(self) -> float | None:
        """Mean now less the mean of the baseline, over the items that have both; None without any."""
        pairs = [(o.weight, o.value, o.was) for o in self.judged if o.was is not None]
        total = math.fsum(weight for weight, _, _ in pairs)
        if not total:
            return None
        return math.fsum(w * ((now or 0.0) - was) for w, now, was in pairs if was is not None) / total


@dataclass(frozen=True)
class UnitResult:
    """One unit's metrics, with the calls made for it and what was said of it."""

    info: UnitInfo
    metrics: tuple[MetricResult, ...]
    calls: TallyCount

    @property
    def complete(self) -> bool:
        """Whether every metric is complete."""
        return all(m.complete for m in self.metrics)


class RunResults:
    """Collects what workers or this process report. Not thread-safe: reports arrive one by one."""

    def __init__(self) -> None:
        self._units: dict[str, UnitInfo] = {}
        self._outcomes: dict[tuple[str, str], dict[tuple[str, int], CaseOutcome]] = {}
        self._calls: dict[str, TallyCount] = {}
        self._plain_calls = TallyCount()
        self._lost: list[str] = []

    def add_unit(self, info: UnitInfo) -> None:
        """Take note of a unit. A later description replaces the earlier one."""
        self._units[info.id] = info

    def add(self, outcome: CaseOutcome) -> None:
        """Take note of an item's outcome; that of a rerun replaces the earlier one."""
        items = self._outcomes.setdefault((outcome.unit, outcome.metric), {})
        items[outcome.case, outcome.rollout] = outcome

    def add_calls(self, unit: str | None, calls: TallyCount) -> None:
        """Count calls made for a unit, or for plain tests (None)."""
        if unit is None:
            self._plain_calls = self._plain_calls + calls
        else:
            self._calls[unit] = self._calls.get(unit, TallyCount()) + calls

    def lose_worker(self, worker: str) -> None:
        """Take note of a worker that died: the run fails, whatever its cases say."""
        self._lost.append(worker)

    @property
    def lost_workers(self) -> tuple[str, ...]:
        """Ids of the workers that died."""
        return tuple(self._lost)

    @property
    def plain_calls(self) -> TallyCount:
        """The calls of plain tests."""
        return self._plain_calls

    @property
    def calls(self) -> TallyCount:
        """All calls of the run."""
        total = self._plain_calls
        for unit in sorted(self._calls):
            total += self._calls[unit]
        return total

    def __iter__(self) -> Iterator[UnitResult]:
        return (self.unit(unit) for unit in sorted(self._units))

    def __len__(self) -> int:
        return len(self._units)

    def __contains__(self, unit: object) -> bool:
        return unit in self._units

    def unit(self, unit: str) -> UnitResult:
        """Return what was found of ``unit`` (an id that ``add_unit`` was told)."""
        info = self._units[unit]
        metrics = tuple(
            MetricResult(m, tuple(self._outcomes.get((unit, m.name), {}).values()), m.repeat or info.repeat)
            for m in info.metrics
        )
        return UnitResult(info, metrics, self._calls.get(unit, TallyCount()))
