"""Gates: what a metric as a whole must reach, and whether enough of it ran to say so. Pure functions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import field
from typing import TYPE_CHECKING, Any, Literal

from pytest_lmprog.harness.results import MetricResult, UnitResult
from pytest_lmprog.harness.verdicts import comparison
from pytest_lmprog.harness.verdicts.ratchet import REPORTED
from pytest_lmprog.harness.verdicts.rollouts import RolloutFigures, rollout_figures
from pytest_lmprog.records import dataclass

if TYPE_CHECKING:
    from pytest_lmprog.evaluation.comparison import Comparison

__all__ = ["MetricState", "MetricVerdict", "RolloutFigures", "judge_metric", "judge_run", "rollout_figures"]

MetricState = Literal["passed", "failed", "inconclusive", "not_judged"]

TOLERANCE = 1e-9
"""Rounding of a mean must not fail a gate."""

_WORDS = {"passed": "PASS", "failed": "FAIL", "inconclusive": "INCONCLUSIVE", "not_judged": "not judged"}


@dataclass(frozen=True, slots=True)
class MetricVerdict:
    """What a metric as a whole came to.

    Parameters
    ----------
    state: ``inconclusive``: too few cases, or too much noise, to say; ``not_judged``: not all of its cases
        ran.
    reasons: why it did not pass, figures included, a line each.
    figures: what it was decided by, as JSON data. ``decided_by``: ``every flip`` (nothing was random) or
        ``statistics``; then ``change``, ``interval``, ``p_value``, ``worse``, ``better`` and the limits.
    told: nothing but cases failed, which have reports of their own.
    """

    state: MetricState
    reasons: tuple[str, ...] = ()
    figures: Mapping[str, Any] = field(default_factory=dict)
    told: bool = False

    @property
    def fails(self) -> bool:
        """Whether the run fails by it."""
        if self.state == "inconclusive":
            return self.figures.get("on_inconclusive") == "fail"
        return self.state == "failed"

    @property
    def warns(self) -> bool:
        """Whether the run warns of it."""
        return self.state == "inconclusive" and self.figures.get("on_inconclusive") == "warn"

    @property
    def word(self) -> str:
        """The state as it is shown: PASS, FAIL, INCONCLUSIVE, not judged."""
        return _WORDS[self.state]

    def to_plain(self) -> dict[str, Any]:
        """Return JSON data."""
        return {
            "state": self.state,
            "reasons": list(self.reasons),
            "figures": dict(self.figures),
            "told": self.told,
        }

    @classmethod
    def from_plain(cls, data: Mapping[str, Any]) -> MetricVerdict:
        """Read what ``to_plain`` returned."""
        return cls(data["state"], tuple(data["reasons"]), dict(data["figures"]), data.get("told", False))


def judge_run(units: Iterable[UnitResult]) -> dict[comparison.Key, MetricVerdict]:
    """Return the verdicts on all metrics of a run, by unit id and metric name.

    p-values are corrected for the number of metrics that statistics decide on."""
    metrics = {(u.info.id, m.info.name): (m, u.info.rebasing) for u in units for m in u.metrics}
    compared = {
        key: found
        for key, (metric, rebasing) in metrics.items()
        if metric.complete and not rebasing and (found := _compared(metric)) is not None
    }
    compared = dict(comparison.corrected(compared))
    return {
        key: _judged(metric, rebasing, compared.get(key), len(compared))
        for key, (metric, rebasing) in metrics.items()
    }


def judge_metric(result: MetricResult, *, rebasing: bool = False) -> MetricVerdict:
    """Return the verdict on a metric alone. Regressions do not count where the baseline is made anew."""
    compared = _compared(result) if result.complete and not rebasing else None
    return _judged(result, rebasing, compared, 1)


def _compared(result: MetricResult) -> Comparison | None:
    return comparison.compared(result) if comparison.is_random(result) else None


def _judged(result: MetricResult, rebasing: bool, compared: Comparison | None, metrics: int) -> MetricVerdict:
    if not result.complete:
        return MetricVerdict("not_judged", (_partial(result),))
    if compared is not None:
        figures = comparison.statistics_figures(result, compared, metrics)
        worse = [figures["reason"]] if compared.verdict == "FAIL" else []
    else:
        figures = comparison.flip_figures(result)
        worse = [] if rebasing else [*_worse(result), *_dropped(result, figures)]
    reasons, cases = [*_below(result), *worse], _failed_cases(result)
    if reasons or cases:
        return MetricVerdict("failed", (*reasons, *cases), figures, told=not reasons)
    if compared is not None and compared.verdict == "INCONCLUSIVE":
        return MetricVerdict("inconclusive", (figures["reason"],), figures)
    return MetricVerdict("passed", (), figures)


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
    verb = _cases(len(worse), "got worse than the baseline")
    return [f"{verb}, max_regressions is {allowed}: {comparison.listed(worse)}"]


def _dropped(result: MetricResult, figures: Mapping[str, Any]) -> list[str]:
    most, change = result.info.gate.max_drop, figures.get("change")
    if most is None or change is None or -change <= most + TOLERANCE:
        return []
    return [f"the score fell by {-change:.3f} over {figures['n']} cases, max_drop is {most:g}"]


def _failed_cases(result: MetricResult) -> list[str]:
    failed = [o.case for o in result.outcomes if o.verdict and REPORTED[o.verdict].outcome == "failed"]
    names = tuple(dict.fromkeys(failed))
    return [f"{_cases(len(names), 'failed')}: {comparison.listed(names)}"] if names else []


def _cases(number: int, verb: str) -> str:
    return f"{number} {'case' if number == 1 else 'cases'} {verb}"
