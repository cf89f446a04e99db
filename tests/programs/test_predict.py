"""Predict and ChainOfThought: inputs, samples, parameters, sync and async alike, errors, traces."""

from __future__ import annotations

import asyncio
import enum
import json
from typing import Any

import pytest

import pytest_lmprog as lmp
from pytest_lmprog.adapters import ChatAdapter
from pytest_lmprog.errors import (
    ConfigurationError,
    InputError,
    LMServerError,
    ParseError,
    SignatureError,
    UsageError,
)
from pytest_lmprog.lm.types import LMRequest, LMResponse, Usage
from pytest_lmprog.programs import ChainOfThought, Example, Module, Predict, Prediction, Trace, context
from pytest_lmprog.programs.trace import UNNAMED, tracing
from pytest_lmprog.signatures import Field, InputField, OutputField, Signature
from tests.programs.fake import FakeLM, echo


class Team(enum.Enum):
    BUG = "bug"


class Triage(Signature):
    ticket: str = InputField()
    stars: int = InputField(default=3)
    team: Team = OutputField()


def sync(predict: Predict, *args: Any, **inputs: Any) -> Any:
    return predict(*args, **inputs)


def waiting(predict: Predict, *args: Any, **inputs: Any) -> Any:
    return asyncio.run(predict.acall(*args, **inputs))


both = pytest.mark.parametrize("call", [sync, waiting])


