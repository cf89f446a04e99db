"""Compile journals: ``journal/<module>/<unit>.jsonl`` in the cache folder, found and read."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field
from functools import cached_property
from pathlib import Path
from typing import Any

from pytest_lmprog.canonical import digest_bytes
from pytest_lmprog.errors import StoreError
from pytest_lmprog.harness.unit import Unit
from pytest_lmprog.records import dataclass
from pytest_lmprog.snapshots.store import SNAPSHOT_FOLDER
from pytest_lmprog.teleprompt.engine.journal import FORMAT, KIND, unfinished_path
from pytest_lmprog.teleprompt.engine.lineage import ancestors

__all__ = ["Entry", "Journal", "journal_path", "list_journals", "read_journal"]

FOLDER = "journal"
_SUFFIX = ".jsonl"


def journal_path(cache_dir: Path, unit: Unit, rootdir: Path) -> Path:
    """Return where the unit's journal lies: as its snapshot lies in the project, so no two share one."""
    snapshot = unit.snapshot
    if snapshot.is_relative_to(rootdir):
        folders = [part for part in snapshot.relative_to(rootdir).parent.parts if part != SNAPSHOT_FOLDER]
    else:
        folders = [f"outside-{digest_bytes(str(snapshot.parent).encode())[:8]}"]
    return cache_dir.joinpath(FOLDER, *folders, snapshot.stem + _SUFFIX)


def list_journals(cache_dir: Path) -> list[Path]:
    """Return the journals' paths, sorted; of one that was never finished the path that it will have."""
    folder = cache_dir / FOLDER
    found = set(folder.rglob(f"*{_SUFFIX}"))
    found |= {path.with_suffix("") for path in folder.rglob(f"*{_SUFFIX}.part")}
    return sorted(path for path in found if not path.name.startswith("."))


@dataclass(frozen=True, slots=True)
class Entry:
    """A candidate, as its line has it. ``tokens`` and ``cost`` (USD) of its evaluation are None where they
    are not known; ``instructions`` are digests, ``demos`` counts, by predictor."""

    index: int
    label: str
    parents: tuple[int, ...] = ()
    score: float | None = None
    characters: int = 0
    runs: int = 0
    calls: int = 0
    tokens: int | None = None
    cost: float | None = None
    instructions: Mapping[str, str] = field(default_factory=dict)
    demos: Mapping[str, int] = field(default_factory=dict)
    winner: bool = False

    @property
    def partial(self) -> bool:
        """Whether its evaluation was begun and given up: it could not win, or the budget was spent."""
        return self.score is None and self.runs > 0

    @classmethod
    def from_plain(cls, data: Mapping[str, Any]) -> Entry:
        """Read a line's data. Raises TypeError for what is none."""
        return cls(**{**data, "parents": tuple(data.get("parents", ()))})


@dataclass(frozen=True)
class Journal:
    """What a compile told. ``end`` is None while it runs, and where it was killed or failed; ``torn``:
    the last line is not whole."""

    head: Mapping[str, Any]
    entries: tuple[Entry, ...]
    end: Mapping[str, Any] | None = None
    torn: bool = False
    plain: tuple[Mapping[str, Any], ...] = ()

    @cached_property
    def of(self) -> Mapping[int, Entry]:
        """The candidates by index, in index order."""
        return {entry.index: entry for entry in sorted(self.entries, key=lambda entry: entry.index)}

    def lineage(self, index: int) -> tuple[Entry, ...]:
        """Return the candidate and all it was made from, in index order."""
        line = ancestors(index, {one: entry.parents for one, entry in self.of.items()})
        return tuple(self.of[one] for one in line)

    def to_plain(self) -> dict[str, Any]:
        """Return JSON data."""
        return {
            **self.head,
            "finished": self.end is not None,
            "candidates": list(self.plain),
            "end": self.end,
        }


def read_journal(path: Path, *, unfinished: bool = False) -> Journal:
    """Return the journal at ``path``: the finished one, else (or if asked for) what stands of an unfinished.

    Raises StoreError, with the line, where it is missing, damaged, or of another format. A torn last line
    of an unfinished one is what a killed process leaves, and is left out."""
    partial = unfinished or not path.exists()
    source = unfinished_path(path) if partial else path
    try:
        text = source.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise StoreError(f"cannot be read: {error}", path=str(source)) from None
    lines = text.splitlines(keepends=True)
    torn = bool(lines) and not lines[-1].endswith("\n")
    return _journal(list(_parsed(lines[:-1] if torn else lines, source)), source, torn=torn)


def _parsed(lines: Sequence[str], path: Path) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(lines, 1):
        try:
            data = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise StoreError(f"is no JSON: {error}", path=str(path), line=number, hint=_AGAIN) from None
        if not isinstance(data, dict):
            raise StoreError("is no JSON object", path=str(path), line=number, hint=_AGAIN)
        yield data


_AGAIN = "pytest --lm-compile writes it anew"


def _journal(lines: list[dict[str, Any]], path: Path, *, torn: bool) -> Journal:
    head = lines[0] if lines else {}
    if head.get("kind") != KIND:
        raise StoreError(f"is no {KIND}", path=str(path), line=1, hint=_AGAIN)
    if head.get("format") != FORMAT:
        problem = f"has the format {head.get('format')!r}; this version reads {FORMAT}"
        raise StoreError(problem, path=str(path), hint="another version of pytest-lmprog wrote it")
    end = next((line for line in lines[1:] if "stopped" in line), None)
    plain = [line for line in lines[1:] if line is not end]
    try:
        entries = tuple(map(Entry.from_plain, plain))
    except (TypeError, ValueError) as error:
        raise StoreError(f"is damaged: {error}", path=str(path), hint=_AGAIN) from None
    return Journal(head, entries, end, torn, tuple(plain))
