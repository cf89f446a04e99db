"""``lmprog cache``: statistics, export, import, verification and pruning."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from pytest_lmprog.cli.context import Context
from pytest_lmprog.errors import LmprogError, UsageError
from pytest_lmprog.harness.books import RECORDING_FOLDER
from pytest_lmprog.snapshots.store import project_files

__all__ = ["export", "load", "prune", "stats", "verify"]


def _folder(context: Context) -> Path:
    return context.project.settings.cache_dir


def _existing(context: Context) -> Path:
    folder = _folder(context)
    if not folder.is_dir():
        raise UsageError(
            f"there is no cache at {context.shown(folder)}",
            hint="it is made by the first live call; lm_cache_dir says where",
        )
    return folder


def stats(context: Context, args: argparse.Namespace) -> int:
    """Print how many answers the cache holds, of which models, and how large it is."""
    from pytest_lmprog.lm.maintenance import cache_stats

    folder = _folder(context)
    found = cache_stats(folder)
    if args.json:
        data = {
            "folder": str(folder),
            "entries": found.entries,
            "bytes": found.size,
            "file_bytes": found.file_size,
            "damaged": found.damaged,
            "models": dict(found.models),
        }
        context.out.line(json.dumps(data, ensure_ascii=True, indent=2))
        return 0
    context.out.line(f"{context.shown(folder)}: {found.entries:,} answers, {_size(found.file_size)} on disk")
    context.out.lines(f"  {model}: {count:,}" for model, count in found.models.items())
    if found.damaged:
        context.out.line(f"  {found.damaged:,} rows cannot be read (`lmprog cache verify` lists them)")
    return 0


def _size(count: int) -> str:
    amount = float(count)
    for unit in ("bytes", "KB", "MB"):
        if amount < 1000:
            return f"{amount:,.0f} {unit}" if unit == "bytes" else f"{amount:,.1f} {unit}"
        amount /= 1000
    return f"{amount:,.1f} GB"


def export(context: Context, args: argparse.Namespace) -> int:
    """Write every sound answer to a file; say which rows were left out."""
    from pytest_lmprog.lm.maintenance import export_cache

    done = export_cache(_existing(context), context.cwd / args.file)
    context.out.line(f"{done.rows:,} answers written to {args.file}")
    return _faults(context, done.skipped)


def load(context: Context, args: argparse.Namespace) -> int:
    """Add the answers of an exported file."""
    from pytest_lmprog.lm.maintenance import import_cache

    done = import_cache(_folder(context), context.cwd / args.file)
    context.out.line(f"{done.added:,} answers added, {done.present:,} were there already")
    return 0


def verify(context: Context, args: argparse.Namespace) -> int:
    """Check the cache and all recordings; exit with 1 where something is wrong."""
    del args
    from pytest_lmprog.lm.maintenance import verify_cache
    from pytest_lmprog.lm.recordings.upkeep import verify_recording

    code = 0
    folder = _folder(context)
    if folder.is_dir():
        found = verify_cache(folder)
        code |= _checked(context, context.shown(folder), found.sound, found.unverifiable, found.problems)
    for path in _recordings(context, ()):
        checked = verify_recording(path)
        code |= _checked(context, context.shown(path), checked.sound, checked.unverifiable, checked.problems)
    return code


def _checked(context: Context, name: str, sound: int, unverifiable: int, problems: Sequence[str]) -> int:
    parts = [f"{sound:,} sound"]
    if unverifiable:
        parts.append(f"{unverifiable:,} whose request is not stored")
    parts.append(f"{len(problems):,} at fault" if problems else "nothing at fault")
    context.out.line(f"{name}: {', '.join(parts)}")
    return _faults(context, problems)


def _faults(context: Context, problems: Sequence[str]) -> int:
    for problem in problems:
        context.out.error(problem)
    return 1 if problems else 0


def prune(context: Context, args: argparse.Namespace) -> int:
    """Remove from recordings what the last complete, passing run did not use."""
    paths = _recordings(context, args.paths)
    if not paths:
        context.out.line("there are no recordings")
    code = 0
    for path in paths:
        try:
            context.out.line(f"{context.shown(path)}: {_pruned(context, path)}")
        except LmprogError as error:
            context.out.error(str(error))
            code = 1
    return code


def _pruned(context: Context, path: Path) -> str:
    from pytest_lmprog.lm.recordings.last_run import read_last_used
    from pytest_lmprog.lm.recordings.upkeep import prune_recording

    keep = read_last_used(_folder(context), path)
    if keep is None:
        return "left as it is: no complete run in which everything passed is known here; run pytest first"
    done = prune_recording(path, keep)
    return f"{done.removed:,} removed, {done.kept:,} kept"


def _recordings(context: Context, names: Sequence[str]) -> list[Path]:
    found: list[Path] = []
    for start in [context.cwd / name for name in names] or [context.root]:
        if start.is_file():
            found.append(start)
        elif start.is_dir():
            found += sorted(p for p in project_files(start) if p.suffix == ".jsonl" and _recorded(p))
        else:
            raise UsageError(f"{start}: there is no such file or folder")
    return list(dict.fromkeys(found))


def _recorded(path: Path) -> bool:
    return path.parent.name == RECORDING_FOLDER
