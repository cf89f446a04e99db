"""Snapshot files: where they lie, how they are read, written, accepted and rejected."""

from __future__ import annotations

import contextlib
import os
import re
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from pytest_lmprog.canonical import digest_bytes
from pytest_lmprog.errors import SnapshotError
from pytest_lmprog.records import dataclass
from pytest_lmprog.snapshots.artifact import Snapshot

__all__ = [
    "PENDING_SUFFIX",
    "SNAPSHOT_FOLDER",
    "Accepted",
    "accept",
    "accepted_path",
    "content",
    "content_digest",
    "find_pending",
    "find_snapshots",
    "is_pending",
    "parse",
    "pending_path",
    "project_files",
    "read",
    "read_head_as_written",
    "read_if_any",
    "refusal",
    "reject",
    "replace_file",
    "unit_filename",
    "write_accepted",
    "write_pending",
]

SNAPSHOT_FOLDER = "__lm_snapshots__"
PENDING_SUFFIX = ".new.yaml"

_NO_BASE = "none"
_SKIPPED_FOLDERS = frozenset({"node_modules", "site-packages", "__pycache__", "venv", "env"})
_RESERVED = re.compile(r"^(?:con|prn|aux|nul|conin\$|conout\$|com[0-9¹²³]|lpt[0-9¹²³])(?:\.|$)", re.I)
_UNSAFE = re.compile(r'[<>:"/\\|?*\x00-\x1f\x7f]+')
_RETRIES = 8


def unit_filename(name: str) -> str:
    """Return ``name`` as a file name (without suffix) that every platform takes: ``<>:"/\\|?*`` and
    control characters become ``-``, reserved names get a ``_``. Names that differ may come out equal."""
    safe = _UNSAFE.sub("-", name).rstrip(". ").lstrip(" ") or "_"
    return f"_{safe}" if _RESERVED.match(safe) or safe.startswith(".") else safe


def pending_path(accepted: Path) -> Path:
    """Return where the pending snapshot of the accepted one at ``accepted`` lies."""
    return accepted.with_name(accepted.name.removesuffix(".yaml") + PENDING_SUFFIX)


def accepted_path(pending: Path) -> Path:
    """Return where the accepted snapshot of the pending one at ``pending`` lies."""
    return pending.with_name(pending.name.removesuffix(PENDING_SUFFIX) + ".yaml")


def is_pending(path: Path) -> bool:
    """Return whether ``path`` is that of a pending snapshot."""
    return path.name.endswith(PENDING_SUFFIX) and not path.name.startswith(".")


def read(path: Path) -> Snapshot:
    """Return the snapshot at ``path``. Raises SnapshotError where it is missing or damaged."""
    return parse(_bytes(path), str(path))


def parse(data: bytes, name: str) -> Snapshot:
    """Return the snapshot that a file's content holds. ``name`` is for errors. Raises SnapshotError."""
    from pytest_lmprog.snapshots.text import from_text

    return from_text(_decoded(data, name), name)


def read_head_as_written(path: Path) -> Snapshot | None:
    """Return the snapshot at ``path`` without its predictors and baseline, or None where the file is not
    as it was written. Raises SnapshotError where it is missing or damaged."""
    from pytest_lmprog.snapshots.text import head_as_written

    return head_as_written(_decoded(_bytes(path), str(path)), str(path))


def read_if_any(path: Path) -> Snapshot | None:
    """Return the snapshot at ``path``, or None where there is no file. Raises SnapshotError on damage."""
    return read(path) if path.exists() else None


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise SnapshotError("there is no such file", path=str(path)) from None
    except OSError as error:
        raise SnapshotError(f"cannot be read: {error.strerror}", path=str(path)) from None


def content(path: Path) -> bytes | None:
    """Return what the file at ``path`` holds; None where there is none.

    Raises SnapshotError where it cannot be read."""
    return _bytes(path) if path.exists() else None


def content_digest(data: bytes) -> str:
    """Return the digest by which ``accept`` and ``reject`` know that a file is still what was looked at."""
    return digest_bytes(data)


def _decoded(data: bytes, name: str) -> str:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise SnapshotError("not UTF-8 text", path=name, line=line) from None
    return text.replace("\r\n", "\n")


def _to_text(snapshot: Snapshot) -> str:
    from pytest_lmprog.snapshots.text import to_text  # YAML is loaded only where there is a snapshot

    return to_text(snapshot)


def _base_of(accepted: Path) -> str:
    """Return what a pending snapshot notes of the accepted file: a digest that line ends don't change."""
    if not accepted.exists():
        return _NO_BASE
    return digest_bytes(_bytes(accepted).replace(b"\r\n", b"\n"))[:16]


def write_accepted(path: Path, snapshot: Snapshot) -> bool:
    """Write ``snapshot`` as the accepted one at ``path``; return whether the file changed.

    Atomic: a reader sees the old or the new file. Raises SnapshotError where it cannot be written."""
    return _write(path, _to_text(replace(snapshot, base=None)))


def write_pending(accepted: Path, snapshot: Snapshot) -> Path:
    """Write ``snapshot`` beside the accepted one , noting what that is now; return where."""
    path = pending_path(accepted)
    _write(path, _to_text(replace(snapshot, base=_base_of(accepted))))
    return path


@dataclass(frozen=True, slots=True)
class Accepted:
    """What came of accepting: the accepted file and whether it changed."""

    path: Path
    changed: bool


