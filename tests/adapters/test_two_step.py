"""TwoStepAdapter: one LM answers in words, another reads the fields out of them."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

import pytest
from pydantic import Field

import pytest_lmprog as lmp
from pytest_lmprog.errors import ConfigurationError, ParseError
from pytest_lmprog.lm.scope import CallScope, use_scope
from pytest_lmprog.lm.tally import CallLimit, Tally
from pytest_lmprog.programs.run import run_program


def both(said: Any = "The answer must be 4.", read: Any = None) -> tuple[lmp.ScriptedLM, lmp.ScriptedLM]:
    return lmp.ScriptedLM(said), lmp.ScriptedLM(read or {"must be 4": {"answer": 4}}, model="reader")


class Sum(lmp.Signature):
    """Add."""

    question: str = lmp.InputField()
    answer: int = lmp.OutputField()


@pytest.mark.parametrize("way", ["sync", "async"])
def test_the_second_lm_reads_what_the_first_said(way: str) -> None:
    first, second = both("<think>hm</think>The answer must be 4.")
    predict = lmp.Predict(Sum)
    with lmp.context(lm=first, adapter=lmp.TwoStepAdapter(second)):
        if way == "sync":
            result = predict(question="2+2")
        else:
            result = asyncio.run(predict.acall(question="2+2"))
    assert result.answer == 4
    assert result.question == "2+2"
    assert first.requests[0].response_format is None
    assert first.requests[0].messages[0]["content"] == (
        "Add.\n\nYou are given:\n- `question`\n\nAnswer in your own words. Your answer must make clear:\n"
        "- `answer` (int)"
    )
    assert first.requests[0].messages[-1]["content"] == "question: 2+2"
    assert second.requests[0].response_format is not None
    assert second.requests[0].messages[-1]["content"] == "<text>\nThe answer must be 4.\n</text>"


def test_both_calls_are_counted_traced_and_bounded() -> None:
    first, second = both()
    predict = lmp.Predict(Sum, n=2)
    tally = Tally()
    with lmp.context(lm=first, adapter=lmp.TwoStepAdapter(second)):
        assert predict.max_calls() == 4
        with use_scope(CallScope(tally=tally, limit=CallLimit(4))):
            run = run_program(predict, {"question": "2+2"})
    assert tally.count().calls == 4
    assert [(c.name, c.adapter, c.answer) for c in run.trace][:2] == [
        ("self", "two_step", "The answer must be 4."),
        ("self.extract", "json", '{"answer": 4}'),
    ]
    assert run.prediction is not None
    assert run.prediction.completions.answer == [4, 4]


def test_a_violation_is_shown_to_the_reader() -> None:
    class Code(lmp.Signature):
        question: str = lmp.InputField()
        code: Annotated[str, Field(pattern="^[A-Z]{3}$")] = lmp.OutputField()

    first, second = both(read=[{"code": "abc"}, {"code": "ABC"}])
    with lmp.context(lm=first, adapter=lmp.TwoStepAdapter(second)):
        assert lmp.Predict(Code).max_calls() == 3
        assert lmp.Predict(Code)(question="x").code == "ABC"
    assert (first.calls, second.calls) == (1, 2)
    assert "String should match pattern '^[A-Z]{3}$'" in second.requests[1].messages[-1]["content"]


def test_a_reader_that_finds_nothing() -> None:
    first, second = both(read="I see no number")
    with lmp.context(lm=first, adapter=lmp.TwoStepAdapter(second)), pytest.raises(ParseError) as caught:
        lmp.Predict(Sum)(question="2+2")
    assert caught.value.answer == "I see no number"


def test_a_reader_without_constraints() -> None:
    first = lmp.ScriptedLM("It is 4.")
    second = lmp.ScriptedLM("[[ ## answer ## ]]\n4", json_schema=None)
    with lmp.context(lm=first, adapter=lmp.TwoStepAdapter(second)):
        assert lmp.Predict(Sum)(question="2+2").answer == 4
    assert lmp.Predict("question -> text").signature.output_fields.keys() == {"text"}
    with lmp.context(lm=first, adapter=lmp.TwoStepAdapter(lmp.ScriptedLM({"It is": {"text": "4"}}))):
        assert lmp.Predict("question -> text")(question="2+2").text == "4"


@pytest.mark.parametrize("given", ["openai/gpt-4o", lmp.LM, 3])
def test_the_reader_must_be_an_lm(given: Any) -> None:
    with pytest.raises(ConfigurationError, match="extraction_model must be an LM"):
        lmp.TwoStepAdapter(given)


def test_snapshots_name_it() -> None:
    from pytest_lmprog.adapters import adapter_named

    assert lmp.TwoStepAdapter(both()[1]).name == "two_step"
    for name in ("json", "chat", "xml", "two_step"):
        adapter = adapter_named(name)
        assert adapter is not None
        assert adapter.name == name
        assert adapter.prompt(Sum, []).template()[0]["role"] == "system"
    assert adapter_named("other") is None
