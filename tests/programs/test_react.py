"""ReAct: steps, errors that are observations, the end, the trajectory that is too long, replay."""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any

import pytest

import pytest_lmprog as lmp
from pytest_lmprog.errors import LMRequestError, LMServerError, ReplayMissError, SignatureError, UsageError
from pytest_lmprog.lm.recordings.book import Book
from pytest_lmprog.lm.scope import CallScope, use_scope
from pytest_lmprog.lm.tally import CallLimit
from pytest_lmprog.programs import run_program

CALLED: list[str] = []


@pytest.fixture(autouse=True)
def nothing_called():
    CALLED.clear()


def add(a: int, b: int) -> int:
    """Add two numbers."""
    CALLED.append("add")
    return a + b


async def slowly(text: str) -> str:
    await asyncio.sleep(0)
    return text.upper()


def broken() -> None:
    raise KeyError("no such thing")


def page(number: int) -> str:
    return f"page {number} " + "x" * 1000


def step(name: str, **arguments: Any) -> dict[str, Any]:
    return {"next_thought": f"use {name}", "next_tool_name": name, "next_tool_args": arguments}


def scripted(*steps: Any, limit: int | None = None) -> lmp.ScriptedLM:
    """An LM that takes these steps by how far the trajectory is; refuses prompts longer than ``limit``."""

    def answer(request):
        shown = request.messages[-1]["content"]
        if limit is not None and len(shown) > limit:
            raise LMRequestError("the prompt exceeds the context window", context_window=True)
        wanted = request.response_format["json_schema"]["schema"]["properties"]
        if "next_thought" not in wanted:
            return json.dumps({"reasoning": "seen", "answer": "done"})
        taken = [int(number) for number in re.findall(r"thought_(\d+):", shown)]
        said = steps[taken[-1] + 1 if taken else 0]
        return said if isinstance(said, str) else json.dumps(said)

    return lmp.ScriptedLM(answer)


def run(lm, tools=(add, slowly, broken, page), program=None, **options):
    program = program or lmp.ReAct("question -> answer", tools=list(tools), **options)
    with lmp.context(lm=lm):
        return run_program(program, {"question": "?"})


def observations(done):
    trajectory = done.prediction.trajectory
    return [value for name, value in trajectory.items() if name.startswith("observation")]


def test_a_run_to_its_end():
    done = run(scripted(step("add", a=1, b=2), step("slowly", text="hi"), step("finish")))
    assert done.error is None
    assert done.prediction.answer == "done"
    assert done.prediction.trajectory == {
        "thought_0": "use add",
        "tool_name_0": "add",
        "tool_args_0": {"a": 1, "b": 2},
        "observation_0": 3,
        "thought_1": "use slowly",
        "tool_name_1": "slowly",
        "tool_args_1": {"text": "hi"},
        "observation_1": "HI",
        "thought_2": "use finish",
        "tool_name_2": "finish",
        "tool_args_2": {},
        "observation_2": "Completed.",
    }
    assert [call.name for call in done.trace] == ["react", "react", "react", "extract"]
    assert [(t.name, dict(t.arguments), t.result) for t in done.trace.tools] == [
        ("add", {"a": 1, "b": 2}, 3),
        ("slowly", {"text": "hi"}, "HI"),
    ]


@pytest.mark.parametrize(
    ("said", "observed"),
    [
        (step("fly"), "Error: there is no tool 'fly'; the tools are: add, slowly, broken, page, finish"),
        (step("add", a=1), "Error: the tool 'add' lacks its argument 'b'"),
        (
            step("add", a=1, b="x"),
            "Error: the tool 'add': the argument 'b' does not fit: 'x' is not an integer",
        ),
        (step("add", a=1, b=2, c=3), "Error: the tool 'add' has no argument 'c'; its arguments are: a, b"),
        (step("broken"), "Error: KeyError: 'no such thing'"),
        ("what?", "Error: there is no JSON object in the answer"),
    ],
)
def test_errors_are_observed(said, observed):
    done = run(scripted(said, step("finish")))
    assert done.error is None
    assert observations(done) == [observed, "Completed."]
    assert f"observation_0: {observed}" in done.trace[1].inputs["trajectory"]


def test_max_iters_ends_in_what_there_is():
    done = run(scripted(*[step("add", a=n, b=n) for n in range(9)]), max_iters=3)
    assert observations(done) == [0, 2, 4]
    assert done.prediction.answer == "done"
    assert lmp.ReAct("q -> a", tools=[add], max_iters=3).max_calls() == 4


def test_a_call_may_give_another_maximum():
    agent = lmp.ReAct("question -> answer", tools=[add])
    with lmp.context(lm=scripted(*[step("add", a=n, b=n) for n in range(9)])):
        assert len(agent(question="?", max_iters=2).trajectory) == 8


def test_sync_and_async_are_the_same():
    steps = (step("add", a=1, b=2), step("slowly", text="hi"), step("broken"), step("finish"))
    agent = lmp.ReAct("question -> answer", tools=[add, slowly, broken])
    with lmp.context(lm=scripted(*steps)):
        assert agent(question="?") == asyncio.run(agent.acall(question="?"))


