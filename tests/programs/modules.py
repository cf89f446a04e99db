"""Every module there is, as the conformance suite takes it: add yours to ``CASES``, one line."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest_lmprog as lmp
from pytest_lmprog.lm.types import LMRequest, LMResponse

__all__ = ["CASES", "Answers", "Case", "echo", "scripted"]

Answers = Callable[[LMRequest], Any]
"""What the LM answers: a pure function of the request."""


def echo(request: LMRequest) -> Mapping[str, Any]:
    """Answer with the fields that the schema asks for; each value depends on the whole request."""
    assert request.response_format is not None
    schema = request.response_format["json_schema"]["schema"]
    mark = hashlib.sha256(request.key.encode()).hexdigest()[:6]
    return {name: _value(part, mark, name) for name, part in schema["properties"].items()}


def _value(part: Mapping[str, Any], mark: str, name: str) -> Any:
    if "enum" in part:
        return part["enum"][int(mark, 16) % len(part["enum"])]
    kinds = {"integer": int(mark, 16) % 10, "number": int(mark, 16) % 10 / 10, "boolean": mark < "8"}
    if part.get("type") in kinds:
        return kinds[part["type"]]
    if part.get("type") == "array":
        return [f"{name} {mark}"]
    return {} if part.get("type") == "object" else f"{name} {mark}"


def scripted(answers: Answers) -> lmp.ScriptedLM:
    """Return the LM of a case: counts what it is asked, shares equal requests."""

    def answer(request: LMRequest) -> str | LMResponse:
        said = answers(request)
        return said if isinstance(said, str | LMResponse) else json.dumps(dict(said))

    return lmp.ScriptedLM(answer)


@dataclass(frozen=True)
class Case:
    """One module to be tried.

    Parameters
    ----------
    name: the test's id.
    make: returns a new program; the same each time.
    inputs: of one run.
    names: of its predictors, in order.
    answers: what the LM says.
    labels: what a training example has besides the inputs, for LabeledFewShot.
    compiles: whether it takes part in BootstrapFewShot (it needs inputs by name).
    """

    name: str
    make: Callable[[], lmp.Module]
    inputs: Mapping[str, Any]
    names: tuple[str, ...]
    answers: Answers = echo
    labels: Mapping[str, Any] = field(default_factory=lambda: {"answer": "Paris"})
    compiles: bool = True


class _Composed(lmp.Module):
    def __init__(self) -> None:
        self.hops = [lmp.Predict("question -> query"), lmp.Predict("question, query -> answer")]

    def forward(self, question: str) -> Any:
        query = self.hops[0](question=question).query
        return self.hops[1](question=question, query=query)


class _Retrieving(lmp.Module):
    def __init__(self) -> None:
        self.retrieve = lmp.Retrieve(k=1, rm=lambda query, k: ["Paris is a capital.", query][:k])
        self.answer = lmp.ChainOfThought("context, question -> answer")

    def forward(self, question: str) -> Any:
        return self.answer(context=self.retrieve(question).passages, question=question)


class _Awaiting(lmp.Module):
    def __init__(self) -> None:
        self.ask = lmp.ChainOfThought("question -> answer")

    async def forward(self, question: str) -> Any:
        return await self.ask.acall(question=question)


def lookup(city: str, unit: str = "km") -> str:
    """Look a city up."""
    return f"{city} is a city ({unit})"


def calling(request: LMRequest) -> LMResponse:
    """Echo, but for a step of an agent with native tools: it calls one."""
    if not request.tools:
        return LMResponse(json.dumps(dict(echo(request))))
    mark = hashlib.sha256(request.key.encode()).hexdigest()[:6]
    function = {"name": "lookup", "arguments": json.dumps({"city": mark})}
    call = {"id": f"call_{mark}", "type": "function", "function": function}
    return LMResponse(f"I look {mark} up.", "tool_calls", tool_calls=(call,))


def coding(request: LMRequest) -> Mapping[str, Any]:
    """Echo, but for the code, which is to run."""
    said = dict(echo(request))
    if "generated_code" in said:
        said["generated_code"] = f"final_answer({{'answer': {said['generated_code']!r} + question}})"
    return said


class _Comparing(lmp.Module):
    def __init__(self) -> None:
        self.attempt = lmp.ChainOfThought("question -> answer", n=3, temperature=1.0)
        self.compare = lmp.MultiChainComparison("question -> answer", M=3)

    def forward(self, question: str) -> Any:
        return self.compare(self.attempt(question=question), question=question)


@lmp.program
def asked_in_steps(question: str) -> Any:
    """A plain function as a program."""
    write = lmp.Predict("question -> query")
    answer = lmp.ChainOfThought("question, query -> answer")
    return answer(question=question, query=write(question=question).query)


class _Batching(lmp.Module):
    def __init__(self) -> None:
        self.ask = lmp.Predict("question -> answer")

    def forward(self, question: str) -> Any:
        """Ask in three ways."""
        rows = [lmp.Example(question=f"{question} {n}").with_inputs("question") for n in range(3)]
        return lmp.majority(self.ask.batch(rows))

    def max_calls(self) -> int:
        return 3


class _Voting(lmp.Module):
    def __init__(self) -> None:
        self.ask = lmp.Predict("question -> answer", n=5, temperature=1.0)

    def forward(self, question: str) -> Any:
        return lmp.majority(self.ask(question=question))


class _Side(lmp.Module):
    def __init__(self) -> None:
        self.parts = [lmp.Predict("question -> answer"), lmp.ChainOfThought("question -> answer")]
        self.parallel = lmp.Parallel(num_threads=2)

    def forward(self, question: str) -> Any:
        found = self.parallel([(part, {"question": question}) for part in self.parts])
        return lmp.Prediction(answer=" ".join(one.answer for one in found))

    async def aforward(self, question: str) -> Any:
        found = await self.parallel.acall([(part, {"question": question}) for part in self.parts])
        return lmp.Prediction(answer=" ".join(one.answer for one in found))


class _Near(lmp.Module):
    def __init__(self) -> None:
        rows = [
            lmp.Example(question=q, answer=q.upper()).with_inputs("question") for q in ("a?", "bb?", "ccc?")
        ]
        self.near = lmp.KNN(1, rows, lambda texts: [[len(text), 1] for text in texts])
        self.ask = lmp.Predict("question, example -> answer")

    def forward(self, question: str) -> Any:
        return self.ask(question=question, example=self.near(question=question)[0].answer)


class _Checked(lmp.Module):
    """Its first answer is refused, its second taken."""

    def __init__(self) -> None:
        self.ask = lmp.ChainOfThought("question -> answer")

    def forward(self, question: str) -> Any:
        found = self.ask(question=question)
        lmp.Assert("hint" in found.answer, "Give a hint.")
        return found


def _obedient(request: LMRequest) -> Mapping[str, Any]:
    """Does what it is told, once told."""
    said = dict(echo(request))
    if "Give a hint." in str(request.messages[-1]["content"]):
        said["answer"] = f"hint {said['answer']}"
    return said


def _reward(inputs: Mapping[str, Any], prediction: Any) -> float:
    """Between 0 and 0.9, by the answer."""
    return int(prediction.answer[-1], 16) % 10 / 10


_Q = {"question": "What is the capital of France?"}

CASES: list[Case] = [
    Case("Predict", lambda: lmp.Predict("question -> answer"), _Q, ("self",)),
    Case("Predict-n", lambda: lmp.Predict("question -> answer", n=3), _Q, ("self",)),
    Case("ChainOfThought", lambda: lmp.ChainOfThought("question -> answer"), _Q, ("self",)),
    Case("Module", _Composed, _Q, ("hops[0]", "hops[1]")),
    Case("Retrieve", _Retrieving, _Q, ("answer",)),
    Case(
        "ReAct",
        lambda: lmp.ReAct("question -> answer", tools=[lookup], max_iters=3),
        _Q,
        ("react", "extract"),
    ),
    Case(
        "ReAct-native",
        lambda: lmp.ReAct("question -> answer", tools=[lookup], max_iters=3, native=True),
        _Q,
        ("react", "extract"),
        calling,
    ),
    Case(
        "ProgramOfThought",
        lambda: lmp.ProgramOfThought("question -> answer"),
        _Q,
        ("code_generate", "code_regenerate", "generate_output"),
        coding,
    ),
    Case("MultiChainComparison", _Comparing, _Q, ("attempt", "compare.predict")),
    Case(
        "BestOfN",
        lambda: lmp.BestOfN(_Awaiting(), 3, _reward, threshold=1.0),
        _Q,
        ("module.ask",),
    ),
    Case(
        "Refine",
        lambda: lmp.Refine(_Composed(), 3, _reward, threshold=1.0),
        _Q,
        ("module.hops[0]", "module.hops[1]", "feedback"),
    ),
    Case("majority", _Voting, _Q, ("ask",)),
    Case("Parallel", _Side, _Q, ("parts[0]", "parts[1]")),
    Case("batch", _Batching, _Q, ("ask",)),
    Case("program", asked_in_steps.copy, _Q, ("write", "answer")),
    Case("KNN", _Near, _Q, ("ask",)),
    Case("Assert", _Checked, _Q, ("ask",), _obedient),
    Case("Module-async", _Awaiting, _Q, ("ask",)),
]
