"""A SnapshotDiff as Markdown for a pull request's comment, safe whatever prompts and answers hold.

What users or models wrote stands in code spans or in ``<pre>``, where neither Markdown nor mentions work.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

from pytest_lmprog.reports.diff.pieces import Shown, shown_pieces, shown_text
from pytest_lmprog.reports.diff.values import (
    calls_text,
    change_words,
    delta_text,
    demo_counts_text,
    demo_text,
    flips_text,
    headline,
    plural,
    score_text,
    standing,
    tokens_text,
    value_text,
)
from pytest_lmprog.reports.markdown_text import code, entities, plain
from pytest_lmprog.reports.spans import Line, Span, Tone, plain_text, span, wrapped
from pytest_lmprog.reports.visible import visible
from pytest_lmprog.snapshots.changes import (
    DemoChange,
    Flip,
    MetricDiff,
    PredictorDiff,
    SnapshotDiff,
    ValueChange,
)
from pytest_lmprog.snapshots.worddiff import Piece

__all__ = ["diff_markdown"]

_MOST_FLIPS = 20
_MOST_DEMOS = 12
_WIDTH = 100
"""Columns that a pull request's comment shows without scrolling."""


def _arrows(text: str) -> str:
    return text.replace("->", "→")


def diff_markdown(
    diff: SnapshotDiff, *, title: str = "", notes: Sequence[str] = (), full: bool = False, most: int = 30_000
) -> str:
    """Return ``diff`` as Markdown, ending in a line feed.

    Parameters
    ----------
    title: of a heading of level 3, as text; none if empty.
    notes: warnings that come first, as text.
    full: leave out nothing of instructions that did not change, and of demos and flips.
    most: characters beyond which what remains is left out, with a note (GitHub takes 65,536 a comment).
    """
    blocks = [f"### {plain(title)}"] if title else []
    if not diff:
        blocks.append("No difference.")
    else:
        blocks += _blocks(diff, notes, full)
    return _within(blocks, most)


def _within(blocks: Sequence[str], most: int) -> str:
    kept: list[str] = []
    room = most
    for block in blocks:
        room -= len(block) + 2
        if room < 0:
            kept.append("*The rest is left out here: `lmprog diff` shows all of it.*")
            break
        kept.append(block)
    return "\n\n".join(kept) + "\n"


def _blocks(diff: SnapshotDiff, notes: Sequence[str], full: bool) -> Iterator[str]:
    yield f"**{_arrows(headline(diff))}**"
    yield from (f"> {plain(note)}" for note in notes)
    if diff.metrics:
        yield _metrics(diff.metrics)
    for metric in diff.metrics:
        if metric.flips:
            yield _flips(metric, full)
    facts = [_fact(change, diff) for change in diff.header]
    facts += [f"- compiled from: {plain(said)}" for said in diff.fingerprint]
    if facts:
        yield "\n".join(facts)
    for predictor in diff.predictors:
        yield from _predictor(predictor, diff, full)
    if diff.same_predictors:
        yield f"Same prompt: {', '.join(code(name) for name in diff.same_predictors)}"
    if len(diff.predictors) + len(diff.same_predictors) > 1:
        yield f"All prompts: {_arrows(tokens_text(diff.tokens))} tokens"


def _metrics(metrics: Sequence[MetricDiff]) -> str:
    rows = ["| metric | before | after | change | flips |", "| --- | ---: | ---: | ---: | --- |"]
    for metric in metrics:
        old, new = metric.scores
        flips = (
            flips_text(metric.count) if metric.old and metric.new else "added" if metric.new else "removed"
        )
        flips = flips.removeprefix("flips ")
        delta = delta_text(metric.delta) or "none"
        rows.append(f"| {code(metric.name)} | {score_text(old)} | {score_text(new)} | {delta} | {flips} |")
    return "\n".join(rows)


def _flips(metric: MetricDiff, full: bool) -> str:
    lines: list[str] = []
    for kind in ("regressed", "fixed", "changed", "added", "removed"):
        flips = metric.of_kind(kind)
        shown = flips if full else flips[:_MOST_FLIPS]
        lines += [_flip(flip) for flip in shown]
        if len(flips) > len(shown):
            lines.append(f"- and {len(flips) - len(shown):,} more {kind}")
    verb = "differs" if len(metric.flips) == 1 else "differ"
    summary = f"<code>{_html(metric.name)}</code>: {plural(len(metric.flips), 'case')} {verb}"
    return _folded(summary, "\n".join(lines))


def _flip(flip: Flip) -> str:
    word = f"**{flip.kind}**" if flip.kind == "regressed" else flip.kind
    edited = " (example edited)" if flip.edited else ""
    return f"- {word} {code(flip.case)}: {plain(standing(flip.old))} → {plain(standing(flip.new))}{edited}"


def _folded(summary: str, body: str) -> str:
    return f"<details><summary>{summary}</summary>\n\n{body}\n\n</details>"


