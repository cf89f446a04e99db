"""Two saved runs side by side: each metric on the cases that both have, paired by example."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pytest_lmprog.evaluation.comparison import Comparison, compare, corrected
from pytest_lmprog.harness.results import MetricResult, UnitResult
from pytest_lmprog.harness.saved.run import SavedRun, SavedUnit
from pytest_lmprog.reports import figures
from pytest_lmprog.reports.table import paragraph, table

__all__ = ["ComparedUnit", "RunComparison", "compared", "compared_lines"]


@dataclass(frozen=True)
class ComparedUnit:
    """A unit that both runs have. ``metrics``: of both; ``changes``: what else differs, in words."""

    id: str
    metrics: Mapping[str, Comparison]
    changes: tuple[str, ...] = ()


@dataclass(frozen=True)
class RunComparison:
    """What two runs say of each other. ``only_old``, ``only_new``: units and metrics of one run."""

    units: tuple[ComparedUnit, ...]
    only_old: tuple[str, ...] = ()
    only_new: tuple[str, ...] = ()

    @property
    def worse(self) -> bool:
        """Whether a metric got worse, and noise does not explain it."""
        return any(found.verdict == "FAIL" for unit in self.units for found in unit.metrics.values())

    def to_plain(self) -> dict[str, Any]:
        """Return JSON data."""
        return {
            "worse": self.worse,
            "units": [
                {
                    "id": unit.id,
                    "changes": list(unit.changes),
                    "metrics": {name: found.to_plain() for name, found in unit.metrics.items()},
                }
                for unit in self.units
            ],
            "only_old": list(self.only_old),
            "only_new": list(self.only_new),
        }


def compared(old: SavedRun, new: SavedRun) -> RunComparison:
    """Compare two runs. A case counts with the mean of its rollouts; errors count 0."""
    units = tuple(
        ComparedUnit(
            unit.id, _metrics(old.results.unit(unit.id), new.results.unit(unit.id)), _changes(was, unit)
        )
        for unit in new.units
        if (was := old.unit(unit.id)) is not None
    )
    before, after = _names(old), _names(new)
    return RunComparison(
        units,
        tuple(name for name in before if name not in after),
        tuple(name for name in after if name not in before),
    )


def _names(saved: SavedRun) -> list[str]:
    return [metric.info.node_id for unit in saved.results for metric in unit.metrics]


def _metrics(old: UnitResult, new: UnitResult) -> dict[str, Comparison]:
    before = {metric.info.name: metric for metric in old.metrics}
    found = {m.info.name: _compared(before[m.info.name], m) for m in new.metrics if m.info.name in before}
    return corrected(found)


def _compared(old: MetricResult, new: MetricResult) -> Comparison:
    weights = {outcome.case: outcome.weight for outcome in new.outcomes}
    before, after = _values(old), _values(new)
    return compare(before, after, weights={case: weights[case] for case in after if case in before})


def _values(metric: MetricResult) -> dict[str, float | None]:
    """Return each case's mean over its rollouts, None where none was scored."""
    found: dict[str, list[float]] = {}
    for outcome in metric.outcomes:
        values = found.setdefault(outcome.case, [])
        if outcome.value is not None:
            values.append(outcome.value)
    return {case: math.fsum(values) / len(values) if values else None for case, values in found.items()}


def _changes(old: SavedUnit, new: SavedUnit) -> tuple[str, ...]:
    changes = []
    if old.info.model != new.info.model:
        changes.append(f"the model: {old.info.model} before, {new.info.model} after")
    if old.after is not None and new.after is not None and _prompts(old.after) != _prompts(new.after):
        changes.append("the prompts")
    edited = [
        example.id
        for example in new.examples
        if (was := old.example_of.get(example.id)) is not None and was.digest != example.digest
    ]
    if edited:
        changes.append(f"{figures.count(len(edited), 'example')}: {figures.listed(edited)}")
    return tuple(changes)


def _prompts(text: str) -> Any:
    from pytest_lmprog.snapshots.text import from_text

    return from_text(text, "saved run").predictors


def compared_lines(found: RunComparison, *, width: int = 80) -> Iterator[str]:
    """Yield the comparison: a table of all metrics, then the cases that flipped and the verdicts."""
    rows: list[list[str]] = []
    for unit in found.units:
        rows.append([unit.id, *[""] * 7])
        rows += [["  " + name, *_cells(comparison)] for name, comparison in unit.metrics.items()]
    if rows:
        head = ["unit, metric", "n", "before", "after", "change", "worse", "better", "p"]
        yield from (line for line in table(head, rows, width=width) if line)
    for unit in found.units:
        for change in unit.changes:
            yield from paragraph(f"{unit.id}: changed between the runs: {change}", width=width)
        for name, comparison in unit.metrics.items():
            yield from _said(name, comparison, width)
    for word, names in (("first", found.only_old), ("second", found.only_new)):
        if names:
            yield from paragraph(f"only in the {word} run: {figures.listed(names)}", width=width)
    if not rows:
        yield "the runs have no unit in common"


def _cells(found: Comparison) -> list[str]:
    return [
        str(found.n),
        figures.score(found.before),
        figures.score(found.after),
        figures.change(found.change if found.n else None),
        str(len(found.worse) or "-"),
        str(len(found.better) or "-"),
        f"{found.p_corrected:.3f}" if found.n else "-",
    ]


def _said(name: str, found: Comparison, width: int) -> Iterator[str]:
    yield from paragraph(f"{name}: {found.verdict}: {found.reason}", width=width)
    for word, cases in (("worse", found.worse), ("better", found.better), ("new", found.added)):
        if cases:
            yield from paragraph(
                f"{word}: {figures.listed([str(c) for c in cases])}", width=width, indent="  "
            )
