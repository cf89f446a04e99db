"""Plain callables as metrics: ``f(example, prediction, trace=None)``, as in DSPy."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import cached_property
from typing import Any

from pytest_lmprog.errors import (
    BudgetExceededError,
    LMError,
    MetricError,
    ReplayMissError,
    UsageError,
)
from pytest_lmprog.evaluation.awaiting import resolved
from pytest_lmprog.evaluation.feedback import normalise_feedback
from pytest_lmprog.evaluation.scores import Metric, Score
from pytest_lmprog.programs.example import Example, Prediction
from pytest_lmprog.programs.module import Module
from pytest_lmprog.programs.trace import Trace
from pytest_lmprog.records import dataclass

__all__ = ["CallableMetric", "as_metric", "score_of"]

_NO_VERDICT = (LMError, ReplayMissError, BudgetExceededError, UsageError)


@dataclass(frozen=True)
class CallableMetric:
    """A callable as a Metric.

    Parameters
    ----------
    function: takes example, prediction and, where it has a third parameter, the trace. It returns a bool, a
        number within [0, 1], or an object with such a ``score`` (and ``feedback``); coroutines are awaited.
        An AssertionError is 0 with its message as feedback.
    sees_trace: pass the trace; otherwise None, by which DSPy's metrics tell evaluation from bootstrapping.
    """

    function: Callable[..., Any]
    name: str
    weight: float = 1.0
    optimize: bool = True
    pass_at: float | None = None
    sees_trace: bool = True

    @cached_property
    def _arity(self) -> int:
        return _arity(self.function)

    def score(self, example: Example, prediction: Prediction, trace: Trace | None) -> Score:
        """Score ``prediction``. Raises MetricError for whatever the callable raises but an assertion, and
        for a value that is no score. What an LM inside it could not answer is raised as it is."""
        seen = trace if self.sees_trace else None
        arguments = (example, prediction, seen, *[None] * (self._arity - 3))[: self._arity]
        try:
            value = resolved(self.function(*arguments))
        except AssertionError as failure:
            return Score(0.0, feedback=normalise_feedback(str(failure)))
        except _NO_VERDICT:
            raise
        except Exception as error:
            raise MetricError(
                f"metric {self.name} raised {type(error).__name__} on example {example.id!r}: {error}"
            ) from error
        return score_of(value, self.name, example)


def as_metric(
    metric: Callable[..., Any] | Metric, name: str | None = None, *, sees_trace: bool = True
) -> Metric:
    """Return ``metric`` as a Metric; one that is a Metric already is returned as it is.

    ``name`` defaults to the callable's own."""
    if isinstance(metric, Metric):
        return metric
    if not callable(metric):
        raise UsageError(f"a metric is a callable f(example, prediction, trace=None), not {metric!r:.80}")
    return CallableMetric(metric, name or _name_of(metric), sees_trace=sees_trace)


def _arity(function: Callable[..., Any]) -> int:
    """Return how many arguments to pass: two or three, more where the callable demands more."""
    target = function.forward if isinstance(function, Module) else function
    try:
        parameters = list(inspect.signature(target).parameters.values())
    except (TypeError, ValueError):
        return 3
    if any(p.kind is p.VAR_POSITIONAL for p in parameters):
        return 3
    places = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    demanded = sum(p.default is p.empty for p in places)
    return max(demanded, min(len(places), 3))


def _name_of(metric: Callable[..., Any]) -> str:
    while (inner := getattr(metric, "func", None)) is not None:
        metric = inner
    name = getattr(metric, "__name__", None) or type(metric).__name__
    return "metric" if name == "<lambda>" else str(name)


def score_of(value: Any, metric: str, example: Example) -> Score:
    """Return what a metric returned as a Score. Raises MetricError, naming metric and case, for anything but
    a bool, a finite number within [0, 1], or an object with such a ``score``."""
    feedback = ""
    if not isinstance(value, bool | int | float) and hasattr(value, "score"):
        value, feedback = value.score, getattr(value, "feedback", None) or ""
    number = _number(value)
    if number is None:
        what = "None" if value is None else f"{type(value).__name__} ({value!r:.60})"
        raise _unusable(metric, example, f"returned {what}")
    if not 0.0 <= number <= 1.0:
        raise _unusable(metric, example, f"returned {number!r}")
    return Score(number, graded=True, feedback=normalise_feedback(str(feedback)))


def _number(value: Any) -> float | None:
    if not hasattr(value, "__float__"):
        return None
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return None


def _unusable(metric: str, example: Example, what: str) -> MetricError:
    return MetricError(
        f"metric {metric} {what} for example {example.id!r}",
        hint="a metric returns True or False, or a finite number from 0 to 1",
    )
