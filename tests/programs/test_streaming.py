"""Streaming of output fields: live over litellm, cached, in every form, broken and left early."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from typing import Any, Literal

import pytest

import pytest_lmprog as lmp
from pytest_lmprog.adapters.partial import partial_texts
from pytest_lmprog.errors import LMConnectionError, ParseError, UsageError
from pytest_lmprog.lm.types import LMResponse
from tests.support.server import FakeServer, Reply, completion, cut_off

TEXT = 'Once "upon" a time,\n\tthere was  a Donaudampfschifffahrtsgesellschaftskapitän 😀 in Paris.\\ The end'
REASON = "Because it is so."


class Tell(lmp.Signature):
    """Tell a story."""

    topic: str = lmp.InputField()
    reasoning: str = lmp.OutputField()
    kind: Literal["tale", "joke"] = lmp.OutputField()
    story: str = lmp.OutputField()


class Story(lmp.Module):
    def __init__(self) -> None:
        self.tell = lmp.Predict(Tell)

    def forward(self, topic: str) -> lmp.Prediction:
        return self.tell(topic=topic)


class AsyncStory(Story):
    async def forward(self, topic: str) -> lmp.Prediction:  # type: ignore[override]
        return await self.tell.acall(topic=topic)


VALUES = {"reasoning": REASON, "kind": "tale", "story": TEXT}
FORMS = {
    "json": json.dumps(VALUES),
    "chat": "\n\n".join(f"[[ ## {n} ## ]]\n{v}" for n, v in VALUES.items()) + "\n\n[[ ## completed ## ]]",
    "xml": "<think>hm <story></think>\n" + "\n".join(f"<{n}>\n{v}\n</{n}>" for n, v in VALUES.items()),
}
ADAPTERS: dict[str, Any] = {"json": lmp.JSONAdapter(), "chat": lmp.ChatAdapter(), "xml": lmp.XMLAdapter()}


def lm_of(server: FakeServer, **options: Any) -> lmp.LM:
    return lmp.LM("openai/fake", api_base=server.url, api_key="sk-test", **options)


def joined(chunks: list[Any], field: str) -> str:
    mine = [c for c in chunks if isinstance(c, lmp.FieldChunk) and c.field == field]
    begin = max([n for n, c in enumerate(mine) if c.restarted], default=0)
    valid = mine[begin:]
    assert [c.is_last_chunk for c in valid] == [False] * (len(valid) - 1) + [True]
    return "".join(c.chunk for c in valid)


async def gathered(stream: Any) -> list[Any]:
    return [item async for item in stream]


@pytest.mark.parametrize("form", FORMS)
def test_live_cached_and_replayed_pieces_are_the_same(form: str) -> None:
    with FakeServer(lambda _: FORMS[form]) as server:
        lm = lm_of(server)
        with lmp.context(lm=lm, adapter=ADAPTERS[form]):
            live = list(lmp.stream(Story(), fields=["story", "kind"])(topic="x"))
            cached = list(lmp.stream(Story(), ["story", "kind"], topic="x"))
            waited = asyncio.run(gathered(lmp.stream(Story(), ["story", "kind"], topic="x")))
            plain = Story()(topic="x")
        assert server.count == 1
        assert server.bodies[0]["stream"] is True
    assert live == cached == waited
    assert live[-1] == plain
    assert plain.story == TEXT
    assert joined(live, "story") == TEXT
    assert joined(live, "kind") == "tale"
    assert not any(isinstance(c, lmp.FieldChunk) and c.field == "reasoning" for c in live)
    assert {c.predictor for c in live[:-1]} == {"tell"}
    assert len([c for c in live[:-1] if c.field == "story"]) > 10
    field, text = live[-2]
    assert (field, text) == ("kind", "tale")


@pytest.mark.parametrize("program", [Story(), AsyncStory()], ids=["plain", "async"])
def test_async_streams_live(program: lmp.Module) -> None:
    with FakeServer(lambda _: FORMS["json"], pace=0.002) as server, lmp.context(lm=lm_of(server)):
        items = asyncio.run(gathered(lmp.stream(program, ["story"], topic="y")))
        assert items[-1].story == TEXT
        assert joined(items, "story") == TEXT
        assert server.bodies[0]["stream"] is True
        usage = completion(FORMS["json"], server.bodies[0])["usage"]
        with lmp.context(lm=lm_of(server)):
            response = lm_of(server).complete(lm_of(server).request(({"role": "user", "content": "q"},)))
        assert usage["completion_tokens"] == response.usage.completion_tokens  # type: ignore[union-attr]


def test_pieces_come_while_the_answer_arrives() -> None:
    server = FakeServer(lambda _: FORMS["chat"], pace=0.01)
    with server, lmp.context(lm=lm_of(server), adapter=lmp.ChatAdapter()):
        lm_of(server)("warm up")  # litellm is imported before the clock starts
        began = time.monotonic()
        stream = iter(lmp.stream(Story(), ["reasoning"], topic="z"))
        assert next(stream).chunk == "Because"
        first = time.monotonic() - began
        rest = list(stream)
        whole = time.monotonic() - began
    assert rest[-1].reasoning == REASON
    assert first < whole / 2


def test_usage_is_that_of_the_endpoint() -> None:
    with FakeServer(lambda _: FORMS["json"]) as server, lmp.context(lm=lm_of(server)):
        from pytest_lmprog.programs.trace import Trace, tracing

        trace = Trace()
        with tracing(trace):
            list(lmp.stream(Story(), ["story"], topic="x"))
        (call,) = trace
        wanted = completion(FORMS["json"], server.bodies[0])["usage"]
        assert call.usage is not None
        assert call.usage.completion_tokens == wanted["completion_tokens"]
        assert call.response.finish_reason == "stop"


def test_a_stream_that_breaks_is_put_again() -> None:
    half = Reply(200, completion(FORMS["json"], {}), cut=True)
    with FakeServer(lambda _: FORMS["json"], failures=[half]) as server:
        with lmp.context(lm=lm_of(server, num_retries=1)):
            items = list(lmp.stream(Story(), ["story"], topic="x"))
        assert server.count == 2
    assert joined(items, "story") == TEXT
    assert not any(c.restarted for c in items[:-1])


def test_another_text_after_a_break_begins_anew() -> None:
    other = {
        **VALUES,
        "story": "A quite different story: " + "la " * 60,
    }
    half = Reply(200, completion(json.dumps(other), {}), cut=True)
    whole = json.dumps({**VALUES, "reasoning": ""})
    server = FakeServer(lambda _: whole, failures=[half])
    with server, lmp.context(lm=lm_of(server, num_retries=1)):
        items = list(lmp.stream(Story(), ["story"], topic="x"))
    assert any(c.restarted for c in items[:-1])
    assert joined(items, "story") == TEXT


def test_a_stream_that_stays_broken_is_an_error() -> None:
    with FakeServer(lambda _: cut_off()) as server, lmp.context(lm=lm_of(server, num_retries=0)):
        with pytest.raises(LMConnectionError):
            list(lmp.stream(Story(), ["story"], topic="x"))
        with pytest.raises(LMConnectionError):
            asyncio.run(gathered(lmp.stream(Story(), ["story"], topic="x")))


def test_leaving_early_drops_the_call() -> None:
    with FakeServer(lambda _: FORMS["json"], pace=0.01) as server:
        lm = lm_of(server)
        with lmp.context(lm=lm):
            stream = lmp.stream(Story(), ["reasoning"], topic="x")
            assert next(stream).chunk == "Because"
            stream.close()

            async def leave() -> None:
                async for _ in lmp.stream(Story(), ["reasoning"], topic="other"):
                    break

            asyncio.run(leave())
            deadline = time.monotonic() + 5
            while any(t.name == "lmprog-stream" for t in threading.enumerate()):
                assert time.monotonic() < deadline
                time.sleep(0.01)
            assert server.answered < server.count
            assert Story()(topic="x").story == TEXT  # nothing of the dropped call is kept
        assert server.count == 3


def test_errors_of_the_program_are_raised_in_the_loop() -> None:
    with lmp.context(lm=lmp.ScriptedLM("nothing")), pytest.raises(ParseError):
        list(lmp.stream(Story(), ["story"], topic="x"))


def test_a_corrected_answer_begins_anew() -> None:
    class Short(lmp.Signature):
        q: str = lmp.InputField()
        a: str = lmp.OutputField(max_length=8)

    first, second = json.dumps({"a": "much too long"}), json.dumps({"a": "short"})

    def answer(request: dict[str, Any]) -> str:
        return second if len(request["messages"]) > 2 else first

    with FakeServer(answer) as server, lmp.context(lm=lm_of(server)):
        items = list(lmp.stream(lmp.Predict(Short), ["a"], q="x"))
    assert joined(items, "a") == "short"
    assert [c.restarted for c in items[:-1]] == [False, False, False, True]


def test_only_the_first_sample_is_told() -> None:
    lm = lmp.ScriptedLM([{"a": "one"}, {"a": "two"}])
    with lmp.context(lm=lm):
        *chunks, final = lmp.stream(lmp.Predict("q -> a", n=2), ["a"], q="x")
    assert [c.chunk for c in chunks] == ["one"]
    assert final.completions.a == ["one", "two"]


def test_fields_are_named_by_predictor_where_need_be() -> None:
    class Two(lmp.Module):
        def __init__(self) -> None:
            self.one = lmp.Predict("q -> a")
            self.two = lmp.Predict("q -> a")

        def forward(self, q: str) -> Any:
            return self.one(q=q), self.two(q=q).a

    with lmp.context(lm=lmp.ScriptedLM(lambda _: {"a": "x y"})):
        both = list(lmp.stream(Two(), q="q"))[:-1]
        assert [(c.predictor, c.chunk) for c in both] == [
            ("one", "x"),
            ("one", " y"),
            ("two", "x"),
            ("two", " y"),
        ]
        one = list(lmp.stream(Two(), ["two.a"], q="q"))[:-1]
        assert {c.predictor for c in one} == {"two"}
        with pytest.raises(UsageError, match="no predictor has an output field 'b'; there are: a"):
            lmp.stream(Two(), ["b"])
        with pytest.raises(UsageError, match="fields must be a list"):
            lmp.stream(Two(), "a")


def test_streamify_is_as_in_dspy() -> None:
    program = Story()
    listeners = [lmp.StreamListener(signature_field_name="story")]
    with lmp.context(lm=lmp.ScriptedLM(lambda _: VALUES)):
        items = asyncio.run(gathered(lmp.streamify(program, stream_listeners=listeners)(topic="x")))
        assert isinstance(items[-1], lmp.Prediction)
        first = items[0]
        assert (first.signature_field_name, first.predict_name, first.chunk) == ("story", "tell", "Once")
        plain = lmp.streamify(
            program,
            stream_listeners=[lmp.StreamListener("story", predict=program.tell)],
            include_final_prediction_in_output_stream=False,
            async_streaming=False,
        )
        assert "".join(c.chunk for c in plain(topic="x")) == TEXT


@pytest.mark.parametrize("form", FORMS)
def test_what_has_arrived_only_grows(form: str) -> None:
    text, known = FORMS[form], {"reasoning": "", "story": ""}
    for end in range(len(text) + 1):
        for name, (so_far, _) in partial_texts(Tell, text[:end]).items():
            assert so_far.startswith(known[name])
            known[name] = so_far
    assert known == {"reasoning": REASON, "story": TEXT}


def test_redacted_answers_are_told_once_they_are_whole() -> None:
    from pytest_lmprog.lm.scope import CallScope, use_scope

    scope = CallScope(redact=lambda text: text.replace("Paris", "***"))
    with FakeServer(lambda _: FORMS["json"]) as server, lmp.context(lm=lm_of(server)), use_scope(scope):
        items = list(lmp.stream(Story(), ["story"], topic="x"))
    assert joined(items, "story") == TEXT.replace("Paris", "***")


def test_reasoning_is_kept_apart() -> None:
    response = LMResponse(json.dumps(VALUES), "stop", reasoning="hm hm")
    with lmp.context(lm=lmp.ScriptedLM(lambda _: response)):
        *_, final = lmp.stream(Story(), ["story"], topic="x")
        assert final.reasoning_content == "hm hm"
        assert final.reasoning == REASON
        assert final.copy().reasoning_content == "hm hm"
