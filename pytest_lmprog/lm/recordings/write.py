"""Writing a recording file: whole, in one rename, and never over what another process wrote meanwhile."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pytest_lmprog.errors import RecordingError
from pytest_lmprog.lm.recordings.index import shown_path

if sys.platform == "win32":
    import tempfile

    from pytest_lmprog.canonical import digest_bytes
    from pytest_lmprog.lm.claims import FileClaims
else:
    import fcntl

__all__ = ["replace_file", "updating"]

_ATTRIBUTES = "# Two branches that record answers merge without conflicts.\n*.jsonl text eol=lf merge=union\n"
_LOCK_TIMEOUT = 60.0


@contextmanager
def updating(path: Path) -> Iterator[None]:
    """Hold the right to rewrite ``path`` against every other process; its folder is created if missing.

    The lock is on the folder itself, so that no lock file lies beside committed files, and the system
    frees it when a process dies. Raises RecordingError where the folder cannot be had.
    """
    try:
        _make_folder(path.parent)
        with _locked(path.parent):
            yield
    except OSError as error:
        raise RecordingError(
            f"cannot be written ({error.strerror or error}); the answers are kept in the cache",
            path=shown_path(path),
            hint="make the folder writable and run again, or replay only with --lm-record=none",
        ) from None


def replace_file(path: Path, text: bytes) -> None:
    """Put ``text`` in the place of the file in one step: a killed process leaves the old or the new one.

    Raises OSError. Call it while ``updating``: it also removes what a killed process left half written.
    """
    for leftover in path.parent.glob(f".{path.name}.*.tmp"):
        with suppress(OSError):
            leftover.unlink()
    temporary = path.parent / f".{path.name}.{os.getpid()}.tmp"
    try:
        temporary.write_bytes(text)
        _rename(temporary, path)
    except OSError:
        with suppress(OSError):
            temporary.unlink()
        raise


def _rename(source: Path, target: Path) -> None:
    for attempt in range(10):
        try:
            return os.replace(source, target)
        except PermissionError:  # on Windows, while a virus scanner or an editor has it open
            if sys.platform != "win32" or attempt == 9:
                raise
            time.sleep(0.05 * (attempt + 1))


def _make_folder(folder: Path) -> None:
    if folder.is_dir():
        return
    folder.mkdir(parents=True, exist_ok=True)
    (folder / ".gitattributes").write_text(_ATTRIBUTES, encoding="utf-8", newline="\n")


if sys.platform == "win32":

    @contextmanager
    def _locked(folder: Path) -> Iterator[None]:
        locks = FileClaims(Path(tempfile.gettempdir()) / "pytest-lmprog.lock")
        with locks.claim(digest_bytes(os.fsencode(folder.resolve()))):
            yield

else:

    @contextmanager
    def _locked(folder: Path) -> Iterator[None]:
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            _flock(descriptor)
            yield
        finally:
            os.close(descriptor)

    def _flock(descriptor: int) -> None:
        deadline = time.monotonic() + _LOCK_TIMEOUT
        while True:
            try:
                return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.005)
            except OSError:
                return None  # a file system without such locks: the rename still leaves whole files
