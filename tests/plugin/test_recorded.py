"""Recorded tools and retrievers in real runs: replayed without a call, stale where they changed."""

from __future__ import annotations

import json

import pytest

from tests.plugin.conftest import Project

PROGRAM = '''
import pathlib
from typing import Literal
import pytest_lmprog as lmp

HERE = pathlib.Path(__file__).parent

class TriageTicket(lmp.Signature):
    """Decide which team should handle a support ticket."""
    passages: list[str] = lmp.InputField()
    ticket: str = lmp.InputField()
    team: Literal["account", "billing", "bug", "feature"] = lmp.OutputField()

@lmp.recorded(files=["corpus.txt"])
def search(query: str, k: int = 2) -> list[str]:
    with (HERE / "searches.log").open("a") as log:
        log.write(query + "\\n")
    return (HERE / "corpus.txt").read_text().split("\\n")[:k]

@lmp.recorded
async def price(item: str) -> dict[str, float]:
    with (HERE / "searches.log").open("a") as log:
        log.write("price\\n")
    return {item: 2.5}

class Triage(lmp.Module):
    def __init__(self):
        self.tools = [search]
        self.classify = lmp.Predict(TriageTicket)
    async def forward(self, ticket):
        assert await price("x") == {"x": 2.5}
        return await self.classify.aforward(passages=self.tools[0](ticket), ticket=ticket)
'''
TEST = """
import pytest
from support.program import Triage

@pytest.mark.lm_program(program=Triage)
@pytest.mark.lm_examples("tickets.yaml", split="dev")
class TestTriage:
    def test_team(self, example, prediction, trace):
        assert [tool.name for tool in trace.tools] == ["price", "search"]
        assert trace.tools[1].result == ["alpha", "beta"]
        assert [type(event).__name__ for event in trace.events] == ["ToolCall", "ToolCall", "PredictorCall"]
        assert prediction.team == example.team
"""


@pytest.fixture
def recorded(project: Project) -> Project:
    project.write("support/program.py", PROGRAM)
    project.write("support/corpus.txt", "alpha\nbeta\ngamma")
    project.write("test_support.py", TEST)
    return project


def searches(project: Project) -> int:
    log = project.path / "support" / "searches.log"
    return len(log.read_text().splitlines()) if log.exists() else 0


def lines(project: Project) -> list[dict[str, object]]:
    text = (project.path / "__lm_recordings__" / "test_support.jsonl").read_text(encoding="utf-8")
    return [row for row in map(json.loads, text.splitlines()) if "called" in row]


def test_a_replay_calls_no_tool(recorded: Project) -> None:
    assert recorded.run("--lm-record=new").ret == 0
    assert searches(recorded) == 5  # four tickets and one price
    assert sorted({row["function"]["function"] for row in lines(recorded)}) == [  # type: ignore[index]
        "support.program.price",
        "support.program.search",
    ]
    (recorded.path / "support" / "corpus.txt").unlink()
    result = recorded.run("--lm-record=none", "-p", "no:randomly")
    assert result.ret == 0, result.outlines
    assert searches(recorded) == 5


def test_what_xdist_workers_record_is_one_file(recorded: Project) -> None:
    assert recorded.run("--lm-record=new", "-n2").ret == 0
    assert len(lines(recorded)) == 5
    assert searches(recorded) == 5, "one flight across processes"
    assert recorded.run("--lm-record=none", "-n2").ret == 0
    assert searches(recorded) == 5


def test_all_calls_again_and_replaces(recorded: Project) -> None:
    recorded.run("--lm-record=new")
    recorded.run("--lm-record=all")
    assert searches(recorded) == 10
    assert len(lines(recorded)) == 5


def test_a_recording_lost_comes_back_from_the_cache(recorded: Project) -> None:
    recorded.run("--lm-record=new")
    (recorded.path / "__lm_recordings__" / "test_support.jsonl").unlink()
    recorded.run("--lm-record=new")
    assert searches(recorded) == 5
    assert len(lines(recorded)) == 5


def test_a_miss_names_the_case_and_the_nearest_call(recorded: Project) -> None:
    recorded.run("--lm-record=new")
    tickets = recorded.path / "tickets.yaml"
    tickets.write_text(tickets.read_text().replace("I was charged twice", "I was charged thrice"))
    result = recorded.run("--lm-record=none")
    assert result.ret == 1
    told = "\n".join(result.outlines)
    assert "no recorded result for test_team[refund-1] of support.program.search(" in told
    assert "the nearest recorded call differs in arguments.query" in told
    assert "'I was charged twice'" in told
    assert "'I was charged thrice'" in told


def test_changed_tools_and_data_are_told_and_the_rest_is_unchecked(recorded: Project) -> None:
    result = recorded.run("--lm-update")
    assert result.ret == 0, result.outlines
    told = "\n".join(recorded.run().outlines)
    assert "stale:" not in told
    assert "unchecked: price (no fingerprint)" in told
    recorded.write("support/corpus.txt", "alpha\nbeta\ndelta")
    assert "support.program.search (data) changed" in "\n".join(recorded.run().outlines)
    recorded.write("support/corpus.txt", "alpha\nbeta\ngamma")
    recorded.write("support/program.py", PROGRAM.replace('split("\\n")', "splitlines()"))
    told = "\n".join(recorded.run("--lm-record=none").outlines)
    assert "program code: support.program.search changed" in told
    assert "(data)" not in told


def test_the_cache_command_knows_results_of_functions(
    recorded: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    from pytest_lmprog.cli import main

    recorded.run("--lm-record=new")
    root = ["-C", str(recorded.path), "cache"]
    assert main([*root, "verify"]) == 0
    assert main([*root, "export", "out.jsonl"]) == 0
    assert main([*root, "import", "out.jsonl"]) == 0
    capsys.readouterr()
    assert main([*root, "stats"]) == 0
    told = capsys.readouterr().out
    assert "  support.program.search(): 4\n" in told
    assert "9 answers" in told


def test_pruning_drops_calls_that_are_no_longer_made(recorded: Project) -> None:
    from pytest_lmprog.cli import main

    recorded.run("--lm-record=new")
    changed = PROGRAM.replace("k: int = 2", "k: int = 30").replace("[:k]", "[:2]")
    recorded.write("support/program.py", changed)  # of another size: a .pyc of the same second is known by it
    assert recorded.run("--lm-record=new").ret == 0
    assert len(lines(recorded)) == 9
    assert main(["-C", str(recorded.path), "cache", "prune"]) == 0
    assert len(lines(recorded)) == 5


def test_a_plain_test_intercepts_and_replays(project: Project) -> None:
    from tests.support.server import FakeServer

    with FakeServer() as server:
        project.test(f"""
import openai
import pytest_lmprog as lmp

def greet(name):
    client = openai.OpenAI(base_url={server.url!r}, api_key="none-at-all", max_retries=0)
    return client.chat.completions.create(model="m", messages=[{{"role": "user", "content": name}}])

def test_greeting(lm):
    with lmp.intercept():
        assert greet("Ada").choices[0].message.content
""")
        assert project.run("--lm-record=new").ret == 0
        assert server.count == 1
    assert project.run("--lm-record=none").ret == 0
