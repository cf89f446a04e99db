"""From what people type to what ``lmprog diff`` compares: files, folders, units, git revisions."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import field
from functools import partial
from pathlib import Path, PurePosixPath

from pytest_lmprog.cli.git import Git
from pytest_lmprog.cli.targets import find_one, shown_path, unit_of
from pytest_lmprog.errors import SnapshotError, UsageError
from pytest_lmprog.records import dataclass
from pytest_lmprog.snapshots.artifact import Snapshot
from pytest_lmprog.snapshots.store import (
    SNAPSHOT_FOLDER,
    accepted_path,
    find_pending,
    find_snapshots,
    is_pending,
    parse,
    pending_path,
)

__all__ = ["Pair", "Sides"]

Load = Callable[[], bytes | None]


@dataclass(frozen=True)
class Source:
    """One snapshot: how it is called, where it lies in the working tree (if it does), and its content."""

    name: str
    load: Load
    path: Path | None = None

    def snapshot(self) -> Snapshot | None:
        """Read it; None where there is no such file. Raises SnapshotError for a damaged one."""
        data = self.load()
        return None if data is None else parse(data, self.name)


@dataclass(frozen=True)
class Side:
    """What one argument means: one snapshot (``historic``: as git has it), or all of a revision or folder by
    their paths in it."""

    label: str
    one: Source | None = None
    historic: bool = False
    many: Mapping[str, Source] = field(default_factory=dict)


@dataclass(frozen=True)
class Pair:
    """Two snapshots to compare, of which one may be missing."""

    name: str
    old: Source | None
    new: Source | None


class Sides:
    """Understands arguments as they hold in ``cwd`` of the project at ``root``."""

    def __init__(self, root: Path, cwd: Path) -> None:
        self._root = root
        self._cwd = cwd
        self._git = Git(cwd)

    def pairs(self, old: str | None, new: str | None) -> list[Pair]:
        """Return what to compare; without arguments, or with a folder alone, what is pending.

        Raises UsageError for what means nothing, or two things that don't pair."""
        if old is None or (new is None and (self._cwd / old).is_dir()):
            return self._all_pending(self._root if old is None else self._cwd / old)
        if new is None and not self._is_here(old) and ".." in old:
            return self._range(old)
        before = self._accepted_of(self._side(old)) if new is None else self._side(old)
        after = self._other(before) if new is None else self._side(new)
        if before.one is None and after.one is None:
            return _joined(before, after)
        return [self._single(before, after)]

    def _all_pending(self, folder: Path) -> list[Pair]:
        pending = [_file(path, self._root) for path in find_pending(folder)]
        accepted = [_file(accepted_path(path), self._root) for path in find_pending(folder)]
        return [Pair(old.name, old, new) for old, new in zip(accepted, pending, strict=True)]

    def _is_here(self, name: str) -> bool:
        return (self._cwd / name).exists()

    def _range(self, text: str) -> list[Pair]:
        one, dots, other = text.partition("...") if "..." in text else text.partition("..")
        one, other = one or "HEAD", other or "HEAD"
        if dots == "...":
            one = self._git.merge_base(one, other)
        return _joined(self._side(one), self._side(other))

    def _accepted_of(self, side: Side) -> Side:
        """A pending snapshot alone is compared with the accepted one."""
        path = side.one.path if side.one and not side.historic else None
        if path is None or not is_pending(path):
            return side
        return Side(side.label, _file(accepted_path(path), self._root))

    def _other(self, side: Side) -> Side:
        """What a lone argument is compared with: the pending one, or the working tree."""
        if side.one is None:
            return self._working_tree()
        path = side.one.path
        if path is None:
            raise UsageError(f"say what to compare {side.label} with", hint="lmprog diff OLD NEW")
        if side.historic:
            return Side(shown_path(path, self._root), _file(path, self._root))
        pending = pending_path(path)
        if not pending.is_file():
            raise UsageError(
                f"{side.label} has no pending snapshot to compare with", hint="name two snapshots"
            )
        return Side(side.label, _file(pending, self._root))

    def _side(self, text: str) -> Side:
        path = Path(os.path.normpath(self._cwd / text))
        if text == os.devnull:
            return Side(text, Source(text, lambda: None))
        if path.is_dir():
            return Side(text, many=_below(path))
        if not path.is_file():
            found = self._of_git(text)
            if found is not None:
                return found
        try:
            return Side(text, _file(find_one(self._root, self._cwd, text), self._root))
        except UsageError as error:
            if error.hint is None:
                raise
            raise UsageError(f"{error.message}, and no git revision of that name", hint=error.hint) from None

    def _of_git(self, text: str) -> Side | None:
        revision, colon, path = text.partition(":")
        if colon and not path.startswith(":"):
            tree = self._git.tree(revision) if revision else "" if self._git.top else None
            if tree is not None:
                return Side(text, self._in_tree(text, tree, path), historic=True)
            if path.startswith(("\\", "/")):  # a drive
                return None
            raise UsageError(f"{text}: git knows no revision {revision!r} here")
        if self._is_unit(text):
            return None
        tree = self._git.tree(text)
        return None if tree is None else Side(text, many=self._all_in(text, tree))

    def _is_unit(self, text: str) -> bool:
        try:
            find_one(self._root, self._cwd, text)
        except UsageError:
            return False
        return True

    def _in_tree(self, text: str, tree: str, path: str) -> Source:
        """``REV:PATH``: from the top, as git has it, or from here; or ``REV:UNIT``."""
        top = self._git.top or self._cwd
        for known in self._candidates(path, top):
            data = self._git.file(tree, known)
            if data is not None:
                return Source(text, partial(_given, data), top / known)
        units = (
            [name for name in _snapshots(self._git.files(tree)) if unit_of(Path(name)) == path]
            if tree
            else []
        )
        if len(units) != 1:
            what = "means more than one snapshot" if units else "there is no such snapshot"
            raise UsageError(f"{text}: {what}", hint="REV:PATH, with the path from the repository's top")
        return Source(text, partial(self._git.file, tree, units[0]), top / units[0])

    def _candidates(self, path: str, top: Path) -> list[str]:
        here = Path(os.path.normpath(self._cwd / path))
        inside = [here.relative_to(top).as_posix()] if here.is_relative_to(top) else []
        explicit = path.startswith(("./", "../"))
        return inside if explicit else list(dict.fromkeys([path, *inside]))

    def _all_in(self, label: str, tree: str) -> dict[str, Source]:
        top = self._git.top or self._root
        return {
            name: Source(f"{label}:{name}", partial(self._git.file, tree, name), top / name)
            for name in _snapshots(self._git.files(tree))
        }

    def _working_tree(self) -> Side:
        top = self._git.top or self._root
        return Side(
            "the working tree",
            many={p.relative_to(top).as_posix(): _file(p, top) for p in find_snapshots(top)},
        )

    def _single(self, old: Side, new: Side) -> Pair:
        before = old.one or _same_place(old, new)
        after = new.one or _same_place(new, old)
        named = next(
            (s.path or Path(s.name) for s in (after, before) if s and s.name != os.devnull), Path("?")
        )
        return Pair(unit_of(named), before, after)


