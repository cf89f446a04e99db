"""What is said of a unit whose program is a judge. Loads nothing where it is none."""

from __future__ import annotations

from pytest_lmprog.harness.results import UnitResult

__all__ = ["calibration_words"]


def calibration_words(unit: UnitResult) -> tuple[str, ...]:
    """Return how far the unit's judge agrees with people, in one line; nothing where it is no judge."""
    if not any(o.compared is not None for metric in unit.metrics for o in metric.outcomes):
        return ()
    from pytest_lmprog.harness.judges.calibration import calibration_of

    calibration = calibration_of(unit)
    return () if calibration is None else (f"judge and people: {calibration.summary}",)
