"""The verdict on a whole run, in one word and its reasons: what every report says first."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from pytest_lmprog.harness.results import CaseOutcome, MetricResult
from pytest_lmprog.harness.saved.run import SavedRun, SavedUnit
from pytest_lmprog.harness.verdicts.ratchet import REPORTED, VerdictKind
from pytest_lmprog.reports import figures
from pytest_lmprog.reports.run_verdict import Word, run_verdict

__all__ = ["Overall", "Reason", "overall", "verdict_kind"]

_OF_STATUS = {"pass": "passed", "fail": "failed"}
_FAILED: tuple[VerdictKind, ...] = ("regression", "failed", "error", "broken", "unaccepted_fix")
_TOLD = re.compile(r"\d+ cases? failed\b")
_WORSE = re.compile(r"\d+ cases? got worse than the baseline\b")
_NOUNS = {
    "regression": ("case got worse than the baseline", "cases got worse than the baseline"),
    "failed": ("case failed", "cases failed"),
    "error": ("case failed with an error", "cases failed with an error"),
    "broken": ("case could not be scored", "cases could not be scored"),
    "unaccepted_fix": ("case is fixed but not accepted", "cases are fixed but not accepted"),
}


@dataclass(frozen=True, slots=True)
class Reason:
    """One reason for the verdict. ``unit``, ``metric`` and ``cases`` (ids) say what it is about, if anything;
    ``incomplete``: it is about something that is missing."""

    text: str
    unit: str | None = None
    metric: str | None = None
    cases: tuple[str, ...] = ()
    incomplete: bool = False


@dataclass(frozen=True, slots=True)
class Overall:
    """What a run came to.

    Parameters
    ----------
    word: FAIL beats INCOMPLETE (something has no result), which beats INCONCLUSIVE (a metric cannot be told
        from its baseline), which beats PASS.
    reasons: what is missing, then what failed, then what is inconclusive.
    """

    word: Word
    reasons: tuple[Reason, ...] = ()

    @property
    def incomplete(self) -> bool:
        """Whether something has no result, whatever the word is."""
        return any(reason.incomplete for reason in self.reasons)


def verdict_kind(outcome: CaseOutcome) -> str:
    """Return the ratchet's verdict on an item; where it was not judged, that of an ordinary test."""
    return outcome.verdict or _OF_STATUS.get(outcome.status, outcome.status)


def overall(saved: SavedRun) -> Overall:
    """Return the verdict on a run, in the word that every report has for it."""
    failed = [*_failures(saved), *_others(saved)]
    word = "FAIL" if failed else run_verdict(saved).word
    if word == "FAIL" and not failed:
        failed = [Reason("tests other than metrics failed; pytest's own output names them")]
    return Overall(word, (*_missing(saved), *failed, *_inconclusive(saved)))


def _failures(saved: SavedRun) -> Iterator[Reason]:
    for unit in saved.units:
        for metric in saved.results.unit(unit.id).metrics:
            yield from _metric_failures(unit, metric)


def _metric_failures(unit: SavedUnit, metric: MetricResult) -> Iterator[Reason]:
    name = metric.info.name
    verdict = unit.verdicts.get(name)
    if verdict is not None and verdict.state == "failed":
        for reason in verdict.reasons:
            if _WORSE.match(reason):
                yield Reason(reason.partition(":")[0], unit.id, name, metric.with_verdict("regressed"))
            elif not _TOLD.match(reason):
                yield Reason(reason, unit.id, name)
    for kind in _FAILED:
        cases = tuple(dict.fromkeys(o.case for o in metric.outcomes if verdict_kind(o) == kind))
        if cases and REPORTED[kind].outcome == "failed":
            yield Reason(f"{len(cases):,} {_NOUNS[kind][len(cases) > 1]}", unit.id, name, cases)


def _others(saved: SavedRun) -> Iterator[Reason]:
    for unit in saved.units:
        if saved.settings.get("ci") and unit.info.stale and not unit.info.rebasing:
            yield Reason("stale snapshot: " + "; ".join(unit.info.stale), unit.id)
    for problem in saved.problems:
        yield Reason(problem)
    for item in saved.written:
        if item.state == "failed":
            detail = f": {item.detail}" if item.detail else ""
            yield Reason(f"snapshot not written: {item.path}{detail}", item.unit)


def _missing(saved: SavedRun) -> Iterator[Reason]:
    if saved.interrupted:
        yield Reason("the run was interrupted before its last case", incomplete=True)
    if saved.lost_workers:
        workers = figures.count(len(saved.lost_workers), "worker")
        yield Reason(f"{workers} lost: {figures.listed(saved.lost_workers)}", incomplete=True)
    if saved.missing:
        cases = figures.count(len(saved.missing), "selected test")
        verb = "has" if len(saved.missing) == 1 else "have"
        yield Reason(f"{cases} {verb} no result: {figures.listed(saved.missing, 3)}", incomplete=True)


def _inconclusive(saved: SavedRun) -> Iterator[Reason]:
    for unit in saved.units:
        for name, verdict in unit.verdicts.items():
            if verdict.state == "inconclusive":
                said = "; ".join(verdict.reasons)
                yield Reason(f"inconclusive: {said}" if said else "inconclusive", unit.id, name)
