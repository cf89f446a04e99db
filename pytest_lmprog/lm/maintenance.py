"""Looking after the cache: statistics, export and import as JSON Lines, and a check of every row.

Reading never writes to the database. Recordings are looked after in ``recordings.upkeep``.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import field
from pathlib import Path

from pytest_lmprog.canonical import canonical_json
from pytest_lmprog.errors import CacheError, CanonicalError
from pytest_lmprog.lm.entry import Entry, decode_entry
from pytest_lmprog.lm.stores import DATABASE
from pytest_lmprog.lm.stores.disk import DiskStore
from pytest_lmprog.lm.stores.sqlite import RowReader, find_damage
from pytest_lmprog.records import dataclass

__all__ = [
    "CacheCheck",
    "CacheStats",
    "Exported",
    "Imported",
    "cache_stats",
    "export_cache",
    "import_cache",
    "verify_cache",
]

EXPORT_FORMAT = 1
_HEADER = {"about": "an LM cache exported by pytest-lmprog; one row a line", "format": EXPORT_FORMAT}


@dataclass(frozen=True, slots=True)
class CacheStats:
    """``entries`` answers of ``size`` bytes in all, ``models`` (name to number of answers), the size of
    the database file, and the number of rows that cannot be read."""

    entries: int = 0
    size: int = 0
    file_size: int = 0
    damaged: int = 0
    models: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CacheCheck:
    """``sound`` rows; ``unverifiable`` ones, whose request is not stored or was redacted; and the
    problems, one message each."""

    sound: int = 0
    unverifiable: int = 0
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Exported:
    """Rows written, and what is wrong with those that were not."""

    rows: int
    skipped: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Imported:
    """Rows added, and rows left as they were because their key was there."""

    added: int
    present: int


def cache_stats(directory: Path) -> CacheStats:
    """Count what the cache in ``directory`` holds. Raises CacheError where it cannot be read."""
    entries = size = damaged = 0
    models: Counter[str] = Counter()
    for _, value in _rows(directory):
        entry = _decoded(value)
        if isinstance(entry, str):
            damaged += 1
        elif isinstance(value, bytes) and entry.response is not None:
            entries += 1
            size += len(value)
            models[str((entry.request or {}).get("model", "(not stored)"))] += 1
    file = directory / DATABASE
    file_size = file.stat().st_size if file.exists() else 0
    return CacheStats(entries, size, file_size, damaged, dict(sorted(models.items())))


def verify_cache(directory: Path) -> CacheCheck:
    """Read every row: its checksum fits, it is an entry, and its key is the digest of what was asked.

    Raises CacheError where the database as a whole cannot be read.
    """
    sound = unverifiable = 0
    problems = []
    for key, value in _rows(directory):
        entry = _decoded(value)
        fits = None if isinstance(entry, str) else _fits(entry, key)
        if isinstance(entry, str):
            problems.append(f"row {key[:12]}...: {entry}")
        elif fits is False:
            problems.append(f"row {key[:12]}...: its key is not that of its request")
        elif fits is None:
            unverifiable += 1
        else:
            sound += 1
    return CacheCheck(sound, unverifiable, tuple(problems))


def export_cache(directory: Path, target: Path) -> Exported:
    """Write all sound rows to ``target``, ordered by key; it appears whole or not at all.

    Raises CacheError where the cache cannot be read or ``target`` cannot be written.
    """
    rows, skipped = 0, []
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(canonical_json(_HEADER) + b"\n")
            for key, value in _rows(directory):
                problem = _decoded(value)
                if isinstance(value, CacheError) or isinstance(problem, str):
                    skipped.append(f"row {key[:12]}...: {problem}")
                    continue
                file.write(canonical_json({"entry": value.decode("utf-8"), "key": key}) + b"\n")
                rows += 1
        os.replace(temporary, target)
    except OSError as error:
        raise CacheError(f"cannot be written ({error.strerror or error})", path=os.fspath(target)) from None
    finally:
        with suppress(OSError):
            temporary.unlink()
    return Exported(rows, tuple(skipped))


def import_cache(directory: Path, source: Path) -> Imported:
    """Add the rows of an exported file; the file is checked as a whole before the first one is added.

    Raises CacheError, with file and line, for a row that is not sound, and where the cache cannot be
    written.
    """
    rows = list(_read_export(source))
    added = 0
    with closing(DiskStore(directory)) as store:
        for key, value in rows:
            if store.get(key) is None:
                store.set(key, value)
                added += 1
    return Imported(added, len(rows) - added)


def _rows(directory: Path) -> Iterator[tuple[str, bytes | CacheError]]:
    path = directory / DATABASE
    if not path.exists() or not path.stat().st_size:
        return
    damage = find_damage(path)
    if damage is not None:
        raise CacheError(f"the cache cannot be read ({damage})", path=os.fspath(path))
    try:
        with RowReader(path) as reader:
            yield from reader.rows()
    except sqlite3.Error as error:
        raise CacheError(f"the cache cannot be read ({error})", path=os.fspath(path)) from None


def _decoded(value: bytes | CacheError) -> Entry | str:
    """Return the entry, or what is wrong with it."""
    if isinstance(value, CacheError):
        return value.message
    try:
        return decode_entry(value)
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError) as error:
        return f"it is not an entry ({error})"


def _fits(entry: Entry, key: str) -> bool | None:
    try:
        return entry.fits(key)
    except CanonicalError:
        return False


def _read_export(source: Path) -> Iterator[tuple[str, bytes]]:
    shown = os.fspath(source)
    try:
        lines = source.read_bytes().removeprefix(b"\xef\xbb\xbf").split(b"\n")
    except OSError as error:
        raise CacheError(f"cannot be read ({error.strerror or error})", path=shown) from None
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            if number == 1:
                _check_header(row)
            else:
                yield _checked_row(row)
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise CacheError(f"not a row of an exported cache ({error})", path=shown, line=number) from None


def _check_header(row: Mapping[str, object]) -> None:
    if row.get("format") != EXPORT_FORMAT:
        raise ValueError(f"format {row.get('format')!r}; this version reads {EXPORT_FORMAT}")


def _checked_row(row: Mapping[str, str]) -> tuple[str, bytes]:
    key, value = row["key"], row["entry"].encode("utf-8")
    entry = _decoded(value)
    if isinstance(entry, str):
        raise ValueError(entry)
    if _fits(entry, key) is False:
        raise ValueError("its key is not that of its request")
    return key, value