def test_the_oldest_steps_are_dropped_from_a_trajectory_that_is_too_long():
    steps = [*[step("page", number=n) for n in range(6)], step("finish")]
    lm = scripted(*steps, limit=3500)
    agent = lmp.ReAct("question -> answer", tools=[page])
    with use_scope(CallScope(limit=CallLimit(8))):
        done = run(lm, program=agent)
    assert done.error is None
    kept = done.prediction.trajectory
    assert [name for name in kept if name.startswith("thought")] == [f"thought_{n}" for n in (3, 4, 5, 6)]
    shown = done.trace[-1].inputs["trajectory"]
    assert shown.startswith("(steps 0 to 2 are left out to fit the model's context)\nthought_3: use page")
    assert len(done.trace) == 8


def test_the_last_step_is_cut_and_not_dropped():
    done = run(scripted(step("page", number=1), step("finish"), limit=600), tools=[page])
    assert done.error is None
    first = next(c for c in done.trace if "observation_0" in c.inputs["trajectory"]).inputs["trajectory"]
    assert "... (cut to fit the model's context)" in first


def test_what_never_fits_is_the_endpoints_error():
    with pytest.raises(LMRequestError, match="exceeds the context"):
        run(scripted(step("page", number=1), step("finish"), limit=20), tools=[page])


def test_one_may_have_a_rule_of_ones_own():
    class Mine(lmp.ReAct):
        def truncate_trajectory(self, trajectory):
            return {} if trajectory else super().truncate_trajectory(trajectory)

    steps = [step("page", number=n) for n in range(9)]
    done = run(scripted(*steps, limit=3500), program=Mine("question -> answer", tools=[page], max_iters=3))
    assert done.error is None


def test_a_replay_calls_no_tool_and_shortens_alike(tmp_path):
    steps = [
        step("add", a=1, b=1),
        step("broken"),
        *[step("page", number=n) for n in range(6)],
        step("finish"),
    ]
    tools = [add, broken, page]
    book = Book(tmp_path / "calls.jsonl")
    with use_scope(CallScope(recording=book)):
        live = run(scripted(*steps, limit=3500), tools)
    book.flush()
    assert CALLED == ["add"]

    def silent(_):
        raise AssertionError("the LM was called")

    with use_scope(CallScope(mode="none", recording=Book(tmp_path / "calls.jsonl"))):
        replayed = run(lmp.ScriptedLM(silent), tools)
    assert CALLED == ["add"]
    assert replayed.prediction == live.prediction
    assert [c.messages for c in replayed.trace] == [c.messages for c in live.trace]
    assert [t.result for t in replayed.trace.tools] == [t.result for t in live.trace.tools]


def test_outside_of_tests_each_call_runs_the_tool():
    run(scripted(step("add", a=1, b=1), step("add", a=1, b=1), step("finish")))
    assert CALLED == ["add", "add"]


def test_a_recorded_tool_keeps_its_name_and_version(tmp_path):
    search = lmp.recorded(add, name="search", version="2")
    book = Book(tmp_path / "calls.jsonl")
    with use_scope(CallScope(recording=book)):
        done = run(scripted(step("add", a=1, b=1), step("finish")), [search])
    book.flush()
    assert observations(done)[0] == 2
    assert '"search"' in (tmp_path / "calls.jsonl").read_text()
    assert len(done.trace.tools) == 1


def test_another_version_of_a_recorded_tool_is_not_answered_by_the_old_one(tmp_path):
    book = Book(tmp_path / "calls.jsonl")
    steps = (step("search", a=1, b=1), step("finish"))
    named = lmp.Tool(lmp.recorded(add, version="2"), name="search")
    with use_scope(CallScope(recording=book)):
        assert run(scripted(*steps), [named]).error is None
    book.flush()
    newer = lmp.Tool(lmp.recorded(add, version="3"), name="search")
    with use_scope(CallScope(mode="none", recording=Book(tmp_path / "calls.jsonl"))):
        assert observations(run(scripted(*steps), [named]))[0] == 2
        with pytest.raises(ReplayMissError, match="search"):
            run(scripted(*steps), [newer])


def test_what_is_no_fault_of_the_tool_is_raised():
    def asks() -> str:
        raise LMServerError("down")

    with pytest.raises(LMServerError):
        run(scripted(step("asks"), step("finish")), [asks])


def test_a_result_without_json_form_is_observed_as_text():
    class Thing:
        def __str__(self):
            return "a thing"

    def thing() -> Any:
        return Thing()

    assert observations(run(scripted(step("thing"), step("finish")), [thing]))[0] == "a thing"


def test_what_cannot_be_an_agent():
    with pytest.raises(UsageError, match="two tools"):
        lmp.ReAct("q -> a", tools=[add, add])
    with pytest.raises(UsageError, match="ends with"):
        lmp.ReAct("q -> a", tools=[lmp.Tool(add, name="finish")])
    with pytest.raises(UsageError, match="list of functions"):
        lmp.ReAct("q -> a", tools=add)
    with pytest.raises(UsageError, match="max_iters"):
        lmp.ReAct("q -> a", tools=[add], max_iters=0)
    with pytest.raises(SignatureError, match="trajectory"):
        lmp.ReAct("trajectory -> a", tools=[add])


def test_tools_are_part_of_the_fingerprint():
    from pathlib import Path

    from pytest_lmprog.snapshots.closure import Closure
    from pytest_lmprog.snapshots.source import Sources

    closure = Closure(Sources(Path(__file__).parent))
    closure.add("program", lmp.ReAct("question -> answer", tools=[add, lmp.Tool(page)]))
    names = " ".join(closure.items)
    assert "test_react.add" in names
    assert "test_react.page" in names
