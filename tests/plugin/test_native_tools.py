"""An agent with native tool calls, compiled, snapshotted as it is sent and replayed without a call."""

from __future__ import annotations

import pytest

CONFTEST = """
import json, re
import pytest, pytest_lmprog as lmp
from pytest_lmprog.lm.types import LMResponse

def answer(request):
    asked = request.messages[-1]["content"]
    a, b = map(int, re.findall(r"(\\d+) and (\\d+)", asked)[-1])
    if not request.tools:
        return {"reasoning": "It was added.", "answer": a + b}
    name, arguments = ("finish", {}) if "thought_0" in asked else ("add", {"a": a, "b": b})
    call = {"id": "1", "type": "function", "function": {"name": name, "arguments": json.dumps(arguments)}}
    return LMResponse("I go on.", "tool_calls", tool_calls=(call,))

@pytest.fixture(scope="session")
def lm():
    return lmp.ScriptedLM(answer)
"""

TESTS = """
import pathlib
import pytest, pytest_lmprog as lmp

def add(a: int, b: int) -> int:
    "Add two numbers."
    with open(pathlib.Path(__file__).with_name("called"), "a") as log:
        log.write("x")
    return a + b

class Adding(lmp.Module):
    def __init__(self):
        self.agent = lmp.ReAct("question -> answer: int", tools=[add], max_iters=3, native=True)

    def forward(self, question):
        return self.agent(question=question)

@pytest.mark.lm_program(
    program=Adding,
    teleprompter=lmp.BootstrapFewShot(max_bootstrapped_demos=1, max_labeled_demos=0),
    trainset=[{"id": "t", "question": "2 and 3?", "answer": 5}],
)
@pytest.mark.lm_examples([{"id": "a", "question": "4 and 5?", "answer": 9}])
def test_sum(example, prediction):
    assert prediction.answer == example.answer
"""


def test_it_compiles_and_replays(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile(test_adding=TESTS)
    result = pytester.runpytest("-p", "no:cacheprovider", "--lm-compile")
    result.assert_outcomes(passed=1)
    (snapshot,) = pytester.path.glob("**/test_sum.yaml")
    text = snapshot.read_text(encoding="utf-8")
    assert "    json_schema: true\n    tools: true\n" in text
    messages = text.partition("    messages:")[2].partition("  agent.extract:")[0]
    assert '{"next_thought": "I go on.", "next_tool_calls"' in messages
    assert "Add two numbers." not in messages  # definitions go beside the prompt
    called = (pytester.path / "called").read_text()
    result = pytester.runpytest("-p", "no:cacheprovider", "--lm-record=none")
    result.assert_outcomes(passed=1)
    result.stdout.no_fnmatch_line("*stale*")
    result.stdout.no_fnmatch_line("*edited*")
    assert (pytester.path / "called").read_text() == called
