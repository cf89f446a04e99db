"""A metric beside its baseline: where every flip counts, and where statistics decide. Pure functions."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pytest_lmprog.harness.results import CaseOutcome, MetricResult

if TYPE_CHECKING:  # only loaded where something is random
    from pytest_lmprog.evaluation.comparison import Comparison

__all__ = ["Key", "compared", "corrected", "flip_figures", "is_random", "listed", "statistics_figures"]

Key = tuple[str, str]
"""A unit's id and a metric's name."""


def is_random(result: MetricResult) -> bool:
    """Whether noise may have had a part: a live call, several rollouts, or a baseline of another run."""
    return result.repeat > 1 or result.info.against is not None or any(o.live for o in result.outcomes)


def compared(result: MetricResult) -> Comparison | None:
    """Return the comparison with the baseline, by example; None where no example has both."""
    from pytest_lmprog.evaluation.comparison import compare

    cases: dict[str, list[CaseOutcome]] = {}
    for outcome in result.outcomes:
        cases.setdefault(outcome.case, []).append(outcome)
    before = {case: was for case, found in cases.items() if (was := _was(found)) is not None}
    before = dict(sorted(before.items()))  # tests may run in any order
    after = {case: _mean(cases[case]) for case in before}
    if not before:
        return None
    gate = result.info.gate
    weights = {case: cases[case][0].weight for case in before}
    limit = _max_drop(result, len(before))
    return compare(before, after, alpha=gate.alpha, max_drop=limit, weights=weights)


def corrected(comparisons: Mapping[Key, Comparison]) -> Mapping[Key, Comparison]:
    """Return the comparisons of a run's metrics, corrected for their number."""
    if len(comparisons) < 2:
        return comparisons
    from pytest_lmprog.evaluation.comparison import corrected

    keys = {str(index): key for index, key in enumerate(comparisons)}
    found = corrected({name: comparisons[key] for name, key in keys.items()})
    return {keys[name]: comparison for name, comparison in found.items()}


def _was(found: list[CaseOutcome]) -> float | None:
    return next((o.was for o in found if o.was is not None), None)


def _mean(found: list[CaseOutcome]) -> float | None:
    scores = [value for o in found if (value := o.value) is not None]
    return math.fsum(scores) / len(scores) if scores else None


def _max_drop(result: MetricResult, n: int) -> float:
    """Return by how much the mean may fall: ``max_regressions`` counts as so many cases of all."""
    gate = result.info.gate
    limits = [] if gate.max_drop is None else [gate.max_drop]
    if gate.max_regressions is not None:
        limits.append(min(1.0, gate.max_regressions / n))
    return min(limits, default=1.0)


def flip_figures(result: MetricResult) -> dict[str, Any]:
    """Return what decides where nothing is random, as JSON data; empty without a baseline."""
    pairs = [(o.weight, o.was, o.value) for o in result.judged if o.was is not None]
    if not pairs:
        return {}
    gate = result.info.gate
    total = math.fsum(weight for weight, _, _ in pairs)
    before, after = (math.fsum(p[0] * (p[i] or 0.0) for p in pairs) / total for i in (1, 2))
    return {
        "decided_by": "every flip",
        "n": len(pairs),
        "before": before,
        "after": after,
        "change": result.delta,
        "worse": sorted(result.regressions),
        "better": sorted(result.fixed),
        "max_regressions": gate.max_regressions,
        "max_drop": gate.max_drop,
    }


def statistics_figures(result: MetricResult, comparison: Comparison, metrics: int) -> dict[str, Any]:
    """Return what decides where something is random, as JSON data. ``metrics``: how many were compared."""
    gate, plain = result.info.gate, comparison.to_plain()
    names = ("n", "before", "after", "change", "interval", "confidence", "test", "p_value", "p_corrected")
    return {
        "decided_by": "statistics",
        **{name: plain[name] for name in names},
        "metrics": metrics,
        "alpha": gate.alpha,
        "worse": plain["worse"],
        "better": plain["better"],
        "max_regressions": gate.max_regressions,
        "max_drop": gate.max_drop,
        "on_inconclusive": gate.on_inconclusive,
        "against": result.info.against,
        "reason": _statement(comparison, _limit_words(result, comparison)),
    }


def _limit_words(result: MetricResult, found: Comparison) -> str:
    """Return the limit that held, as the user gave it."""
    gate = result.info.gate
    if gate.max_drop is not None and gate.max_drop <= found.max_drop:
        return f"max_drop {gate.max_drop:g}"
    return f"max_regressions {gate.max_regressions}"


def _statement(found: Comparison, limit: str) -> str:
    reason = found.reason.replace(f"max_drop {found.max_drop:g}", limit)
    counts = f"{len(found.worse)} worse, {len(found.better)} better of {found.n} cases"
    if found.verdict == "PASS":
        return f"{reason}; {counts} ({found.test}, p = {found.p_corrected:.2g})"
    return f"{reason}; {counts} ({found.test}); worse: {listed(tuple(map(str, found.worse)))}"


def listed(names: Sequence[str]) -> str:
    """Return names with commas; beyond ten, the rest is counted."""
    return ", ".join(names[:10]) + (f" and {len(names) - 10} more" if len(names) > 10 else "")
