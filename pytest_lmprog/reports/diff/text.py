"""A SnapshotDiff as lines for a terminal, or for any text file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pytest_lmprog.reports.diff.pieces import Shown, shown_pieces, shown_text
from pytest_lmprog.reports.diff.values import (
    ARROW,
    calls_text,
    change_words,
    demo_counts_text,
    demo_text,
    flips_text,
    headline,
    mean_text,
    standing,
    tokens_text,
    value_text,
)
from pytest_lmprog.reports.spans import Line, Span, Tone, line, span
from pytest_lmprog.snapshots.changes import (
    DemoChange,
    Flip,
    FlipKind,
    MetricDiff,
    PredictorDiff,
    SnapshotDiff,
    ValueChange,
)
from pytest_lmprog.snapshots.worddiff import Piece

__all__ = ["diff_lines", "head_line"]

_MOST_FLIPS = 20
_STEP = 2
_TONES: dict[str, Tone] = {"regressed": "removed", "fixed": "added"}
_SIGNS = {"added": "+", "removed": "-", "changed": "~"}


def head_line(name: str, diff: SnapshotDiff, position: str = "") -> Line:
    """Return what matters most in one line: the unit, its place in the review, scores and flips."""
    where = f" ({position})" if position else ""
    return Line((span(f"{name}{where}", "heading"), span(f"  {headline(diff)}")), hang=4)


def diff_lines(diff: SnapshotDiff, *, full: bool = False) -> list[Line]:
    """Return the lines that tell ``diff``: metrics, settings, then prompts; one line where nothing differs.

    Words only in the old text stand as ``[-old-]``, those only in the new as ``{+new+}``. Unless ``full``,
    long stretches that did not change, the ends of very long texts and all but 20 flips of a kind are
    counted instead of shown."""
    if not diff:
        return [line("no difference")]
    lines = [part for metric in diff.metrics for part in _metric(metric, full)]
    lines += [_fact(change, diff) for change in diff.header]
    lines += [line(f"compiled from: {said}", "muted") for said in diff.fingerprint]
    for predictor in diff.predictors:
        lines += _predictor(predictor, diff, full)
    if diff.same_predictors:
        lines.append(line(f"same prompt: {', '.join(diff.same_predictors)}", "muted"))
    if len(diff.predictors) + len(diff.same_predictors) > 1:
        lines.append(line(f"all prompts: {tokens_text(diff.tokens)} tokens"))
    return lines


def _metric(metric: MetricDiff, full: bool) -> Iterator[Line]:
    flips = f", {flips_text(metric.count)}" if metric.changed and metric.old and metric.new else ""
    yield line(f"{metric.name}: {mean_text(metric)}{flips}", hang=4)
    if metric.old is None or metric.new is None:
        return
    for kind in ("regressed", "fixed", "changed", "added", "removed"):
        yield from _flips(kind, metric.of_kind(kind), full)


def _flips(kind: FlipKind, flips: Sequence[Flip], full: bool) -> Iterator[Line]:
    tone = _TONES.get(kind, "muted")
    shown = flips if full else flips[:_MOST_FLIPS]
    for flip in shown:
        edited = " (example edited)" if flip.edited else ""
        said = f"{kind} {flip.case}: {standing(flip.old)} {ARROW} {standing(flip.new)}{edited}"
        yield line(said, tone, indent=_STEP)
    if len(flips) > len(shown):
        yield line(f"and {len(flips) - len(shown):,} more {kind}", "muted", indent=_STEP)


def _fact(change: ValueChange, diff: SnapshotDiff) -> Line:
    if diff.kind != "changed":
        value = change.new if diff.kind == "added" else change.old
        return line(f"{change.name}: {value_text(value)}")
    return _changed(f"{change.name}: ", change)


def _changed(what: str, change: ValueChange, indent: int = 0) -> Line:
    words = [part for shown in shown_pieces(change_words(change)) for part in _marked(shown)]
    if words:
        return Line((span(what), *(part or span("\n") for part in words)), indent)
    old, new = span(value_text(change.old), "removed"), span(value_text(change.new), "added")
    if change.old is None:
        return Line((span(what), new, span(" (added)")), indent)
    if change.new is None:
        return Line((span(what), old, span(" (removed)")), indent)
    return Line((span(what), old, span(f" {ARROW} "), new), indent)


def _predictor(diff: PredictorDiff, whole: SnapshotDiff, full: bool) -> Iterator[Line]:
    yield line()
    yield line(diff.name if diff.kind == "changed" else f"{diff.name} {diff.kind}", "heading")
    if diff.instructions:
        yield line("instructions:", indent=_STEP)
        yield from _words(diff.instructions, full, 2 * _STEP)
    for change in diff.fields:
        yield _changed(f"field {change.name}: ", change, _STEP)
    if diff.adapter and diff.kind == "changed":
        yield _changed("adapter: ", diff.adapter, _STEP)
    if diff.demos or diff.demos_reordered:
        yield line(demo_counts_text(diff), indent=_STEP)
    for demo in diff.demos:
        yield from _demo(demo, full)
    if diff.rendering:
        yield line("the same prompt, rendered otherwise", indent=_STEP)
    yield line(f"prompt tokens: {tokens_text(diff.tokens)}", indent=_STEP)
    calls = calls_text(*whole.calls.get(diff.name, (None, None)))
    yield line(f"per call: {calls or 'no recorded call, price unknown'}", indent=_STEP)


def _words(pieces: Sequence[Piece], full: bool, indent: int, name: str = "") -> Iterator[Line]:
    """Words in their context, or where all of it is another text, the old one and then the new one."""
    if any(piece.kind == "same" for piece in pieces) or not _long(pieces):
        parts = [part for shown in shown_pieces(pieces, full=full) for part in _marked(shown)]
        yield from _lines([span(name), *parts], indent)
        return
    if name:
        yield line(name, indent=indent)
    for piece in pieces:
        sign, tone = _gutter(piece)
        yield from _block(piece.text, tone, sign, full, indent + (_STEP if name else 0))


def _long(pieces: Sequence[Piece]) -> bool:
    return len(pieces) == 1 or any("\n" in piece.text or len(piece.text) > 40 for piece in pieces)


def _gutter(piece: Piece) -> tuple[str, Tone]:
    return ("- ", "removed") if piece.kind == "removed" else ("+ ", "added")


def _block(text: str, tone: Tone | None, sign: str, full: bool, indent: int) -> Iterator[Line]:
    """Every line of a text behind ``sign``."""
    for part in shown_text(text, full=full):
        if part.kind == "gap":
            yield line(f"{' ' * len(sign)}... {part.text} ...", "muted", indent=indent)
            continue
        for row in part.text.removesuffix("\n").split("\n"):
            yield line(f"{sign}{row}", tone, indent=indent, hang=len(sign))


def _marked(part: Shown) -> Iterator[Span | None]:
    """Yield a piece's spans; None is a line's end."""
    if part.kind == "gap":
        yield span(f" ... {part.text} ... ", "muted")
        return
    tone: Tone | None = None if part.kind == "same" else part.kind
    for i, row in enumerate(part.text.split("\n")):
        if i:
            if tone is not None and not row.strip() and not part.text.strip():
                yield _bracketed("\\n", tone)
            yield None
        if row and tone is not None:
            yield _bracketed(row if row.strip(" ") else row.replace("\t", "\\t"), tone)
        elif row:
            yield span(row)


def _bracketed(text: str, tone: Tone) -> Span:
    shown = text.replace("\t", "\\t") if not text.strip() else text
    return span(f"[-{shown}-]" if tone == "removed" else f"{{+{shown}+}}", tone)


def _lines(parts: Sequence[Span | None], indent: int) -> Iterator[Line]:
    row: list[Span] = []
    for part in parts:
        if part is None:
            yield Line(tuple(row), indent, 0)
            row = []
        else:
            row.append(part)
    yield Line(tuple(row), indent, 0)


def _demo(change: DemoChange, full: bool) -> Iterator[Line]:
    tone: Tone | None = None if change.kind == "changed" else change.kind
    yield line(f"{_SIGNS[change.kind]} demo {change.position}", tone, indent=_STEP)
    words = dict(change.changes)
    for name in dict.fromkeys([*change.demo, *words]):
        if name in words:
            yield from _words(words[name], full, 3 * _STEP, f"{name}: ")
        else:
            yield from _value(name, demo_text(change.demo[name]), tone, full)


def _value(name: str, text: str, tone: Tone | None, full: bool) -> Iterator[Line]:
    if "\n" not in text:
        parts = [span(f"{name}: ", tone)]
        for part in shown_text(text, full=full):
            gap = part.kind == "gap"
            parts.append(span(f" ... {part.text} ...", "muted") if gap else span(part.text, tone))
        yield Line(tuple(parts), 3 * _STEP)
        return
    yield line(f"{name}:", tone, indent=3 * _STEP)
    yield from _block(text, tone, "", full, 4 * _STEP)
