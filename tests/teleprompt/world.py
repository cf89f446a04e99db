"""A small world to compile in: programs, data, and an LM that answers as a pure function of the request."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

from pytest_lmprog.errors import BudgetExceededError, LMConnectionError, ParseError
from pytest_lmprog.evaluation.callables import as_metric
from pytest_lmprog.evaluation.scores import Objective
from pytest_lmprog.lm.scope import current_scope
from pytest_lmprog.lm.types import Capabilities, LMRequest, LMResponse
from pytest_lmprog.programs import Example, Module, Predict
from pytest_lmprog.teleprompt import CompileResult, CompileTask
from pytest_lmprog.teleprompt.material.instructions import instructions_of


class PlainAdapter:
    """Messages whose contents are JSON: first the instructions, then the demos, last the inputs."""

    name = "plain"

    def prompt(self, signature: Any, demos: Sequence[Mapping[str, Any]]) -> PlainPrompt:
        shown = tuple(json.dumps(dict(d)) for d in demos)
        return PlainPrompt(
            signature.instructions, shown, tuple(signature.input_fields), tuple(signature.output_fields)
        )

    def response_format(self, signature: Any) -> None:
        return None

    def parse(self, signature: Any, answer: str) -> dict[str, Any]:
        try:
            data = json.loads(answer)
        except ValueError:
            raise ParseError("the answer is not JSON", answer=answer) from None
        return {name: data[name] for name in signature.output_fields}


@dataclass(frozen=True)
class PlainPrompt:
    instructions: str
    demos: tuple[str, ...]
    names: tuple[str, ...]
    outputs: tuple[str, ...]

    def render(self, inputs: Mapping[str, Any]) -> tuple[Mapping[str, Any], ...]:
        shown = [{"role": "user", "content": demo} for demo in self.demos]
        # The names of the outputs are no part of the contents, so that they count for no length.
        system = {"role": "system", "content": self.instructions, "name": ",".join(self.outputs)}
        given = {name: plain(inputs[name]) for name in self.names}
        return (system, *shown, {"role": "user", "content": json.dumps(given)})

    def template(self) -> tuple[Mapping[str, Any], ...]:
        return self.render({name: "{" + name + "}" for name in self.names})


@dataclass(frozen=True)
class Asked:
    """A request, read back: instructions, names of the outputs, inputs, demos and rollout."""

    inputs: Mapping[str, Any]
    demos: tuple[Mapping[str, Any], ...]
    rollout: int
    temperature: float | None
    instructions: str = ""
    outputs: tuple[str, ...] = ()

    @classmethod
    def of(cls, request: LMRequest) -> Asked:
        system, *others = request.messages
        contents = [json.loads(m["content"]) for m in others]
        return cls(
            contents[-1],
            tuple(contents[:-1]),
            request.rollout,
            request.params.get("temperature"),
            system["content"],
            tuple(system["name"].split(",")),
        )

    @property
    def shown(self) -> list[str]:
        """The questions among the demos."""
        return [demo["question"] for demo in self.demos]

    @property
    def is_proposal(self) -> bool:
        """Whether a strategy's own program asks, not the student."""
        return self.outputs != ("answer",)

    @property
    def key(self) -> str:
        """What tells it from other requests."""
        return json.dumps([self.instructions, self.inputs, self.demos, self.rollout, self.temperature])


@dataclass
class WorldLM:
    """Answers with ``answer(asked)``, once a request: equal requests share one flight and then the memory.

    Parameters
    ----------
    answer: returns the output fields, text that is sent as it is, or an error that is raised.
    latency: seconds, or a callable of the request's key.
    budget: live calls that are allowed.
    propose: answers what strategies' own programs ask, in the same way; by default with made-up texts.
    """

    answer: Callable[[Asked], Any]
    latency: float | Callable[[str], float] = 0.0
    budget: int | None = None
    model: str = "world"
    propose: Callable[[Asked], Any] | None = None
    memory: dict[str, LMResponse] = field(default_factory=dict)
    live: list[Asked] = field(default_factory=list)
    taken: int = 0
    most_in_flight: int = 0
    _in_flight: int = 0
    _flights: dict[str, Any] = field(default_factory=dict)
    _lock: Any = field(default_factory=Lock)

    @property
    def endpoint(self) -> str:
        return "memory"

    def request(
        self, messages: Any, *, response_format: Any = None, tools: Any = (), rollout: int = 0, **params: Any
    ) -> LMRequest:
        return LMRequest(self.model, tuple(messages), params, response_format, tuple(tools), rollout)

    def capabilities(self) -> Capabilities:
        return Capabilities(json_schema=False)

    def learn(self, capabilities: Capabilities) -> None:
        pass

    def complete(self, request: LMRequest) -> LMResponse:
        limit = current_scope().limit
        if limit is not None:
            limit.take()
        with self._lock:
            self.taken += 1
            flight = self._flights.setdefault(request.key, Lock())
        with flight:
            known = self.memory.get(request.key)
            return self._ask(request) if known is None else known

    async def acomplete(self, request: LMRequest) -> LMResponse:
        return self.complete(request)

    def _charge(self, request: LMRequest) -> None:
        with self._lock:
            if self.budget is not None and len(self.live) >= self.budget:
                raise BudgetExceededError(f"the budget of {self.budget} calls is spent")
            self.live.append(Asked.of(request))
            self._in_flight += 1
            self.most_in_flight = max(self.most_in_flight, self._in_flight)

    def _ask(self, request: LMRequest) -> LMResponse:
        self._charge(request)
        try:
            seconds = self.latency(request.key) if callable(self.latency) else self.latency
            if seconds:
                time.sleep(seconds)
            asked = Asked.of(request)
            value = (self.propose or made_up)(asked) if asked.is_proposal else self.answer(asked)
        finally:
            with self._lock:
                self._in_flight -= 1
        if isinstance(value, BaseException):
            raise value
        response = LMResponse(value if isinstance(value, str) else json.dumps(value))
        with self._lock:
            self.memory[request.key] = response
        return response


