"""Native tool calls, and what takes their place where a model has none."""

from __future__ import annotations

import json
from typing import Any

import pytest

import pytest_lmprog as lmp
from pytest_lmprog.errors import LMRequestError, ParseError, UsageError
from pytest_lmprog.lm.types import LMRequest, LMResponse


def weather(city: str, days: int = 1) -> str:
    """Tell the weather."""
    return f"{city}:{days}"


class Ask(lmp.Signature):
    """Use the tools."""

    question: str = lmp.InputField()
    tools: list[lmp.Tool] = lmp.InputField()
    calls: lmp.ToolCalls = lmp.OutputField()


class AskAndSay(Ask):
    """Use the tools."""

    remark: str = lmp.OutputField()


def wire(name: str, arguments: Any) -> dict[str, Any]:
    text = arguments if isinstance(arguments, str) else json.dumps(arguments)
    return {"id": "call_1", "type": "function", "function": {"name": name, "arguments": text}}


NATIVE = LMResponse("", "tool_calls", tool_calls=(wire("weather", {"city": "Oslo", "days": "2"}),))


def ask(lm: lmp.ScriptedLM, signature: Any = Ask, adapter: Any = None) -> lmp.Prediction:
    with lmp.context(lm=lm, adapter=adapter):
        return lmp.Predict(signature)(question="Weather?", tools=[weather])


def test_definitions_go_beside_the_prompt_and_calls_come_back() -> None:
    lm = lmp.ScriptedLM(lambda _: NATIVE)
    calls = ask(lm).calls
    assert calls == lmp.ToolCalls(
        [lmp.ToolCalls.ToolCall("weather", {"city": "Oslo", "days": "2"}, "call_1")]
    )
    assert calls.tool_calls[0].execute([weather]) == "Oslo:2"
    (request,) = lm.requests
    assert request.tools == (lmp.Tool(weather).definition(),)
    assert request.response_format is None
    assert [m["content"] for m in request.messages] == [
        "Use the tools.\n\nYou are given:\n- `question`\n\nAnswer by calling the tools that you need.",
        "question: Weather?",
    ]
    assert lm.capabilities().tools is True
    assert lm.capabilities().json_schema is True


@pytest.mark.parametrize("adapter", [lmp.JSONAdapter(), lmp.ChatAdapter(), lmp.XMLAdapter()], ids=repr)
def test_other_outputs_are_read_from_the_text(adapter: Any) -> None:
    both = LMResponse('{"remark": "looking"}', tool_calls=NATIVE.tool_calls)
    result = ask(lmp.ScriptedLM(lambda _: both), AskAndSay, adapter)
    assert (result.remark, len(result.calls)) == ("looking", 1)
    assert ask(lmp.ScriptedLM(lambda _: NATIVE), AskAndSay, adapter).remark is None
    nothing = ask(lmp.ScriptedLM('{"remark": "no need"}'), AskAndSay, adapter)
    assert (nothing.remark, len(nothing.calls)) == ("no need", 0)


def test_calls_in_the_text_count_too() -> None:
    said = {"calls": {"tool_calls": [{"name": "weather", "args": {"city": "Rome"}}]}}
    assert ask(lmp.ScriptedLM(lambda _: said)).calls[0].name == "weather"
    assert len(ask(lmp.ScriptedLM("I need none.")).calls) == 0


def refuses(request: LMRequest) -> Any:
    if request.tools:
        raise LMRequestError("no tools here")
    return {"calls": [{"name": "weather", "arguments": {"city": "Rome"}}]}


def test_a_model_without_tools_is_asked_in_words() -> None:
    lm = lmp.ScriptedLM(refuses)
    assert ask(lm).calls[0].execute({"weather": weather}) == "Rome:1"
    assert lm.capabilities().tools is False
    assert lm.capabilities().json_schema is True
    assert '"name":"weather"' in lm.requests[-1].messages[-1]["content"]
    before = lm.calls
    ask(lm, AskAndSay.with_instructions("Else.").with_field("remark", default="none"))
    assert lm.calls == before + 1


def test_calls_that_cannot_be_read() -> None:
    broken = LMResponse("", tool_calls=(wire("weather", "{not json"),))
    with pytest.raises(ParseError, match="the arguments of 'weather' are no JSON"):
        ask(lmp.ScriptedLM(lambda _: broken))


def test_a_call_of_an_unknown_tool() -> None:
    call = lmp.ToolCalls([{"name": "fly", "args": {}}])[0]
    with pytest.raises(UsageError, match="there is no tool 'fly'; there are: weather"):
        call.execute([lmp.Tool(weather)])


def test_tools_replay_from_what_was_stored() -> None:
    plain = NATIVE.to_plain()
    again = LMResponse.from_plain(plain, "recording")
    assert ask(lmp.ScriptedLM(lambda _: again)).calls[0].args == {"city": "Oslo", "days": "2"}