def accept(pending: Path, *, reviewed: str | None = None) -> Accepted:
    """Make the pending snapshot the accepted one and remove the pending file.

    Raises SnapshotError, and changes nothing, where the pending file is damaged, where the accepted file
    has changed since the pending one was made, or the pending one since it was ``reviewed`` (the
    ``content_digest`` of what was shown)."""
    data = _pending_bytes(pending, reviewed)
    snapshot = parse(data, str(pending))
    target = accepted_path(pending)
    text = _to_text(replace(snapshot, base=None))
    changed = not _holds(target, text)
    if changed:
        _check_base(pending, target, snapshot.base)
        _write(target, text)
    _remove(pending)
    return Accepted(target, changed)


def refusal(pending: Path, snapshot: Snapshot) -> SnapshotError | None:
    """Return why ``accept`` would refuse the pending ``snapshot`` as the files are now; None if it would
    not."""
    target = accepted_path(pending)
    try:
        if not _holds(target, _to_text(replace(snapshot, base=None))):
            _check_base(pending, target, snapshot.base)
    except SnapshotError as error:
        return error
    return None


def _pending_bytes(pending: Path, reviewed: str | None) -> bytes:
    """Return what ``pending`` holds, which is to be what was ``reviewed``."""
    if reviewed is not None and not pending.exists():
        raise SnapshotError("is gone since it was shown: accepted, rejected or removed", path=str(pending))
    data = _bytes(pending)
    if reviewed is not None and digest_bytes(data) != reviewed:
        raise SnapshotError(
            "left as it is: it has changed since it was shown",
            path=str(pending),
            hint="look at it again with `lmprog review`",
        )
    return data


def _check_base(pending: Path, target: Path, base: str | None) -> None:
    if base is None:
        raise SnapshotError(
            "a pending snapshot must say what it was made against (the key 'base')",
            path=str(pending),
            hint="compile again with --lm-compile",
        )
    now = _base_of(target)
    if now == base:
        return
    what = "is gone" if now == _NO_BASE else "has changed" if base != _NO_BASE else "has appeared"
    raise SnapshotError(
        f"not accepted: {target.name} {what} since this pending snapshot was made",
        path=str(pending),
        hint="look at both with `lmprog diff`, then compile again with --lm-compile",
    )


def reject(pending: Path, *, reviewed: str | None = None) -> None:
    """Remove the pending snapshot; the accepted one stays as it is.

    Raises SnapshotError where that fails, or where it has changed since it was ``reviewed``."""
    if not is_pending(pending):
        raise SnapshotError(f"not a pending snapshot (NAME{PENDING_SUFFIX})", path=str(pending))
    if reviewed is not None:
        _pending_bytes(pending, reviewed)
    _remove(pending)


def find_pending(root: Path) -> list[Path]:
    """Return the pending snapshots under ``root`` (or ``root`` itself), sorted.

    Hidden folders, virtual environments and node_modules are passed over."""
    if root.is_file():
        return [root] if is_pending(root) else []
    return sorted(path for path in project_files(root) if is_pending(path))


def find_snapshots(root: Path) -> list[Path]:
    """Return the accepted snapshots in the ``__lm_snapshots__`` folders under ``root``, sorted."""
    found = (path for path in project_files(root) if path.suffix == ".yaml" and not is_pending(path))
    return sorted(path for path in found if SNAPSHOT_FOLDER in path.parts)


def project_files(root: Path) -> Iterator[Path]:
    """Yield the files under ``root``, without hidden folders, virtual environments and node_modules."""
    for folder, folders, files in os.walk(root):
        folders[:] = [name for name in folders if not _skipped(Path(folder, name))]
        yield from (Path(folder, name) for name in files)


def _skipped(folder: Path) -> bool:
    name = folder.name
    return name.startswith(".") or name in _SKIPPED_FOLDERS or (folder / "pyvenv.cfg").exists()


def _holds(path: Path, text: str) -> bool:
    try:
        return path.read_bytes() == text.encode("utf-8")
    except OSError:
        return False


def _write(path: Path, text: str) -> bool:
    if _holds(path, text):
        return False
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, text.encode("utf-8"))
    except OSError as error:
        raise SnapshotError(
            f"cannot be written: {error.strerror or error}",
            path=str(path),
            hint="nothing was changed; make the folder writable and run again",
        ) from None
    return True


def replace_file(path: Path, data: bytes) -> None:
    """Write a file so that a reader sees the old or the new one, never a part. Raises OSError."""
    target = Path(os.path.realpath(path))
    temporary = target.with_name(f".{target.name}.{os.getpid()}-{threading.get_ident()}.tmp")
    try:
        with open(temporary, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if target.exists():
            temporary.chmod(target.stat().st_mode & 0o777)
        _retried(lambda: os.replace(temporary, target))
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise


def _retried(action: Callable[[], None]) -> None:
    """Windows refuses to replace or remove a file that a scanner or editor holds open for a moment."""
    for attempt in range(_RETRIES):
        try:
            action()
            return
        except PermissionError:
            if os.name != "nt" or attempt == _RETRIES - 1:
                raise
            time.sleep(0.02 * 2**attempt)


def _remove(path: Path) -> None:
    try:
        _retried(path.unlink)
    except OSError as error:
        raise SnapshotError(f"cannot be removed: {error.strerror}", path=str(path)) from None
