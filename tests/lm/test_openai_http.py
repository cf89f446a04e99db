"""Requests sent without litellm: the same on the wire, and read in the same way, as those that it sends."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from pytest_lmprog.errors import LmprogError, LMResponseError
from pytest_lmprog.lm import litellm_client
from pytest_lmprog.lm.client import LM
from pytest_lmprog.lm.litellm_client import load_litellm
from pytest_lmprog.lm.openai_http import plain_server
from pytest_lmprog.lm.types import LMResponse
from tests.support.server import (
    FakeServer,
    Reply,
    completion,
    cut_off,
    drop,
    failing,
    garbage,
    hang,
    rate_limited,
)

KEY = "sk-test-secret-1234"
HELLO = ({"role": "system", "content": "Be kind."}, {"role": "user", "content": "Hello, wörld \U0001f600"})
SCHEMA = {
    "type": "json_schema",
    "json_schema": {"name": "A", "schema": {"type": "object", "properties": {}}, "strict": True},
}


@pytest.fixture
def litellm_only(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Return a switch after which everything goes through litellm."""
    return lambda: monkeypatch.setattr(litellm_client, "plain_server", lambda *_: None)


def asked(server: FakeServer, lm: LM, **request: Any) -> tuple[Any, Any]:
    """Return what came of a request (the answer but for its latency, or class and text of the error), and
    what the server saw."""
    server.reset()
    try:
        response: Any = lm.complete(lm.request(request.pop("messages", HELLO), **request))
    except LmprogError as error:
        response = (type(error), str(error))
    else:
        response = {name: getattr(response, name) for name in LMResponse.__slots__ if name != "latency"}
    seen = [(one.path, one.headers.get("Authorization"), one.body) for one in server.seen]
    return response, seen


