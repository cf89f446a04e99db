"""``lmprog pending``, ``accept`` and ``reject``."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from pytest_lmprog.cli.context import Context
from pytest_lmprog.cli.proposal import Proposal, look
from pytest_lmprog.cli.targets import pending_targets
from pytest_lmprog.errors import SnapshotError, UsageError
from pytest_lmprog.records import dataclass
from pytest_lmprog.reports.diff.values import score_text
from pytest_lmprog.snapshots import store
from pytest_lmprog.snapshots.changes import MetricDiff

__all__ = ["Decision", "accept", "apply", "pending", "reject"]


def pending(context: Context, args: argparse.Namespace) -> int:
    """List pending snapshots, with how scores move if they are accepted."""
    paths = pending_targets(context.root, context.cwd, args.paths)
    rows = [look(context, path) for path in paths]
    if args.json:
        context.out.line(json.dumps([_row(row) for row in rows], ensure_ascii=True, indent=2))
    else:
        context.out.lines(_text(row) for row in rows)
        context.out.line(_summary(len(rows)))
    return 1 if rows and args.exit_code else 0


def _summary(count: int) -> str:
    if not count:
        return "nothing is pending"
    return f"{count} pending; `lmprog review` shows and decides them"


def _row(found: Proposal) -> dict[str, Any]:
    data: dict[str, Any] = {
        "unit": found.unit,
        "pending": found.shown,
        "accepted": found.accepted,
        "new": found.new,
    }
    if found.problem is not None:
        return {**data, "problem": found.problem}
    return {**data, "metrics": [_metric_row(m) for m in _changed_metrics(found)]}


def _changed_metrics(found: Proposal) -> list[MetricDiff]:
    return [m for m in found.diff.metrics if m.changed] if found.diff is not None and not found.new else []


def _metric_row(metric: MetricDiff) -> dict[str, Any]:
    old, new = metric.scores
    count = metric.count
    return {
        "metric": metric.name,
        "old": old,
        "new": new,
        "regressed": count.regressed,
        "fixed": count.fixed,
    }


def _text(found: Proposal) -> str:
    if found.problem is not None:
        return f"{found.shown}  cannot be read: {found.problem}"
    parts = [
        f"{m.name} {score_text(m.scores[0])} -> {score_text(m.scores[1])}" for m in _changed_metrics(found)
    ]
    return "  ".join([found.shown, *(["new"] if found.new else []), *parts])


@dataclass(frozen=True, slots=True)
class Decision:
    """What is to become of the pending snapshot at ``path``: ``accept``, ``reject`` or ``skip``.

    ``reviewed`` is the digest of the file that was shown; None where nothing was shown."""

    path: Path
    verb: str
    reviewed: str | None = None


def accept(context: Context, args: argparse.Namespace) -> int:
    """Accept what is named, or all."""
    return _decided(context, args, "accept")


def reject(context: Context, args: argparse.Namespace) -> int:
    """Reject what is named, or all."""
    return _decided(context, args, "reject")


def _decided(context: Context, args: argparse.Namespace, verb: str) -> int:
    if bool(args.paths) == args.all:
        problem = "either paths or --all, not both" if args.all else f"say what to {verb}: paths, or --all"
        raise UsageError(problem, hint="`lmprog pending` lists what there is")
    paths = pending_targets(context.root, context.cwd, args.paths)
    if not paths:
        context.out.line("nothing is pending")
    return apply(context, [Decision(path, verb) for path in paths])


def apply(context: Context, decisions: Sequence[Decision]) -> int:
    """Carry out ``decisions``; one that is refused does not stop the others.

    Returns the exit code."""
    actions: dict[str, Callable[[Context, Decision], str]] = {"accept": _accept, "reject": _reject}
    done = 0
    for decision in decisions:
        try:
            context.out.line(actions[decision.verb](context, decision))
            done += 1
        except SnapshotError as error:
            context.out.error(str(error))
    return int(done < len(decisions))


def _accept(context: Context, decision: Decision) -> str:
    done = store.accept(decision.path, reviewed=decision.reviewed)
    note = "" if done.changed else " (it was the same already)"
    return f"accepted {context.shown(done.path)}{note}"


def _reject(context: Context, decision: Decision) -> str:
    store.reject(decision.path, reviewed=decision.reviewed)
    return f"rejected {context.shown(decision.path)}"
