"""One case: what is a result, what is an error in it, and what is raised."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_lmprog.errors import (
    AnswerError,
    BudgetExceededError,
    CallLimitError,
    LmprogError,
    LMServerError,
    MetricError,
    ParseError,
    ReplayMissError,
    UsageError,
)
from pytest_lmprog.evaluation.callables import as_metric
from pytest_lmprog.evaluation.runner import run_case, run_example, score_run
from pytest_lmprog.evaluation.scores import Objective
from pytest_lmprog.lm.scope import CallScope, current_scope, use_scope
from pytest_lmprog.lm.tally import CallLimit
from pytest_lmprog.programs.context import current
from pytest_lmprog.programs.example import Example, Prediction
from tests.evaluation.programs import Calls, Open, Triage

EXAMPLE = Example(id="refund-1", ticket="billing problem", team="billing").with_inputs("ticket")
right = as_metric(lambda e, p: p.team == e.team, "right")
short = as_metric(lambda e, p: len(p.team) / 10, "short")


def test_a_case_is_run_and_scored_by_every_metric() -> None:
    result = run_case(Triage(), EXAMPLE, [right, short], rollout=3)
    assert result.prediction == Prediction(team="billing")
    assert {name: score.value for name, score in result.scores.items()} == {"right": 1.0, "short": 0.7}
    assert (result.example, result.error, result.rollout) == (EXAMPLE, None, 3)
    assert run_case(Triage(), EXAMPLE, Objective((right,))).scores["right"].value == 1.0


def test_labels_do_not_reach_the_program() -> None:
    assert run_case(Open(), EXAMPLE, []).prediction == Prediction(ticket="billing problem")


def test_rollout_and_parameters_reach_the_program() -> None:
    program = Calls(lambda ticket: Prediction(rollout=current().rollout, t=current().params["temperature"]))
    result = run_case(program, EXAMPLE, [], rollout=2, params={"temperature": 1.0})
    assert result.prediction == Prediction(rollout=2, t=1.0)


def raising(error: Exception) -> Calls:
    def forward(ticket: str) -> Any:
        raise error

    return Calls(forward)


@pytest.mark.parametrize(
    ("error", "kind", "said"),
    [
        (ParseError("no field team", answer="???"), "ParseError", "no field team"),
        (ZeroDivisionError("division by zero"), "ZeroDivisionError", "division by zero"),
        (AnswerError("gave up"), "AnswerError", "gave up"),
        (AssertionError(), "AssertionError", "the program raised AssertionError"),
    ],
)
def test_the_programs_failures_are_errors_of_the_result(error: Exception, kind: str, said: str) -> None:
    result = run_case(raising(error), EXAMPLE, [right])
    assert result.error is not None
    assert result.error.kind == kind
    assert said in result.error.message
    assert (result.prediction, dict(result.scores)) == (None, {})
    assert Objective((right,)).score(result) == 0.0


@pytest.mark.parametrize(
    "error",
    [
        LMServerError("500"),
        ReplayMissError("miss"),
        BudgetExceededError("spent"),
        CallLimitError("9"),
        UsageError("?"),
    ],
)
def test_what_is_no_verdict_on_the_program_is_raised(error: LmprogError) -> None:
    with pytest.raises(type(error)) as caught:
        run_case(raising(error), EXAMPLE, [right])
    assert caught.value is error


def test_a_metric_that_raises_is_never_scored() -> None:
    with pytest.raises(MetricError, match="metric broken raised AttributeError on example 'refund-1'"):
        run_case(Triage(), EXAMPLE, [right, as_metric(lambda e, p: p.nothing, "broken")])


def test_each_metric_has_a_prediction_of_its_own() -> None:
    program = Calls(lambda ticket: Prediction(tags=["a"]))
    seen = []

    def greedy(example: Example, prediction: Prediction) -> bool:
        seen.append(list(prediction.tags))
        prediction.tags.append("b")
        return True

    result = run_case(program, EXAMPLE, [as_metric(greedy, "one"), as_metric(greedy, "two")])
    assert seen == [["a"], ["a"]]
    assert result.prediction == Prediction(tags=["a"])


def test_the_example_is_not_mutated_by_a_metric() -> None:
    example = Example(ticket="a", teams=["x"]).with_inputs("ticket")
    seen = []

    def greedy(example: Example, prediction: Prediction) -> bool:
        seen.append((example.id, list(example.teams)))
        example.teams.append("y")
        return True

    run_case(Triage(), example, [as_metric(greedy, "one"), as_metric(greedy, "two")])
    assert seen == [(example.id, ["x"])] * 2
    assert example.teams == ["x"]


def test_the_example_is_not_mutated_by_the_program() -> None:
    example = Example(ticket=["a"]).with_inputs("ticket")
    run_case(Calls(lambda ticket: ticket.append("b") or Prediction(n=len(ticket))), example, [])
    assert example.ticket == ["a"]


def take_calls(n: int) -> Calls:
    def forward(ticket: str) -> Prediction:
        limit = current_scope().limit
        for _ in range(n):
            if limit is not None:
                limit.take()
        return Prediction(limited=limit is not None)

    return Calls(forward)


def test_each_run_has_a_limit_of_its_own() -> None:
    for _ in range(3):
        result = run_case(take_calls(2), EXAMPLE, [], max_calls=2)
        assert result.prediction == Prediction(limited=True)
    with pytest.raises(CallLimitError, match="more than 2 calls to the LM"):
        run_case(take_calls(3), EXAMPLE, [], max_calls=2)


def test_metrics_run_in_the_scope_but_outside_the_limit() -> None:
    def judge(example: Example, prediction: Prediction) -> bool:
        return current_scope().limit is None and current_scope().label == "mine"

    result = run_case(
        take_calls(1), EXAMPLE, [as_metric(judge, "j")], max_calls=1, scope=CallScope(label="mine")
    )
    assert result.scores["j"].value == 1.0
    assert current_scope().label is None


def test_without_a_scope_the_active_one_holds() -> None:
    program = Calls(
        lambda ticket: Prediction(label=current_scope().label, limited=current_scope().limit is not None)
    )
    with use_scope(CallScope(label="active", limit=CallLimit(9))):
        assert run_case(program, EXAMPLE, []).prediction == Prediction(label="active", limited=True)


def test_a_run_can_be_made_first_and_scored_later() -> None:
    run = run_example(Triage(), EXAMPLE)
    assert score_run(EXAMPLE, run, [right]).scores["right"].value == 1.0
    failed = run_example(raising(ParseError("no", answer="")), EXAMPLE)
    assert score_run(EXAMPLE, failed, [right], rollout=1).error is not None


def test_inputs_must_be_known() -> None:
    with pytest.raises(UsageError, match="the inputs of example 'x' are not known"):
        run_case(Triage(), Example(id="x", ticket="a"), [])
