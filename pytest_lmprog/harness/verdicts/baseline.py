"""From the outcomes of a metric's items to the baseline that a snapshot keeps."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from pytest_lmprog.harness.results import CaseOutcome, MetricResult, UnitResult
from pytest_lmprog.harness.unit import Unit
from pytest_lmprog.programs import Example
from pytest_lmprog.snapshots.artifact import CaseBaseline, MetricBaseline

__all__ = ["metric_baseline", "scored_baseline", "unit_baseline"]


def unit_baseline(
    unit: Unit, result: UnitResult, kept: Mapping[str, MetricBaseline]
) -> dict[str, MetricBaseline]:
    """Return the baseline of every metric of ``unit``, in definition order.

    A metric whose cases did not all run keeps what it has in ``kept``, or has none."""
    by_name = {m.info.name: m for m in result.metrics}
    baseline: dict[str, MetricBaseline] = {}
    for metric in unit.metrics:
        found = by_name.get(metric.name)
        if found is not None and found.complete:
            baseline[metric.name] = metric_baseline(found, unit.cases)
        elif metric.name in kept:
            baseline[metric.name] = kept[metric.name]
    return baseline


def metric_baseline(result: MetricResult, cases: Sequence[Example]) -> MetricBaseline:
    """Return the baseline of a metric, its cases in the order of ``cases``, whatever order they ran in."""
    return _baseline(result.outcomes, {example.id: example.weight for example in cases})


def scored_baseline(result: MetricResult) -> MetricBaseline:
    """Return what a metric's run, complete or not, says as a baseline: of the cases that it could score."""
    known = [outcome for outcome in result.outcomes if outcome.status != "broken"]
    return _baseline(known, {outcome.case: outcome.weight for outcome in known})


def _baseline(outcomes: Sequence[CaseOutcome], case_weights: Mapping[str, float]) -> MetricBaseline:
    rollouts: dict[str, list[CaseOutcome]] = {}
    for outcome in outcomes:
        rollouts.setdefault(outcome.case, []).append(outcome)
    entries: dict[str, CaseBaseline] = {}
    weights: dict[str, float] = {}
    for case, weight in case_weights.items():
        found = sorted(rollouts.get(case, ()), key=lambda o: o.rollout)
        if found:
            entries[case] = _entry(found)
            weights[case] = weight
    pairs = [(weights[case], value) for case, e in entries.items() if (value := e.value) is not None]
    return MetricBaseline(_mean(pairs), len(pairs), entries)


def _mean(pairs: Sequence[tuple[float, float]]) -> float | None:
    total = math.fsum(weight for weight, _ in pairs)
    return math.fsum(weight * value for weight, value in pairs) / total if total else None


def _entry(rollouts: Sequence[CaseOutcome]) -> CaseBaseline:
    first = rollouts[0]
    if len(rollouts) == 1:
        status = "fail" if first.status == "broken" else first.status
        return CaseBaseline(status, first.digest, first.score, first.error)
    counted = [o for o in rollouts if o.value is not None]
    if not counted:
        return CaseBaseline("unscored", first.digest, n=len(rollouts))
    passes = sum(o.status == "pass" for o in counted)
    errors = {o.error for o in counted if o.status == "error"}
    graded = any(o.score is not None for o in counted)
    return CaseBaseline(
        "pass" if passes == len(counted) else "error" if _all_errors(counted) else "fail",
        first.digest,
        math.fsum(o.value or 0.0 for o in counted) / len(counted) if graded else None,
        min(errors) if _all_errors(counted) and len(errors) == 1 else None,  # type: ignore[type-var]
        passes,
        len(counted),
    )


def _all_errors(outcomes: Sequence[CaseOutcome]) -> bool:
    return all(o.status == "error" for o in outcomes) and len({o.error for o in outcomes}) == 1
