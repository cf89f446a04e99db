"""What a new snapshot notes of its files, to be judged by them alone: tried against the live program."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from pytest_lmprog.errors import DataError
from pytest_lmprog.snapshots.artifact import DataSource, Snapshot, SourceFiles
from pytest_lmprog.snapshots.fingerprint import UNCHECKED, compare
from pytest_lmprog.snapshots.judging import CODE_PARTS, Judge, kept, source_path, with_texts
from pytest_lmprog.snapshots.static import module_of
from pytest_lmprog.snapshots.textfiles import file_of

__all__ = ["completed"]


def completed(snapshot: Snapshot, sources: SourceFiles, folder: Path, root: Path) -> SourceFiles:
    """Return ``sources`` with the roots that all items are reached from, noting what the files tell otherwise
    than the live program did, and without data that cannot be read back the same: nothing unchanged may
    ever look stale."""
    judge, stored = Judge(), snapshot.fingerprint
    readable = {name: source_path(folder, path) for name, path in sources.modules.items()}
    sources, now = _rooted(judge, snapshot, sources, folder)
    sources = replace(sources, texts=_texts(judge, snapshot, sources, folder, root, now))
    now = with_texts(now, stored, sources, folder)
    then = {part: kept(part, stored.get(part, {}), sources, readable) for part in now}
    unjudged = tuple(sorted(f"{c.part}:{c.item}" for c in compare(then, now)))
    data = {p: s for p, s in sources.data.items() if _reads_back(judge, stored.get(p, {}), s, folder)}
    return replace(sources, unjudged=unjudged, data=data)


def _texts(
    judge: Judge,
    snapshot: Snapshot,
    sources: SourceFiles,
    folder: Path,
    root: Path,
    now: Mapping[str, dict[str, str]],
) -> dict[str, str]:

    static = judge.static(sources, folder)
    found: dict[str, str] = {}
    for part in CODE_PARTS:
        for item, digest in snapshot.fingerprint.get(part, {}).items():
            code, module = now[part].get(item), module_of(item, sources.modules)
            if code in (None, digest) or module is None or digest == UNCHECKED:
                continue
            stand_in = static.module(module)
            tree = None if stand_in is None else static.of_module(stand_in)
            if stand_in is None or tree is None:
                continue
            digests = {"code": str(code), "stored": digest}
            path = file_of(tree, stand_in, item[len(module) + 1 :], root, digests)
            if path is not None:
                found[item] = Path(os.path.relpath(path, folder)).as_posix()
    return dict(sorted(found.items()))


def _rooted(
    judge: Judge, snapshot: Snapshot, sources: SourceFiles, folder: Path
) -> tuple[SourceFiles, dict[str, dict[str, str]]]:
    wanted = [
        (part, item)
        for part in CODE_PARTS
        for item in sorted(snapshot.fingerprint.get(part, {}))
        if "<" not in item and module_of(item, sources.modules) is not None
    ]
    now = judge.code(snapshot.header.program, sources, folder)
    for part, item in wanted:
        if item in now[part]:
            continue
        more = replace(sources, roots=(*sources.roots, f"{part}:{item}"))
        then = judge.code(snapshot.header.program, more, folder)
        if item in then[part]:
            sources, now = more, then
    return sources, now


def _reads_back(judge: Judge, stored: Mapping[str, str], source: DataSource, folder: Path) -> bool:
    try:
        return dict(stored) == judge.data(source, source_path(folder, source.path))
    except DataError:
        return False