@both
class TestCalls:
    def test_by_name(self, call: Any) -> None:
        lm = FakeLM()
        with context(lm=lm):
            prediction = call(Predict("question -> answer"), question="Capital of France?")
        assert prediction == Prediction(answer="Paris")
        assert prediction.question == "Capital of France?"
        assert lm.requests[0].messages[-1]["content"] == "question: Capital of France?"
        assert lm.waited == (call is waiting)

    def test_by_position_and_from_an_example(self, call: Any) -> None:
        predict = Predict("a, b -> c")
        example = Example(a="1", b="2", c="3").with_inputs("a", "b")
        seen = []
        for args, inputs in [
            (("1", "2"), {}),
            (("1",), {"b": "2"}),
            ((example,), {}),
            ((example.inputs(),), {}),
            (({"a": "1", "b": "2", "other": 3},), {}),
            (({"a": "1"},), {"b": "2"}),
            ((), dict(example.inputs())),
        ]:
            lm = FakeLM(echo)
            with context(lm=lm):
                call(predict, *args, **inputs)
            seen.append(lm.requests[0].messages[-1]["content"])
        assert set(seen) == {"a: 1\nb: 2"}

    def test_defaults_and_conversion(self, call: Any) -> None:
        lm = FakeLM(echo)
        with context(lm=lm):
            call(Predict(Triage), ticket="x")
            prediction = call(Predict(Triage), stars="5", ticket="x")
        assert [r.messages[-1]["content"] for r in lm.requests] == [
            "ticket: x\nstars: 3",
            "ticket: x\nstars: 5",
        ]
        assert prediction.stars == 5
        assert prediction.team is Team.BUG

    @pytest.mark.parametrize(
        ("args", "inputs", "words"),
        [
            ((), {}, "lacks the input 'ticket'; its inputs are: ticket, stars"),
            ((), {"ticket": "x", "nope": 1}, "has no input 'nope'"),
            ((), {"ticket": "x", "stars": 1, "team": "bug"}, "has no input 'team'"),
            (("a", 1, 2), {}, "3 inputs were given"),
        ],
    )
    def test_missing_and_unknown_inputs(self, call: Any, args: Any, inputs: Any, words: str) -> None:
        with context(lm=FakeLM()), pytest.raises(UsageError, match=words):
            call(Predict(Triage), *args, **inputs)

    def test_an_input_that_does_not_fit(self, call: Any) -> None:
        with context(lm=FakeLM()), pytest.raises(InputError, match="input 'stars' does not fit: 'many'"):
            call(Predict(Triage), ticket="x", stars="many")

    def test_no_lm(self, call: Any) -> None:
        with context(lm=None), pytest.raises(ConfigurationError, match="no LM is configured") as caught:
            call(Predict("a -> b"), a="x")
        assert "lmp.configure(lm=lmp.LM(" in str(caught.value)

    def test_its_own_lm_comes_first(self, call: Any) -> None:
        own, other = FakeLM('{"b": "own"}'), FakeLM('{"b": "other"}')
        predict = Predict("a -> b")
        predict.lm = own  # type: ignore[assignment]
        with context(lm=other):
            assert call(predict, a="x").b == "own"
        assert other.requests == []
        predict.lm = "openai/gpt"  # type: ignore[assignment]
        with pytest.raises(ConfigurationError, match="not a name"):
            call(predict, a="x")

    def test_samples(self, call: Any) -> None:
        lm = FakeLM(lambda request: json.dumps({"b": f"sample {request.rollout}"}))
        predict = Predict("a -> b", n=3, temperature=1.0)
        with context(lm=lm):
            first = call(predict, a="x")
            with context(rollout=2):
                second = call(predict, a="x")
        assert first.completions.b == ["sample 0", "sample 1", "sample 2"]
        assert first.b == "sample 0"
        assert first.a == "x"
        assert second.completions.b == ["sample 6", "sample 7", "sample 8"]
        assert {r.params["temperature"] for r in lm.requests} == {1.0}

    def test_parameters(self, call: Any) -> None:
        lm = FakeLM(echo)
        predict = Predict("a -> b", temperature=0.5, top_p=0.9)
        with context(lm=lm, params={"temperature": 0.1, "seed": 1}):
            call(predict, a="x")
            call(predict, a="x", config={"temperature": 0.7})
            call(predict, a="x", config=None)
        assert [dict(r.params) for r in lm.requests] == [
            {"temperature": 0.5, "top_p": 0.9, "seed": 1},
            {"temperature": 0.7, "top_p": 0.9, "seed": 1},
            {"temperature": 0.5, "top_p": 0.9, "seed": 1},
        ]

    def test_an_input_may_be_called_config_or_self(self, call: Any) -> None:
        with context(lm=FakeLM(echo)):
            assert "c" in call(Predict("self, config, args -> b"), self="a", config="c", args="d").b

    def test_adapters(self, call: Any) -> None:
        lm = FakeLM("[[ ## b ## ]]\nchat")
        predict = Predict("a -> b")
        with context(lm=lm, adapter=ChatAdapter()):
            assert call(predict, a="x").b == "chat"
        assert lm.requests[0].response_format is None
        predict.adapter = ChatAdapter()
        with context(lm=lm):
            assert call(predict, a="x").b == "chat"

    def test_errors_of_the_lm_go_through(self, call: Any) -> None:
        def fail(request: LMRequest) -> str:
            raise LMServerError("down")

        with context(lm=FakeLM(fail)), pytest.raises(LMServerError, match="down"):
            call(Predict("a -> b"), a="x")

    def test_an_answer_that_does_not_fit(self, call: Any) -> None:
        trace = Trace()
        with context(lm=FakeLM("no")), tracing(trace), pytest.raises(ParseError):
            call(Predict("a -> b"), a="x")
        assert trace[0].outputs is None
        assert trace[0].error == "there is no JSON object in the answer"
        assert trace[0].answer == "no"

    def test_traces(self, call: Any) -> None:
        class Program(Module):
            def __init__(self) -> None:
                self.first = Predict("a -> b")
                self.hops = [Predict("b -> c", n=2)]

            async def aforward(self, a: str) -> Any:
                b = (await self.first.acall(a=a)).b
                await Predict("x -> y").acall(x=b)
                return await self.hops[0].acall(b=b)

            def forward(self, a: str) -> Any:
                b = self.first(a=a).b
                Predict("x -> y")(x=b)
                return self.hops[0](b=b)

        class Priced(FakeLM):
            def complete(self, request: LMRequest) -> LMResponse:
                text = super().complete(request).text
                return LMResponse(text, usage=Usage(3, 4), cost=0.5, latency=0.25)

        program = Program()
        trace = Trace({id(p): name for name, p in program.named_predictors()})
        with context(lm=Priced(echo)), tracing(trace):
            call(program, a="x")  # type: ignore[arg-type]
        assert [entry.name for entry in trace] == ["first", UNNAMED, "hops[0]", "hops[0]"]
        assert [entry.rollout for entry in trace] == [0, 0, 0, 1]
        assert len(trace) == 4
        first = trace[0]
        assert first.predictor is program.first
        assert dict(first.inputs) == {"a": "x"}
        assert first.outputs is not None
        assert dict(first.outputs) == {"b": "a: x"}
        assert first.messages[-1]["content"] == "a: x"
        assert (first.adapter, first.error) == ("json", None)
        assert (first.usage, first.cost, first.latency) == (Usage(3, 4), 0.5, 0.25)
        assert trace.of("hops[0]") == [trace[2], trace[3]]


def test_an_overridden_forward_is_run_by_acall_too() -> None:
    class Shouting(Predict):
        def forward(self, **inputs: Any) -> Prediction:
            return Prediction(b=super().forward(**inputs).b.upper())

    with context(lm=FakeLM(echo)):
        assert waiting(Shouting("a -> b"), a="x").b == sync(Shouting("a -> b"), a="x").b == "A: X"


