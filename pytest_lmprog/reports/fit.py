"""Training, validation and test scores of compiled programs, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pytest_lmprog.harness.fit import SplitScore, misfit, splits
from pytest_lmprog.harness.results import RunResults
from pytest_lmprog.harness.saved.run import SavedUnit
from pytest_lmprog.reports import figures
from pytest_lmprog.reports.table import paragraph, table

if TYPE_CHECKING:
    from pytest_lmprog.harness.compiling import CompileOutcome

__all__ = ["fit_lines", "saved_splits", "split_text"]


def fit_lines(outcomes: Sequence[CompileOutcome], results: RunResults, *, width: int = 80) -> list[str]:
    """Return the table of scores, with what is to be said of them; nothing where no compile evaluated."""
    rows, said = [], []
    for outcome in outcomes:
        unit = outcome.prepared.unit
        found = splits(outcome, results.unit(unit.id) if unit.id in results else None)
        if found:
            rows.append([unit.name, *map(split_text, found)])
            said += [f"{unit.name}, {one.split}: {one.note}" for one in found if one.note]
            warning = misfit(found)
            said += [f"WARNING: {unit.name}: {warning}"] if warning else []
    if not rows:
        return []
    lines = table(["compiled", "train", "validation", "test"], rows, width=width)
    return [*lines, *(line for text in said for line in paragraph(text, width=width))]


def split_text(found: SplitScore, *, dash: str = "-") -> str:
    """Return a score with its interval and number of examples: ``0.600 0.31-0.83 (10)``."""
    if found.score is None:
        return figures.NONE
    return f"{figures.score(found.score)} {found.low:.2f}{dash}{found.high:.2f} ({found.n:,})"


def saved_splits(unit: SavedUnit) -> tuple[SplitScore, ...]:
    """Return the scores of a saved unit; nothing where its compile evaluated nothing."""
    return tuple(map(SplitScore.from_plain, (unit.compiled or {}).get("splits", ())))
