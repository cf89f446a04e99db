"""One line on how far a compile is."""

from __future__ import annotations

from pytest_lmprog.lm.tally import TallyCount
from pytest_lmprog.reports import figures
from pytest_lmprog.teleprompt.base import ProgressEvent

__all__ = ["progress_line"]

_TELLING = 10
"""Runs after which their pace tells something."""


def progress_line(
    unit: str, event: ProgressEvent, calls: TallyCount, *, elapsed: float, width: int = 80
) -> str:
    """Return phase, runs, calls, cached share, best score and the time that is left.

    Parameters
    ----------
    elapsed: seconds since the compile began.
    width: the line is never longer; what matters least is left out first.
    """
    parts = [f"{unit}: {event.phase} {event.done}/{event.total}", *_facts(event, calls, elapsed)]
    while len(parts) > 1 and len(", ".join(parts)) > width:
        parts.pop()
    line = ", ".join(parts)
    return line if len(line) <= width else line[: max(width - 3, 0)] + "..."


def _facts(event: ProgressEvent, calls: TallyCount, elapsed: float) -> list[str]:
    """What is known besides, the most telling first."""
    share = calls.cached_share
    facts = [figures.count(calls.calls, "call") + (f" ({share:.0%} cached)" if share else "")]
    if event.best is not None:
        facts.append(f"best {figures.score(event.best)}")
    left = _left(event, elapsed)
    if left is not None:
        facts.append(f"{figures.duration(left)} left")
    if event.candidate:
        facts.append(event.candidate)
    return facts


def _left(event: ProgressEvent, elapsed: float) -> float | None:
    """Seconds that are left if runs go on as fast; None after the last, and before enough runs are done
    to tell (the first one also loads the client or the model)."""
    if not _TELLING <= event.done < event.total or elapsed <= 0:
        return None
    return elapsed / event.done * (event.total - event.done)
