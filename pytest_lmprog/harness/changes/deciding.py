"""Deciding which cases to run: each program run is replayed from the recordings, and watched.

A program is deterministic up to the answers that it gets. So a run that reaches nothing that changed, and
asks only what was recorded, is the run that the snapshot was made with. Whatever is in doubt is run.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import closing, nullcontext
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from pytest_lmprog.errors import LmprogError
from pytest_lmprog.evaluation.runner import error_info, run_example
from pytest_lmprog.harness.changes.effects import sizes
from pytest_lmprog.harness.changes.names import SourceNames, module_of
from pytest_lmprog.harness.changes.parts import Affected, affected
from pytest_lmprog.harness.coverage.observer import Arcs, Observer, make_observer
from pytest_lmprog.harness.coverage.scope import shown_path
from pytest_lmprog.harness.preparing import fingerprint_of
from pytest_lmprog.harness.state import Prepared, example_digest
from pytest_lmprog.harness.unit import Unit
from pytest_lmprog.lm.scope import RecordingBook
from pytest_lmprog.programs import Example, Run, context
from pytest_lmprog.programs.run import predictor_names
from pytest_lmprog.programs.trace import UNNAMED
from pytest_lmprog.snapshots.artifact import Snapshot
from pytest_lmprog.snapshots.closure import Closure
from pytest_lmprog.snapshots.edited import edited_predictors
from pytest_lmprog.snapshots.fingerprint import Change, compare, describe, unchecked

if TYPE_CHECKING:
    from pytest_lmprog.harness.session import Session

__all__ = ["Asked", "Decision", "decide"]


@dataclass(frozen=True, slots=True)
class Asked:
    """A test item. ``runs_program``: it asks for the prediction. ``asks_more``: for the program or an LM too,
    so that what it does with them is not known."""

    metric: str
    example: Example
    rollout: int = 0
    runs_program: bool = True
    asks_more: bool = False


@dataclass(frozen=True, slots=True)
class Decision:
    """Which items of a unit to run; ``why``: what changed, in words."""

    run: frozenset[Asked]
    why: tuple[str, ...] = ()


def decide(session: Session, unit: Unit, items: Iterable[Asked], *, fixture_lm: Any = None) -> Decision:
    """Return which of a unit's items run something that changed since its snapshot, or may.

    Raises LmprogError where the unit cannot be prepared. Makes no call."""
    asked = list(items)
    prepared = session.prepared_anew(unit, fixture_lm=fixture_lm)
    if prepared.snapshot is None:
        return Decision(frozenset(asked), ("there is no snapshot",))
    changes, found, closure = _changes(session, prepared, prepared.snapshot)
    told = tuple(describe(c for c in changes if c.part not in _NOT_TOLD))
    if found.everything:
        return Decision(frozenset(asked), (f"every case runs: {found.everything}",))
    replay = _Replay(session, prepared, found, closure)
    before = replay.sizes()
    with closing(replay):
        run = frozenset(item for item in asked if _must_run(item, prepared.snapshot, found, replay))
    grown = [name for name, size in replay.sizes().items() if before.get(name, size) != size]
    if found.of_program and grown:
        why = f"every case runs: running the program changes {grown[0]}, by which cases may depend on others"
        return Decision(frozenset(asked), (*told, why))
    return Decision(run, told)


_NOT_TOLD = ("teleprompter", "trainset", "valset")


def _changes(
    session: Session, prepared: Prepared, snapshot: Snapshot
) -> tuple[list[Change], Affected, Closure]:
    from types import FunctionType

    from pytest_lmprog.snapshots.code_parts import program_closure, project_sources

    unit, written = prepared.unit, prepared.written
    now = fingerprint_of(session, unit, written, prepared.lm)
    changes = compare(snapshot.fingerprint, now)
    sources = project_sources(session.settings.rootdir, type(written))
    factory = unit.program if isinstance(unit.program, FunctionType) else None
    closure = program_closure(written, factory=factory, sources=sources)
    found = affected(changes, unit, written, closure=closure, names=SourceNames(closure, sources))
    unknown = unchecked({part: items for part, items in now.items() if part not in _NOT_TOLD})
    if unknown and not found.everything:
        found.everything = f"{unknown[0]} cannot be checked for changes"
    found.predictors.update(edited_predictors(snapshot, prepared.program))
    return changes, found, closure


def _must_run(item: Asked, snapshot: Snapshot, found: Affected, replay: _Replay) -> bool:
    """Whether an item's example, metric, prompts or executed code is not known to be as it was."""
    baseline = snapshot.baseline.get(item.metric)
    entry = None if baseline is None else baseline.cases.get(item.example.id)
    if entry is None or entry.status == "unscored" or entry.example != example_digest(item.example):
        return True
    if item.rollout >= max(entry.n, 1) or item.metric in found.metrics:
        return True
    if item.asks_more and found.of_program:
        return True
    if not item.runs_program:
        return False
    error = replay.error(item.example, item.rollout)
    return error is _CHANGED or error != (entry.error if entry.status == "error" else None)


