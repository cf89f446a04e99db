"""The data of a run as it comes in, case by case, and the SavedRun that is made of it at the end."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import field, replace
from typing import TYPE_CHECKING, Any

from pytest_lmprog import __version__
from pytest_lmprog.errors import LmprogError
from pytest_lmprog.harness.judges.words import calibration_words
from pytest_lmprog.harness.results import CaseOutcome, RunResults, UnitResult
from pytest_lmprog.harness.saved.cases import SavedCase, SavedExample
from pytest_lmprog.harness.saved.run import SavedCandidate, SavedRun, SavedUnit, SavedWritten
from pytest_lmprog.harness.saved.saver import Saver, stored
from pytest_lmprog.harness.verdicts.gates import MetricVerdict
from pytest_lmprog.records import dataclass

if TYPE_CHECKING:
    from pytest_lmprog.harness.compiling import CompileOutcome
    from pytest_lmprog.harness.session import Session
    from pytest_lmprog.harness.settings import HarnessSettings
    from pytest_lmprog.harness.state import UnitState
    from pytest_lmprog.harness.written.snapshots import Written
    from pytest_lmprog.programs import Example, Run
    from pytest_lmprog.teleprompt.base import Candidate

__all__ = ["CaseData", "Collection", "Collector", "Ending", "run_settings"]


@dataclass(frozen=True, slots=True)
class CaseData:
    """What one item adds: its example with its place among the unit's, and the program's run; each None
    where it was told before. ``texts``: of the snapshots before and after, with a unit's first item."""

    unit: str
    example: SavedExample | None = None
    place: int = 0
    case: SavedCase | None = None
    texts: tuple[str | None, str | None] | None = None

    def to_plain(self) -> dict[str, Any]:
        """Return JSON data, for a worker's report."""
        return {
            "unit": self.unit,
            "example": None if self.example is None else self.example.to_plain(),
            "place": self.place,
            "case": None if self.case is None else self.case.to_plain(),
            "texts": None if self.texts is None else list(self.texts),
        }

    @classmethod
    def from_plain(cls, data: Mapping[str, Any]) -> CaseData:
        """Read what ``to_plain`` returned."""
        example, case, texts = data["example"], data["case"], data["texts"]
        return cls(
            data["unit"],
            None if example is None else SavedExample.from_plain(example),
            data["place"],
            None if case is None else SavedCase.from_plain(case),
            None if texts is None else (texts[0], texts[1]),
        )


@dataclass
class _Told:
    """What has been told of a unit: the places of its examples, which of them, and which runs."""

    places: Mapping[str, int]
    examples: set[str] = field(default_factory=set)
    runs: set[tuple[str, int]] = field(default_factory=set)


class Collector:
    """Turns what runs in this process into data, each example and run once."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._saver = Saver(session.clean, session.settings.store_messages)
        self._told: dict[str, _Told] = {}

    def take(self, state: UnitState, example: Example, rollout: int, run: Run | None) -> CaseData | None:
        """Return what an item adds, or None where all has been told."""
        unit = state.unit.id
        told, texts = self._told.get(unit), None
        if told is None:
            told = self._told[unit] = _Told({e.id: n for n, e in enumerate(state.unit.cases)})
            texts = self._texts(state)
        is_new = example.id not in told.examples
        ran = run if (example.id, rollout) not in told.runs else None
        if not is_new and ran is None and texts is None:
            return None
        told.examples.add(example.id)
        if ran is not None:
            told.runs.add((example.id, rollout))
        return CaseData(
            unit,
            self._saver.example(example) if is_new else None,
            told.places.get(example.id, len(told.places)),
            None if ran is None else self._saver.case(example, rollout, ran),
            texts,
        )

    def _texts(self, state: UnitState) -> tuple[str | None, str | None]:
        from pytest_lmprog.harness.written.snapshots import tested_text
        from pytest_lmprog.snapshots.text import to_text

        if state.texts is not None:
            return state.texts
        before = state.prepared.snapshot
        text = None if before is None else to_text(before)
        try:
            return text, tested_text(self._session, state.prepared)
        except LmprogError:  # a demo without plain form: there are prompts, and no text of them
            return text, None


@dataclass
class _Found:
    """What was told of a unit."""

    examples: dict[str, tuple[int, SavedExample]] = field(default_factory=dict)
    cases: dict[tuple[str, int], SavedCase] = field(default_factory=dict)
    texts: tuple[str | None, str | None] = (None, None)


@dataclass(frozen=True)
class Ending:
    """How a run ended: what a SavedRun says beside its cases."""

    verdicts: Mapping[tuple[str, str], MetricVerdict]
    written: tuple[Written, ...] = ()
    problems: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    passed: bool = False
    interrupted: bool = False


class Collection:
    """What all processes of a run told. Nothing in the SavedRun depends on the order of arrival."""

    def __init__(self) -> None:
        self._units: dict[str, _Found] = {}

    def add(self, data: CaseData) -> None:
        """Take in what an item adds."""
        found = self._units.setdefault(data.unit, _Found())
        if data.example is not None:
            found.examples[data.example.id] = (data.place, data.example)
        if data.case is not None:
            found.cases[data.case.example, data.case.rollout] = data.case
        if data.texts is not None:
            found.texts = data.texts

    def saved(self, results: RunResults, ending: Ending, session: Session, **settings: Any) -> SavedRun:
        """Return the run as data. ``settings``: more than the session's (see ``run_settings``)."""
        return SavedRun(
            tuple(self._unit(unit, ending, session) for unit in results),
            {**run_settings(session.settings), **settings},
            results.lost_workers,
            ending.missing,
            tuple(map(session.clean, ending.problems)),
            tuple(SavedWritten(w.unit, w.state, w.path, w.changes, w.detail) for w in ending.written),
            ending.passed,
            ending.interrupted,
            results.plain_calls,
        )

    def _unit(self, unit: UnitResult, ending: Ending, session: Session) -> SavedUnit:
        found = self._units.get(unit.info.id, _Found())
        ranked = sorted(found.examples.values(), key=lambda pair: (pair[0], pair[1].id))
        place = {example.id: n for n, (_, example) in enumerate(ranked)}
        before, after = found.texts
        compiled = session.compiled.get(unit.info.id)
        return SavedUnit(
            unit.info,
            tuple(example for _, example in ranked),
            tuple(sorted(found.cases.values(), key=lambda c: (place.get(c.example, 0), c.rollout))),
            tuple(_outcomes(unit, place)),
            {m: _plain(v) for (owner, m), v in ending.verdicts.items() if owner == unit.info.id},
            unit.calls,
            before,
            _written_text(unit.info.id, ending.written) or after,
            () if compiled is None else tuple(_candidates(compiled)),
            (*calibration_words(unit), *unit.info.notes, *_warned(compiled, unit)),
            None if compiled is None else _compiled(compiled, unit),
        )


