"""``lmprog show``: a snapshot as the exact messages that are sent, or as text for ``git diff``."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pytest_lmprog.cli.context import Context
from pytest_lmprog.cli.fordiff import diffable_file
from pytest_lmprog.cli.targets import find_one
from pytest_lmprog.errors import UsageError
from pytest_lmprog.reports.spans import Line, line
from pytest_lmprog.snapshots.artifact import PredictorSnapshot, Snapshot
from pytest_lmprog.snapshots.diff import prompt_tokens
from pytest_lmprog.snapshots.edited import looks_edited
from pytest_lmprog.snapshots.store import read

__all__ = ["message_lines", "show"]


def show(context: Context, args: argparse.Namespace) -> int:
    """Print the messages of each predictor, with ``{placeholders}`` for its inputs; or the text that
    ``git diff`` compares."""
    if args.for_diff:
        context.out.lines(diffable_file(context.cwd / args.snapshot))
        return 0
    path = find_one(context.root, context.cwd, args.snapshot)
    snapshot = read(path)
    predictors = _chosen(snapshot, args.predictor)
    if args.json:
        messages = {name: [dict(m) for m in p.messages] for name, p in predictors.items()}
        context.out.line(json.dumps(messages, ensure_ascii=True, indent=2))
        return 0
    context.out.paint([*_head(context, path, snapshot), *message_lines(snapshot, predictors)])
    return 0


def _chosen(snapshot: Snapshot, name: str | None) -> Mapping[str, PredictorSnapshot]:
    if name is None:
        return snapshot.predictors
    if name not in snapshot.predictors:
        near = get_close_matches(name, snapshot.predictors, 1)
        have = f"did you mean {near[0]}?" if near else f"there are: {', '.join(snapshot.predictors)}"
        raise UsageError(f"there is no predictor {name!r} in the snapshot", hint=have)
    return {name: snapshot.predictors[name]}


def _head(context: Context, path: Path, snapshot: Snapshot) -> Iterator[Line]:
    header = snapshot.header
    model = f" for {header.model.name}" if header.model else ""
    how = f", compiled with {header.teleprompter.name}" if header.teleprompter else ", as written"
    yield line(f"{context.shown(path)}: {header.program}{model}{how}", "muted")
    if snapshot.calibration is not None:
        figures = snapshot.calibration.figures.items()
        shown = ", ".join(f"{name.replace('_', ' ')} {value:.3g}" for name, value in figures)
        yield line(f"calibrated against people: {shown}", "muted")
    if header.stopped:
        yield line(f"the compile was stopped by its {header.stopped}", "warning")


def message_lines(snapshot: Snapshot, names: Iterable[str] | None = None) -> list[Line]:
    """Return the exact messages of the predictors (of all, if None) as lines."""
    adapter = snapshot.header.adapter
    chosen = snapshot.predictors if names is None else names
    return [shown for name in chosen for shown in _shown(name, snapshot.predictors[name], adapter)]


def _shown(name: str, predictor: PredictorSnapshot, adapter: str) -> Iterator[Line]:
    count = len(predictor.demos)
    demos = f"{count} demo{'' if count == 1 else 's'}"
    about = f"{predictor.adapter or adapter}, {demos}, about {prompt_tokens(predictor):,} tokens"
    yield line()
    yield line(f"=== {name} ({about}) ===", "heading")
    if looks_edited(predictor):
        yield line(_EDITED, "warning")
    for message in predictor.messages:
        yield line(f"--- {message['role']} ---", "heading")
        yield from (line(row, hang=0) for row in _content(message.get("content")).split("\n"))


_EDITED = (
    "edited by hand: the program sends its instructions, fields and demos, which these messages do not show "
    "(pytest --lm-update renders them again)"
)


def _content(content: Any) -> str:
    return content if isinstance(content, str) else json.dumps(content, ensure_ascii=False)
