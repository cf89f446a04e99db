"""What ``--junitxml`` gets to know of a case and of a metric as a whole: plain properties ``lm.*``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pytest_lmprog.harness.results import CaseOutcome, MetricResult, UnitResult
from pytest_lmprog.harness.verdicts.gates import MetricVerdict

__all__ = ["Properties", "add_to", "of_metric"]

Properties = list[tuple[str, str]]

_PREFIX = "lm."


def add_to(item: Any, outcome: CaseOutcome, run: Any) -> None:
    """Give a metric's item its properties; those of an earlier try (a rerun) go.

    ``run`` is the program's run (``programs.Run``), or None where there was none. Its calls, tokens and cost
    are those of the one run that all metrics share: they are not to be added up over metrics."""
    own = [pair for pair in item.user_properties if not pair[0].startswith(_PREFIX)]
    item.user_properties[:] = [*own, *_named(_of_case(outcome, run))]


def _named(pairs: Iterator[tuple[str, object]]) -> Properties:
    return [(_PREFIX + name, _text(value)) for name, value in pairs if value is not None]


def _text(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    return str(value).encode("utf-8", "backslashreplace").decode()


def _of_case(outcome: CaseOutcome, run: Any) -> Iterator[tuple[str, object]]:
    yield "unit", outcome.unit
    yield "metric", outcome.metric
    yield "example", outcome.case
    yield "rollout", outcome.rollout + 1
    yield "status", outcome.status
    yield "verdict", outcome.verdict
    yield "score", outcome.value
    yield "baseline", outcome.was
    yield "error", outcome.error
    if run is not None:
        yield from _of_calls(run.trace.calls)


def _of_calls(calls: Any) -> Iterator[tuple[str, object]]:
    yield "calls", len(calls)
    usages = [call.usage for call in calls if call.usage is not None]
    if usages:
        yield "prompt_tokens", sum(usage.prompt_tokens for usage in usages)
        yield "completion_tokens", sum(usage.completion_tokens for usage in usages)
    costs = [call.cost for call in calls if call.cost is not None]
    if costs and len(costs) == len(calls):
        yield "cost_usd", float(sum(costs))


def of_metric(unit: UnitResult, metric: MetricResult, verdict: MetricVerdict) -> Properties:
    """Return the properties of a metric as a whole."""
    return _named(_of_verdict(unit, metric, verdict))


def _of_verdict(
    unit: UnitResult, metric: MetricResult, verdict: MetricVerdict
) -> Iterator[tuple[str, object]]:
    yield "unit", unit.info.id
    yield "metric", metric.info.name
    yield "verdict", verdict.state
    yield "score", metric.score
    yield "baseline", metric.info.baseline
    yield "cases", metric.cases
    yield "regressions", len(metric.regressions)
    yield "fixed", len(metric.fixed)