def _plain(verdict: MetricVerdict) -> MetricVerdict:
    """An interval without bounds has no JSON form."""
    return replace(verdict, figures=stored(verdict.figures))


def _outcomes(unit: UnitResult, place: Mapping[str, int]) -> Iterable[CaseOutcome]:
    for metric in unit.metrics:
        yield from sorted(metric.outcomes, key=lambda o: (place.get(o.case, len(place)), o.case, o.rollout))


def _written_text(unit: str, written: tuple[Written, ...]) -> str | None:
    from pytest_lmprog.snapshots.text import to_text

    snapshots = (w.snapshot for w in written if w.unit == unit and w.snapshot is not None)
    return next(map(to_text, snapshots), None)


def _candidates(outcome: CompileOutcome) -> Iterable[SavedCandidate]:
    result = outcome.result
    for place, candidate in enumerate(() if result is None else result.candidates):
        yield _candidate(candidate, winner=result is not None and place == result.winner)


def _candidate(candidate: Candidate, *, winner: bool) -> SavedCandidate:
    spent = candidate.spent
    counted = spent.runs > 0 and spent.counted == spent.calls
    priced = spent.runs > 0 and spent.priced == spent.calls
    return SavedCandidate(
        candidate.index,
        candidate.label,
        candidate.score,
        candidate.characters,
        spent.calls / spent.runs if spent.runs else None,
        spent.tokens / spent.runs if counted else None,
        spent.cost / spent.runs if priced else None,
        winner,
        spent.runs,
        candidate.parents,
    )


def _warned(outcome: CompileOutcome | None, unit: UnitResult) -> Iterable[str]:
    from pytest_lmprog.harness.fit import misfit, splits

    warning = None if outcome is None else misfit(splits(outcome, unit))
    return () if warning is None else (f"warning: {warning}",)


def _compiled(outcome: CompileOutcome, unit: UnitResult) -> dict[str, Any]:
    from pytest_lmprog.harness.fit import splits

    result, before = outcome.result, outcome.before
    data: dict[str, Any] = {"calls": outcome.calls.to_plain()}
    if outcome.teleprompter is not None:
        data["teleprompter"] = type(outcome.teleprompter).__name__
    if result is not None:
        data |= {"score": result.score, "validated_on": result.validated_on, "stopped": result.stopped}
    found = splits(outcome, unit)
    if found:
        data["splits"] = [split.to_plain() for split in found]
    if before is not None:
        data["before"] = {"source": before.source, "scores": dict(before.scores)}
    return data


def run_settings(settings: HarnessSettings) -> dict[str, Any]:
    """Return what the run was asked for, as far as it says something of the result."""
    asked = {
        "version": __version__,
        "record": settings.record,
        "model": settings.model,
        "seed": settings.seed,
        "compile": settings.compile,
        "update": settings.update,
        "limit": settings.limit,
        "repeat": settings.repeat,
        "ci": settings.in_ci,
    }
    return {name: value for name, value in asked.items() if value is not None}
