"""A snapshot as text for ``git diff`` (textconv): a fact a line, in stable order.

Sentences stand on lines of their own, so that a changed word is a changed line. What only tells that
something changed (fingerprints, examples, rendered messages) is one short digest each.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pytest_lmprog.canonical import digest
from pytest_lmprog.errors import SnapshotError
from pytest_lmprog.reports.diff.values import demo_text, field_text, score_text, standing
from pytest_lmprog.snapshots.artifact import MetricBaseline, PredictorSnapshot, Snapshot
from pytest_lmprog.snapshots.diff import diff
from pytest_lmprog.snapshots.store import parse

__all__ = ["diffable", "diffable_file"]

_SENTENCE = re.compile(r"(?<=[^\W\d_][.!?])[ \t]+(?=\S)|(?<=[。！？])(?=\S)")


def diffable_file(path: Path) -> Iterator[str]:
    """Yield the lines for the file at ``path``; for one that is no sound snapshot, those of the file itself,
    because git stops at a conversion that fails. Raises SnapshotError where it cannot be read at all."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise SnapshotError(f"cannot be read: {error.strerror}", path=str(path)) from None
    try:
        yield from diffable(parse(data, str(path)))
    except SnapshotError:
        if data:
            yield "(not a sound snapshot: the file as it is)"
        yield from data.decode("utf-8", "backslashreplace").splitlines()


def diffable(snapshot: Snapshot) -> Iterator[str]:
    """Yield the lines that stand for ``snapshot``."""
    for change in diff(None, snapshot).header:
        if change.new is not None:
            yield f"{change.name}: {_one_line(demo_text(change.new))}"
    if snapshot.base is not None:
        yield "pending"
    for part, items in snapshot.fingerprint.items():
        yield f"compiled from {part}: {_digest(dict(items))}"
    for name, predictor in snapshot.predictors.items():
        yield from _predictor(name, predictor)
    for name, metric in snapshot.baseline.items():
        yield from _metric(name, metric)


def _predictor(name: str, predictor: PredictorSnapshot) -> Iterator[str]:
    yield ""
    yield f"predictor {name}"
    if predictor.adapter is not None:
        yield f"  adapter {predictor.adapter}"
    yield "  instructions"
    yield from _text(predictor.instructions, "    ")
    for field in predictor.fields:
        yield f"  field {field.name}: {_one_line(field_text(field))}"
    for demo in predictor.demos:
        yield "  demo"
        for key, value in demo.items():
            yield f"    {key}:"
            yield from _text(demo_text(value), "      ")
    yield f"  rendered: {_digest(list(predictor.messages))}"


def _digest(value: Any) -> str:
    return digest(value)[:8]


def _text(text: str, indent: str) -> Iterator[str]:
    for row in text.split("\n"):
        yield from (f"{indent}{sentence}".rstrip() for sentence in _SENTENCE.split(row))


def _one_line(text: str) -> str:
    return text.replace("\n", "\\n")


def _metric(name: str, metric: MetricBaseline) -> Iterator[str]:
    yield ""
    yield f"metric {name}"
    yield f"  score {score_text(metric.score)} of {metric.count}"
    yield f"  examples: {_digest({case: c.example for case, c in metric.cases.items()})}"
    for case, baseline in metric.cases.items():
        yield f"  {_one_line(case)}: {standing(baseline)}"
