"""A SnapshotDiff as HTML: a fragment for any page, and a page of its own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache

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
from pytest_lmprog.reports.page import asset, page, text
from pytest_lmprog.snapshots.changes import (
    DemoChange,
    Flip,
    MetricDiff,
    PredictorDiff,
    SnapshotDiff,
    ValueChange,
)
from pytest_lmprog.snapshots.worddiff import Piece

__all__ = ["diff_fragment", "diff_page", "diff_style"]

_MOST_FLIPS = 200
_KINDS = (("regressed", "bad"), ("fixed", "good"), ("changed", ""), ("added", ""), ("removed", ""))


@cache
def diff_style() -> str:
    """Return the CSS that a page with ``diff_fragment`` in it needs beside the shell's."""
    return asset("pytest_lmprog.reports.diff", "diff.css")


def diff_page(
    title: str, diffs: Sequence[tuple[str, SnapshotDiff, Sequence[str]]], *, full: bool = False
) -> str:
    """Return a self-contained page that tells several snapshots apart, ``(name, diff, notes)`` each."""
    parts = [
        f'<h2 class="lmd-name">{text(name)}</h2>\n{diff_fragment(diff, notes=notes, full=full)}'
        for name, diff, notes in diffs
    ]
    body = "\n".join(parts)
    return page(title, body or "<p>No difference.</p>", style=diff_style())


def diff_fragment(
    diff: SnapshotDiff, *, notes: Sequence[str] = (), full: bool = False, level: int = 3
) -> str:
    """Return ``diff`` as an element ``<div class="lm-diff">``, everything in it escaped.

    The page must hold ``diff_style()``. ``notes`` are warnings that come first; ``full`` leaves out nothing
    of instructions that did not change; ``level`` is that of the headings."""
    if not diff:
        return '<div class="lm-diff"><p class="muted">No difference.</p></div>'
    parts = [f'<p class="lmd-head">{_arrows(headline(diff))}</p>']
    parts += [f'<p class="warn">{text(note)}</p>' for note in notes]
    parts += _metrics(diff.metrics)
    parts += _header(diff)
    for predictor in diff.predictors:
        parts += _predictor(predictor, diff, full, level)
    if diff.same_predictors:
        names = ", ".join(f"<code>{text(name)}</code>" for name in diff.same_predictors)
        parts.append(f'<p class="muted">Same prompt: {names}</p>')
    if len(diff.predictors) + len(diff.same_predictors) > 1:
        parts.append(f'<p class="muted">All prompts: {_arrows(tokens_text(diff.tokens))} tokens</p>')
    return '<div class="lm-diff">\n' + "\n".join(parts) + "\n</div>"


def _metrics(metrics: Sequence[MetricDiff]) -> Iterator[str]:
    if not metrics:
        return
    head = "<th>Metric</th>" + "".join(
        f'<th class="num">{name}</th>' for name in ("Before", "After", "Change")
    )
    rows = "".join(_metric_row(metric) for metric in metrics)
    yield (
        f'<div class="scroll"><table class="lmd-metrics"><thead><tr>{head}<th>Flips</th></tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
    )
    for metric in metrics:
        if metric.flips:
            yield _flips(metric)


def _arrows(said: str) -> str:
    return text(said).replace("-&gt;", "&rarr;")


def _metric_row(metric: MetricDiff) -> str:
    delta = metric.delta
    tone = "" if delta is None or abs(delta) < 0.0005 else " good" if delta > 0 else " bad"
    flips = flips_text(metric.count) if metric.old and metric.new else "added" if metric.new else "removed"
    old, new = metric.scores
    flips = flips.removeprefix("flips ")
    return (
        f"<tr><td><code>{text(metric.name)}</code></td>"
        f'<td class="num">{score_text(old)}{_of(metric, old=True)}</td>'
        f'<td class="num">{score_text(new)}{_of(metric, old=False)}</td>'
        f'<td class="num{tone}">{delta_text(delta)}</td><td>{flips}</td></tr>'
    )


def _of(metric: MetricDiff, *, old: bool) -> str:
    side = metric.old if old else metric.new
    return "" if side is None else f' <small class="muted">of {side.count}</small>'


def _flips(metric: MetricDiff) -> str:
    count = metric.count
    opened = " open" if count.regressed and count.regressed <= 20 else ""
    items = "".join(_flip_items(metric))
    return (
        f"<details{opened}><summary><code>{text(metric.name)}</code>: "
        f"{plural(len(metric.flips), 'case')} differ{'s' if len(metric.flips) == 1 else ''}</summary>"
        f'<ul class="lmd-flips">{items}</ul></details>'
    )


