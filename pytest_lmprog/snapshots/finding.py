"""Every file of a project that a check looks at, found in one walk."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from pytest_lmprog.records import dataclass
from pytest_lmprog.snapshots.store import SNAPSHOT_FOLDER, is_pending, project_files

__all__ = ["RECORDING_FOLDER", "Found", "find"]

RECORDING_FOLDER = "__lm_recordings__"
_HEAD = 400
_SIGNS = (b"A compiled LM program", b"\nprompt_format: ")


@dataclass(frozen=True, slots=True)
class Found:
    """Accepted snapshots, pending ones and recordings, each sorted."""

    accepted: tuple[Path, ...]
    pending: tuple[Path, ...]
    recordings: tuple[Path, ...]


def find(roots: Iterable[Path]) -> Found:
    """Return what lies under ``roots`` (files or folders), each file once.

    A snapshot that was placed elsewhere (``snapshot="../triage.yaml"``) is known by its first lines."""
    accepted: set[Path] = set()
    pending: set[Path] = set()
    recordings: set[Path] = set()
    for root in roots:
        for path in [root] if root.is_file() else project_files(root):
            if path.suffix == ".yaml" and _is_snapshot(path):
                (pending if is_pending(path) else accepted).add(path)
            elif path.suffix == ".jsonl" and path.parent.name == RECORDING_FOLDER:
                recordings.add(path)
    return Found(tuple(sorted(accepted)), tuple(sorted(pending)), tuple(sorted(recordings)))


def _is_snapshot(path: Path) -> bool:
    if SNAPSHOT_FOLDER in path.parts:
        return not path.name.startswith(".")
    try:
        with open(path, "rb") as file:
            head = file.read(_HEAD)
    except OSError:
        return False
    return any(sign in head for sign in _SIGNS)
