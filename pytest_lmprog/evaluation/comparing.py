"""What people and a judge say of one case, as plain data. Loads nothing: most programs are no judges."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytest_lmprog.canonical import plain
from pytest_lmprog.errors import CanonicalError, JudgeError

if TYPE_CHECKING:
    from pytest_lmprog.programs import Example, Run

__all__ = ["LABEL", "comparison"]

LABEL = "verdict"
"""The field of a golden that has people's verdict."""


def comparison(example: Example, run: Run | None) -> tuple[Any, Any] | None:
    """Return people's verdict and the judge's (None where it could not be read), or None where the program is
    no judge or the example has no verdict of people."""
    if run is None or LABEL not in example:
        return None
    if run.error is not None:
        unread = getattr(run.error, "kind", type(run.error).__name__) == JudgeError.__name__
        return (_plain(example[LABEL]), None) if unread else None
    compared = getattr(type(run.prediction), "compared", None)  # a Judgement's; it may not be loaded
    return None if compared is None else compared(run.prediction, example[LABEL])


def _plain(value: Any) -> Any:
    try:
        return plain(value)
    except CanonicalError:
        return repr(value)
