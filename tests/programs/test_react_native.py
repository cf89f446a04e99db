"""ReAct with the endpoint's own tool calls: the same trajectory and replay; words where there are none."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path
from typing import Any

import pytest

import pytest_lmprog as lmp
from pytest_lmprog.errors import LMRequestError, SignatureError
from pytest_lmprog.lm.recordings.book import Book
from pytest_lmprog.lm.scope import CallScope, use_scope
from pytest_lmprog.lm.types import LMResponse
from pytest_lmprog.programs import run_program
from tests.support.server import FakeServer, Reply, completion, failing, last_user_text

CALLED: list[str] = []


@pytest.fixture(autouse=True)
def nothing_called() -> None:
    CALLED.clear()


def add(a: int, b: int) -> int:
    """Add two numbers."""
    CALLED.append("add")
    return a + b


async def slowly(text: str) -> str:
    """Shout."""
    return text.upper()


def page(number: int) -> str:
    return f"page {number} " + "x" * 1000


def wire(name: str, arguments: Any) -> dict[str, Any]:
    text = arguments if isinstance(arguments, str) else json.dumps(arguments)
    return {"id": f"call_{name}", "type": "function", "function": {"name": name, "arguments": text}}


def calls(*wanted: tuple[str, Any], text: str = "") -> LMResponse:
    return LMResponse(text, "tool_calls", tool_calls=tuple(wire(*one) for one in wanted))


def scripted(*steps: Any, limit: int | None = None) -> lmp.ScriptedLM:
    """Takes these steps, one for each time that it is asked for one; ``extract`` says "done"."""
    said = iter(steps)

    def answer(request: Any) -> Any:
        if limit is not None and len(request.messages[-1]["content"]) > limit:
            raise LMRequestError("the prompt exceeds the context window", context_window=True)
        return next(said) if request.tools else json.dumps({"reasoning": "seen", "answer": "done"})

    return lmp.ScriptedLM(answer)


def agent(**options: Any) -> lmp.ReAct:
    return lmp.ReAct("question -> answer", tools=[add, slowly, page], native=True, **options)


def run(lm: Any, program: lmp.Module | None = None) -> Any:
    with lmp.context(lm=lm):
        return run_program(program or agent(), {"question": "?"})


def observations(done: Any) -> list[Any]:
    return [value for name, value in done.prediction.trajectory.items() if name.startswith("observation")]


def test_a_run_to_its_end() -> None:
    lm = scripted(
        calls(("add", {"a": 1, "b": 2}), text='{"next_thought": "I add."}'),
        calls(("slowly", {"text": "hi"}), text="I shout."),
        calls(("finish", {})),
    )
    done = run(lm)
    assert done.error is None
    assert done.prediction.answer == "done"
    assert done.prediction.trajectory == {
        "thought_0": "I add.",
        "tool_name_0": "add",
        "tool_args_0": {"a": 1, "b": 2},
        "observation_0": 3,
        "thought_1": "I shout.",
        "tool_name_1": "slowly",
        "tool_args_1": {"text": "hi"},
        "observation_1": "HI",
        "thought_2": "",
        "tool_name_2": "finish",
        "tool_args_2": {},
        "observation_2": "Completed.",
    }
    assert [call.name for call in done.trace] == ["react", "react", "react", "extract"]
    assert [tool.name for tool in done.trace.tools] == ["add", "slowly"]
    assert [tool["function"]["name"] for tool in lm.requests[0].tools] == ["add", "slowly", "page", "finish"]
    assert lm.requests[0].response_format is None
    assert "add" not in lm.requests[0].messages[0]["content"]
    assert lm.requests[-1].tools == ()


def test_several_calls_in_one_answer_are_steps_of_their_own() -> None:
    both = calls(("add", {"a": 1, "b": 1}), ("finish", {}), ("add", {"a": 9, "b": 9}), text="both")
    done = run(scripted(both))
    assert observations(done) == [2, "Completed."]
    assert [v for k, v in done.prediction.trajectory.items() if k.startswith("thought")] == ["both", ""]
    assert CALLED == ["add"]


@pytest.mark.parametrize("said", ["It is 3.", '{"next_thought": "It is 3."}'])
def test_an_answer_without_a_call_is_the_end(said: str) -> None:
    done = run(scripted(said))
    assert done.prediction.trajectory["thought_0"] == "It is 3."
    assert done.prediction.trajectory["tool_name_0"] == "finish"


@pytest.mark.parametrize(
    ("said", "observed"),
    [
        (calls(("fly", {})), "Error: there is no tool 'fly'; the tools are: add, slowly, page, finish"),
        (calls(("add", {"a": 1})), "Error: the tool 'add' lacks its argument 'b'"),
        (
            calls(("add", "{not json")),
            "Error: the field 'next_tool_calls' does not fit:"
            " the arguments of 'add' are no JSON: '{not json'",
        ),
        ("", "Error: the answer is empty"),
        ('{"next_tho', "Error: the JSON object begins and does not end: the answer is cut off"),
    ],
)
def test_errors_are_observed(said: Any, observed: str) -> None:
    done = run(scripted(said, calls(("finish", {}))))
    assert done.error is None
    assert observations(done) == [observed, "Completed."]


def test_max_iters_counts_what_is_asked() -> None:
    several = [calls(("add", {"a": n, "b": n}), ("add", {"a": n, "b": 0})) for n in range(9)]
    done = run(scripted(*several), agent(max_iters=2))
    assert observations(done) == [0, 0, 2, 1]
    assert agent(max_iters=2).max_calls() >= len(done.trace)


def test_a_trajectory_that_is_too_long_is_shortened() -> None:
    pages = [calls(("page", {"number": n})) for n in range(6)]
    # A step that is refused is asked for again: the script goes on where it was.
    done = run(scripted(*pages, calls(("finish", {})), limit=3500))
    assert done.error is None
    assert done.trace[-1].inputs["trajectory"].startswith("(steps 0 to 2 are left out")


def test_sync_and_async_are_the_same() -> None:
    steps = [calls(("add", {"a": 1, "b": 2})), calls(("slowly", {"text": "hi"})), calls(("finish", {}))]
    with lmp.context(lm=scripted(*steps)):
        sync = agent()(question="?")
    with lmp.context(lm=scripted(*steps)):
        assert asyncio.run(agent().acall(question="?")) == sync


def test_demos_show_their_calls() -> None:
    program = agent()
    wanted = lmp.ToolCalls([{"name": "add", "args": {"a": 1, "b": 1}}])
    program.react.demos = [
        lmp.Example(question="1+1?", trajectory="", next_thought="I add.", next_tool_calls=wanted)
    ]
    lm = scripted(calls(("finish", {})))
    run(lm, program)
    shown = lm.requests[0].messages
    assert [message["role"] for message in shown] == ["system", "user", "assistant", "user"]
    assert json.loads(shown[2]["content"]) == {
        "next_thought": "I add.",
        "next_tool_calls": {"tool_calls": [{"name": "add", "args": {"a": 1, "b": 1}}]},
    }
    imitated = scripted(shown[2]["content"], calls(("finish", {})))
    assert observations(run(imitated)) == [2, "Completed."]


def test_state_goes_round(tmp_path: Path) -> None:
    agent().save(tmp_path / "agent.json")
    again = agent()
    again.load(tmp_path / "agent.json")
    assert again.named_predictors()[0][1].signature.text == agent().react.signature.text


def test_tools_is_a_name_of_its_own() -> None:
    with pytest.raises(SignatureError, match="'tools'"):
        lmp.ReAct("tools, question -> answer", tools=[add], native=True)
    assert lmp.ReAct("tools, question -> answer", tools=[add]).max_calls() == 21


def answered(request: dict[str, Any]) -> Any:
    """Adds, then is done: natively where tools are offered, in words where they stand in the prompt."""
    taken = len(re.findall(r"thought_\d+:", last_user_text(request)))
    name, arguments = [("add", {"a": 2, "b": 3}), ("finish", {})][min(taken, 1)]
    if "tools" in request:
        body = completion(None, request)
        body["choices"][0]["message"]["tool_calls"] = [wire(name, arguments)]
        body["choices"][0]["finish_reason"] = "tool_calls"
        return Reply(body=body)
    if "next_tool_calls" in json.dumps(request):
        return {
            "next_thought": "go on",
            "next_tool_calls": {"tool_calls": [{"name": name, "args": arguments}]},
        }
    return {"reasoning": "seen", "answer": "5"}


def without_tools(request: dict[str, Any]) -> Any:
    return failing(400, "tools are not supported", "unsupported") if "tools" in request else answered(request)


@pytest.mark.parametrize("endpoint", [answered, without_tools], ids=["native", "in words"])
def test_over_the_wire_and_in_a_replay(endpoint: Any, tmp_path: Path) -> None:
    path = tmp_path / "calls.jsonl"
    with FakeServer(endpoint) as server:
        lm = lmp.LM("openai/fake", api_base=server.url, api_key="sk-test", temperature=0)
        book = Book(path)
        with use_scope(CallScope(recording=book)):
            live = run(lm)
        book.flush()
        asked = server.count
    assert live.error is None
    assert live.prediction.answer == "5"
    assert observations(live) == [5, "Completed."]
    assert CALLED == ["add"]
    assert lm.capabilities().tools is (endpoint is answered)
    silent = lmp.LM("openai/fake", api_base="http://127.0.0.1:9", api_key="sk-test", temperature=0)
    with use_scope(CallScope(mode="none", recording=Book(path))):
        replayed = run(silent)
    assert replayed.error is None
    assert replayed.prediction == live.prediction
    assert [call.messages for call in replayed.trace] == [call.messages for call in live.trace]
    assert CALLED == ["add"]
    assert asked >= 3
