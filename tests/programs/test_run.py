"""One run of a program: what is its result, what is its failure, what is neither."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_lmprog.errors import AnswerError, InputError, LMServerError, ParseError, UsageError
from pytest_lmprog.lm.types import LMRequest
from pytest_lmprog.programs import (
    Module,
    Predict,
    Prediction,
    ProgramError,
    context,
    forward_inputs,
    run_program,
)
from tests.programs.fake import FakeLM


class Asks(Module):
    def __init__(self) -> None:
        self.p = Predict("a -> b: int")

    def forward(self, a: str) -> Any:
        return self.p(a=a)


def program(forward: Any) -> Module:
    return type("Made", (Module,), {"forward": staticmethod(forward)})()


def test_a_run_has_prediction_and_trace() -> None:
    with context(lm=FakeLM('{"b": 3}')):
        run = run_program(Asks(), {"a": "x"}, rollout=2, params={"temperature": 1})
    assert run.prediction == Prediction(b=3)
    assert run.error is None
    assert [(call.name, call.rollout) for call in run.trace] == [("p", 2)]


@pytest.mark.parametrize(
    ("output", "prediction"),
    [
        (Prediction(a=1), Prediction(a=1)),
        ({"a": 1}, Prediction(a=1)),
        ("text", Prediction(output="text")),
        (None, Prediction(output=None)),
    ],
)
def test_what_counts_as_a_prediction(output: Any, prediction: Prediction) -> None:
    assert run_program(program(lambda: output), {}).prediction == prediction


def test_an_unparsable_answer_is_the_programs_failure() -> None:
    with context(lm=FakeLM("no")):
        run = run_program(Asks(), {"a": "x"})
    assert isinstance(run.error, ParseError)
    assert run.prediction is None
    assert len(run.trace) == 1


def test_an_input_that_does_not_fit_is_the_programs_failure() -> None:
    class Bad(Module):
        def __init__(self) -> None:
            self.p = Predict("a: int -> b")

        def forward(self) -> Any:
            return self.p(a="many")

    with context(lm=FakeLM()):
        assert isinstance(run_program(Bad(), {}).error, InputError)


def test_what_the_program_raises_is_its_failure() -> None:
    def fail() -> None:
        raise ZeroDivisionError("by zero")

    error = run_program(program(fail), {}).error
    assert isinstance(error, ProgramError)
    assert isinstance(error, AnswerError)
    assert error.kind == "ZeroDivisionError"
    assert "the program raised ZeroDivisionError: by zero" in str(error)
    assert isinstance(error.__cause__, ZeroDivisionError)


@pytest.mark.parametrize("error", [LMServerError("down"), UsageError("bad"), KeyboardInterrupt()])
def test_errors_that_are_not_the_programs_are_raised(error: BaseException) -> None:
    def fail(request: LMRequest) -> str:
        raise error

    with context(lm=FakeLM(fail)), pytest.raises(type(error)):
        run_program(Asks(), {"a": "x"})


def test_inputs_are_not_mutated() -> None:
    given = {"items": [1], "nested": {"a": [1]}}

    def spoil(items: list[int], nested: dict[str, list[int]]) -> str:
        items.append(2)
        nested["a"].append(2)
        return "x"

    run_program(program(spoil), given)
    assert given == {"items": [1], "nested": {"a": [1]}}


def test_names_of_inputs() -> None:
    def plain(question: str, k: int = 3) -> None: ...
    def open_(question: str, **more: Any) -> None: ...
    def many(*questions: str) -> None: ...

    class Waits(Module):
        async def aforward(self, question: str) -> Any: ...

    assert forward_inputs(program(plain)) == ("question", "k")
    assert forward_inputs(program(open_)) is None
    assert forward_inputs(program(many)) is None
    assert forward_inputs(Predict("a, b -> c")) == ("a", "b")
    assert forward_inputs(Asks()) == ("a",)
    assert forward_inputs(Waits()) == ("question",)
