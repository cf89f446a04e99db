"""Coverage of LM programs on the terminal, as lines of plain text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pytest_lmprog.harness.coverage.report import CoverageReport, FileCoverage, Gap, UnitUse
from pytest_lmprog.reports.table import paragraph

__all__ = ["coverage_lines", "file_lines", "use_lines"]

INDENT = "  "
_GAP = "  "


def coverage_lines(
    report: CoverageReport, *, width: int = 80, most: int | None = None, kept: bool = False
) -> list[str]:
    """Return what no example exercises, file by file, then what each unit never used.

    ``most``: gaps shown at most, or None for all. ``kept``: ``lmprog cov`` can tell more."""
    lines: list[str] = []
    left = most
    for file in report.files:
        shown = file.gaps if left is None else file.gaps[: max(left, 0)]
        lines += file_lines(file, shown, width=width)
        left = None if left is None else left - len(file.gaps)
    if left is not None and left < 0:
        lines.append(f"{INDENT}and {-left} more: lmprog cov")
    lines += use_lines(report.units, width=width)
    if kept and report.files:
        lines.append("lmprog cov PATH:LINE lists the examples that reach a line")
    return lines


def file_lines(file: FileCoverage, gaps: Sequence[Gap] | None = None, *, width: int = 80) -> list[str]:
    """Return the figures of a file and its gaps (all, where none are given)."""
    if file.problem:
        return paragraph(f"{file.path}: not measured: {file.problem}", width=width)
    figures = f"{file.path}  lines {file.ran}/{file.lines}"
    if file.branches:
        figures += f", branches {file.taken}/{file.branches}"
    gaps = file.gaps if gaps is None else gaps
    columns = (
        max((len(gap.function) for gap in gaps), default=0),
        max((len(g.place) for g in gaps), default=0),
    )
    return [figures, *(line for gap in gaps for line in _gap(gap, columns, width))]


def _gap(gap: Gap, columns: tuple[int, int], width: int) -> Iterable[str]:
    head = f"{INDENT}{gap.function.ljust(columns[0])}{_GAP}{gap.place.ljust(columns[1])}{_GAP}"
    room = width - len(head) - len(gap.why) - 1
    text = gap.text
    if text and len(text) > max(room, 20):
        text = text[: max(room, 20) - 1] + "…"
    yield (
        f"{head}{text} {gap.why}"
        if text.endswith(":")
        else f"{head}{text}: {gap.why}"
        if text
        else head + gap.why
    )


def use_lines(units: Sequence[UnitUse], *, width: int = 80) -> list[str]:
    """Return how many runs there were of each unit, and which predictors and demos none of them used."""
    lines: list[str] = []
    for unit in units:
        said = [f"{unit.ran} of {unit.expected} runs" if unit.ran < unit.expected else _runs(unit.ran)]
        idle = [name for name, count in unit.calls.items() if not count]
        if idle:
            said.append(f"predictors never called: {', '.join(idle)}")
        unused = [
            f"{name} {', '.join(map(str, numbers))} (of {unit.demos[name]})"
            for name, numbers in unit.unused.items()
        ]
        if unused:
            said.append(f"demos never used: {'; '.join(unused)}")
        lines += paragraph(f"{unit.unit}: {'; '.join(said)}", width=width)
    return lines


def _runs(number: int) -> str:
    return "1 run" if number == 1 else f"{number} runs"
