"""Training, validation and test scores of compiled programs, side by side."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from pytest_lmprog.harness.fit import SplitScore, misfit, splits
from pytest_lmprog.harness.results import RunResults
from pytest_lmprog.harness.saved.run import SavedRun, SavedUnit
from pytest_lmprog.reports import figures
from pytest_lmprog.reports.table import paragraph, table

if TYPE_CHECKING:
    from pytest_lmprog.harness.compiling import CompileOutcome

__all__ = ["fit_lines", "saved_fit_lines", "saved_splits", "split_text"]


def fit_lines(outcomes: Sequence[CompileOutcome], results: RunResults, *, width: int = 80) -> list[str]:
    """Return the table of scores, with what is to be said of them; nothing where no compile evaluated."""
    units = [outcome.prepared.unit for outcome in outcomes]
    found = [
        (unit.name, splits(outcome, results.unit(unit.id) if unit.id in results else None))
        for unit, outcome in zip(units, outcomes, strict=True)
    ]
    return _lines(found, width)


def saved_fit_lines(saved: SavedRun, *, width: int = 80) -> list[str]:
    """Return the same of a saved run."""
    return _lines([(unit.info.name, saved_splits(unit)) for unit in saved.units], width)


def _lines(units: Sequence[tuple[str, Sequence[SplitScore]]], width: int) -> list[str]:
    known = [(name, found) for name, found in units if found]
    if not known:
        return []
    rows = [[name, *map(split_text, found)] for name, found in known]
    lines = table(["compiled", "train", "validation", "test"], rows, width=width)
    return [*lines, *(line for text in _said(known) for line in paragraph(text, width=width))]


def _said(units: Sequence[tuple[str, Sequence[SplitScore]]]) -> Iterator[str]:
    for name, found in units:
        yield from (f"{name}, {one.split}: {one.note}" for one in found if one.note)
        warning = misfit(found)
        if warning is not None:
            yield f"WARNING: {name}: {warning}"


def split_text(found: SplitScore, *, dash: str = "-") -> str:
    """Return a score with its interval and number of examples: ``0.600 0.31-0.83 (10)``."""
    if found.score is None:
        return figures.NONE
    return f"{figures.score(found.score)} {found.low:.2f}{dash}{found.high:.2f} ({found.n:,})"


def saved_splits(unit: SavedUnit) -> tuple[SplitScore, ...]:
    """Return the scores of a saved unit; nothing where its compile evaluated nothing."""
    return tuple(map(SplitScore.from_plain, (unit.compiled or {}).get("splits", ())))