def _same_place(side: Side, other: Side) -> Source:
    """The one of a revision that lies where the other side's one does."""
    path = other.one.path if other.one else None
    found = [s for s in side.many.values() if path is not None and s.path == accepted_path_of(path)]
    if not found:
        raise UsageError(
            f"{side.label} has no snapshot that pairs with {other.label}", hint="name two of a kind"
        )
    return found[0]


def accepted_path_of(path: Path) -> Path:
    """Return the accepted snapshot's path of a pending or accepted one."""
    return accepted_path(path) if is_pending(path) else path


def _joined(old: Side, new: Side) -> list[Pair]:
    names = sorted({*old.many, *new.many})
    return [Pair(name, old.many.get(name), new.many.get(name)) for name in names]


def _file(path: Path, root: Path) -> Source:
    return Source(shown_path(path, root), partial(_read, path), path)


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise SnapshotError(f"cannot be read: {error.strerror}", path=str(path)) from None


def _given(data: bytes) -> bytes | None:
    return data


def _below(folder: Path) -> dict[str, Source]:
    found = sorted(path for path in folder.rglob("*.yaml") if path.is_file() and not is_pending(path))
    return {path.relative_to(folder).as_posix(): _file(path, folder) for path in found}


def _snapshots(names: Iterable[str]) -> list[str]:
    """Accepted snapshots among a tree's files."""
    return [
        name for name in names if SNAPSHOT_FOLDER in (parts := PurePosixPath(name)).parts and _accepted(parts)
    ]


def _accepted(path: PurePosixPath) -> bool:
    return path.suffix == ".yaml" and not is_pending(Path(path))
