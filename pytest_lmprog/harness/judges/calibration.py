"""Calibration units: a judge as the program under test, people's verdicts as its examples."""

from __future__ import annotations

from pytest_lmprog.evaluation.calibration import Calibration, Compared
from pytest_lmprog.harness.results import CaseOutcome, MetricResult, UnitResult
from pytest_lmprog.harness.unit import Unit
from pytest_lmprog.snapshots.artifact import CalibrationSnapshot

__all__ = ["calibration_of", "calibration_snapshot"]


def calibration_of(result: UnitResult) -> Calibration | None:
    """Return how far the unit's judge agrees with people, over the goldens that ran; None where the program
    is no judge or no golden has a verdict of people."""
    found: dict[str, Compared] = {}
    for metric in result.metrics:
        for outcome in metric.outcomes:
            if outcome.compared is not None:
                people, judge = outcome.compared
                golden = _golden(outcome, metric)
                found.setdefault(golden, Compared(golden, people, judge))
    return Calibration(tuple(found.values())) if found else None


def _golden(outcome: CaseOutcome, metric: MetricResult) -> str:
    return outcome.case if metric.repeat == 1 else f"{outcome.case}-r{outcome.rollout + 1}"


def calibration_snapshot(unit: Unit, result: UnitResult | None) -> CalibrationSnapshot | None:
    """Return what a snapshot keeps of the calibration, goldens in the order of the data; None where not all
    of a metric's cases ran."""
    if result is None or not any(metric.complete for metric in result.metrics):
        return None
    calibration = calibration_of(result)
    if calibration is None:
        return None
    places = {example.id: place for place, example in enumerate(unit.cases)}
    goldens = sorted(calibration.goldens, key=lambda g: _place(g.golden, places))
    return CalibrationSnapshot(
        calibration.figures(),
        {} if calibration.is_scale else calibration.confusion,
        {g.golden: (g.people, g.judge) for g in goldens},
    )


def _place(golden: str, places: dict[str, int]) -> tuple[int, int]:
    """Return where a golden stands in the data, then its rollout: not when it ran."""
    if golden in places:
        return places[golden], 0
    example, _, rollout = golden.rpartition("-r")
    return places.get(example, len(places)), int(rollout) if rollout.isdigit() else 0
