"""Scores, values and figures of a difference, in the words that every report uses, not escaped."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from pytest_lmprog.canonical import canonical_json
from pytest_lmprog.errors import CanonicalError
from pytest_lmprog.snapshots.artifact import CaseBaseline, FieldSnapshot
from pytest_lmprog.snapshots.changes import FlipCount, MetricDiff, PredictorDiff, SnapshotDiff, ValueChange
from pytest_lmprog.snapshots.worddiff import Piece, diff_words

if TYPE_CHECKING:
    from pytest_lmprog.lm.recordings.usage import CallFigures

__all__ = [
    "calls_text",
    "change_words",
    "delta_text",
    "demo_counts_text",
    "demo_text",
    "field_text",
    "flips_text",
    "headline",
    "json_text",
    "mean_text",
    "plural",
    "score_text",
    "standing",
    "tokens_text",
    "value_text",
]

ARROW = "->"
_MOST_VALUE = 200
_SHORT = 80


def headline(diff: SnapshotDiff) -> str:
    """Return how scores move, and how many cases flip, in one line."""
    old, new = diff.scores
    what = "score" if diff.scored_metrics < 2 else f"mean of {diff.scored_metrics} metrics"
    if diff.kind != "changed":
        known = new if diff.kind == "added" else old
        state = "new" if diff.kind == "added" else "removed"
        return state if known is None else f"{state}, {what} {score_text(known)}"
    if old is None or new is None:
        return "not scored"
    moved = f"{score_text(old)} {ARROW} {score_text(new)} ({delta_text(new - old)})"
    return f"{what} {moved}, {flips_text(diff.count)}"


def flips_text(count: FlipCount) -> str:
    """Return ``flips 3 of 20: 2 fixed, 1 regressed``."""
    if not count.compared:
        return "no case in common"
    if not count.flipped:
        return f"flips 0 of {count.compared}"
    kinds = [f"{n} {kind}" for n, kind in ((count.fixed, "fixed"), (count.regressed, "regressed")) if n]
    return f"flips {count.flipped} of {count.compared}: {', '.join(kinds)}"


def score_text(value: float | None) -> str:
    """Return a score with three digits; ``none`` where there is none."""
    return "none" if value is None else f"{value:.3f}"


def delta_text(value: float | None) -> str:
    """Return a difference with its sign; one that rounds to nothing has none."""
    if value is None:
        return ""
    return "0.000" if abs(value) < 0.0005 else f"{value:+.3f}"


def mean_text(metric: MetricDiff) -> str:
    """Return ``0.500 of 20 -> 0.550 of 20 (+0.050)``; what did not change is not said twice."""
    old, new = metric.old, metric.new
    if old is None or new is None:
        side = new or old
        state = "added" if old is None else "removed"
        return f"{state}, {score_text(side.score) if side else 'none'} of {side.count if side else 0}"
    if not metric.changed:
        return f"{score_text(new.score)} of {new.count}, unchanged"
    of = f" of {old.count}" if old.count != new.count else ""
    change = f" ({delta_text(metric.delta)})" if metric.delta is not None else ""
    return f"{score_text(old.score)}{of} {ARROW} {score_text(new.score)} of {new.count}{change}"


def standing(case: CaseBaseline | None) -> str:
    """Return how a case stands: ``pass``, ``fail 0.250``, ``pass 3/4``, ``ParseError``."""
    if case is None:
        return "not there"
    status = case.error if case.status == "error" and case.error else case.status
    if case.passes is not None:
        return f"{status} {case.passes}/{case.n}"
    return f"{status} {case.score:.3f}" if case.score is not None else status


def value_text(value: Any) -> str:
    """Return a setting's value or a field, cut after 200 characters."""
    text = f"{value:.4g}" if isinstance(value, float) else _whole_text(value)
    return text if len(text) <= _MOST_VALUE else f"{text[: _MOST_VALUE - 3]}..."


def _whole_text(value: Any) -> str:
    if value is None:
        return "none"
    return field_text(value) if isinstance(value, FieldSnapshot) else demo_text(value)


def change_words(change: ValueChange) -> tuple[Piece, ...]:
    """Return a change word by word where both values are there and long, or look the same when cut; empty
    where old and new are better told side by side."""
    if change.old is None or change.new is None:
        return ()
    old, new = _whole_text(change.old), _whole_text(change.new)
    if max(len(old), len(new)) <= _SHORT and value_text(change.old) != value_text(change.new):
        return ()
    pieces = diff_words(old, new)
    return pieces if any(piece.kind == "same" for piece in pieces) else ()


def json_text(value: Any) -> str:
    """Return ``value`` as JSON in one line."""
    try:
        return canonical_json(value).decode()
    except CanonicalError:
        return repr(value)


def demo_text(value: Any) -> str:
    """Return a demo's value: text as it is, anything else as JSON."""
    return value if isinstance(value, str) else json_text(value)


def field_text(field: FieldSnapshot) -> str:
    """Return ``output Literal['a', 'b'], desc: who handles it``."""
    extra = [f"desc: {field.desc}" if field.desc else "", f"prefix: {field.prefix}" if field.prefix else ""]
    return ", ".join([f"{field.role} {field.type}", *(text for text in extra if text)])


def tokens_text(tokens: tuple[int, int]) -> str:
    """Return the estimate of a prompt's tokens, before and after."""
    old, new = tokens
    if old == new or not old:
        return f"about {new:,} (estimate)"
    return f"about {old:,} {ARROW} {new:,} ({new - old:+,}, estimate)"


def calls_text(old: CallFigures | None, new: CallFigures | None) -> str | None:
    """Return recorded tokens and cost per call, before and after; None where no call is known at all."""
    if old is None and new is None:
        return None
    if old is None or new is None:
        one = old or new
        side = "before" if new is None else "after"
        return f"{side} {_tokens(one)}, {_cost(one)}; {'after' if new is None else 'before'} unknown"
    return f"{_moved(_tokens(old), _tokens(new))}, {_moved(_cost(old), _cost(new))}"


def _moved(old: str, new: str) -> str:
    return new if old == new else f"{old} {ARROW} {new}"


def _tokens(calls: CallFigures | None) -> str:
    if calls is None or calls.prompt_tokens is None:
        return "tokens unknown"
    said = "" if calls.completion_tokens is None else f" + {calls.completion_tokens:,.0f}"
    return f"{calls.prompt_tokens:,.0f}{said} tokens"


def _cost(calls: CallFigures | None) -> str:
    if calls is None or calls.cost is None:
        return "price unknown"
    if calls.cost <= 0:
        return "free"
    digits = max(2, 2 - math.floor(math.log10(calls.cost)))
    return f"${calls.cost:.{digits}f}".rstrip("0").rstrip(".")


def demo_counts_text(diff: PredictorDiff) -> str:
    """Return ``demos 2 -> 3: 1 added``."""
    old, new = diff.demo_counts
    kinds = [f"{diff.count(kind)} {kind}" for kind in ("added", "removed", "changed") if diff.count(kind)]
    many = f"{old} {ARROW} {new}" if old != new else str(new)
    if diff.demos_reordered:
        kinds.append("the same in another order")
    return f"demos {many}: {', '.join(kinds)}" if kinds else f"demos {many}"


def plural(number: int, noun: str) -> str:
    """Return ``1 word``, ``2 words``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
