"""Constraints of outputs: in the schema, validated, and one retry that shows the violation."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field

import pytest_lmprog as lmp
from pytest_lmprog.adapters.correcting import is_constrained
from pytest_lmprog.errors import ParseError
from pytest_lmprog.lm.types import LMResponse
from pytest_lmprog.programs.run import run_program


class Plate(lmp.Signature):
    """Read the plate."""

    text: str = lmp.InputField()
    plate: Annotated[str, Field(pattern="^[A-Z]{2}-[0-9]{3}$")] = lmp.OutputField()


class Point(BaseModel):
    x: Annotated[int, Field(ge=0, le=9)]


ADAPTERS = [None, lmp.JSONAdapter(), lmp.ChatAdapter(), lmp.XMLAdapter()]


@pytest.mark.parametrize("way", ["sync", "async"])
@pytest.mark.parametrize("adapter", ADAPTERS, ids=repr)
def test_a_violation_is_shown_once(adapter: Any, way: str) -> None:
    lm = lmp.ScriptedLM([{"plate": "ab-1"}, {"plate": "AB-123"}])
    predict = lmp.Predict(Plate)
    with lmp.context(lm=lm, adapter=adapter):
        result = predict(text="?") if way == "sync" else asyncio.run(predict.acall(text="?"))
    assert result.plate == "AB-123"
    first, second = lm.requests
    assert second.messages[: len(first.messages)] == first.messages
    assert second.messages[-2:] == (
        {"role": "assistant", "content": '{"plate": "ab-1"}'},
        {
            "role": "user",
            "content": (
                "This answer does not fit: the field 'plate' does not fit: String should match pattern "
                "'^[A-Z]{2}-[0-9]{3}$' (got 'ab-1').\n"
                "Answer once more, in full and in the same form, so that it fits."
            ),
        },
    )
    assert second.response_format == first.response_format
    assert second.rollout == first.rollout


def test_the_second_violation_is_the_programs_failure() -> None:
    lm = lmp.ScriptedLM([{"plate": "a"}, {"plate": "b"}, {"plate": "AB-123"}])
    with lmp.context(lm=lm):
        run = run_program(lmp.Predict(Plate), {"text": "?"})
    assert isinstance(run.error, ParseError)
    assert run.error.answer == '{"plate": "b"}'
    assert lm.calls == 2
    assert [call.error is None for call in run.trace] == [False, False]


def test_the_trace_has_both_answers() -> None:
    lm = lmp.ScriptedLM([{"plate": "a"}, {"plate": "AB-123"}])
    with lmp.context(lm=lm):
        run = run_program(lmp.Predict(Plate), {"text": "?"}, rollout=3)
    assert [(c.name, c.outputs is None, c.rollout) for c in run.trace] == [
        ("self", True, 3),
        ("self", False, 3),
    ]
    assert len(run.trace[1].messages) == len(run.trace[0].messages) + 2


@pytest.mark.parametrize(
    ("answer", "calls"),
    [("no JSON at all", 2), ("", 2), (LMResponse('{"plate": "A', "length"), 1)],
    ids=["words", "empty", "cut off"],
)
def test_answers_in_no_form(answer: Any, calls: int) -> None:
    lm = lmp.ScriptedLM(lambda _: answer)
    with lmp.context(lm=lm), pytest.raises(ParseError):
        lmp.Predict(Plate)(text="?")
    assert lm.calls == calls


def test_outputs_without_constraints_are_asked_for_once() -> None:
    lm = lmp.ScriptedLM({"x": "no JSON"})
    signature = lmp.Signature("text -> team: Literal['a', 'b'], number: int, notes: list[str]")
    with lmp.context(lm=lm), pytest.raises(ParseError):
        lmp.Predict(signature)(text="x")
    assert lm.calls == 1


@pytest.mark.parametrize(
    ("annotation", "constrained"),
    [
        (str, False),
        (int, False),
        (Literal["a"], False),
        (list[str], False),
        (dict[str, int], False),
        (str | None, False),
        (Annotated[str, Field(min_length=2)], True),
        (Annotated[int, Field(ge=1)], True),
        (list[Annotated[int, Field(ge=1)]], True),
        (Annotated[list[int], Field(max_length=2)], True),
        (dict[str, Point], True),
        (Point | None, True),
        (tuple[str, Point], True),
    ],
)
def test_what_is_constrained(annotation: Any, constrained: bool) -> None:
    signature = lmp.Signature({"q": lmp.InputField(), "a": (annotation, lmp.OutputField())})
    assert is_constrained(signature) is constrained
    assert lmp.Predict(signature, n=2).max_calls() == (4 if constrained else 2)


def test_constraints_of_the_field_count_too() -> None:
    class Short(lmp.Signature):
        q: str = lmp.InputField(min_length=50)
        a: str = lmp.OutputField(max_length=3)

    assert is_constrained(Short)
    assert not is_constrained(Short.with_field("a", constraints=()))
    lm = lmp.ScriptedLM([{"a": "long"}, {"a": "ok"}])
    with lmp.context(lm=lm):
        assert lmp.Predict(Short)(q="?" * 50).a == "ok"


def test_a_model_is_told_what_is_wrong_in_it() -> None:
    lm = lmp.ScriptedLM([{"p": {"x": 12}}, {"p": {"x": 3}}])
    with lmp.context(lm=lm):
        assert (
            lmp.Predict(lmp.Signature({"q": lmp.InputField(), "p": (Point, lmp.OutputField())}))(q="?").p.x
            == 3
        )
    assert "x: Input should be less than or equal to 9" in lm.requests[1].messages[-1]["content"]


def test_a_huge_answer_is_shown_shortened() -> None:
    lm = lmp.ScriptedLM([{"plate": "A" * 100_000}, {"plate": "AB-123"}])
    with lmp.context(lm=lm):
        lmp.Predict(Plate)(text="?")
    assert len(lm.requests[1].messages[-2]["content"]) < 4100
    assert len(lm.requests[1].messages[-1]["content"]) < 500
