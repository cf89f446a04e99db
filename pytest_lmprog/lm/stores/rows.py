"""diskcache with everything taken out that could execute, evict, or touch other files."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path

import diskcache

from pytest_lmprog.errors import CacheError
from pytest_lmprog.lm.stores import DATABASE
from pytest_lmprog.lm.stores.sqlite import MODE_RAW, Connection, check_row, checksum

__all__ = ["BytesDisk", "RowCache"]

_LOCK_TIMEOUT = 60.0
"""Seconds to wait for another process's write."""


class BytesDisk(diskcache.Disk):  # type: ignore[misc]
    """Keys are text, values are bytes in the row itself. A row that says otherwise is refused: what
    ``Disk`` would do with it is unpickle it, or read or delete a file that it names."""

    def __init__(self, directory: str, **_: object) -> None:
        super().__init__(directory)

    def put(self, key: object) -> tuple[str, bool]:
        """Return the key as stored."""
        if type(key) is not str:
            raise CacheError("keys are text")
        return key, True

    def get(self, key: object, raw: object) -> str:
        """Return a stored key."""
        if not raw or type(key) is not str:
            raise CacheError("its key is not text")
        return key

    def store(self, value: object, read: object, key: object = None) -> tuple[int, int, None, memoryview]:
        """Return the columns for ``value``."""
        if read or type(value) is not bytes:
            raise CacheError(f"values are bytes ({key!r:.20})")
        return 0, MODE_RAW, None, memoryview(value)

    def fetch(self, mode: object, filename: object, value: object, read: object) -> bytes:
        """Return a stored value."""
        if read or mode != MODE_RAW or filename is not None or type(value) is not bytes:
            raise CacheError("it claims to be something other than bytes and was not read")
        return value

    def filename(self, *_: object, **__: object) -> tuple[str, str]:
        """Values never go to files."""
        raise CacheError("values never go to files")

    def remove(self, file_path: object) -> None:
        """Delete nothing: only a forged row names a file."""


class RowCache(diskcache.Cache):  # type: ignore[misc]
    """The database, opened for reading and writing. Raises sqlite3.Error and OSError as they come.

    Nothing is ever evicted. No memory map: a file that is cut while it is mapped kills the process.
    """

    def __init__(self, directory: Path) -> None:
        self._connections: set[Connection] = set()
        if os.path.expandvars(os.path.expanduser(directory)) != os.fspath(directory):
            raise OSError("diskcache would expand the ~ or $ in its path")
        super().__init__(
            os.fspath(directory),
            timeout=_LOCK_TIMEOUT,
            disk=BytesDisk,
            eviction_policy="none",
            size_limit=2**62,
            cull_limit=0,
            statistics=0,
            tag_index=0,
            sqlite_mmap_size=0,
            sqlite_journal_mode="wal",
            sqlite_synchronous=1,
        )

    def get(self, key: str) -> bytes | None:
        """Return the value of ``key``, or None. Raises CacheError for a row that is not ours."""
        value, tag = super().get(key, tag=True)
        return None if value is None else check_row(key, MODE_RAW, None, value, tag)

    def put(self, key: str, value: bytes) -> None:
        """Store ``value``. Not with ``retry=True``: diskcache then spins for ever on a read-only or full
        disk. The connection itself waits for other writers, so a time-out here is real."""
        try:
            super().set(key, value, tag=checksum(key, value))
        except diskcache.Timeout as error:
            raise error.__context__ or sqlite3.OperationalError("database is locked") from None

    def close(self) -> None:
        """Close the connections of all threads of this process."""
        for connection in list(self._connections):
            self._end(connection)
        self._local = threading.local()

    @property
    def _con(self) -> sqlite3.Connection:
        # diskcache's own leaves the connections of ended threads to the garbage collector (a
        # ResourceWarning since 3.13), and closes inherited ones in forked children.
        thread: _Thread | None = getattr(self._local, "thread", None)
        if thread is None or thread.connection.pid != os.getpid():
            connection = self._connect()
            self._connections.add(connection)
            thread = self._local.thread = _Thread(connection, self._end)
        return thread.connection

    def _connect(self) -> Connection:
        connection = sqlite3.connect(
            os.path.join(self._directory, DATABASE),
            timeout=self._timeout,
            isolation_level=None,
            check_same_thread=False,
            factory=Connection,
        )
        connection.execute("PRAGMA synchronous = 1")
        return connection

    def _end(self, connection: Connection) -> None:
        if connection.pid == os.getpid():  # else it stays referenced, hence open: it is the parent's
            self._connections.discard(connection)
            connection.close()


class _Thread:
    """What a thread keeps: when the thread ends, its connection is closed."""

    __slots__ = ("_end", "connection")

    def __init__(self, connection: Connection, end: Callable[[Connection], None]) -> None:
        self.connection = connection
        self._end = end

    def __del__(self) -> None:
        self._end(self.connection)
