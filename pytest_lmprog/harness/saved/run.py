"""A run as data: what every report is made from, and what is saved. No clocks, absolute paths or ids.

``SavedRun.to_plain`` is the JSON report and the saved run: one format, described by ``reports/schema.json``.
Texts have been scrubbed of secrets and redacted before they get here; values are plain JSON data, and what
has no such form stands as ``{"$repr": "..."}``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import field
from functools import cached_property
from typing import Any, Self

from pytest_lmprog.harness.results import (
    CaseOutcome,
    RunResults,
    UnitInfo,
)
from pytest_lmprog.harness.saved.cases import (
    SavedCall,
    SavedCase,
    SavedError,
    SavedExample,
    given,
    message_text,
)
from pytest_lmprog.harness.verdicts.gates import MetricVerdict
from pytest_lmprog.lm.tally import TallyCount
from pytest_lmprog.lm.types import Message
from pytest_lmprog.records import dataclass

__all__ = [
    "FORMAT",
    "KIND",
    "SavedCall",
    "SavedCandidate",
    "SavedCase",
    "SavedError",
    "SavedExample",
    "SavedRun",
    "SavedUnit",
    "SavedWritten",
]

FORMAT = 1
"""Number of the format; it grows when an older reader would misread a newer file."""

KIND = "pytest-lmprog run"


@dataclass(frozen=True, slots=True)
class SavedCandidate:
    """One candidate of a compile.

    Parameters
    ----------
    score: within [0, 1]; None where it was dropped early or nothing was evaluated.
    characters: of its rendered prompts, inputs left out.
    runs: runs of the program that it was evaluated with.
    parents: indices of the candidates that it was made from.
    calls, tokens, cost: of one such run, on average, whatever answered it: LM calls, prompt and completion
        tokens together, USD. None where nothing is known: no run, no usage reported, no price.
    """

    index: int
    label: str
    score: float | None
    characters: int
    calls: float | None = None
    tokens: float | None = None
    cost: float | None = None
    winner: bool = False
    runs: int = 0
    parents: tuple[int, ...] = ()

    def to_plain(self) -> dict[str, Any]:
        """Return JSON data."""
        data = given(self)
        return {**data, "parents": list(self.parents)} if self.parents else data

    @classmethod
    def from_plain(cls, data: Mapping[str, Any]) -> Self:
        """Read what ``to_plain`` returned."""
        return cls(**{**data, "parents": tuple(data.get("parents", ()))})


@dataclass(frozen=True)
class SavedUnit:
    """One unit: what it is, its examples that ran, the program's runs on them, and what the metrics said.

    Parameters
    ----------
    verdicts: by metric.
    before: text of the snapshot that was accepted before the run, or None.
    after: text of the snapshot that the run tested (the new one, where it compiled), or None.
    candidates: of a compile, in index order.
    compiled: how the compile went (``score``, ``validated_on``, ``stopped``, ``calls``, ``before``,
        ``splits``), or None.
    """

    info: UnitInfo
    examples: tuple[SavedExample, ...] = ()
    cases: tuple[SavedCase, ...] = ()
    outcomes: tuple[CaseOutcome, ...] = ()
    verdicts: Mapping[str, MetricVerdict] = field(default_factory=dict)
    calls: TallyCount = field(default_factory=TallyCount)
    before: str | None = None
    after: str | None = None
    candidates: tuple[SavedCandidate, ...] = ()
    notes: tuple[str, ...] = ()
    compiled: Mapping[str, Any] | None = None

    @property
    def id(self) -> str:
        """The unit's id."""
        return self.info.id

    @cached_property
    def example_of(self) -> Mapping[str, SavedExample]:
        """The examples by id."""
        return {example.id: example for example in self.examples}

    @cached_property
    def case_of(self) -> Mapping[tuple[str, int], SavedCase]:
        """The runs by example id and rollout."""
        return {(case.example, case.rollout): case for case in self.cases}

    def to_plain(self, number: Mapping[str, int] | None = None) -> dict[str, Any]:
        """Return JSON data. ``number`` as for calls."""
        data: dict[str, Any] = {
            "info": self.info.to_plain(),
            "examples": [example.to_plain() for example in self.examples],
            "cases": [case.to_plain(number) for case in self.cases],
            "outcomes": [_outcome_to_plain(outcome) for outcome in self.outcomes],
            "verdicts": {name: verdict.to_plain() for name, verdict in self.verdicts.items()},
            "calls": self.calls.to_plain(),
        }
        for name in ("before", "after", "compiled"):
            if getattr(self, name) is not None:
                data[name] = getattr(self, name)
        if self.candidates:
            data["candidates"] = [candidate.to_plain() for candidate in self.candidates]
        return {**data, "notes": list(self.notes)} if self.notes else data

    @classmethod
    def from_plain(cls, data: Mapping[str, Any], messages: Sequence[Message] | None = None) -> Self:
        """Read what ``to_plain`` returned."""
        info = UnitInfo.from_plain(data["info"])
        return cls(
            info,
            tuple(map(SavedExample.from_plain, data["examples"])),
            tuple(SavedCase.from_plain(case, messages) for case in data["cases"]),
            tuple(CaseOutcome.from_plain({"unit": info.id, **outcome}) for outcome in data["outcomes"]),
            {name: MetricVerdict.from_plain(verdict) for name, verdict in data["verdicts"].items()},
            TallyCount.from_plain(data["calls"]),
            data.get("before"),
            data.get("after"),
            tuple(map(SavedCandidate.from_plain, data.get("candidates", ()))),
            tuple(data.get("notes", ())),
            data.get("compiled"),
        )


