"""Many cases at once: a program on all examples, scored, the results in the order of the examples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

from pytest_lmprog.errors import AnswerError, UsageError
from pytest_lmprog.evaluation.pool import WorkPool
from pytest_lmprog.evaluation.runner import run_case
from pytest_lmprog.evaluation.scores import CaseResult, Metric, Objective, mean
from pytest_lmprog.evaluation.statistics import Interval, score_interval
from pytest_lmprog.lm.scope import CallScope
from pytest_lmprog.programs.example import Example
from pytest_lmprog.programs.module import Module
from pytest_lmprog.records import dataclass

if TYPE_CHECKING:
    from concurrent.futures import Executor

__all__ = ["Evaluation", "EvaluationProgress", "MetricSummary", "evaluate", "summarise"]


class EvaluationProgress(Protocol):
    """Told of each finished case, from the coordinating thread, in completion order."""

    def __call__(self, done: int, total: int, result: CaseResult) -> None: ...


@dataclass(frozen=True, slots=True)
class MetricSummary:
    """One metric over cases. ``mean`` is weighted and divides by ``n``, all cases but the ``unscored``; the
    ``errors`` among them count 0. ``passed`` counts cases."""

    name: str
    n: int
    mean: float
    interval: Interval
    passed: int
    errors: int
    unscored: int


def summarise(results: Sequence[CaseResult], metric: Metric) -> MetricSummary:
    """Return what ``metric`` says of all ``results`` together."""
    values, weights, passed = [], [], 0
    for result in results:
        score = result.scores.get(metric.name)
        if result.error is None and (score is None or score.value is None):
            continue
        value = score.value if score is not None and score.value is not None else 0.0
        values.append(value)
        weights.append(result.example.weight)
        passed += score is not None and score.passes(metric.pass_at)
    errors = sum(result.error is not None for result in results)
    return MetricSummary(
        metric.name,
        len(values),
        mean(values, weights),
        score_interval(values, weights),
        passed,
        errors,
        len(results) - len(values),
    )


@dataclass(frozen=True)
class Evaluation:
    """A program's results, in the order of the examples.

    ``score`` is the mean of the objective over all examples, weighted by their weights, within [0, 1];
    errors count 0 and are counted in ``errors``.
    """

    results: tuple[CaseResult, ...]
    objective: Objective

    @cached_property
    def scores(self) -> tuple[float, ...]:
        """The objective's score of each result."""
        return tuple(self.objective.score(result) for result in self.results)

    @cached_property
    def weights(self) -> tuple[float, ...]:
        """The weight of each example."""
        return tuple(result.example.weight for result in self.results)

    @cached_property
    def score(self) -> float:
        """The weighted mean over all examples."""
        return mean(self.scores, self.weights)

    @cached_property
    def interval(self) -> Interval:
        """The 95 % confidence interval of ``score``."""
        return score_interval(self.scores, self.weights)

    @cached_property
    def errors(self) -> int:
        """Number of results without a prediction."""
        return sum(result.error is not None for result in self.results)

    def metric(self, name: str) -> MetricSummary:
        """Return the summary of one metric. Raises UsageError for an unknown name."""
        for metric in self.objective.metrics:
            if metric.name == name:
                return summarise(self.results, metric)
        have = ", ".join(m.name for m in self.objective.metrics)
        raise UsageError(f"no metric {name!r}; there are: {have or 'none'}")


@dataclass(frozen=True)
class _Limits:
    """When to give up: at ``max_errors`` results without a prediction."""

    max_errors: int | None

    def check(self, results: Mapping[int, CaseResult], total: int) -> None:
        errors = [r for _, r in sorted(results.items()) if r.error is not None]
        if self.max_errors is None or len(errors) < self.max_errors or not errors:
            return
        first = errors[0]
        assert first.error is not None
        raise AnswerError(
            f"evaluation stopped: {len(errors)} of {len(results)} examples failed with an error "
            f"({total} in all, max_errors={self.max_errors}); one of them, {first.example.id!r}: "
            f"{first.error.kind}: {first.error.message}"
        )


def evaluate(
    program: Module,
    examples: Sequence[Example],
    objective: Objective,
    *,
    concurrency: int = 8,
    executor: Executor | None = None,
    scope: CallScope | None = None,
    max_calls: int | None = None,
    rollout: int = 0,
    max_errors: int | None = None,
    progress: EvaluationProgress | None = None,
) -> Evaluation:
    """Run ``program`` on every example, ``concurrency`` at a time, and score it.

    Results do not depend on concurrency. Errors that are no verdict on the program (see ``run_case``) are
    raised at the first, and what is pending is dropped; so it is when ``max_errors`` examples have failed
    with an error (AnswerError). ``max_calls`` limits the LM calls of each run.
    """
    limits = _Limits(max_errors)
    results: dict[int, CaseResult] = {}
    options: dict[str, Any] = {"rollout": rollout, "scope": scope, "max_calls": max_calls}
    with WorkPool(min(concurrency, max(1, len(examples))), executor) as pool:
        tasks = {
            pool.submit((index,), run_case, program, example, objective, **options): index
            for index, example in enumerate(examples)
        }
        for task in pool.completed():
            result: CaseResult = task.result()
            results[tasks[task]] = result
            if progress is not None:
                progress(len(results), len(examples), result)
            if result.error is not None:
                limits.check(results, len(examples))
    return Evaluation(tuple(results[index] for index in range(len(examples))), objective)
