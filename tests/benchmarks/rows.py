"""Row: one figure of a benchmark."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Row"]


@dataclass(frozen=True)
class Row:
    """One figure.

    Parameters
    ----------
    unit: ``ratio``, ``s``, ``ms``, ``us``, ``calls``, ...
    budget: the most that ``value`` may be, or None for a figure that only informs.
    """

    name: str
    value: float
    unit: str = "ratio"
    budget: float | None = None

    @property
    def met(self) -> bool:
        """Whether the budget is kept."""
        return self.budget is None or self.value <= self.budget

    def line(self) -> str:
        """The row as text."""
        verdict = (
            "" if self.budget is None else f"  (budget {self.budget:g}) {'ok' if self.met else 'MISSED'}"
        )
        return f"{self.name:<58} {self.value:>10.3f} {self.unit:<6}{verdict}"
