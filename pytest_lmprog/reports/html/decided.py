"""What decided on a metric, in a line: the figures of its verdict that are not in the table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pytest_lmprog.harness.verdicts.gates import MetricVerdict
from pytest_lmprog.reports import figures

__all__ = ["decided_by"]

_TOLD = ("before", "after", "worse", "better", "reason", "decided_by")
_JOINED = (
    "test",
    "p_value",
    "p_corrected",
    "alpha",
    "metrics",
    "change",
    "interval",
    "confidence",
    "n",
    "against",
)


def decided_by(verdict: MetricVerdict) -> list[str]:
    """Return the figures as phrases. Where nothing is random, only a verdict other than a pass needs any."""
    found = verdict.figures
    if verdict.state == "passed" and found.get("decided_by") != "statistics":
        return []
    rest = [
        f"{name.replace('_', ' ')} {_figure(value)}"
        for name, value in found.items()
        if name not in _TOLD and name not in _JOINED and value not in (None, [], (), {})
    ]
    return [*_statistics(found), *rest]


def _statistics(found: Mapping[str, Any]) -> Iterator[str]:
    if found.get("test"):
        yield str(found["test"])
    if found.get("p_value") is not None:
        yield _p_value(found)
    if found.get("change") is not None:
        yield _change(found)
    if found.get("n") is not None:
        yield figures.count(found["n"], "case") + " compared"
    if found.get("against"):
        yield f"against {found['against']}"


def _p_value(found: Mapping[str, Any]) -> str:
    beside = [f"alpha {_figure(found['alpha'])}"] if found.get("alpha") is not None else []
    corrected = found.get("p_corrected")
    if corrected is not None and corrected != found["p_value"]:
        metrics = f" for {found['metrics']} metrics" if found.get("metrics") else ""
        beside.insert(0, f"{_figure(corrected)} corrected{metrics}")
    return f"p {_figure(found['p_value'])}" + (f" ({', '.join(beside)})" if beside else "")


def _change(found: Mapping[str, Any]) -> str:
    said, interval = f"change {found['change']:+.3f}", found.get("interval")
    if not interval or len(interval) != 2:
        return said
    share = found.get("confidence")
    name = f"{100 * share:g} % interval" if share is not None else "interval"
    return f"{said}, {name} {interval[0]:+.3f} to {interval[1]:+.3f}"


def _figure(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.3g}"
    if isinstance(value, (list, tuple)):
        return ", ".join(_figure(item) for item in value[:6]) + (" ..." if len(value) > 6 else "")
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_figure(item)}" for name, item in value.items())
    return str(value)
