"""A pending snapshot as it is looked at: what accepting it would change, or why it cannot be read."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_lmprog.cli.context import Context
from pytest_lmprog.cli.targets import unit_of
from pytest_lmprog.errors import RecordingError, SnapshotError
from pytest_lmprog.harness.books import RECORDING_FOLDER
from pytest_lmprog.records import dataclass
from pytest_lmprog.snapshots import store
from pytest_lmprog.snapshots.artifact import Snapshot
from pytest_lmprog.snapshots.changes import SnapshotDiff
from pytest_lmprog.snapshots.diff import diff as compare
from pytest_lmprog.snapshots.edited import looks_edited

if TYPE_CHECKING:
    from pytest_lmprog.lm.recordings.usage import CallFigures, RecordedCalls

__all__ = ["Proposal", "edit_notes", "look", "with_calls"]


@dataclass(frozen=True, slots=True)
class Proposal:
    """One pending snapshot.

    Parameters
    ----------
    digest: of the file as it was read; None where it is gone.
    diff: from the accepted snapshot to this one; None where either cannot be read.
    problem: why there is no ``diff``.
    refused: why it cannot be accepted as the files are now.
    notes: what else a reviewer should know: hand edits, a compile cut short.
    """

    path: Path
    unit: str
    shown: str
    accepted: str
    new: bool
    digest: str | None = None
    snapshot: Snapshot | None = None
    diff: SnapshotDiff | None = None
    problem: str | None = None
    refused: str | None = None
    notes: tuple[str, ...] = ()

    @property
    def gone(self) -> bool:
        """Whether there is no file any more."""
        return self.digest is None and self.refused is None

    def plain(self) -> dict[str, Any]:
        """Return what ``lmprog review --json`` says of it, without the difference."""
        return {
            "unit": self.unit,
            "pending": self.shown,
            "accepted": self.accepted,
            "new": self.new,
            "problem": self.problem,
            "refused": self.refused,
            "notes": list(self.notes),
        }


def look(context: Context, path: Path) -> Proposal:
    """Read the pending snapshot at ``path`` and compare it with the accepted one; never raises for damage."""
    target = store.accepted_path(path)
    base = Proposal(path, unit_of(path), context.shown(path), context.shown(target), not target.exists())
    try:
        data = store.content(path)
        if data is None:
            return replace(base, problem="it is gone: accepted or rejected elsewhere")
        base = replace(base, digest=store.content_digest(data))
        new = store.parse(data, str(path))
        base = replace(base, snapshot=new)
        old = store.read_if_any(target)
    except SnapshotError as error:
        problem = _from_root(context, error)
        return replace(base, problem=problem, refused=problem)
    refused = store.refusal(path, new)
    found, doubts = with_calls(compare(old, new), old, new, target)
    return replace(
        base,
        diff=found,
        refused=None if refused is None else _from_root(context, refused),
        notes=(*edit_notes(new), *doubts),
    )


def _from_root(context: Context, error: SnapshotError) -> str:
    return str(error).replace(f"{context.root}{os.sep}", "")


def edit_notes(snapshot: Snapshot | None) -> list[str]:
    """Return a line for each predictor that was edited by hand, and one for a compile that was cut short."""
    if snapshot is None:
        return []
    notes = [f"{name} was edited by hand" for name, p in snapshot.predictors.items() if looks_edited(p)]
    if snapshot.header.stopped:
        notes.append(f"the compile was stopped by its {snapshot.header.stopped}")
    return notes


def with_calls(
    diff: SnapshotDiff, old: Snapshot | None, new: Snapshot | None, target: Path
) -> tuple[SnapshotDiff, list[str]]:
    """Return ``diff`` with what recorded calls took, by predictor, and notes on what could not be read.

    ``target`` is the accepted snapshot's path; the recording is the one of its test module."""
    from pytest_lmprog.lm.recordings.usage import RecordedCalls

    recording = target.parent.parent.parent / RECORDING_FOLDER / f"{target.parent.name}.jsonl"
    if target.parent.parent.name != store.SNAPSHOT_FOLDER or not recording.is_file():
        return diff, []
    try:
        known = RecordedCalls(recording)
        calls = {p.name: (_calls(known, old, p.name), _calls(known, new, p.name)) for p in diff.predictors}
    except RecordingError as error:
        return diff, [f"tokens and cost per call are not known: {error}"]
    found: Mapping[str, tuple[CallFigures | None, CallFigures | None]] = calls
    return replace(diff, calls=found), []


def _calls(known: RecordedCalls, snapshot: Snapshot | None, name: str) -> CallFigures | None:
    if snapshot is None or name not in snapshot.predictors:
        return None
    model = snapshot.header.model
    return known.of_prompt(snapshot.predictors[name].messages, model.name if model else None)
