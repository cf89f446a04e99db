"""Bytes by key on disk, shared by threads and processes: a diskcache that can neither pickle nor evict.

Damage is contained: a database that cannot be used is reported once, left as it is, and not used again
in this run; a row that is not ours is reported and read as a miss.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from pytest_lmprog.errors import CacheError
from pytest_lmprog.lm.claims import Claim, FileClaims
from pytest_lmprog.lm.stores import DATABASE
from pytest_lmprog.lm.stores.folder import make_cache_folder
from pytest_lmprog.lm.stores.warn import WarnOnce

if TYPE_CHECKING:
    from pytest_lmprog.lm.stores.rows import RowCache

__all__ = ["DiskStore"]

_OPENING = "open"


class _Rows(Protocol):
    def get(self, key: str) -> bytes | None: ...

    def close(self) -> None: ...


class DiskStore:
    """The cache in ``directory`` (created on the first write, with a ``.gitignore``; opened on first use).

    Not for network file systems: SQLite's locks do not hold there. ``warn`` is told of damage, each
    thing once; by default as a LmprogWarning.
    """

    def __init__(self, directory: Path, *, warn: Callable[[str], None] | None = None) -> None:
        self.directory = Path(directory)
        self._warn = warn or WarnOnce()
        self._claims = FileClaims(self.directory / "claims.lock")
        self._reader: _Rows | None = None
        self._writer: RowCache | None = None
        self._broken: str | None = None

    def get(self, key: str) -> bytes | None:
        """Return what was stored under ``key``, or None. Never raises for damage."""
        rows = self._reader or self._open_for_reading()
        if rows is None:
            return None
        try:
            return rows.get(key)
        except CacheError as error:
            self._warn(f"{self._shown}: row {key[:12]}... is not used: {error}")
        except _failures() as error:
            self._give_up(str(error))
        return None

    def set(self, key: str, value: bytes) -> None:
        """Store ``value``; it survives a killed process. Raises CacheError where that is impossible."""
        writer = self._writer or self._open_for_writing()
        try:
            writer.put(key, value)
        except _failures() as error:
            raise self._unusable(self._note(error)) from None

    def claim(self, key: str) -> Claim:
        """Hold ``key`` against every thread and process that uses this folder."""
        self._make_folder()
        return self._claims.claim(key)

    def close(self) -> None:
        """Close the database. The store opens it again when it is used again."""
        if self._reader is not None:
            self._reader.close()
        self._reader = self._writer = None

    @property
    def _shown(self) -> str:
        return f"LM cache {self.directory / DATABASE}"

    def _open_for_reading(self) -> _Rows | None:
        if self._broken is not None or not os.path.exists(self.directory / DATABASE):
            return None
        try:
            self._open()
        except CacheError as error:
            self._warn(str(error))
        return self._reader

    def _open_for_writing(self) -> RowCache:
        if self._broken is None:
            self._open()
        if self._writer is None:
            raise self._unusable(self._broken or "it is read-only")
        return self._writer

    def _open(self) -> None:
        self._make_folder()
        with self._claims.claim(_OPENING):
            if self._reader is None and self._broken is None:
                self._open_alone()

    def _open_alone(self) -> None:
        from pytest_lmprog.lm.stores.rows import RowCache
        from pytest_lmprog.lm.stores.sqlite import find_damage

        path = self.directory / DATABASE
        damage = find_damage(path)
        if damage is not None:
            raise self._unusable(self._set_broken(damage))
        try:
            self._reader = self._writer = RowCache(self.directory)
        except _failures() as error:
            self._open_read_only(path, str(error))

    def _open_read_only(self, path: Path, reason: str) -> None:
        from pytest_lmprog.lm.stores.sqlite import RowReader

        try:
            self._reader = RowReader(path)
        except _failures():
            raise self._unusable(self._set_broken(reason)) from None

    def _make_folder(self) -> None:
        with suppress(OSError):  # a read-only project still replays; a write says that it failed
            make_cache_folder(self.directory)

    def _give_up(self, reason: str) -> None:
        self._warn(str(self._unusable(self._set_broken(reason))))

    def _note(self, error: Exception) -> str:
        """Stop using a database that is damaged; a full disk or a lock may pass."""
        import sqlite3

        passing = isinstance(error, sqlite3.OperationalError | OSError)
        return str(error) if passing else self._set_broken(str(error))

    def _set_broken(self, reason: str) -> str:
        self._broken = reason
        self._reader = self._writer = None
        return reason

    def _unusable(self, reason: str) -> CacheError:
        return CacheError(
            f"{self._shown} cannot be used ({reason}); the run goes on with answers kept in memory only",
            hint=f"nothing in it was changed; delete {os.fspath(self.directory)} to start a new cache",
        )


def _failures() -> tuple[type[Exception], ...]:
    """What a database that cannot be used raises. Looked up when something is raised: a run that is
    answered from recordings never imports sqlite3."""
    import sqlite3

    return sqlite3.Error, OSError