def _flip_items(metric: MetricDiff) -> Iterator[str]:
    for kind, tone in _KINDS:
        flips = metric.of_kind(kind)  # type: ignore[arg-type]
        yield from (_flip(flip, tone) for flip in flips[:_MOST_FLIPS])
        if len(flips) > _MOST_FLIPS:
            yield f'<li class="muted">and {len(flips) - _MOST_FLIPS:,} more {kind}</li>'


def _flip(flip: Flip, tone: str) -> str:
    edited = ' <small class="muted">(example edited)</small>' if flip.edited else ""
    return (
        f'<li><span class="lmd-kind {tone}">{flip.kind}</span> <code>{text(flip.case)}</code> '
        f"{text(standing(flip.old))} &rarr; {text(standing(flip.new))}{edited}</li>"
    )


def _header(diff: SnapshotDiff) -> Iterator[str]:
    facts = [_fact(change, diff) for change in diff.header]
    facts += [f"<li>compiled from: {text(said)}</li>" for said in diff.fingerprint]
    if facts:
        yield f'<ul class="lmd-facts">{"".join(facts)}</ul>'


def _fact(change: ValueChange, diff: SnapshotDiff) -> str:
    if diff.kind != "changed":
        value = change.new if diff.kind == "added" else change.old
        return f"<li>{text(change.name)}: {text(value_text(value))}</li>"
    return f"<li>{text(change.name)}: {_change(change)}</li>"


def _change(change: ValueChange) -> str:
    words = change_words(change)
    if words:
        return _words(words, full=False)
    old, new = (text(value_text(value)) for value in (change.old, change.new))
    if change.old is None:
        return f"<ins>{new}</ins> (added)"
    return (
        f"<del>{old}</del> (removed)" if change.new is None else f"<del>{old}</del> &rarr; <ins>{new}</ins>"
    )


def _predictor(diff: PredictorDiff, whole: SnapshotDiff, full: bool, level: int) -> Iterator[str]:
    kind = "" if diff.kind == "changed" else f' <span class="lmd-kind">{diff.kind}</span>'
    yield f"<h{level}><code>{text(diff.name)}</code>{kind}</h{level}>"
    if diff.instructions:
        yield f'<pre class="lmd-words">{_words(diff.instructions, full=full)}</pre>'
    facts = [f"<li>field {text(change.name)}: {_change(change)}</li>" for change in diff.fields]
    facts += [f"<li>adapter: {_change(diff.adapter)}</li>"] if diff.adapter and diff.kind == "changed" else []
    facts += [f"<li>{_arrows(demo_counts_text(diff))}</li>"] if any(diff.demo_counts) else []
    if facts:
        yield f'<ul class="lmd-facts">{"".join(facts)}</ul>'
    yield from (_demo(demo, full) for demo in diff.demos)
    if diff.rendering:
        yield "<p>The same prompt, rendered otherwise.</p>"
    yield f'<p class="muted">Prompt tokens: {_arrows(tokens_text(diff.tokens))}</p>'
    calls = calls_text(*whole.calls.get(diff.name, (None, None)))
    if calls:
        yield f'<p class="muted">Per recorded call: {_arrows(calls)}</p>'


def _words(pieces: Sequence[Piece], *, full: bool) -> str:
    return "".join(_part(part) for part in shown_pieces(pieces, full=full))


def _part(part: Shown) -> str:
    if part.kind == "gap":
        return f'<span class="lmd-gap"> &hellip; {text(part.text)} &hellip; </span>'
    if part.kind == "same":
        return text(part.text)
    name = "del" if part.kind == "removed" else "ins"
    return f"<{name}>{_marked(part.text)}</{name}>"


def _marked(changed: str) -> str:
    """White space that changed would not be seen."""
    if changed.strip(" \n\t"):
        return text(changed)
    return text(changed).replace("\n", "\u21b5\n").replace(" ", "\u2423").replace("\t", "\u21e5")


def _demo(change: DemoChange, full: bool) -> str:
    words = dict(change.changes)
    rows = "".join(
        f"<dt>{text(name)}</dt><dd>"
        f"{_words(words[name], full=full) if name in words else _value(change.demo[name], full)}</dd>"
        for name in dict.fromkeys([*change.demo, *words])
    )
    return (
        f'<div class="lmd-demo lmd-{change.kind}"><p><span class="lmd-kind">{change.kind}</span> '
        f"demo {change.position}</p><dl>{rows}</dl></div>"
    )


def _value(value: object, full: bool) -> str:
    return "".join(_part(part) for part in shown_text(demo_text(value), full=full))
