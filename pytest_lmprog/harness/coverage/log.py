"""What was noted of each run of a program: collected in one process, or sent there by workers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pytest_lmprog.canonical import digest
from pytest_lmprog.harness.coverage.observer import Arc, Arcs
from pytest_lmprog.harness.coverage.scope import UnitScope

__all__ = ["CoverageLog", "RunNote"]

_DIGITS = 16


@dataclass(frozen=True, slots=True)
class RunNote:
    """One run of a program: which example and rollout, the digest of the way that it took through the
    code, the predictors that were called, and the demos, by predictor and index, that were in a prompt."""

    unit: str
    example: str
    rollout: int
    way: str
    predictors: frozenset[str]
    demos: frozenset[tuple[str, int]]


class CoverageLog:
    """The scopes of units, and the runs of their programs; a way that many runs take is kept once."""

    def __init__(self) -> None:
        self.scopes: dict[str, UnitScope] = {}
        self.ways: dict[str, Mapping[str, frozenset[Arc]]] = {}
        self._making: dict[str, set[str]] = {}
        self._runs: dict[tuple[str, str, int], list[RunNote]] = {}
        self._unsent: list[RunNote] = []
        self._sent: set[str] = set()

    def add_scope(self, scope: UnitScope, making: Arcs) -> None:
        """Take note of a unit, and of the way that making its program took."""
        self.scopes[scope.unit] = scope
        self._making.setdefault(scope.unit, set()).add(self._way(making))

    def add(
        self, unit: str, example: str, rollout: int, *, arcs: Arcs, used: Iterable[tuple[str, int | None]]
    ) -> None:
        """Take note of a run. ``used``: predictors that were called, also with the index of each demo."""
        used = set(used)
        note = RunNote(
            unit,
            example,
            rollout,
            self._way(arcs),
            frozenset(name for name, _ in used),
            frozenset((name, index) for name, index in used if index is not None),
        )
        self._keep(note)
        self._unsent.append(note)

    def _way(self, arcs: Arcs) -> str:
        kept = {file: frozenset(found) for file, found in arcs.items() if found}
        name = digest([[file, sorted(map(list, kept[file]))] for file in sorted(kept)])[:_DIGITS]
        self.ways.setdefault(name, kept)
        return name

    def _keep(self, note: RunNote) -> None:
        known = self._runs.setdefault((note.unit, note.example, note.rollout), [])
        if note not in known:
            known.append(note)

    @property
    def runs(self) -> Iterator[RunNote]:
        """The runs, by unit in the order in which they were made; an example that was run again may have
        taken another way."""
        return (note for notes in self._runs.values() for note in notes)

    def ran(self, unit: str) -> int:
        """Return how many examples and rollouts of a unit were run."""
        return sum(1 for of, _, _ in self._runs if of == unit)

    def making(self, unit: str) -> list[Mapping[str, frozenset[Arc]]]:
        """Return the ways that making the program of a unit took."""
        return [self.ways[way] for way in sorted(self._making.get(unit, ()))]

    # --- from workers -----------------------------------------------------------------------------------

    def harvest(self) -> dict[str, Any] | None:
        """Return, as plain data, what was noted since the last harvest, or None."""
        if not self._unsent:
            return None
        notes, self._unsent = self._unsent, []
        scopes = [s for unit, s in self.scopes.items() if f"scope {unit}" not in self._sent]
        self._sent.update(f"scope {scope.unit}" for scope in scopes)
        making = {s.unit: sorted(self._making.get(s.unit, ())) for s in scopes}
        ways = {note.way for note in notes}.union(*making.values()) - self._sent
        self._sent |= ways
        return {
            "scopes": [scope.to_plain() for scope in scopes],
            "making": making,
            "ways": {way: {f: sorted(map(list, arcs)) for f, arcs in self.ways[way].items()} for way in ways},
            "runs": [_to_plain(note) for note in notes],
        }

    def absorb(self, data: Mapping[str, Any]) -> None:
        """Take over another process's harvest."""
        for plain in data["scopes"]:
            scope = UnitScope.from_plain(plain)
            self.scopes[scope.unit] = scope
        for way, files in data["ways"].items():
            self.ways[way] = {file: frozenset((a, b) for a, b in arcs) for file, arcs in files.items()}
        for unit, ways in data["making"].items():
            self._making.setdefault(unit, set()).update(ways)
        for plain in data["runs"]:
            self._keep(_from_plain(plain))


def _to_plain(note: RunNote) -> list[Any]:
    demos = sorted(map(list, note.demos))
    return [note.unit, note.example, note.rollout, note.way, sorted(note.predictors), demos]


def _from_plain(data: list[Any]) -> RunNote:
    unit, example, rollout, way, predictors, demos = data
    return RunNote(
        unit, example, rollout, way, frozenset(predictors), frozenset((name, index) for name, index in demos)
    )