def _fact(change: ValueChange, diff: SnapshotDiff) -> str:
    if diff.kind != "changed":
        value = change.new if diff.kind == "added" else change.old
        return f"- {plain(change.name)}: {code(value_text(value))}"
    return f"- {plain(change.name)}: {_change(change)}"


def _change(change: ValueChange) -> str:
    words = change_words(change)
    if words:
        return f"<code>{''.join(_inline(part) for part in shown_pieces(words))}</code>"
    old, new = (code(value_text(value)) for value in (change.old, change.new))
    if change.old is None:
        return f"{new} (added)"
    return f"{old} (removed)" if change.new is None else f"{old} → {new}"


def _inline(part: Shown) -> str:
    shown = entities(visible(part.text.replace("\n", "\\n").replace("\t", "\\t")))
    if part.kind == "gap":
        return f"<i> ... {shown} ... </i>"
    element = {"removed": "del", "added": "ins"}.get(part.kind)
    return f"<{element}>{shown}</{element}>" if element else shown


def _predictor(diff: PredictorDiff, whole: SnapshotDiff, full: bool) -> Iterator[str]:
    yield f"#### {code(diff.name)}{'' if diff.kind == 'changed' else f' ({diff.kind})'}"
    if diff.instructions:
        yield _pre(_words(diff.instructions, full))
    facts = [f"- field {code(change.name)}: {_change(change)}" for change in diff.fields]
    if diff.adapter and diff.kind == "changed":
        facts.append(f"- adapter: {_change(diff.adapter)}")
    if diff.rendering:
        facts.append("- the same prompt, rendered otherwise")
    facts.append(f"- prompt tokens: {_arrows(tokens_text(diff.tokens))}")
    calls = calls_text(*whole.calls.get(diff.name, (None, None)))
    if calls:
        facts.append(f"- per recorded call: {_arrows(calls)}")
    yield "\n".join(facts)
    if diff.demos:
        yield _folded(_arrows(demo_counts_text(diff)), _demos(diff.demos, full))
    elif any(diff.demo_counts):
        yield _arrows(demo_counts_text(diff))


def _demos(demos: Sequence[DemoChange], full: bool) -> str:
    shown = demos if full else demos[:_MOST_DEMOS]
    blocks = [f"{demo.kind} demo {demo.position}\n\n{_pre(_demo(demo, full))}" for demo in shown]
    if len(demos) > len(shown):
        blocks.append(f"and {len(demos) - len(shown):,} more demos that differ")
    return "\n\n".join(blocks)


def _pre(text: str) -> str:
    """HTML drops a line feed at the start."""
    return f"<pre>{chr(10) if text.startswith(chr(10)) else ''}{text}</pre>"


def _demo(change: DemoChange, full: bool) -> str:
    words = dict(change.changes)
    tone: Tone | None = None if change.kind == "changed" else change.kind
    shown: list[str] = []
    for name in dict.fromkeys([*change.demo, *words]):
        if name in words:
            parts = shown_pieces(words[name], full=full)
        else:
            parts = shown_text(demo_text(change.demo[name]), full=full)
        shown.append(_rows([span(f"{name}: ", "heading"), *_spans(parts, tone)]))
    return "\n".join(shown)


def _words(pieces: Sequence[Piece], full: bool) -> str:
    return _rows(list(_spans(shown_pieces(pieces, full=full), None)))


def _spans(parts: Iterable[Shown], tone: Tone | None) -> Iterator[Span | None]:
    """Yield what to show, in ``tone`` where it has none of its own; None is a line's end."""
    for part in parts:
        if part.kind == "gap":
            yield span(f" ... {part.text} ... ", "muted")
            continue
        own = tone if part.kind == "same" else part.kind
        blank = own is not None and part.text.isspace()
        for i, row in enumerate(part.text.split("\n")):
            if i:
                yield span("\u21b5" if blank else "", own)
                yield None
            yield span(row.replace(" ", "\u2423") if blank else row, own)


def _rows(parts: Sequence[Span | None]) -> str:
    """Return lines for a ``<pre>``, wrapped, because GitHub does not wrap there."""
    lines: list[list[Span]] = [[]]
    for part in parts:
        if part is None:
            lines.append([])
        else:
            lines[-1].append(part)
    rows = [row for spans in lines for row in wrapped(Line(tuple(spans)), _WIDTH)]
    return "\n".join("".join(_toned(text, tone) for tone, text in _runs(row)) for row in rows)


def _runs(row: Sequence[Span]) -> Iterator[tuple[Tone | None, str]]:
    for tone, run in groupby(row, key=lambda part: part.tone):
        yield tone, plain_text(list(run))


_ELEMENTS: dict[Tone | None, str] = {"removed": "del", "added": "ins", "muted": "i", "heading": "b"}


def _toned(text: str, tone: Tone | None) -> str:
    escaped = html.escape(text, quote=False)
    element = _ELEMENTS.get(tone)
    return f"<{element}>{escaped}</{element}>" if element and text else escaped


def _html(text: str) -> str:
    return html.escape(visible(" ".join(text.split())), quote=False)
