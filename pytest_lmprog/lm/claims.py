"""Claims: one holder a key, across the threads of a process and the processes that share a folder.

A claim is a byte-range lock in one file, at the offset that the key names, so that no file is left
behind per key and the system frees the claims of a process that dies. POSIX locks belong to the
process and are dropped when *any* of its descriptors of the file is closed; hence a process has one
descriptor a lock file, open while at least one of its threads holds or wants a claim there.
"""

from __future__ import annotations

import errno
import os
import sys
import threading
import time
from collections.abc import Hashable
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from pytest_lmprog.canonical import digest_bytes

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

__all__ = ["Claim", "FileClaims", "LocalClaims"]

_FIRST_PAUSE, _LONGEST_PAUSE = 0.0005, 0.02
_HELD_BY_OTHERS = frozenset({errno.EACCES, errno.EAGAIN, errno.EDEADLK})


class LocalClaims:
    """Claims among the threads of this process, for stores that no other process sees."""

    def claim(self, key: str) -> Claim:
        """Return the claim on ``key``, not yet taken."""
        return Claim((self, key))


class FileClaims:
    """Claims among all threads and processes that use the same lock file.

    Where the file cannot be opened or locked (a read-only or missing folder, a file system without
    locks), they hold within this process only.
    """

    def __init__(self, path: Path) -> None:
        self._path = os.path.abspath(path)

    def claim(self, key: str) -> Claim:
        """Return the claim on ``key``, not yet taken."""
        offset = _offset(key)
        return Claim((self._path, offset), path=self._path, offset=offset)


class Claim:
    """The right to work on one key, as a context manager that waits until nobody else holds it.

    ``try_acquire`` is for callers that must not block (an event loop). Any thread may release.
    """

    def __init__(self, name: Hashable, *, path: str | None = None, offset: int = 0) -> None:
        self._name = name
        self._path = path
        self._offset = offset
        self._process: _Process | None = None
        self._file: _LockFile | None = None
        self._locked = False

    def acquire(self) -> None:
        """Wait for the claim and take it."""
        slot, held = self._begin(), False
        try:
            held = slot.lock.acquire()
            pause = _FIRST_PAUSE
            while not self._try_file():
                time.sleep(pause)
                pause = min(pause * 1.5, _LONGEST_PAUSE)
        except BaseException:
            self._end(held=held)
            raise

    def try_acquire(self) -> bool:
        """Take the claim if nobody holds it, and say whether; never waits."""
        held = self._begin().lock.acquire(blocking=False)
        taken = held and self._try_file()
        if not taken:
            self._end(held=held)
        return taken

    def release(self) -> None:
        """Give the claim back. Does nothing if it is not held."""
        if self._process is not None:
            self._end(held=True)

    def __enter__(self) -> Claim:
        self.acquire()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    def _begin(self) -> _Slot:
        self._process = _process()
        slot, self._file = self._process.enter(self._name, self._path)
        return slot

    def _try_file(self) -> bool:
        if self._file is None:
            return True
        self._locked = _lock_byte(self._file.descriptor, self._offset)
        return self._locked

    def _end(self, *, held: bool) -> None:
        process, file = self._process, self._file
        assert process is not None
        if self._locked and file is not None:
            _unlock_byte(file.descriptor, self._offset)
        self._process, self._file, self._locked = None, None, False
        process.leave(self._name, file, held=held)


class _Slot:
    """A lock among threads and the number of those who hold or want it."""

    __slots__ = ("lock", "users")

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.users = 0


class _LockFile:
    """The process's only descriptor of one lock file, and the number of claims on it."""

    __slots__ = ("descriptor", "identity", "users")

    def __init__(self, descriptor: int, identity: tuple[int, int]) -> None:
        self.descriptor = descriptor
        self.identity = identity
        self.users = 0


class _Process:
    """What the claims of one process share. A forked child gets a new one: locks are not inherited,
    and the descriptors that are must stay open (closing them would drop the child's own locks)."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self._slots: dict[Hashable, _Slot] = {}
        self._files: dict[tuple[int, int], _LockFile] = {}
        self._mutex = threading.Lock()

    def enter(self, name: Hashable, path: str | None) -> tuple[_Slot, _LockFile | None]:
        with self._mutex:
            slot = self._slots.setdefault(name, _Slot())
            slot.users += 1
            file = None if path is None else self._open(path)
            if file is not None:
                file.users += 1
            return slot, file

    def leave(self, name: Hashable, file: _LockFile | None, *, held: bool) -> None:
        with self._mutex:
            slot = self._slots[name]
            slot.users -= 1
            if not slot.users:
                del self._slots[name]
            if file is not None:
                self._close(file)
        if held:
            slot.lock.release()

    def _open(self, path: str) -> _LockFile | None:
        try:
            file = self._files.get(_identity(os.stat(path)))
            if file is not None:
                return file
        except OSError:
            pass
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        except OSError:
            return None
        identity = _identity(os.fstat(descriptor))
        return self._files.setdefault(identity, _LockFile(descriptor, identity))

    def _close(self, file: _LockFile) -> None:
        file.users -= 1
        if not file.users:
            del self._files[file.identity]
            os.close(file.descriptor)


_current = _Process()
"""The one piece of state of this module: POSIX locks are the process's, not an object's."""


def _process() -> _Process:
    global _current
    if _current.pid != os.getpid():
        _current = _Process()
    return _current


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


def _offset(key: str) -> int:
    """The byte that stands for ``key``; two keys that share one wait for each other, no more."""
    return int(digest_bytes(key.encode("utf-8"))[:15], 16) % (2**30 if sys.platform == "win32" else 2**60)


if sys.platform == "win32":

    def _lock_byte(descriptor: int, offset: int) -> bool:
        try:
            os.lseek(descriptor, offset, os.SEEK_SET)
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError as error:
            return error.errno not in _HELD_BY_OTHERS
        return True

    def _unlock_byte(descriptor: int, offset: int) -> None:
        with suppress(OSError):
            os.lseek(descriptor, offset, os.SEEK_SET)
            msvcrt.locking(descriptor, msvcrt.LK_UNLCK, 1)

else:

    def _lock_byte(descriptor: int, offset: int) -> bool:
        # Never the blocking form: with threads it reports deadlocks that are none.
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, offset)
        except OSError as error:
            return error.errno not in _HELD_BY_OTHERS
        return True

    def _unlock_byte(descriptor: int, offset: int) -> None:
        with suppress(OSError):
            fcntl.lockf(descriptor, fcntl.LOCK_UN, 1, offset)