@pytest.fixture
def spied(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The calls of litellm.completion."""
    litellm = load_litellm()
    calls: list[Any] = []
    true = litellm.completion

    def completion(*args: Any, **kwargs: Any) -> Any:
        calls.append(kwargs)
        return true(*args, **kwargs)

    completion.__module__ = "litellm.main"
    monkeypatch.setattr(litellm, "completion", completion)
    return calls


def said(**message: Any) -> Callable[[dict[str, Any]], Reply]:
    """An answer whose message has other fields."""
    finish = message.pop("finish_reason", "stop")

    def answer(request: dict[str, Any]) -> Reply:
        body = completion("", request)
        body["choices"][0]["message"].update(message)
        body["choices"][0]["finish_reason"] = finish
        return Reply(200, body, {"Content-Type": "application/json"})

    return answer


def body(**change: Any) -> Callable[[dict[str, Any]], Reply]:
    """An answer whose body has other fields."""
    return lambda request: Reply(
        200, {**completion("Hi", request), **change}, {"Content-Type": "application/json"}
    )


ANSWERS: dict[str, Any] = {
    "text": lambda _: "Good morning, \u00fcberall \U0001f600",
    "empty": lambda _: "",
    "null": lambda _: None,
    "cut by length": said(content="Once upon", finish_reason="length"),
    "filtered": said(content=None, finish_reason="content_filter"),
    "reasoning": said(content="42", reasoning_content="six times seven"),
    "thinking": said(content="<think>six times seven</think>42"),
    "odd end": said(content="x", finish_reason="eos"),
    "surrogate": said(content="a\ud800b"),
    "tool call": said(
        content=None,
        finish_reason="tool_calls",
        tool_calls=[{"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
    ),
    "no choices": body(choices=[]),
    "choices null": body(choices=None),
    "no usage": body(usage=None),
    "usage of zero": body(usage={"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}),
    "a model with a price": body(model="gpt-4o-mini"),
    "not a completion": lambda _: Reply(200, {"hello": 1}, {"Content-Type": "application/json"}),
    "a list": lambda _: Reply(200, "[1]", {"Content-Type": "application/json"}),
    "not JSON": lambda _: garbage(),
    "401": lambda _: failing(401, "Incorrect API key provided: " + KEY),
    "404": lambda _: failing(404, "no such model"),
    "400": lambda _: failing(400, "response_format is not supported"),
    "too long": lambda _: failing(400, "maximum context length is 4096 tokens"),
    "422": lambda _: failing(422, "top_p out of range"),
    "429": lambda _: rate_limited(7),
    "500": lambda _: failing(500),
    "503": lambda _: failing(503, "loading"),
    "dropped": lambda _: drop(),
    "cut off": lambda _: cut_off(),
}


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)
def test_answers_are_read_as_litellms_are(answer: Any, litellm_only: Callable[[], None]) -> None:
    with FakeServer(answer) as server:
        lm = LM("openai/fake", api_base=server.url, api_key=KEY, num_retries=0, cache=False)
        ours = asked(server, lm)
        litellm_only()
        theirs = asked(server, lm)
    if isinstance(theirs[0], tuple) and theirs[0][0] is LMResponseError:  # in words of our own
        ours, theirs = (ours[0][0], len(ours[1])), (theirs[0][0], len(theirs[1]))
    assert ours == theirs
    assert KEY not in str(ours[0])


REQUESTS: dict[str, dict[str, Any]] = {
    "bare": {},
    "sampling": {"temperature": 0.7, "max_tokens": 12, "top_p": 0.9, "seed": 3},
    "stop": {"stop": ["\n", "END"], "frequency_penalty": 0.1, "presence_penalty": -0.1},
    "temperature 0": {"temperature": 0},
    "schema": {"response_format": SCHEMA},
    "json object": {"response_format": {"type": "json_object"}},
    "top_k": {"top_k": 5},
    "two of a role": {"messages": (HELLO[1], HELLO[1])},
    "only a system message": {"messages": HELLO[:1]},
    "tools": {"tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]},
    "image": {
        "messages": (
            {
                "role": "user",
                "content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}],
            },
        )
    },
}


@pytest.mark.parametrize("request_", REQUESTS.values(), ids=REQUESTS)
def test_requests_are_sent_as_litellm_sends_them(
    request_: dict[str, Any], litellm_only: Callable[[], None]
) -> None:
    with FakeServer(lambda _: "fine") as server:
        lm = LM("openai/fake", api_base=server.url + "/", api_key="k", num_retries=0, cache=False)
        ours = asked(server, lm, **request_)
        litellm_only()
        theirs = asked(server, lm, **request_)
    assert ours == theirs
    assert len(ours[1]) == 1


def test_a_text_request_takes_no_way_through_litellm(spied: list[Any]) -> None:
    with FakeServer(lambda _: "fine") as server:
        lm = LM("openai/fake", api_base=server.url, api_key="k", cache=False)
        assert lm.complete(lm.request(HELLO, temperature=0, response_format=SCHEMA)).text == "fine"
        assert spied == []
        lm.complete(lm.request(HELLO, top_k=3))
        assert len(spied) == 1


@pytest.mark.parametrize("base", ["OPENAI_BASE_URL", "OPENAI_API_BASE"])
def test_address_and_key_may_be_in_the_environment(
    base: str, monkeypatch: pytest.MonkeyPatch, litellm_only: Callable[[], None], spied: list[Any]
) -> None:
    with FakeServer(lambda _: "fine") as server:
        monkeypatch.setenv(base, server.url)
        monkeypatch.setenv("OPENAI_API_KEY", KEY)
        lm = LM("openai/fake", num_retries=0, cache=False)
        ours = asked(server, lm)
        assert spied == []
        litellm_only()
        assert ours == asked(server, lm)
    assert ours[1][0][1] == f"Bearer {KEY}"


def test_a_late_answer_is_a_timeout(litellm_only: Callable[[], None]) -> None:
    with FakeServer(lambda _: hang()) as server:
        lm = LM("openai/fake", api_base=server.url, api_key="k", timeout=0.3, num_retries=0, cache=False)
        ours = asked(server, lm)
        litellm_only()
        assert ours == asked(server, lm)
    assert "gave no answer within 0.3 s" in ours[0][1]


def test_nobody_there_is_a_connection_error(litellm_only: Callable[[], None]) -> None:
    with FakeServer() as server:
        url = server.url
    lm = LM("openai/fake", api_base=url, api_key="k", num_retries=0, cache=False)
    ours = asked(server, lm)
    litellm_only()
    assert ours[0] == asked(server, lm)[0]


def test_a_connection_that_went_stale_is_no_failure() -> None:
    with FakeServer(lambda _: "one") as first:
        lm = LM("openai/fake", api_base=first.url, api_key="k", num_retries=0, cache=False)
        assert lm.complete(lm.request(HELLO)).text == "one"
        port = first.port
    with FakeServer(lambda _: "two", port=port):
        assert lm.complete(lm.request(HELLO)).text == "two"


class TestPlainServer:
    """Who is asked without litellm."""

    def untouched(self, **settings: Any) -> Any:
        litellm = load_litellm()
        known = {name: getattr(litellm, name) for name in ("model_cost", "ssl_verify", "completion")}
        return SimpleNamespace(**{**known, **settings})

    @pytest.fixture(autouse=True)
    def _no_environment(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("OPENAI_BASE_URL", "OPENAI_API_BASE", "OPENAI_API_KEY"):
            monkeypatch.delenv(name, raising=False)

    def test_is_one_whose_address_is_given(self) -> None:
        server = plain_server(self.untouched(), "openai/mine", "http://host/v1/", "k")
        assert server is not None
        assert (server.url, server.model) == ("http://host/v1/chat/completions", "mine")
        assert "k" not in repr(server)

    @pytest.mark.parametrize(
        ("model", "base", "key"),
        [
            ("openai/mine", None, "k"),
            ("openai/mine", "http://host/v1?api-version=1", "k"),
            ("openai/mine", "http://host/v1", None),
            ("openai/mine", "http://host/v1", ""),
            ("mine", "http://host/v1", "k"),
            ("anthropic/mine", "http://host/v1", "k"),
            ("openai/gpt-4o-mini", "http://host/v1", "k"),
            ("openai/o3-mini", "http://host/v1", "k"),
        ],
    )
    def test_is_no_other(self, model: str, base: str | None, key: str | None) -> None:
        assert plain_server(self.untouched(), model, base, key) is None

    @pytest.mark.parametrize(
        "settings",
        [
            {"callbacks": ["langfuse"]},
            {"success_callback": [print]},
            {"drop_params": True},
            {"ssl_verify": False},
            {"headers": {"x": "y"}},
            {"client_session": object()},
            {"completion": lambda **_: None},
        ],
        ids=lambda settings: next(iter(settings)),
    )
    def test_is_none_where_litellm_was_changed(self, settings: dict[str, Any]) -> None:
        assert plain_server(self.untouched(**settings), "openai/mine", "http://host/v1", "k") is None

    def test_is_none_where_the_environment_adds_headers(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("OPENAI_ORGANIZATION", "org")
        assert plain_server(self.untouched(), "openai/mine", "http://host/v1", "k") is None
