"""A SnapshotDiff as plain data for scripts and bots. ``FORMAT`` counts changes that could break a reader.

::

    changed        whether anything differs
    kind           changed, added (no old snapshot) or removed (no new one)
    score          {old, new, delta}: the mean of the metrics scored on both sides; null where there is none
    flips          {fixed, regressed, compared}: cases of all metrics together
    tokens         {old, new}: of all prompts, an estimate (a quarter of the characters)
    metrics        every metric: {name, changed, old: {score, count}, new, delta, fixed, regressed, compared,
                   cases: [{case, kind, old: {status, score, error, passes, n}, new, edited}]}
    settings       what differs in the header: [{name, old, new}]
    compiled_from  what differs in program, data and metrics, in words
    predictors     those that differ: {name, kind, instructions: {old, new, words: [[kind, text]]} or null,
                   fields: [{name, old, new}], adapter, demos: {old, new, reordered, changes: [{kind,
                   position, demo, fields: [{name, old, new, words}]}]}, rendering,
                   tokens: {old, new}, calls: {old: {calls, prompt_tokens, completion_tokens, cost}, new}}
    same_predictors  names of those that do not differ

``cost`` is in USD per call, a mean over recorded calls; null means that no price is known. ``kind`` of a case
is fixed, regressed, changed, added or removed; of a word same, removed or added.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pytest_lmprog.snapshots.artifact import CaseBaseline, FieldSnapshot, MetricBaseline
from pytest_lmprog.snapshots.changes import (
    DemoChange,
    Flip,
    FlipCount,
    MetricDiff,
    PredictorDiff,
    SnapshotDiff,
    ValueChange,
)
from pytest_lmprog.snapshots.worddiff import Piece

if TYPE_CHECKING:
    from pytest_lmprog.lm.recordings.usage import CallFigures

__all__ = ["FORMAT", "diff_plain"]

FORMAT = 1


def diff_plain(diff: SnapshotDiff) -> dict[str, Any]:
    """Return ``diff`` as JSON data, as described above."""
    old, new = diff.scores
    return {
        "changed": bool(diff),
        "kind": diff.kind,
        "score": {"old": old, "new": new, "delta": None if old is None or new is None else new - old},
        "flips": _count(diff.count),
        "tokens": _sides(*diff.tokens),
        "metrics": [_metric(metric) for metric in diff.metrics],
        "settings": [_value(change) for change in diff.header],
        "compiled_from": list(diff.fingerprint),
        "predictors": [_predictor(predictor, diff) for predictor in diff.predictors],
        "same_predictors": list(diff.same_predictors),
    }


def _sides(old: Any, new: Any) -> dict[str, Any]:
    return {"old": old, "new": new}


def _count(count: FlipCount) -> dict[str, int]:
    return {"fixed": count.fixed, "regressed": count.regressed, "compared": count.compared}


def _metric(metric: MetricDiff) -> dict[str, Any]:
    return {
        "name": metric.name,
        "changed": metric.changed,
        **_sides(_mean(metric.old), _mean(metric.new)),
        "delta": metric.delta,
        **_count(metric.count),
        "cases": [_flip(flip) for flip in metric.flips],
    }


def _mean(metric: MetricBaseline | None) -> dict[str, Any] | None:
    return None if metric is None else {"score": metric.score, "count": metric.count}


def _flip(flip: Flip) -> dict[str, Any]:
    sides = _sides(_case(flip.old), _case(flip.new))
    return {"case": flip.case, "kind": flip.kind, **sides, "edited": flip.edited}


def _case(case: CaseBaseline | None) -> dict[str, Any] | None:
    if case is None:
        return None
    return {
        "status": case.status,
        "score": case.score,
        "error": case.error,
        "passes": case.passes,
        "n": case.n,
    }


def _value(change: ValueChange) -> dict[str, Any]:
    return {"name": change.name, **_sides(_plain(change.old), _plain(change.new))}


def _plain(value: Any) -> Any:
    return dataclasses.asdict(value) if isinstance(value, FieldSnapshot) else value


def _predictor(diff: PredictorDiff, whole: SnapshotDiff) -> dict[str, Any]:
    old, new = whole.calls.get(diff.name, (None, None))
    return {
        "name": diff.name,
        "kind": diff.kind,
        "instructions": _words(diff.instructions) if diff.instructions else None,
        "fields": [_value(change) for change in diff.fields],
        "adapter": _value(diff.adapter) if diff.adapter else None,
        "demos": {
            **_sides(*diff.demo_counts),
            "reordered": diff.demos_reordered,
            "changes": [_demo(demo) for demo in diff.demos],
        },
        "rendering": diff.rendering,
        "tokens": _sides(*diff.tokens),
        "calls": _sides(_calls(old), _calls(new)),
    }


def _words(pieces: Sequence[Piece]) -> dict[str, Any]:
    return {
        "old": "".join(piece.text for piece in pieces if piece.kind != "added"),
        "new": "".join(piece.text for piece in pieces if piece.kind != "removed"),
        "words": [[piece.kind, piece.text] for piece in pieces],
    }


def _demo(change: DemoChange) -> dict[str, Any]:
    return {
        "kind": change.kind,
        "position": change.position,
        "demo": dict(change.demo),
        "fields": [{"name": name, **_words(pieces)} for name, pieces in change.changes],
    }


def _calls(calls: CallFigures | None) -> dict[str, Any] | None:
    return None if calls is None else dataclasses.asdict(calls)