def made_up(asked: Asked) -> dict[str, str]:
    """Answers a proposal: each output a text that looks random and is a function of the request."""
    return {name: f"{name} {hashlib.sha256(asked.key.encode()).hexdigest()[:8]}" for name in asked.outputs}


def plain(value: Any) -> Any:
    """The value as JSON data, or as text where it has no such form."""
    try:
        return json.loads(json.dumps(value))
    except TypeError:
        return str(value)


def jitter(key: str) -> float:
    """A latency between 0 and 4 ms that looks random and is a function of the request."""
    return int(hashlib.sha256(f"latency {key}".encode()).hexdigest()[:4], 16) % 5 / 1000


def portion(*parts: Any) -> float:
    """A number in [0, 1) that looks random and is a function of ``parts``."""
    return int(hashlib.sha256(repr(parts).encode()).hexdigest()[:8], 16) / 16**8


def rows(n: int, *, start: int = 0) -> list[Example]:
    """Examples q0 -> a0, q1 -> a1, ..."""
    return [
        Example(question=f"q{i}", answer=f"a{i}").with_inputs("question") for i in range(start, start + n)
    ]


def truth(question: str) -> str:
    return "a" + question[1:]


def exact(example: Example, prediction: Any, trace: Any = None) -> bool:
    """The metric: the answer is the label."""
    return bool(prediction.answer == example.answer)


def knowing(*questions: int) -> Callable[[Asked], Any]:
    """An LM that knows the answers to these questions and none else."""
    known = {f"q{i}" for i in questions}

    def answer(asked: Asked) -> dict[str, str]:
        question = asked.inputs["question"]
        return {"answer": truth(question) if question in known else "no idea"}

    return answer


def moody(asked: Asked) -> Any:
    """An LM that is right more often the more demos it is shown; every tenth answer or so is garbage."""
    question = asked.inputs["question"]
    luck = portion("luck", question, asked.shown, asked.rollout)
    if luck > 0.93:
        return "garbage {"
    return {"answer": truth(question) if luck < 0.3 + 0.08 * len(asked.demos) else "no idea"}


def swayed(asked: Asked) -> Any:
    """An LM that is right more or less often, as the instructions have it; now and then it is garbage."""
    luck = portion("luck", asked.inputs["question"], asked.shown, asked.rollout, asked.instructions)
    if luck > 0.95:
        return "garbage {"
    right = luck < 0.2 + 0.6 * portion("worth", asked.instructions)
    return {"answer": truth(asked.inputs["question"]) if right else "no idea"}


class QA(Module):
    """One predictor."""

    def __init__(self) -> None:
        self.answer = Predict("question -> answer")

    def forward(self, question: str) -> Any:
        return self.answer(question=question)


class Raising(QA):
    """A teacher that always raises."""

    def forward(self, question: str) -> Any:
        raise ValueError("boom")


class Pair(Module):
    """Two predictors of one shape: the second is asked where the first does not know."""

    def __init__(self) -> None:
        self.first = Predict("question -> answer")
        self.second = Predict("question -> answer")

    def forward(self, question: str) -> Any:
        result = self.first(question=question)
        return result if result.answer.startswith("a") else self.second(question=question)


class Looping(Module):
    """Asks one predictor up to three times, and a nameless one; it declares how often."""

    def __init__(self) -> None:
        self.steps = [Predict("question -> answer")]

    def forward(self, question: str) -> Any:
        Predict("question -> answer")(question=question + " hint")
        for turn in ("", " again", " finally"):
            result = self.steps[0](question=question + turn)
            if result.answer.startswith("a"):
                return result
        return result

    def max_calls(self) -> int:
        return 4


def task(
    trainset: Sequence[Example], *, student: Module | None = None, metric: Any = exact, **more: Any
) -> CompileTask:
    """Return a task for the harness's entry."""
    objective = Objective(() if metric is None else (as_metric(metric),))
    return CompileTask(student or QA(), list(trainset), objective, **more)


def shown(program: Module) -> dict[str, list[dict[str, Any]]]:
    """The demos by predictor, as plain data."""
    return {name: [dict(d) for d in p.demos] for name, p in program.named_predictors()}


def questions(program: Module, name: str = "answer") -> list[str]:
    """The questions among the demos of a predictor."""
    return [demo["question"] for demo in shown(program)[name]]


def result_of(result: CompileResult) -> dict[str, Any]:
    """Everything that must be the same on every run."""
    winner = result.candidates[result.winner]
    return {
        "demos": shown(result.program),
        "winner": (winner.index, winner.label, winner.characters),
        "score": result.score,
        "validated_on": result.validated_on,
        "stopped": result.stopped,
        "notes": result.notes,
        "instructions": instructions_of(result.program),
        "candidates": [
            (c.index, c.label, c.parents, instructions_of(c.program), shown(c.program))
            for c in result.candidates
        ],
    }


def unreachable(asked: Asked) -> Any:
    return LMConnectionError("nobody answers at http://127.0.0.1:1")


def labeled_of(program: Module, n: int) -> Module:
    """The program with the first n rows as demos."""
    from pytest_lmprog.teleprompt.material.demos import labeled_program

    return labeled_program(program, rows(n), n, sample=False)
