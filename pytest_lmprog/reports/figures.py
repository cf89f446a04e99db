"""Numbers as people read them: scores, tokens, money, time. ASCII only."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_lmprog.evaluation.statistics import score_interval
from pytest_lmprog.harness.results import MetricResult
from pytest_lmprog.lm.tally import TallyCount

__all__ = ["calls_text", "change", "cost", "count", "duration", "interval", "listed", "score"]

NONE = "-"


def score(value: float | None) -> str:
    """Return a score with three digits, ``-`` for none."""
    return NONE if value is None else f"{value:.3f}"


def change(value: float | None) -> str:
    """Return a difference with its sign; one that rounds to nothing has none."""
    if value is None:
        return NONE
    return "0.000" if abs(value) < 0.0005 else f"{value:+.3f}"


def interval(result: MetricResult) -> str:
    """Return the 95 % confidence interval of a metric's score, ``-`` where nothing was scored."""
    judged = result.judged
    if not judged:
        return NONE
    found = score_interval([o.value or 0.0 for o in judged], [o.weight for o in judged])
    return f"{found.low:.2f}-{found.high:.2f}"


def count(number: int, noun: str, plural: str | None = None) -> str:
    """Return ``1 call``, ``2,000 calls``."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def cost(calls: TallyCount) -> str | None:
    """Return what live calls cost, marked as a lower bound where a price was not known; None without any."""
    if not calls.live_cost:
        return None if not calls.live or not calls.unpriced else "price unknown"
    digits = 2 if calls.live_cost >= 1 else 4
    more = " or more" if calls.unpriced else ""
    return f"${calls.live_cost:,.{digits}f}{more}"


def calls_text(calls: TallyCount) -> str:
    """Return calls, cached share, tokens and cost in one phrase."""
    if not calls.calls:
        return f"no calls, {_tools(calls)}" if calls.tools else "no calls"
    share = calls.cached_share
    parts = [count(calls.calls, "call"), "all live" if not share else f"{_percent(share)} cached"]
    if calls.usage.total_tokens:
        parts.append(count(calls.usage.total_tokens, "token"))
    money = cost(calls)
    if money is not None:
        parts.append(money)
    if calls.retries:
        parts.append(count(calls.retries, "retry", "retries"))
    if calls.fallbacks:
        parts.append(count(calls.fallbacks, "fallback") + " to chat")
    if calls.unmet:
        parts.append(count(calls.unmet, "suggestion") + " not met")
    if calls.tools:
        parts.append(_tools(calls))
    return ", ".join(parts)


def _tools(calls: TallyCount) -> str:
    live = f" ({calls.live_tools:,} live)" if calls.live_tools else ""
    return count(calls.tools, "tool call") + live


def _percent(share: float) -> str:
    """Return whole percents; only all is 100%, only none is 0%."""
    whole = round(share * 100)
    if whole == 100 and share < 1:
        return ">99%"
    return "<1%" if whole == 0 and share > 0 else f"{whole}%"


def duration(seconds: float) -> str:
    """Return a rough time: ``40 s``, ``3 min``, ``1.5 h``."""
    whole = max(1, round(seconds))
    if whole < 100:
        return f"{whole} s"
    return f"{round(seconds / 60)} min" if seconds < 5970 else f"{seconds / 3600:.1f} h"


def listed(names: Sequence[str], most: int = 8) -> str:
    """Return names with commas; beyond ``most``, the rest is counted."""
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"