def _outcome_to_plain(outcome: CaseOutcome) -> dict[str, Any]:
    data = outcome.to_plain()
    del data["unit"]
    return data


@dataclass(frozen=True, slots=True)
class SavedWritten:
    """What became of a unit's snapshot. See ``harness.written.snapshots.Written``."""

    unit: str
    state: str
    path: str
    changes: tuple[str, ...] = ()
    detail: str = ""

    def to_plain(self) -> dict[str, Any]:
        """Return JSON data."""
        data = given(self)
        return {**data, "changes": list(self.changes)} if self.changes else data

    @classmethod
    def from_plain(cls, data: Mapping[str, Any]) -> Self:
        """Read what ``to_plain`` returned."""
        return cls(**{**data, "changes": tuple(data.get("changes", ()))})


@dataclass(frozen=True)
class SavedRun:
    """One run.

    Parameters
    ----------
    units: sorted by id.
    settings: what the run was asked for (``record``, ``seed``, ``compile``, ``update``, ``ci``, ...).
    lost_workers: ids of xdist's workers that died.
    missing: node ids of selected items that have no result.
    problems: what failed that belongs to no item, in words.
    passed: the run as a whole; never where something is missing because of a lost worker or Ctrl-C.
    interrupted: it was ended before its last item (Ctrl-C); what came after is ``missing``.
    plain_calls: calls of plain tests, which belong to no unit.
    """

    units: tuple[SavedUnit, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    lost_workers: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    written: tuple[SavedWritten, ...] = ()
    passed: bool = False
    interrupted: bool = False
    plain_calls: TallyCount = field(default_factory=TallyCount)

    @property
    def complete(self) -> bool:
        """Whether everything that was selected has a result."""
        return not (self.missing or self.lost_workers or self.interrupted)

    @cached_property
    def results(self) -> RunResults:
        """The same as the harness collects it, for figures and summaries."""
        results = RunResults()
        for unit in self.units:
            results.add_unit(unit.info)
            results.add_calls(unit.id, unit.calls)
            for outcome in unit.outcomes:
                results.add(outcome)
        results.add_calls(None, self.plain_calls)
        for worker in self.lost_workers:
            results.lose_worker(worker)
        return results

    def unit(self, unit_id: str) -> SavedUnit | None:
        """Return the unit with this id, or None."""
        return next((unit for unit in self.units if unit.id == unit_id), None)

    def to_plain(self) -> dict[str, Any]:
        """Return JSON data. Messages are stored once each; calls hold their numbers."""
        messages = _Messages(call for unit in self.units for case in unit.cases for call in case.calls)
        data: dict[str, Any] = {
            "kind": KIND,
            "format": FORMAT,
            "passed": self.passed,
            "complete": self.complete,
            "settings": dict(self.settings),
            "lost_workers": list(self.lost_workers),
            "missing": list(self.missing),
            "problems": list(self.problems),
            "written": [item.to_plain() for item in self.written],
            "interrupted": self.interrupted,
            "plain_calls": self.plain_calls.to_plain(),
            "units": [unit.to_plain(messages.number) for unit in self.units],
        }
        return {**data, "messages": messages.all}

    @classmethod
    def from_plain(cls, data: Mapping[str, Any]) -> Self:
        """Read what ``to_plain`` returned.

        Raises ValueError for another kind or format; KeyError, TypeError, ValueError, IndexError or
        AttributeError for data that is none."""
        if data.get("kind") != KIND:
            raise ValueError(f"it is no {KIND}")
        if data["format"] != FORMAT:
            raise ValueError(f"its format is {data['format']!r}; this version reads {FORMAT}")
        messages: list[Message] = data["messages"]
        return cls(
            tuple(SavedUnit.from_plain(unit, messages) for unit in data["units"]),
            data["settings"],
            tuple(data["lost_workers"]),
            tuple(data["missing"]),
            tuple(data["problems"]),
            tuple(map(SavedWritten.from_plain, data["written"])),
            data["passed"],
            data["interrupted"],
            TallyCount.from_plain(data["plain_calls"]),
        )


class _Messages:
    """Every different message of some calls, in the order of first use, with its number by text."""

    def __init__(self, calls: Iterable[SavedCall]) -> None:
        self.number: dict[str, int] = {}
        self.all: list[dict[str, Any]] = []
        for message in self._each(calls):
            text = message_text(message)
            if text not in self.number:
                self.number[text] = len(self.all)
                self.all.append(dict(message))

    def _each(self, calls: Iterable[SavedCall]) -> Iterator[Message]:
        for call in calls:
            yield from call.messages
