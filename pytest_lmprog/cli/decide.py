"""``lmprog pending``, ``accept`` and ``reject``."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pytest_lmprog.cli.context import Context
from pytest_lmprog.cli.targets import pending_targets, unit_of
from pytest_lmprog.errors import SnapshotError, UsageError
from pytest_lmprog.records import dataclass
from pytest_lmprog.snapshots import store
from pytest_lmprog.snapshots.changes import SnapshotDiff
from pytest_lmprog.snapshots.diff import diff as compare

__all__ = ["accept", "apply", "pending", "reject"]


def pending(context: Context, args: argparse.Namespace) -> int:
    """List pending snapshots, with how scores move if they are accepted."""
    paths = pending_targets(context.root, context.cwd, args.paths)
    rows = [_row(context, path) for path in paths]
    if args.json:
        context.out.line(json.dumps([row.plain() for row in rows], ensure_ascii=True, indent=2))
    else:
        context.out.lines(row.text() for row in rows)
        context.out.line(_summary(len(rows)))
    return 1 if rows and args.exit_code else 0


def _summary(count: int) -> str:
    if not count:
        return "nothing is pending"
    return f"{count} pending; `lmprog review` shows and decides them"


@dataclass(frozen=True, slots=True)
class _Row:
    """A pending snapshot: what accepting it changes, or why it cannot be read."""

    pending: str
    accepted: str
    unit: str
    new: bool
    diff: SnapshotDiff | None = None
    problem: str | None = None

    def plain(self) -> dict[str, Any]:
        data: dict[str, Any] = {
            "unit": self.unit,
            "pending": self.pending,
            "accepted": self.accepted,
            "new": self.new,
        }
        if self.problem is not None:
            return {**data, "problem": self.problem}
        return {**data, "metrics": [_metric_row(m) for m in self.diff.metrics] if self.diff else []}

    def text(self) -> str:
        if self.problem is not None:
            return f"{self.pending}  cannot be read: {self.problem}"
        parts = [
            f"{m.name} {_share(m.old)} -> {_share(m.new)}" for m in (self.diff.metrics if self.diff else ())
        ]
        if self.new:
            parts.insert(0, "new")
        return "  ".join([self.pending, *parts])


def _metric_row(metric: Any) -> dict[str, Any]:
    kinds = [flip.kind for flip in metric.flips]
    return {
        "metric": metric.name,
        "old": metric.old.score if metric.old else None,
        "new": metric.new.score if metric.new else None,
        "regressed": kinds.count("regressed"),
        "fixed": kinds.count("fixed"),
    }


def _share(metric: Any) -> str:
    return "none" if metric is None or metric.score is None else f"{metric.score:.3f}"


def _row(context: Context, path: Path) -> _Row:
    target = store.accepted_path(path)
    base = _Row(context.shown(path), context.shown(target), unit_of(path), not target.exists())
    try:
        new, old = store.read(path), store.read_if_any(target)
    except SnapshotError as error:
        return _Row(base.pending, base.accepted, base.unit, base.new, problem=str(error))
    found = compare(old, new) if old is not None else None
    return _Row(base.pending, base.accepted, base.unit, base.new, diff=found)


def accept(context: Context, args: argparse.Namespace) -> int:
    """Accept what is named, or all."""
    return apply(context, [(path, "accept") for path in _named(context, args, "accept")])


def reject(context: Context, args: argparse.Namespace) -> int:
    """Reject what is named, or all."""
    return apply(context, [(path, "reject") for path in _named(context, args, "reject")])


def _named(context: Context, args: argparse.Namespace, verb: str) -> list[Path]:
    if bool(args.paths) == args.all:
        problem = "either paths or --all, not both" if args.all else f"say what to {verb}: paths, or --all"
        raise UsageError(problem, hint="`lmprog pending` lists what there is")
    return pending_targets(context.root, context.cwd, args.paths)


def apply(context: Context, decisions: list[tuple[Path, str]]) -> int:
    """Carry out ``decisions`` (``accept`` or ``reject``); one that is refused does not stop the others."""
    if not decisions:
        context.out.line("nothing is pending")
    actions: dict[str, Callable[[Context, Path], str]] = {"accept": _accept, "reject": _reject}
    code = 0
    for path, verb in decisions:
        try:
            context.out.line(actions[verb](context, path))
        except SnapshotError as error:
            context.out.error(str(error))
            code = 1
    return code


def _accept(context: Context, path: Path) -> str:
    done = store.accept(path)
    note = "" if done.changed else " (it was the same already)"
    return f"accepted {context.shown(done.path)}{note}"


def _reject(context: Context, path: Path) -> str:
    store.reject(path)
    return f"rejected {context.shown(path)}"
