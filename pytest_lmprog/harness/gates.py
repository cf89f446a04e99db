"""Gates: what a metric as a whole must reach, and whether enough of it ran to say so. Pure functions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Any, Literal

from pytest_lmprog.evaluation.statistics import pass_at_k, pass_hat_k
from pytest_lmprog.harness.results import MetricResult
from pytest_lmprog.records import dataclass

__all__ = ["MetricState", "MetricVerdict", "RolloutFigures", "judge_metric", "rollout_figures"]

MetricState = Literal["passed", "failed", "inconclusive", "not_judged"]

TOLERANCE = 1e-9
"""Rounding of a mean must not fail a gate."""


@dataclass(frozen=True, slots=True)
class MetricVerdict:
    """What a metric as a whole came to.

    Parameters
    ----------
    state: ``inconclusive``: too few cases, or too much noise, to say; ``not_judged``: not all of its cases
        ran.
    reasons: why it did not pass, figures included, a line each.
    figures: what it was decided by, as JSON data.
    """

    state: MetricState
    reasons: tuple[str, ...] = ()
    figures: Mapping[str, Any] = field(default_factory=dict)

    @property
    def fails(self) -> bool:
        """Whether the run fails by it."""
        return self.state == "failed"

    def to_plain(self) -> dict[str, Any]:
        """Return JSON data."""
        return {"state": self.state, "reasons": list(self.reasons), "figures": dict(self.figures)}

    @classmethod
    def from_plain(cls, data: Mapping[str, Any]) -> MetricVerdict:
        """Read what ``to_plain`` returned."""
        return cls(data["state"], tuple(data["reasons"]), dict(data["figures"]))


@dataclass(frozen=True, slots=True)
class RolloutFigures:
    """Figures over rollouts, means over examples: ``pass_rate``; ``pass_at_k`` (one of k samples passes;
    Chen et al., arXiv:2107.03374) and ``pass_hat_k`` (all k pass; Yao et al., arXiv:2406.12045), k = n, the
    smallest number of rollouts of an example."""

    n: int
    pass_rate: float
    pass_at_k: float
    pass_hat_k: float


def judge_metric(result: MetricResult, *, rebasing: bool = False) -> MetricVerdict:
    """Return the verdict on a metric. Regressions do not count where the baseline is made anew."""
    if not result.complete:
        return MetricVerdict("not_judged", (_partial(result),))
    reasons = [*_below(result), *([] if rebasing else _worse(result))]
    return MetricVerdict("failed" if reasons else "passed", tuple(reasons))


def _partial(result: MetricResult) -> str:
    broken = result.count("broken")
    ran = min(result.ran - broken, result.info.expected)
    return f"not judged ({ran} of {result.info.expected} ran)"


def _below(result: MetricResult) -> list[str]:
    least, score = result.info.gate.min_score, result.score
    if least is None:
        return []
    if score is None:
        return [f"min_score is {least:g}, but no case was scored"]
    if score >= least - TOLERANCE:
        return []
    errors = result.count("error")
    among = f", {errors} of them errors" if errors else ""
    return [f"score {_figure(score, least)} over {result.cases} cases{among} is below min_score {least:g}"]


def _figure(score: float, beside: float) -> str:
    """Round ``score`` so that it still looks lower than what it is compared with."""
    for digits in range(3, 10):
        if float(f"{score:.{digits}f}") < beside:
            return f"{score:.{digits}f}"
    return repr(score)


def _worse(result: MetricResult) -> list[str]:
    # A case that failed at once (``regression``) has failed the run already, as an item.
    worse, allowed = result.with_verdict("regressed"), result.info.gate.max_regressions
    if allowed is None or len(worse) <= allowed:
        return []
    named = ", ".join(worse[:10]) + (f" and {len(worse) - 10} more" if len(worse) > 10 else "")
    noun = "case" if len(worse) == 1 else "cases"
    return [f"{len(worse)} {noun} got worse than the baseline, max_regressions is {allowed}: {named}"]


def rollout_figures(result: MetricResult) -> RolloutFigures | None:
    """Return the figures over rollouts, or None where each case has one."""
    groups: dict[str, list[bool]] = {}
    for outcome in result.judged:
        groups.setdefault(outcome.case, []).append(outcome.status == "pass")
    if result.repeat < 2 or not groups:
        return None
    k = min(len(g) for g in groups.values())
    counts = [(len(g), sum(g)) for g in groups.values()]
    return RolloutFigures(
        k,
        _mean([passed / n for n, passed in counts]),
        _mean([pass_at_k(n, passed, k) for n, passed in counts]),
        _mean([pass_hat_k(n, passed, k) for n, passed in counts]),
    )


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)
