"""Evaluate: a development set, a metric and their settings, called on one program after the other."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any, TextIO

from pytest_lmprog.errors import UsageError
from pytest_lmprog.evaluation.callables import as_metric
from pytest_lmprog.evaluation.datasets import Dataset, dataset_of
from pytest_lmprog.evaluation.evaluator import Evaluation, EvaluationProgress, evaluate
from pytest_lmprog.evaluation.scores import CaseResult, Metric, Objective
from pytest_lmprog.programs.example import Example, Prediction
from pytest_lmprog.programs.module import Module

__all__ = ["Evaluate", "EvaluationResult"]

_IGNORED = ("provide_traceback", "failure_score", "return_outputs", "return_all_scores")


class EvaluationResult(float):
    """The score in percent, rounded to two decimals: it is a float, and has what led to it.

    ``results`` holds (example, prediction, score) in the order of the development set, the score within
    [0, 1]; a run without a prediction has an empty one. ``evaluation`` holds all there is to know.
    """

    score: float
    results: list[tuple[Example, Prediction, float]]
    evaluation: Evaluation

    def __new__(cls, evaluation: Evaluation) -> EvaluationResult:
        score = round(100 * evaluation.score, 2)
        new = super().__new__(cls, score)
        new.score = score
        new.evaluation = evaluation
        new.results = [
            (r.example, r.prediction if r.prediction is not None else Prediction(), s)
            for r, s in zip(evaluation.results, evaluation.scores, strict=True)
        ]
        return new

    def __repr__(self) -> str:
        return f"EvaluationResult(score={self.score}, results=<list of {len(self.results)} results>)"

    def __str__(self) -> str:
        return str(self.score)

    def __reduce__(self) -> tuple[Any, ...]:
        return EvaluationResult, (self.evaluation,)


class Evaluate:
    """Scores programs on ``devset``, as DSPy's class of the same name.

    >>> evaluate = Evaluate(devset=devset, metric=metric, num_threads=8)  # doctest: +SKIP
    >>> evaluate(program).score  # doctest: +SKIP
    62.5

    Parameters
    ----------
    devset: Examples or dicts, or a Dataset. Where inputs are not named, they are the fields named like the
        parameters of the program's ``forward``.
    metric: ``f(example, prediction, trace=None)``, which is given no trace, or a Metric.
    num_threads: runs in flight at most (None: 8).
    display_progress: print a line a tenth of the way to standard error.
    display_table: print the results to standard output: True for all, a number for the first so many.
    max_errors: stop, with AnswerError, when so many examples have failed with an error (None: never).
    progress: called as ``progress(done, total, result)`` after each case.

    Raises UsageError for a setting it does not have, and when called without a metric.
    """

    def __init__(
        self,
        *,
        devset: Sequence[Any],
        metric: Callable[..., Any] | Metric | None = None,
        num_threads: int | None = 8,
        display_progress: bool = False,
        display_table: bool | int = False,
        max_errors: int | None = None,
        progress: EvaluationProgress | None = None,
        **ignored: Any,
    ) -> None:
        _check_ignored(ignored)
        self.devset = devset
        self.metric = metric
        self.num_threads = num_threads
        self.display_progress = display_progress
        self.display_table = display_table
        self.max_errors = max_errors
        self.progress = progress
        self._returns = ignored

    def __call__(
        self,
        program: Module | Callable[..., Any],
        metric: Callable[..., Any] | Metric | None = None,
        devset: Sequence[Any] | None = None,
        num_threads: int | None = None,
        display_progress: bool | None = None,
        display_table: bool | int | None = None,
        **ignored: Any,
    ) -> Any:
        """Return the EvaluationResult of ``program``, a Module or a function of the inputs; arguments
        override those of the constructor.

        With DSPy 2's ``return_outputs`` it is (result, results), with ``return_all_scores`` (result,
        scores), with both (result, results, scores)."""
        _check_ignored(ignored)
        module = program if isinstance(program, Module) else _Function(program)
        result = EvaluationResult(
            evaluate(
                module,
                _ready(self.devset if devset is None else devset, module),
                _objective(self.metric if metric is None else metric),
                concurrency=num_threads or self.num_threads or 8,
                max_errors=self.max_errors,
                progress=self._told(self.display_progress if display_progress is None else display_progress),
            )
        )
        table = self.display_table if display_table is None else display_table
        if table:
            print_table(result, None if table is True else int(table))
        return _returned(result, {**self._returns, **ignored})

    def _told(self, display: bool) -> EvaluationProgress | None:
        if not display:
            return self.progress
        return _Printer(sys.stderr, self.progress)


def _check_ignored(given: dict[str, Any]) -> None:
    unknown = sorted(set(given) - set(_IGNORED))
    if unknown:
        raise UsageError(f"Evaluate has no setting {unknown[0]!r}")
    if given.get("failure_score", 0):
        raise UsageError("failure_score is always 0: an error is a failure, and is counted apart")


class _Function(Module):
    """A plain function as a program."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.forward = function  # type: ignore[method-assign]


def _objective(metric: Callable[..., Any] | Metric | None) -> Objective:
    if metric is None:
        raise UsageError("Evaluate needs a metric", hint="Evaluate(devset=..., metric=f)")
    return Objective((as_metric(metric, sees_trace=False),))


def _ready(devset: Sequence[Any], program: Module) -> tuple[Example, ...]:
    data = devset if isinstance(devset, Dataset) else dataset_of(devset, name="devset")
    return data.for_program(program, distinct=False).examples


def _returned(result: EvaluationResult, wanted: dict[str, Any]) -> Any:
    parts: list[Any] = [result]
    if wanted.get("return_outputs"):
        parts.append(result.results)
    if wanted.get("return_all_scores"):
        parts.append([score for *_, score in result.results])
    return parts[0] if len(parts) == 1 else tuple(parts)


class _Printer:
    """Prints a line at each tenth of the way, then tells the next callback."""

    def __init__(self, stream: TextIO, then: EvaluationProgress | None) -> None:
        self._stream = stream
        self._then = then
        self._sum = 0.0
        self._errors = 0

    def __call__(self, done: int, total: int, result: CaseResult) -> None:
        self._errors += result.error is not None
        self._sum += sum(score.value or 0.0 for score in result.scores.values())
        if done == total or done * 10 // total > (done - 1) * 10 // total:
            errors = f", {self._errors} errors" if self._errors else ""
            print(f"{done}/{total}: {100 * self._sum / done:.1f}%{errors}", file=self._stream, flush=True)
        if self._then is not None:
            self._then(done, total, result)


def print_table(result: EvaluationResult, limit: int | None = None) -> None:
    """Print one line a case to standard output: id, score, prediction or error."""
    shown = result.evaluation.results[:limit]
    width = max((len(case.example.id) for case in shown), default=0)
    for case, score in zip(shown, result.evaluation.scores, strict=False):
        outcome = repr(case.prediction) if case.error is None else f"{case.error.kind}: {case.error.message}"
        print(f"{case.example.id:<{width}}  {score:5.2f}  {outcome[:160]}")
    print(f"{result.score}% of {len(result.results)}, {result.evaluation.errors} errors")