class TestState:
    def test_demos_may_be_any_mappings(self) -> None:
        predict = Predict("a -> b")
        predict.demos = [{"a": "1", "b": "2"}, Example(a="3", b="4")]
        assert predict.demos == (Example(a="1", b="2"), Example(a="3", b="4"))
        lm = FakeLM(echo)
        with context(lm=lm):
            predict(a="x")
        assert [m["content"] for m in lm.requests[0].messages[1:]] == [
            "a: 1",
            '{"b": "2"}',
            "a: 3",
            '{"b": "4"}',
            "a: x",
        ]

    @pytest.mark.parametrize("demos", ["text", 3, [3], ["a"], {"a": "1"}])
    def test_demos_that_are_none(self, demos: Any) -> None:
        predict = Predict("a -> b")
        with pytest.raises(UsageError, match="demos"):
            predict.demos = demos

    def test_derived_predictors(self) -> None:
        predict = Predict("a -> b", temperature=0.3)
        new = predict.with_demos([{"a": "1", "b": "2"}])
        assert (len(new.demos), len(predict.demos)) == (1, 0)
        assert new.params == {"temperature": 0.3}
        edited = predict.with_signature(predict.signature.with_instructions("Do."))
        assert edited.signature.instructions == "Do."
        assert predict.signature.instructions.startswith("Given")

    def test_the_signature_may_be_assigned(self) -> None:
        predict = Predict("a -> b")
        predict.signature = "a -> c: int"  # type: ignore[assignment]
        with context(lm=FakeLM('{"c": 5}')):
            assert predict(a="x").c == 5
        with pytest.raises(SignatureError):
            predict.signature = "a ->"  # type: ignore[assignment]

    def test_prompts_follow_changes(self) -> None:
        predict, lm = Predict("a -> b"), FakeLM(echo)
        with context(lm=lm):
            predict(a="x")
            predict.demos = [{"a": "1", "b": "2"}]
            predict(a="x")
            predict.signature = predict.signature.with_instructions("Do.")
            predict(a="x")
        assert [len(r.messages) for r in lm.requests] == [2, 4, 4]
        assert lm.requests[2].messages[0]["content"].startswith("Do.")

    def test_n_must_be_positive(self) -> None:
        with pytest.raises(UsageError, match="n must be 1 or more"):
            Predict("a -> b", n=0)

    def test_repr(self) -> None:
        assert repr(Predict("a -> b: int")) == "Predict(a -> b: int)"


class TestChainOfThought:
    def test_reasoning_comes_before_the_outputs(self) -> None:
        chain = ChainOfThought("question -> answer")
        assert list(chain.signature.output_fields) == ["reasoning", "answer"]
        with context(lm=FakeLM('{"reasoning": "r", "answer": "a"}')):
            assert chain(question="q") == Prediction(reasoning="r", answer="a")
        assert chain.signature.instructions.endswith("produce the fields `reasoning`, `answer`.")
        told = ChainOfThought(Signature("question -> answer", "Answer."))
        assert told.signature.instructions == "Answer."

    def test_a_signature_that_reasons_is_left_alone(self) -> None:
        for name in ("reasoning", "rationale"):
            signature = Signature(f"q -> {name}, a")
            assert ChainOfThought(signature).signature is signature

    def test_a_field_of_ones_own(self) -> None:
        field = Field(name="why", role="output", desc="say why")
        assert list(ChainOfThought("q -> a", rationale_field=field).signature.output_fields) == ["why", "a"]
        chain = ChainOfThought("q -> a", rationale_field=OutputField(prefix="Reasoning:", desc="think"))
        assert chain.signature.fields["reasoning"].prefix == "Reasoning:"


def test_a_lists_is_shown_in_a_text_field_as_dspy_does() -> None:
    lm = FakeLM(echo)
    with context(lm=lm):
        ChainOfThought("context, question -> answer")(context=["one", "two"], question="q")
    assert lm.requests[0].messages[-1]["content"] == "context: \n[1] «one»\n[2] «two»\nquestion: q"


def test_dspys_readme_runs() -> None:
    dspy = lmp
    lm = FakeLM('{"reasoning": "r", "answer": "Paris"}')

    class GenerateAnswer(dspy.Signature):
        """Answer questions with short factoid answers."""

        context = dspy.InputField(desc="may contain relevant facts")
        question = dspy.InputField()
        answer = dspy.OutputField(desc="often between 1 and 5 words")

    class RAG(dspy.Module):
        def __init__(self, num_passages: int = 3) -> None:
            super().__init__()
            self.num_passages = num_passages
            self.generate_answer = dspy.ChainOfThought(GenerateAnswer)

        def forward(self, question: str) -> Any:
            context = [f"passage {n}" for n in range(self.num_passages)]
            prediction = self.generate_answer(context=context, question=question)
            return dspy.Prediction(context=context, answer=prediction.answer)

    before = dspy.settings.lm
    dspy.settings.configure(lm=lm)
    try:
        prediction = RAG()("What is the capital of France?")
    finally:
        dspy.settings.configure(lm=before)
    assert prediction.answer == "Paris"
    assert prediction.context == ["passage 0", "passage 1", "passage 2"]
    example = dspy.Example(question="q", answer="a").with_inputs("question")
    assert dict(example.inputs()) == {"question": "q"}
