"""Compiling through the real adapters, the real client and a real server."""

from __future__ import annotations

import re
from typing import Any, Literal

import pytest

from pytest_lmprog.adapters.chat import ChatAdapter
from pytest_lmprog.lm.budget import Budget
from pytest_lmprog.lm.client import LM
from pytest_lmprog.lm.scope import CallScope
from pytest_lmprog.lm.scripted import ScriptedLM
from pytest_lmprog.lm.stores.memory import MemoryStore
from pytest_lmprog.programs import ChainOfThought, Example, Module, context
from pytest_lmprog.signatures import InputField, OutputField, Signature
from pytest_lmprog.teleprompt import BootstrapFewShot, BootstrapFewShotWithRandomSearch, CompileRuntime
from tests.support.server import FakeServer, last_user_text, refuse_response_format
from tests.teleprompt.world import portion, result_of, task


class Triage(Signature):
    """Decide which team handles a ticket."""

    ticket: str = InputField()
    team: Literal["billing", "bug", "account"] = OutputField()


class Program(Module):
    def __init__(self) -> None:
        self.classify = ChainOfThought(Triage)

    def forward(self, ticket: str) -> Any:
        return self.classify(ticket=ticket)


TEAMS = ("billing", "bug", "account")


def tickets(n: int, start: int = 0) -> list[Example]:
    return [
        Example(ticket=f"ticket {i}", team=TEAMS[i % 3]).with_inputs("ticket")
        for i in range(start, start + n)
    ]


def same_team(example: Any, prediction: Any, trace: Any = None) -> bool:
    return bool(prediction.team == example.team)


def answer(request: dict[str, Any]) -> Any:
    """The right team more often the longer the prompt; now and then nonsense."""
    number = int(re.findall(r"ticket (\d+)", last_user_text(request))[-1])
    luck = portion(number, len(request["messages"]), str(request["messages"][:-1]))
    if luck > 0.95:
        return "I would rather not say"
    team = TEAMS[number % 3] if luck < 0.5 + 0.03 * len(request["messages"]) else TEAMS[(number + 1) % 3]
    if "response_format" in request:
        return {"reasoning": f"because {number}", "team": team}
    return f"[[ ## reasoning ## ]]\nbecause {number}\n\n[[ ## team ## ]]\n{team}\n\n[[ ## completed ## ]]"


def compiled(server: FakeServer, *, concurrency: int = 8, store: Any = None, budget: Any = None) -> Any:
    lm = LM("openai/fake", api_base=server.url, api_key="sk-test", temperature=0, max_concurrency=concurrency)
    strategy = BootstrapFewShotWithRandomSearch(
        same_team, num_candidate_programs=2, max_bootstrapped_demos=2, max_labeled_demos=3
    )
    scope = CallScope(cache=MemoryStore() if store is None else store, budget=budget)
    with context(adapter=None):
        return strategy.compile_result(
            task(tickets(8), student=Program(), metric=same_team, valset=tickets(6, 100)),
            CompileRuntime(concurrency=concurrency, scope=scope, lm=lm),
        )


@pytest.mark.parametrize("endpoint", [answer, refuse_response_format(answer)], ids=["json", "chat"])
def test_the_same_at_any_concurrency(endpoint):
    outcomes = []
    for concurrency in (1, 8, 64):
        with FakeServer(endpoint, latency=(0.0, 0.01)) as server:
            outcomes.append(result_of(compiled(server, concurrency=concurrency)))
    assert outcomes[0] == outcomes[1] == outcomes[2]
    demos = outcomes[0]["demos"]["classify"]
    assert set().union(*map(set, demos)) <= {"ticket", "reasoning", "team"}


@pytest.mark.parametrize("calls", [0, 1, 7, 20])
def test_the_servers_own_count_keeps_within_the_budget(calls):
    with FakeServer(answer) as server:
        result = compiled(server, budget=Budget(calls=calls))
        assert server.count <= calls
    assert result.stopped == "budget"
    assert [name for name, _ in result.program.named_predictors()] == ["classify"]


def test_a_compile_that_ran_out_of_budget_goes_on_where_it_stopped():
    with FakeServer(answer) as server:
        whole = result_of(compiled(server))
    store = MemoryStore()
    with FakeServer(answer) as server:
        for _ in range(40):
            before = server.count
            result = compiled(server, store=store, budget=Budget(calls=5))
            assert server.count - before <= 5
            if result.stopped == "done":
                break
        assert result_of(result) == whole


def test_the_tie_breaker_counts_the_prompts_that_are_sent():
    with FakeServer(refuse_response_format(answer)) as server:
        result = compiled(server)
    winner = result.candidates[result.winner]
    predictor = winner.program.classify
    sent = ChatAdapter().prompt(predictor.signature, predictor.demos).template()
    assert winner.characters == sum(len(m["content"]) for m in sent)


def test_compile_as_in_a_notebook():
    lm = ScriptedLM(lambda request: answer({"messages": request.messages, "response_format": {}}))
    strategy = BootstrapFewShot(metric=same_team, max_bootstrapped_demos=2, max_labeled_demos=2)
    with context(lm=lm, adapter=None):
        program = strategy.compile(Program(), trainset=tickets(8))
    assert [set(demo) for demo in program.classify.demos] == [{"ticket", "reasoning", "team"}] * 2
    assert all(demo.reasoning == f"because {demo.ticket.split()[1]}" for demo in program.classify.demos)
