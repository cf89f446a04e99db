"""One case: the program run on one example, and scored by every metric."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pytest_lmprog.errors import AnswerError
from pytest_lmprog.evaluation.scores import CaseResult, ErrorInfo, Metric, Objective, Score
from pytest_lmprog.lm.scope import CallScope, current_scope, use_scope
from pytest_lmprog.lm.tally import CallLimit
from pytest_lmprog.programs.example import Example, Prediction, own_copy
from pytest_lmprog.programs.module import Module
from pytest_lmprog.programs.run import ProgramError, Run, run_program
from pytest_lmprog.programs.trace import Trace

__all__ = ["error_info", "run_case", "run_example", "score_run"]


def run_case(
    program: Module,
    example: Example,
    metrics: Objective | Sequence[Metric],
    *,
    rollout: int = 0,
    params: Mapping[str, Any] | None = None,
    scope: CallScope | None = None,
    max_calls: int | None = None,
) -> CaseResult:
    """Run ``program`` on the inputs of ``example`` and score what it puts out.

    An unparsable answer, or the program raising, is the result's ``error``. What is no verdict on the
    program is raised: LMError, ReplayMissError, BudgetExceededError, CallLimitError, UsageError, MetricError.

    Parameters
    ----------
    metrics: an objective, or metrics; each scores a copy of the prediction of its own.
    rollout: number of the sampled answer.
    params: request parameters (``{"temperature": 1.0}``).
    scope: call scope of the run, default the active one. A limit is added, one for this run.
    max_calls: the most LM calls of this run of the program (metrics not counted), or None for no limit.
    """
    scope = scope or current_scope()
    run = run_example(program, example, rollout=rollout, params=params, scope=scope, max_calls=max_calls)
    with use_scope(scope):
        return score_run(example, run, metrics, rollout=rollout)


def run_example(
    program: Module,
    example: Example,
    *,
    rollout: int = 0,
    params: Mapping[str, Any] | None = None,
    scope: CallScope | None = None,
    max_calls: int | None = None,
    label: str | None = None,
    names: Mapping[int, str] | None = None,
) -> Run:
    """Run ``program`` on a copy of the inputs of ``example``, unscored. See ``run_case``.

    ``label`` is what misses are reported for, ``names`` see ``run_program``."""
    wanted = example.input_names
    inputs = example.inputs() if wanted is None else {k: v for k, v in example.items() if k in wanted}
    scope = scope or current_scope()
    if max_calls is not None or label is not None:
        limit = scope.limit if max_calls is None else CallLimit(max_calls)
        scope = scope.for_run(label or scope.label, limit)
    with use_scope(scope):
        return run_program(program, inputs, rollout=rollout, params=params, names=names)


def score_run(
    example: Example, run: Run, metrics: Objective | Sequence[Metric], *, rollout: int = 0
) -> CaseResult:
    """Score a run that was made before. Raises MetricError where a metric fails."""
    if run.prediction is None:
        return CaseResult(example, None, run.trace, error=error_info(run.error), rollout=rollout)
    scores = {m.name: _scored(m, example, run.prediction, run.trace) for m in _metrics(metrics)}
    return CaseResult(example, run.prediction, run.trace, scores, rollout=rollout)


def _metrics(metrics: Objective | Sequence[Metric]) -> Sequence[Metric]:
    return metrics.metrics if isinstance(metrics, Objective) else metrics


def _scored(metric: Metric, example: Example, prediction: Prediction, trace: Trace) -> Score:
    return metric.score(_own_example(example), prediction.copy(), trace)


def _own_example(example: Example) -> Example:
    """Return ``example``, its values copied where a metric could change them."""
    copies = {name: copy for name, value in example.items() if (copy := own_copy(value)) is not value}
    return example.copy(**copies) if copies else example


def error_info(error: AnswerError | None) -> ErrorInfo:
    """Return the stable kind and the words of what a program failed with."""
    if isinstance(error, ProgramError):
        return ErrorInfo(error.kind, str(error))
    return ErrorInfo(type(error).__name__, str(error))
