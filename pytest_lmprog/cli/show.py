"""``lmprog show`` and ``lmprog diff``."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pytest_lmprog.cli.context import Context
from pytest_lmprog.cli.targets import find_one
from pytest_lmprog.errors import UsageError
from pytest_lmprog.snapshots.artifact import PredictorSnapshot, Snapshot
from pytest_lmprog.snapshots.diff import diff as compare
from pytest_lmprog.snapshots.diff import prompt_tokens
from pytest_lmprog.snapshots.difftext import diff_lines
from pytest_lmprog.snapshots.edited import looks_edited
from pytest_lmprog.snapshots.store import accepted_path, is_pending, pending_path, read

__all__ = ["diff", "diff_of", "edit_notes", "show"]


def show(context: Context, args: argparse.Namespace) -> int:
    """Print the messages of each predictor, with ``{placeholders}`` for its inputs."""
    path = find_one(context.root, context.cwd, args.snapshot)
    snapshot = read(path)
    predictors = _chosen(snapshot, args.predictor)
    if args.json:
        messages = {name: [dict(m) for m in p.messages] for name, p in predictors.items()}
        context.out.line(json.dumps(messages, ensure_ascii=True, indent=2))
        return 0
    context.out.lines(_head(context, path, snapshot))
    for name, predictor in predictors.items():
        context.out.lines(_shown(context, name, predictor, snapshot.header.adapter))
    return 0


def _chosen(snapshot: Snapshot, name: str | None) -> Mapping[str, PredictorSnapshot]:
    if name is None:
        return snapshot.predictors
    if name not in snapshot.predictors:
        near = get_close_matches(name, snapshot.predictors, 1)
        have = f"did you mean {near[0]}?" if near else f"there are: {', '.join(snapshot.predictors)}"
        raise UsageError(f"there is no predictor {name!r} in the snapshot", hint=have)
    return {name: snapshot.predictors[name]}


def _head(context: Context, path: Path, snapshot: Snapshot) -> Iterator[str]:
    header = snapshot.header
    model = f" for {header.model.name}" if header.model else ""
    how = f", compiled with {header.teleprompter.name}" if header.teleprompter else ", as written"
    yield context.out.style("muted", f"{context.shown(path)}: {header.program}{model}{how}")
    if snapshot.calibration is not None:
        figures = snapshot.calibration.figures.items()
        shown = ", ".join(f"{name.replace('_', ' ')} {value:g}" for name, value in figures)
        yield context.out.style("muted", f"calibrated against people: {shown}")
    if header.stopped:
        yield context.out.style("removed", f"the compile was stopped by its {header.stopped}")


def _shown(context: Context, name: str, predictor: PredictorSnapshot, adapter: str) -> Iterator[str]:
    style = context.out.style
    count = len(predictor.demos)
    demos = f"{count} demo{'' if count == 1 else 's'}"
    about = f"{predictor.adapter or adapter}, {demos}, about {prompt_tokens(predictor):,} tokens"
    yield ""
    yield style("heading", f"=== {name} ({about}) ===")
    if looks_edited(predictor):
        yield style("removed", _EDITED)
    for message in predictor.messages:
        yield style("heading", f"--- {message['role']} ---")
        yield _content(message.get("content"))


_EDITED = (
    "edited by hand: the program sends its instructions, fields and demos, which these messages do not show "
    "(pytest --lm-update renders them again)"
)


def _content(content: Any) -> str:
    return content if isinstance(content, str) else json.dumps(content, ensure_ascii=False)


def diff(context: Context, args: argparse.Namespace) -> int:
    """Print what differs between two snapshots, or between an accepted one and its pending one."""
    old_path, new_path = _pair(context, args)
    old, new = read(old_path) if old_path is not None else None, read(new_path)
    for path, snapshot in ((old_path, old), (new_path, new)):
        if path is not None and snapshot is not None:
            context.out.lines(f"{context.shown(path)}: {note}" for note in edit_notes(snapshot))
    context.out.lines(diff_of(context, old, new))
    differ = old is None or bool(compare(old, new))
    return 1 if differ and args.exit_code else 0


def _pair(context: Context, args: argparse.Namespace) -> tuple[Path | None, Path]:
    """Return the files to compare; one name alone means its accepted and its pending snapshot."""
    named = find_one(context.root, context.cwd, args.old)
    if args.new is not None:
        return named, find_one(context.root, context.cwd, args.new)
    accepted = accepted_path(named) if is_pending(named) else named
    pending = pending_path(accepted)
    if not pending.is_file():
        raise UsageError(f"{args.old} has no pending snapshot to compare with", hint="name two snapshots")
    return (accepted if accepted.is_file() else None), pending


def diff_of(context: Context, old: Snapshot | None, new: Snapshot) -> list[str]:
    """Return the lines that tell ``new`` from the accepted ``old``, which may not exist."""
    if old is not None:
        return diff_lines(compare(old, new), context.out.style)
    lines = ["there is no accepted snapshot yet"]
    for name, predictor in new.predictors.items():
        lines += [*_shown(context, name, predictor, new.header.adapter)]
    return lines


def edit_notes(snapshot: Snapshot) -> list[str]:
    """Return a line for each predictor that was edited by hand."""
    return [f"{name} was edited by hand" for name, p in snapshot.predictors.items() if looks_edited(p)]
