"""Plain callables as metrics."""

from __future__ import annotations

import asyncio
import functools
from typing import Any

import pytest

from pytest_lmprog.errors import (
    BudgetExceededError,
    LMTimeoutError,
    MetricError,
    ParseError,
    ReplayMissError,
    UsageError,
)
from pytest_lmprog.evaluation.callables import as_metric
from pytest_lmprog.evaluation.scores import Metric, Score
from pytest_lmprog.programs.example import Example, Prediction
from pytest_lmprog.programs.module import Module
from pytest_lmprog.programs.trace import Trace

EXAMPLE = Example(id="refund-1", team="billing")
TRACE = Trace()


def scored(function: Any, prediction: Prediction | None = None, **options: Any) -> Score:
    return as_metric(function, **options).score(EXAMPLE, prediction or Prediction(team="billing"), TRACE)


def fails(function: Any) -> MetricError:
    with pytest.raises(MetricError) as caught:
        scored(function)
    return caught.value


@pytest.mark.parametrize(
    ("value", "score"),
    [
        (True, Score(1.0, graded=True)),
        (False, Score(0.0, graded=True)),
        (0.25, Score(0.25, graded=True)),
        (1, Score(1.0, graded=True)),
        (0, Score(0.0, graded=True)),
        (Prediction(score=0.5, feedback="so so "), Score(0.5, True, "so so")),
        (Prediction(score=True), Score(1.0, graded=True)),
    ],
)
def test_what_is_returned_is_the_score(value: Any, score: Score) -> None:
    assert scored(lambda example, prediction, trace=None: value) == score


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (None, "returned None"),
        ("1", "returned str ('1')"),
        (1.5, "returned 1.5"),
        (-0.1, "returned -0.1"),
        (float("nan"), "returned nan"),
        (float("inf"), "returned inf"),
        ([1], "returned list ([1])"),
        (Prediction(score="high"), "returned str ('high')"),
    ],
)
def test_what_is_no_score_names_metric_and_case(value: Any, said: str) -> None:
    def accuracy(example: Example, prediction: Prediction, trace: Any = None) -> Any:
        return value

    error = fails(accuracy)
    assert error.message == f"metric accuracy {said} for example 'refund-1'"
    assert error.hint is not None


def test_an_assertion_is_a_failure_with_its_words() -> None:
    def check(example: Example, prediction: Prediction) -> bool:
        assert prediction.team == "bug", "wrong team, see 0x7f00deadbeef"
        return True

    score = scored(check)
    assert (score.value, score.graded) == (0.0, False)
    assert score.feedback.startswith("wrong team, see 0x...")


def test_anything_else_it_raises_is_an_error_with_its_cause() -> None:
    def broken(example: Example, prediction: Prediction) -> bool:
        return bool(prediction.nothing)

    error = fails(broken)
    assert error.message.startswith(
        "metric broken raised AttributeError on example 'refund-1': Prediction has no"
    )
    assert isinstance(error.__cause__, AttributeError)

    def judged(example: Example, prediction: Prediction) -> bool:
        raise ParseError("no score", answer="hm")

    assert "raised ParseError" in fails(judged).message


@pytest.mark.parametrize(
    "error", [LMTimeoutError("t"), ReplayMissError("m"), BudgetExceededError("b"), UsageError("u")]
)
def test_what_is_no_verdict_comes_through(error: Exception) -> None:
    def judged(example: Example, prediction: Prediction) -> bool:
        raise error

    with pytest.raises(type(error)) as caught:
        scored(judged)
    assert caught.value is error


def test_arguments_fit_the_callable() -> None:
    def two(example: Any, prediction: Any) -> bool:
        return True

    def three(gold: Any, pred: Any, trace: Any) -> bool:
        return trace is TRACE

    def five(gold: Any, pred: Any, trace: Any, pred_name: Any, pred_trace: Any) -> bool:
        return trace is TRACE and pred_name is None and pred_trace is None

    def options(example: Any, prediction: Any, trace: Any = None, frac: float = 1.0) -> bool:
        return trace is TRACE and frac == 1.0

    def star(*args: Any) -> bool:
        return args[2] is TRACE

    for function in (two, three, five, options, star):
        assert scored(function).value == 1.0


def test_the_trace_can_be_withheld() -> None:
    assert scored(lambda e, p, trace=None: trace is None, sees_trace=False).value == 1.0


def test_coroutines_are_awaited_with_or_without_a_loop() -> None:
    async def judge(example: Example, prediction: Prediction) -> float:
        await asyncio.sleep(0)
        return 0.5

    async def outside() -> Score:
        return scored(judge)

    assert scored(judge).value == 0.5
    assert asyncio.run(outside()).value == 0.5


def test_modules_and_objects_are_metrics_too() -> None:
    class Judge(Module):
        def forward(self, example: Example, prediction: Prediction) -> float:
            return 0.25

    class Callable:
        def __call__(self, example: Example, prediction: Prediction, trace: Any = None) -> bool:
            return trace is TRACE

    assert scored(Judge()).value == 0.25
    assert scored(Callable()).value == 1.0
    assert as_metric(Judge()).name == "Judge"


def test_names() -> None:
    def accuracy(example: Any, prediction: Any) -> bool:
        return True

    assert as_metric(accuracy).name == "accuracy"
    assert as_metric(functools.partial(accuracy)).name == "accuracy"
    assert as_metric(lambda e, p: True).name == "metric"
    assert as_metric(accuracy, "other").name == "other"


def test_a_metric_is_left_as_it_is() -> None:
    metric = as_metric(lambda e, p: True)
    assert isinstance(metric, Metric)
    assert as_metric(metric) is metric
    assert (metric.weight, metric.optimize, metric.pass_at) == (1.0, True, None)
    with pytest.raises(UsageError, match="a metric is a callable"):
        as_metric("accuracy")  # type: ignore[arg-type]


def test_a_callable_without_a_signature_and_a_float_that_fails() -> None:
    class Huge:
        def __float__(self) -> float:
            raise OverflowError

    class Bare:
        __signature__ = "none"

        def __call__(self, *arguments: Any) -> bool:
            return len(arguments) == 3

    assert scored(Bare()).value == 1.0
    assert "returned Huge" in fails(lambda e, p: Huge()).message
