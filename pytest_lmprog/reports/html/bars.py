"""A score as a bar, with its interval and the baseline's mark."""

from __future__ import annotations

from pytest_lmprog.evaluation.statistics import Interval, score_interval
from pytest_lmprog.harness.results import MetricResult
from pytest_lmprog.reports import figures
from pytest_lmprog.reports.page import text

__all__ = ["bar", "metric_interval"]


def metric_interval(metric: MetricResult) -> Interval | None:
    """Return the 95 % interval of a metric's score, or None where nothing was scored."""
    judged = metric.judged
    if not judged:
        return None
    return score_interval([o.value or 0.0 for o in judged], [o.weight for o in judged])


def bar(metric: MetricResult) -> str:
    """Return the bar as an element that reads as a sentence."""
    score, found = metric.score, metric_interval(metric)
    marks: list[str] = []
    said = [f"score {figures.score(score)}" if score is not None else "not scored"]
    if score is not None:
        marks.append(f'<i class="fill" style="width:{_percent(score)}"></i>')
    if found is not None:
        width = _percent(found.high - found.low)
        marks.append(f'<i class="range" style="left:{_percent(found.low)};width:{width}"></i>')
        said.append(f"95 % interval {found.low:.2f} to {found.high:.2f}")
    for name, value in (("baseline", metric.info.baseline), ("gate", metric.info.gate.min_score)):
        if value is not None:
            marks.append(f'<i class="{name}" style="left:{_percent(value)}"></i>')
            said.append(f"{'least score allowed' if name == 'gate' else name} {value:.3f}")
    label = text(", ".join(said))
    return f'<span class="scorebar" role="img" aria-label="{label}" title="{label}">{"".join(marks)}</span>'


def _percent(share: float) -> str:
    return f"{100 * min(1.0, max(0.0, share)):.2f}%"
