"""From what people type to snapshot files: paths, folders, test modules and unit names."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path

from pytest_lmprog.errors import UsageError
from pytest_lmprog.snapshots.store import (
    SNAPSHOT_FOLDER,
    accepted_path,
    find_pending,
    find_snapshots,
    is_pending,
    pending_path,
)

__all__ = ["find_one", "pending_targets", "shown_path", "unit_of"]


def unit_of(path: Path) -> str:
    """Return the unit's name that a snapshot file stands for: ``TestTriage``."""
    return accepted_path(path).stem if is_pending(path) else path.stem


def shown_path(path: Path, root: Path) -> str:
    """Return ``path`` as seen from ``root``."""
    try:
        return path.resolve().relative_to(root).as_posix()
    except ValueError:
        return str(path)


def pending_targets(root: Path, cwd: Path, names: Sequence[str]) -> list[Path]:
    """Return the pending snapshots that ``names`` mean, each once; all under ``root`` without names.

    Raises UsageError for a name that means none, with those that are near, or more than one unit."""
    if not names:
        return find_pending(root)
    found = [path for name in names for path in _pending_of(root, cwd, name)]
    return list(dict.fromkeys(found))


def _pending_of(root: Path, cwd: Path, name: str) -> list[Path]:
    path = cwd / name
    if path.is_dir():
        return _some(find_pending(path), name, "no pending snapshot lies under")
    if path.suffix == ".py" and path.is_file():
        folder = path.parent / SNAPSHOT_FOLDER / path.stem
        return _some(find_pending(folder), name, "there is no pending snapshot of")
    if path.suffix == ".yaml":
        return [_pending_beside(path, name)]
    return [_by_unit(root, name, find_pending(root), "pending snapshot")]


def _some(found: list[Path], name: str, problem: str) -> list[Path]:
    if not found:
        raise UsageError(f"{problem} {name}", hint="`lmprog pending` lists them")
    return found


def _pending_beside(path: Path, name: str) -> Path:
    pending = path if is_pending(path) else pending_path(path)
    if not pending.is_file():
        what = "there is no such file" if is_pending(path) else "it has no pending snapshot"
        raise UsageError(f"{name}: {what}", hint="`lmprog pending` lists those that there are")
    return pending


def find_one(root: Path, cwd: Path, name: str) -> Path:
    """Return the snapshot file that ``name`` means: a path, or a unit's name (accepted before pending).

    Raises UsageError for a name that means none or more than one."""
    path = cwd / name
    if path.is_file():
        return path
    if path.suffix == ".yaml":
        raise UsageError(f"{name}: there is no such file")
    accepted = find_snapshots(root)
    known = set(accepted)
    new = [p for p in find_pending(root) if accepted_path(p) not in known]
    return _by_unit(root, name, accepted + new, "snapshot")


def _by_unit(root: Path, name: str, paths: list[Path], what: str) -> Path:
    matches = [path for path in paths if _means(name, path)]
    if len(matches) == 1:
        return matches[0]
    if matches:
        listed = "".join(f"\n  {shown_path(path, root)}" for path in matches)
        raise UsageError(f"{name!r} means more than one {what}:{listed}", hint="give the path")
    raise UsageError(f"there is no {what} {name!r}", hint=_near(name, paths, what))


def _means(name: str, path: Path) -> bool:
    """``TestTriage``, ``test_support/TestTriage`` or a node id ``tests/test_support.py::TestTriage``."""
    head, _, unit = name.replace("\\", "/").replace("::", "/").rpartition("/")
    if unit != unit_of(path):
        return False
    module = head.rpartition("/")[2].removesuffix(".py")
    return not head or path.parent.name == module


def _near(name: str, paths: list[Path], what: str) -> str:
    units = sorted({unit_of(path) for path in paths})
    if not units:
        return "pytest --lm-compile makes them" if what == "snapshot" else "nothing is pending"
    found = get_close_matches(name, units, 3)
    if found:
        return f"did you mean {' or '.join(found)}?"
    listed = ", ".join(units[:8]) + (f" and {len(units) - 8} more" if len(units) > 8 else "")
    return f"there are: {listed}"
