"""The cache's database file as diskcache lays it out: what a row may be, how to tell damage before
anything is written, and reading without writing."""

from __future__ import annotations

import os
import sqlite3
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

from pytest_lmprog.errors import CacheError

__all__ = ["MODE_RAW", "Connection", "RowReader", "check_row", "checksum", "find_damage"]

MODE_RAW = 1
"""diskcache's mark for a value stored as it is. Others stand for files and pickles, and are refused."""

_MAGIC = b"SQLite format 3\x00"


def checksum(key: str, value: bytes) -> int:
    """Return the CRC-32 that is stored beside ``value``; it binds the value to its key."""
    return zlib.crc32(value, zlib.crc32(key.encode("utf-8")))


def check_row(key: str, mode: object, filename: object, value: object, tag: object) -> bytes:
    """Return a row's value. Raises CacheError for a row that is not as we write them."""
    if mode != MODE_RAW or filename is not None or type(value) is not bytes:
        raise CacheError("it claims to be something other than bytes and was not read")
    if tag != checksum(key, value):
        raise CacheError("its checksum does not fit")
    return value


def find_damage(path: Path) -> str | None:
    """Return what is wrong with the database file, or None. Reads a hundred bytes and the table names.

    An empty file is no damage: a process killed at the start leaves one, and it holds nothing.
    """
    try:
        with path.open("rb") as file:
            header, size = file.read(100), os.fstat(file.fileno()).st_size
    except FileNotFoundError:
        return None
    except OSError as error:
        return error.strerror or str(error)
    if not size:
        return None
    if not header.startswith(_MAGIC) or len(header) < 100:
        return "it is not a SQLite database"
    return _find_truncation(header, size, path) or _find_foreign_tables(path)


def _find_truncation(header: bytes, size: int, path: Path) -> str | None:
    """Compare the size with the header's page count, where that is valid (the SQLite file format, 1.3.8)
    and no write-ahead log is ahead of it."""
    if header[24:28] != header[92:96] or _has_log(path):
        return None
    page = int.from_bytes(header[16:18], "big")
    expected = int.from_bytes(header[28:32], "big") * (65536 if page == 1 else page)
    return f"it has {size:,} bytes instead of {expected:,}" if size < expected else None


def _find_foreign_tables(path: Path) -> str | None:
    try:
        with RowReader(path) as reader:
            foreign = reader.tables() - {"Settings", "Cache"}
    except sqlite3.DatabaseError as error:
        return str(error)
    return f"it is another program's database (table {min(foreign)})" if foreign else None


def _has_log(path: Path) -> bool:
    try:
        return os.stat(f"{path}-wal").st_size > 0
    except OSError:
        return False


class Connection(sqlite3.Connection):
    """A connection that knows its process, and is closed without a warning when its store is dropped."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self.pid = os.getpid()
        super().__init__(*arguments, **options)

    def __del__(self) -> None:
        if self.pid == os.getpid():
            with suppress(sqlite3.ProgrammingError):  # it could not be opened
                self.close()


class RowReader:
    """Reads rows without ever writing: for read-only folders, and to look at a cache from outside.

    Usable from any thread. Raises sqlite3.Error where the file cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self._connection = _open_read_only(path)

    def get(self, key: str) -> bytes | None:
        """Return the value of ``key``, or None. Raises CacheError for a row that is not ours."""
        query = "SELECT mode, filename, value, tag FROM Cache WHERE key = ? AND raw = 1"
        row = self._connection.execute(query, (key,)).fetchone()
        return None if row is None else check_row(key, *row)

    def rows(self) -> Iterator[tuple[str, bytes | CacheError]]:
        """Yield each key with its value, or with what is wrong with its row; ordered by key."""
        query = "SELECT key, raw, mode, filename, value, tag FROM Cache ORDER BY key"
        for key, raw, *row in self._connection.execute(query):
            if type(key) is not str or raw != 1:
                yield repr(key), CacheError("its key is not text")
                continue
            try:
                yield key, check_row(key, *row)
            except CacheError as error:
                yield key, error

    def tables(self) -> set[str]:
        """Return the names of the tables."""
        query = (
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
        )
        return {name for (name,) in self._connection.execute(query)}

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def __enter__(self) -> RowReader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _open_read_only(path: Path) -> sqlite3.Connection:
    try:
        return _connect(path, "mode=ro")
    except sqlite3.OperationalError:
        # A log cannot be read without a shared-memory file beside it, which a read-only folder refuses.
        return _connect(path, "mode=ro&immutable=1")


def _connect(path: Path, options: str) -> sqlite3.Connection:
    address = f"file:{quote(os.path.abspath(path).replace(os.sep, '/'))}?{options}"
    connection = sqlite3.connect(
        address, uri=True, timeout=60, isolation_level=None, check_same_thread=False, factory=Connection
    )
    try:
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.DatabaseError:
        connection.close()
        raise
    return connection
