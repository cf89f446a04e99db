"""A SnapshotDiff as lines for people."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal

from pytest_lmprog.canonical import canonical_json
from pytest_lmprog.errors import CanonicalError
from pytest_lmprog.snapshots.artifact import CaseBaseline, FieldSnapshot, MetricBaseline
from pytest_lmprog.snapshots.changes import (
    DemoChange,
    Flip,
    MetricDiff,
    PredictorDiff,
    SnapshotDiff,
    ValueChange,
)
from pytest_lmprog.snapshots.worddiff import Piece

__all__ = ["Style", "Tone", "diff_lines", "plain_style"]

Tone = Literal["added", "removed", "heading", "muted"]
Style = Callable[[Tone, str], str]
"""Puts a text in a tone, for instance with terminal colours."""

_CONTEXT = 60
_MOST_FLIPS = 20
_MOST_VALUE = 200


def plain_style(tone: Tone, text: str) -> str:
    """Return ``text`` as it is, heading or not."""
    del tone
    return text


def diff_lines(diff: SnapshotDiff, style: Style = plain_style) -> list[str]:
    """Return the lines that tell ``diff``; one line saying so where nothing differs.

    Words only in the old text stand as ``[-old-]``, those only in the new as ``{+new+}``."""
    if not diff:
        return ["no difference"]
    lines: list[str] = []
    for change in diff.header:
        lines.append(f"{change.name}: {_arrow(change, style)}")
    lines += [style("muted", f"compiled from: {text}") for text in diff.fingerprint]
    for predictor in diff.predictors:
        lines += _predictor(predictor, style)
    if [predictor.tokens for predictor in diff.predictors] not in ([], [diff.tokens]):
        lines.append(f"prompt tokens: {_tokens(diff.tokens)}")
    for metric in (m for m in diff.metrics if m.changed):
        lines += _metric(metric, style)
    return lines


def _arrow(change: ValueChange, style: Style) -> str:
    return f"{style('removed', _value(change.old))} -> {style('added', _value(change.new))}"


def _value(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, str):
        text = value
    elif isinstance(value, FieldSnapshot):
        text = _field(value)
    elif isinstance(value, float):
        text = f"{value:.4g}"
    else:
        text = _json(value)
    return text if len(text) <= _MOST_VALUE else f"{text[: _MOST_VALUE - 3]}..."


def _json(value: Any) -> str:
    try:
        return canonical_json(value).decode()
    except CanonicalError:
        return repr(value)


def _field(field: FieldSnapshot) -> str:
    extra = [f"desc: {field.desc}" if field.desc else "", f"prefix: {field.prefix}" if field.prefix else ""]
    return ", ".join([f"{field.role} {field.type}", *(text for text in extra if text)])


def _predictor(diff: PredictorDiff, style: Style) -> Iterator[str]:
    yield style("heading", f"{diff.name}" if diff.kind == "changed" else f"{diff.name} {diff.kind}")
    if diff.instructions:
        yield "  instructions:"
        yield from (f"    {line}" for line in _words(diff.instructions, style))
    for change in diff.fields:
        yield f"  field {change.name}: {_arrow(change, style)}"
    for demo in diff.demos:
        yield from (f"  {line}" for line in _demo(demo, style))
    if diff.demos_reordered:
        yield "  the same demos in another order"
    if diff.rendering:
        yield "  the same prompt, rendered otherwise"
    if diff.tokens[0] != diff.tokens[1]:
        yield f"  tokens: {_tokens(diff.tokens)}"


def _tokens(tokens: tuple[int, int]) -> str:
    old, new = tokens
    return f"about {old:,} -> {new:,} ({new - old:+,})" if old != new else f"about {new:,}"


def _words(pieces: Sequence[Piece], style: Style) -> list[str]:
    shown = [_piece(piece, i == 0, i == len(pieces) - 1, style) for i, piece in enumerate(pieces)]
    return "".join(shown).splitlines() or [""]


def _piece(piece: Piece, first: bool, last: bool, style: Style) -> str:
    if piece.kind == "removed":
        return style("removed", f"[-{piece.text}-]")
    if piece.kind == "added":
        return style("added", f"{{+{piece.text}+}}")
    return _shortened(piece.text, first, last)


def _shortened(text: str, first: bool, last: bool) -> str:
    """Leave out the middle of a long text that did not change, at white space."""
    before = "" if first else (re.match(rf".{{0,{_CONTEXT}}}(?!\S)", text, re.S) or [""])[0]
    after = "" if last else (re.search(rf"(?<!\S).{{0,{_CONTEXT}}}\Z", text, re.S) or [""])[0]
    if len(before) + len(after) + 10 >= len(text):
        return text
    return f"{before} ... {after}"


def _demo(change: DemoChange, style: Style) -> Iterator[str]:
    if change.kind != "changed":
        tone: Tone = "added" if change.kind == "added" else "removed"
        sign = "+" if change.kind == "added" else "-"
        yield style(tone, f"{sign} demo {_demo_value(change.demo)}")
        return
    yield f"~ demo {_demo_value(change.demo)}"
    for name, pieces in change.changes:
        for line in _words(pieces, style):
            yield f"    {name}: {line}"


def _demo_value(demo: Mapping[str, Any]) -> str:
    parts = [f"{name}={_json(value)}" for name, value in demo.items()]
    return ", ".join(part if len(part) <= 80 else f"{part[:77]}..." for part in parts)


def _metric(diff: MetricDiff, style: Style) -> Iterator[str]:
    yield style("heading", f"{diff.name}: {_mean(diff.old)} -> {_mean(diff.new)}{_delta(diff)}")
    kinds = ("regressed", "fixed", "changed", "added", "removed")
    for kind in kinds:
        flips = [flip for flip in diff.flips if flip.kind == kind]
        yield from (f"  {line}" for line in _flips(kind, flips, style))


def _mean(metric: MetricBaseline | None) -> str:
    if metric is None:
        return "none"
    score = "unscored" if metric.score is None else f"{metric.score:.3f}"
    return f"{score} of {metric.count}"


def _delta(diff: MetricDiff) -> str:
    old = diff.old.score if diff.old else None
    new = diff.new.score if diff.new else None
    return "" if old is None or new is None else f" ({new - old:+.3f})"


def _flips(kind: str, flips: list[Flip], style: Style) -> Iterator[str]:
    tone: Tone = {"regressed": "removed", "fixed": "added"}.get(kind, "muted")  # type: ignore[assignment]
    for flip in flips[:_MOST_FLIPS]:
        yield style(tone, f"{kind} {flip.case}: {_standing(flip.old)} -> {_standing(flip.new)}")
    rest = len(flips) - _MOST_FLIPS
    if rest > 0:
        yield style("muted", f"and {rest} more {kind}")


def _standing(case: CaseBaseline | None) -> str:
    if case is None:
        return "not there"
    status = case.error if case.status == "error" and case.error else case.status
    if case.passes is not None:
        return f"{status} {case.passes}/{case.n}"
    return f"{status} {case.score:.3f}" if case.score is not None else status