_CHANGED = object()


class _Replay:
    """Runs of a program from the recordings alone, each made once."""

    def __init__(self, session: Session, prepared: Prepared, found: Affected, closure: Closure) -> None:
        self._prepared = prepared
        self._found = found
        self._root = session.settings.rootdir
        self._closure = closure
        self._names = predictor_names(prepared.program)
        book = _Brief(prepared.scope.recording)
        self._scope = replace(prepared.scope, mode="none", recording=book, cache=None, tally=None)
        self._known: dict[tuple[str, int], Any] = {}
        self._lines = self._watched_lines()
        self._observer: Observer | None = None
        if self._lines:
            self._observer = make_observer(self._root)
            self._observer.add(str(self._root / file) for file in self._lines)

    def close(self) -> None:
        """Stop watching."""
        if self._observer is not None:
            self._observer.close()

    def _watched_lines(self) -> Mapping[str, set[int]]:
        lines: dict[str, set[int]] = {}
        for item in self._found.functions:
            for place in self._closure.places.get(item, ()):
                known = lines.setdefault(shown_path(place.file, self._root), set())
                known.update(range(place.body, place.last + 1))
        return lines

    def sizes(self) -> dict[str, int]:
        """Return the sizes of what the program may keep from one run for the next."""
        modules = {module_of(item) for item in self._closure.items} - {""}
        return sizes(self._prepared.program, modules)

    def error(self, example: Example, rollout: int) -> Any:
        """Return the kind of the program's error, None where it has none, or ``_CHANGED`` where the run
        reaches something that changed or cannot be replayed."""
        key = example.id, rollout
        if key not in self._known:
            self._known[key] = self._replayed(example, rollout)
        return self._known[key]

    def _replayed(self, example: Example, rollout: int) -> Any:
        try:
            with nullcontext({}) if self._observer is None else self._observer.watching() as arcs:
                run = self._run(example, rollout)
        except LmprogError:
            return _CHANGED
        if self._calls_changed(run) or self._runs_changed(arcs):
            return _CHANGED
        return None if run.error is None else error_info(run.error).kind

    def _run(self, example: Example, rollout: int) -> Run:
        prepared = self._prepared
        with context(lm=prepared.lm):
            return run_example(
                prepared.program,
                example,
                rollout=rollout,
                scope=self._scope,
                max_calls=prepared.max_calls,
                names=self._names,
            )

    def _calls_changed(self, run: Run) -> bool:
        called = {call.name for call in run.trace}
        return bool(self._found.predictors) and (
            UNNAMED in called or not called.isdisjoint(self._found.predictors)
        )

    def _runs_changed(self, arcs: Arcs) -> bool:
        return any(
            line in self._lines.get(file, ()) for file, found in arcs.items() for arc in found for line in arc
        )


class _Brief:
    """A book that does not explain what it lacks."""

    def __init__(self, book: RecordingBook | None) -> None:
        assert book is not None
        self.lookup: Any = book.lookup
        self.add: Any = book.add
        self.capabilities: Any = book.capabilities
        self.learn: Any = book.learn

    def explain_miss(self, request: Any, label: str | None, *, rewrite: Any = None) -> str:
        """Return next to nothing: nobody will see it."""
        del request, label, rewrite
        return "not recorded"
