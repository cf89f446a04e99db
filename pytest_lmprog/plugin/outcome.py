"""What a test function said: a returned or recorded number, an assertion, a skip, as one Score."""

from __future__ import annotations

import math
import numbers
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

import pytest

from pytest_lmprog.errors import (
    BudgetExceededError,
    LMError,
    LmprogError,
    MetricError,
    ReplayMissError,
)
from pytest_lmprog.evaluation.awaiting import resolved
from pytest_lmprog.evaluation.feedback import normalise_feedback
from pytest_lmprog.evaluation.scores import Score

__all__ = ["Recorder", "as_score", "call_function", "raised_score", "steady_assertions"]

_BOOLS = ("bool", "bool_")  # numpy's is no bool


class Recorder:
    """The ``record_score`` fixture: takes one score a case."""

    __slots__ = ("score",)

    def __init__(self) -> None:
        self.score: Score | None = None

    def __call__(self, value: float, *, feedback: str = "") -> None:
        """Record ``value``, finite and within [0, 1], with ``feedback`` for optimizers and people.

        Raises MetricError for another value, or when called twice in one case."""
        if self.score is not None:
            raise MetricError("record_score was called twice in one case", hint="combine the scores into one")
        self.score = Score(checked_value(value, "record_score"), True, normalise_feedback(str(feedback)))


def checked_value(value: Any, what: str) -> float:
    """Return ``value`` as a float within [0, 1]. Raises MetricError for anything else."""
    if type(value).__name__ in _BOOLS:
        return float(bool(value))
    if not isinstance(value, numbers.Real):
        raise MetricError(
            f"{what} must be given a number or a bool, not {type(value).__name__} ({value!r:.60})"
        )
    number = float(value)
    if not (math.isfinite(number) and 0.0 <= number <= 1.0):
        raise MetricError(f"{what}: a score must be finite and within [0, 1], not {number!r}")
    return number


def as_score(returned: Any, recorder: Recorder | None) -> Score:
    """Return the score of a test function that ended without raising."""
    recorded = recorder.score if recorder is not None else None
    if returned is None:
        return recorded or Score(1.0)
    if recorded is not None:
        raise MetricError("a metric returned a score and called record_score too; one of them must go")
    if not isinstance(returned, numbers.Number) and hasattr(returned, "score"):
        said = checked_value(returned.score, "the score of what was returned")
        return Score(said, True, normalise_feedback(str(getattr(returned, "feedback", None) or "")))
    value = checked_value(returned, "the returned score")
    if type(returned).__name__ in _BOOLS:
        return Score(value, True, feedback="" if value else "the metric returned False")
    return Score(value, True)


def raised_score(error: BaseException) -> Score | None:
    """Return the score of a test function that raised ``error``, or None where that is no verdict."""
    if is_skip(error):
        return Score(None)
    if isinstance(error, pytest.fail.Exception):
        return Score(0.0, feedback=normalise_feedback(str(error.msg or "failed")))
    if isinstance(error, AssertionError):
        return Score(0.0, feedback=normalise_feedback(str(error) or "assertion failed"))
    return None


def is_skip(error: BaseException) -> bool:
    """Whether ``error`` leaves a case unscored: ``pytest.skip``, ``pytest.xfail``, ``unittest.SkipTest``."""
    if isinstance(error, pytest.skip.Exception | pytest.xfail.Exception):
        return True
    return type(error).__name__ == "SkipTest" and type(error).__module__ == "unittest.case"


def call_function(function: Callable[..., Any], arguments: dict[str, Any]) -> Any:
    """Call a test function; what it returns is awaited where it can be."""
    returned = function(**arguments)
    return None if returned is None else resolved(returned)


def metric_failure(name: str, error: BaseException) -> LmprogError:
    """Return ``error`` as it leaves a metric: transport errors as they are, all else as a MetricError."""
    if isinstance(error, LMError | ReplayMissError | BudgetExceededError):
        return error
    where = _place(error.__traceback__)
    if isinstance(error, MetricError):
        return MetricError(f"{name}: {error.message}{where}", hint=error.hint)
    text = str(error)
    words = f"{type(error).__name__}: {text}" if text else type(error).__name__
    return MetricError(f"metric {name} raised {words}{where}")


_MACHINERY = frozenset({"_pytest", "pluggy"})
"""Whose frames are not where a metric failed: what it returned has none."""


def _place(trace: TracebackType | None) -> str:
    steps = []
    while trace is not None:
        steps.append((trace.tb_frame.f_code.co_filename, trace.tb_lineno))
        trace = trace.tb_next
    ours = str(Path(__file__).parents[1])
    theirs = [s for s in steps if not s[0].startswith(ours) and _MACHINERY.isdisjoint(Path(s[0]).parts)]
    if not theirs:
        return ""
    file, line = theirs[-1]
    try:
        shown = os.path.relpath(file)
    except ValueError:
        shown = file
    return f" ({(file if shown.startswith('..') else shown).replace(os.sep, '/')}:{line})"


class _Steady:
    lock = threading.Lock()
    users = 0
    saved: tuple[Any, Any] = (None, None)


@contextmanager
def steady_assertions() -> Iterator[None]:
    """Make the words of failing assertions the same whatever the verbosity, colour, CI and hash seed.

    They become feedback, which enters prompts and keys. pytest explains a comparison through two module
    globals, which are None while this holds; a contract test guards that they are still there."""
    from _pytest.assertion import util

    with _Steady.lock:
        if _Steady.users == 0:
            _Steady.saved = (util._reprcompare, util._config)
            util._reprcompare = util._config = None
        _Steady.users += 1
    try:
        yield
    finally:
        with _Steady.lock:
            _Steady.users -= 1
            if _Steady.users == 0:
                util._reprcompare, util._config = _Steady.saved
