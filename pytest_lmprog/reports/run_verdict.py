"""A run in one word, and why: what a report's first line says."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from pytest_lmprog.harness.saved.run import SavedRun
from pytest_lmprog.records import dataclass
from pytest_lmprog.reports.figures import count

__all__ = ["RunVerdict", "run_verdict"]

Word = Literal["PASS", "FAIL", "INCONCLUSIVE", "INCOMPLETE"]

_FAILING = ("failed", "error", "broken", "unaccepted_fix")


@dataclass(frozen=True, slots=True)
class RunVerdict:
    """``because``: the reasons and figures, the gravest first; what there is to know where it passed."""

    word: Word
    because: tuple[str, ...] = ()


def run_verdict(saved: SavedRun) -> RunVerdict:
    """Return the verdict on a run. INCOMPLETE: nothing failed, but something has no result. INCONCLUSIVE:
    nothing failed, and of some metric the figures do not say whether it got worse."""
    failures = list(_failures(saved))
    gaps = list(_gaps(saved))
    states = [verdict.state for unit in saved.units for verdict in unit.verdicts.values()]
    unsure = states.count("inconclusive")
    open_ = [f"{count(unsure, 'metric')} inconclusive"] if unsure else []
    open_ += list(_worse(saved))
    if failures:
        return RunVerdict("FAIL", (*failures, *gaps, *open_))
    if gaps:
        return RunVerdict("INCOMPLETE", (*gaps, *open_))
    if not saved.passed and not unsure:
        return RunVerdict("FAIL", ("tests other than metrics failed", *_figures(saved)))
    return RunVerdict("INCONCLUSIVE" if unsure else "PASS", (*open_, *_figures(saved)))


def _failures(saved: SavedRun) -> Iterator[str]:
    outcomes = [outcome for unit in saved.units for outcome in unit.outcomes]
    worse = sum(outcome.verdict == "regression" for outcome in outcomes)
    if worse:
        yield count(worse, "regression")
    failed = sum(outcome.verdict in _FAILING for outcome in outcomes)
    if failed:
        yield f"{count(failed, 'case')} failed"
    verdicts = [verdict for unit in saved.units for verdict in unit.verdicts.values()]
    gates = sum(verdict.state == "failed" and not verdict.told for verdict in verdicts)
    if gates:
        yield f"{count(gates, 'gate')} failed"
    stale = sum(bool(unit.info.stale) and not unit.info.rebasing for unit in saved.units)
    if stale and saved.settings.get("ci"):
        yield count(stale, "stale snapshot")
    if saved.problems:
        yield count(len(saved.problems), "problem")


def _worse(saved: SavedRun) -> Iterator[str]:
    """Cases that got worse and were left to their metric's verdict."""
    worse = sum(o.verdict == "regressed" for unit in saved.units for o in unit.outcomes)
    if worse:
        yield f"{count(worse, 'case')} worse than the baseline"


def _gaps(saved: SavedRun) -> Iterator[str]:
    if saved.lost_workers:
        yield f"{count(len(saved.lost_workers), 'worker')} died"
    if saved.interrupted:
        yield "stopped before its end"
    if saved.missing:
        yield f"{count(len(saved.missing), 'test')} without a result"


def _figures(saved: SavedRun) -> Iterator[str]:
    metrics = [metric for result in saved.results for metric in result.metrics]
    left = saved.settings.get("left_out")
    unchanged = [f"{count(left, 'unchanged case')} left out"] if left else []
    if not metrics:
        yield from unchanged or ("no metric ran",)
        return
    cases = sum(metric.ran for metric in metrics)
    yield f"{count(len(metrics), 'metric')}, {count(cases, 'case')}"
    fixed = sum(len(metric.fixed) for metric in metrics)
    if fixed:
        yield f"{fixed} fixed"
    known = sum(len(metric.with_verdict("known_miss", "known_error")) for metric in metrics)
    if known:
        yield count(known, "known miss", "known misses")
    partial = sum(not metric.complete for metric in metrics)
    if partial:
        yield f"{count(partial, 'metric')} not judged: not all cases ran"
    yield from unchanged
