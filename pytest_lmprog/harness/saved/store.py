"""Saved runs on disk: ``runs/NNNN.json`` in the cache folder, numbered in the order in which they ended."""

from __future__ import annotations

import contextlib
import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pytest_lmprog.errors import StoreError, UsageError
from pytest_lmprog.harness.saved.run import FORMAT, KIND, SavedRun
from pytest_lmprog.lm.stores.folder import make_cache_folder
from pytest_lmprog.records import dataclass

__all__ = [
    "LAST",
    "StoredRun",
    "list_runs",
    "load_run",
    "load_run_file",
    "run_json",
    "run_name",
    "run_path",
    "save_run",
]

LAST = "last"
FOLDER = "runs"
_DAMAGE = (KeyError, TypeError, ValueError, IndexError, AttributeError, RecursionError)


@dataclass(frozen=True, slots=True)
class StoredRun:
    """A saved run's number and file."""

    number: int
    path: Path


def run_json(saved: SavedRun) -> bytes:
    """Return a run as the text of a JSON report: one line, UTF-8."""
    text = json.dumps(saved.to_plain(), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    # A lone surrogate becomes its JSON escape.
    return text.encode("utf-8", "backslashreplace") + b"\n"


def save_run(cache_dir: Path, saved: SavedRun, *, keep: int) -> StoredRun:
    """Write ``saved`` under the next number, and remove all but the newest ``keep``.

    Two processes that end at once get different numbers. Raises StoreError where it cannot be written."""
    folder = _folder(cache_dir)
    try:
        make_cache_folder(cache_dir)
        folder.mkdir(exist_ok=True)
        stored = _placed(folder, run_json(saved))
    except OSError as error:
        raise StoreError(f"the run cannot be saved: {error.strerror or error}", path=str(folder)) from None
    for old in list_runs(cache_dir)[: -max(keep, 1)]:
        with contextlib.suppress(OSError):
            old.path.unlink()
    return stored


def _folder(cache_dir: Path) -> Path:
    return cache_dir / FOLDER


def _placed(folder: Path, data: bytes) -> StoredRun:
    temporary = folder / f".{os.getpid()}-{threading.get_ident()}.tmp"
    try:
        temporary.write_bytes(data)
        number = max((run.number for run in _runs(folder)), default=0) + 1
        while not _claimed(temporary, path := folder / f"{number:04}.json"):
            number += 1
        return StoredRun(number, path)
    finally:
        temporary.unlink(missing_ok=True)


def _claimed(temporary: Path, path: Path) -> bool:
    """Give the finished file its name, unless that is taken: a reader never sees a part of it."""
    try:
        os.link(temporary, path)
        return True
    except FileExistsError:
        return False
    except OSError:  # a file system without links
        return _claimed_without_link(temporary, path)


def _claimed_without_link(temporary: Path, path: Path) -> bool:
    try:
        path.touch(exist_ok=False)
    except FileExistsError:
        return False
    os.replace(temporary, path)
    return True


def _runs(folder: Path) -> Iterator[StoredRun]:
    with contextlib.suppress(FileNotFoundError):
        for path in folder.iterdir():
            if path.suffix == ".json" and path.stem.isdecimal() and path.stem.isascii():
                yield StoredRun(int(path.stem), path)


def list_runs(cache_dir: Path) -> list[StoredRun]:
    """Return the saved runs, oldest first."""
    return sorted(_runs(_folder(cache_dir)), key=lambda run: run.number)


def run_path(cache_dir: Path, name: str, *, cwd: Path) -> Path:
    """Return the file that ``name`` means: a run's number, ``last``, or the path of a JSON report.

    Raises UsageError that says which runs there are."""
    runs = list_runs(cache_dir)
    if name == LAST and runs:
        return runs[-1].path
    if name.isdecimal() and name.isascii():
        found = [run.path for run in runs if run.number == int(name)]
        if found:
            return found[0]
    elif name != LAST and (cwd / name).is_file():
        return cwd / name
    raise UsageError(_no_such(name, runs), hint=_hint(runs))


def _no_such(name: str, runs: list[StoredRun]) -> str:
    if name == LAST or not runs:
        return "no run is saved" if name == LAST else f"there is no run {name!r}: none is saved"
    numbers = ", ".join(str(run.number) for run in runs[-8:])
    more = f" (and {len(runs) - 8} older)" if len(runs) > 8 else ""
    return f"there is no run {name!r}, and no such file; saved are {numbers}{more}"


def _hint(runs: list[StoredRun]) -> str:
    if runs:
        return "`lmprog runs list` shows them"
    return (
        "pytest saves each run that may ask an LM (not CI's, and not with --lm-record=none); "
        "pytest --lm-report=run.json writes any run to a file that can be named here"
    )


def run_name(path: Path) -> str:
    """Return what the run in a file is called: ``run 7``, or the file's name."""
    stored = path.parent.name == FOLDER and path.stem.isdecimal()
    return f"run {int(path.stem)}" if stored else path.name


def load_run(cache_dir: Path, name: str, *, cwd: Path) -> SavedRun:
    """Return the run that ``name`` means (see ``run_path``). Raises UsageError, StoreError."""
    return load_run_file(run_path(cache_dir, name, cwd=cwd))


def load_run_file(path: Path) -> SavedRun:
    """Return the run in a file. Raises StoreError where it is none, is damaged, or of another format."""
    try:
        data: Any = json.loads(path.read_bytes())
    except OSError as error:
        raise StoreError(f"cannot be read: {error.strerror or error}", path=str(path)) from None
    except (ValueError, RecursionError) as error:
        line = getattr(error, "lineno", None)
        raise StoreError(f"is not JSON: {error}", path=str(path), line=line) from None
    if not isinstance(data, dict) or data.get("kind") != KIND:
        raise StoreError(f"is no {KIND}", path=str(path), hint="pytest --lm-report=run.json writes one")
    if data.get("format") != FORMAT:
        problem = f"has the format {data.get('format')!r}; this version reads {FORMAT}"
        raise StoreError(problem, path=str(path), hint="another version of pytest-lmprog wrote it")
    try:
        return SavedRun.from_plain(data)
    except _DAMAGE as error:
        raise StoreError(f"is damaged: {type(error).__name__}: {error}", path=str(path)) from None
