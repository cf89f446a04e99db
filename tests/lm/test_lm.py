"""LM over the real litellm, against a fake server."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest

from pytest_lmprog.errors import (
    ConfigurationError,
    LMAuthError,
    LMConnectionError,
    LMError,
    LmprogError,
    LMRateLimitError,
    LMRequestError,
    LMResponseError,
    LMServerError,
    LMTimeoutError,
)
from pytest_lmprog.lm.client import LM
from pytest_lmprog.lm.limiter import Limiter
from pytest_lmprog.lm.scope import CallScope, use_scope
from pytest_lmprog.lm.stores import open_store
from pytest_lmprog.lm.tally import Tally
from pytest_lmprog.lm.types import Usage
from tests.lm.conformance import Book, LanguageModelSuite, user
from tests.support.server import (
    FakeServer,
    Reply,
    completion,
    cut_off,
    drop,
    failing,
    garbage,
    hang,
    last_user_text,
    rate_limited,
)

KEY = "sk-very-secret-12345"


@pytest.fixture(autouse=True)
def _no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.endswith(("_API_KEY", "_API_BASE", "_BASE_URL")):
            monkeypatch.delenv(name)


def lm_at(server: FakeServer, **options: Any) -> LM:
    return LM("openai/fake", **{"api_base": server.url, "api_key": KEY, **options})


@contextmanager
def served(*failures: Reply, **options: Any) -> Iterator[tuple[LM, FakeServer]]:
    with FakeServer(lambda request: "fine", failures=failures) as server:
        yield lm_at(server, **options), server


def as_reply(answer: Any) -> Any:
    if isinstance(answer, LMServerError):
        return Reply(503, "{}", {"Retry-After": str(answer.retry_after)})
    return failing(400, str(answer)) if isinstance(answer, LMError) else answer


class TestLM(LanguageModelSuite):
    @pytest.fixture
    def make(self) -> Iterator[Any]:
        servers: list[FakeServer] = []

        def made(answer: Any, **options: Any) -> Any:
            options.pop("json_schema", None)
            server = FakeServer(lambda request: as_reply(answer(last_user_text(request))))
            servers.append(server.__enter__())
            return LM("openai/fake", endpoint="fake", api_base=server.url, api_key=KEY, **options), (
                lambda: server.count
            )

        yield made
        for server in servers:
            server.stop()


# -- what is sent


def test_the_request_goes_over_the_wire_as_built():
    with FakeServer() as server:
        lm = lm_at(server, temperature=0, extra_headers={"X-Team": "blue-team"}, top_k=5, max_tokens=9)
        form = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "object"}}}
        lm.complete(lm.request(user("hello"), response_format=form, seed=3))
    body, headers = server.bodies[0], server.seen[0].headers
    assert body == {
        "model": "fake",
        "messages": [{"role": "user", "content": "hello"}],
        "temperature": 0,
        "max_tokens": 9,
        "top_k": 5,
        "seed": 3,
        "response_format": form,
    }
    assert headers["Authorization"] == f"Bearer {KEY}"
    assert headers["X-Team"] == "blue-team"


def test_usage_cost_and_latency_come_with_the_answer():
    with FakeServer(lambda _: "hello " * 100, latency=0.05) as server:
        lm = LM("openai/gpt-4o-mini", api_base=server.url, api_key=KEY)
        response = lm.complete(lm.request(user("hello " * 100)))
        unpriced = lm_at(server).complete(lm_at(server).request(user("x")))
    assert response.usage == Usage(151, 151)
    assert response.cost == pytest.approx(151 * 0.15e-6 + 151 * 0.6e-6)
    assert 0.05 <= response.latency < 5
    assert round(response.latency, 3) == response.latency
    assert response.finish_reason == "stop"
    assert unpriced.cost is None


def test_tool_calls_and_reasoning_are_kept():
    call = {"id": "1", "type": "function", "function": {"name": "look", "arguments": "{}"}}
    body = completion(None, {})
    body["choices"][0]["message"] |= {"tool_calls": [call], "reasoning_content": "hm"}
    with FakeServer(lambda _: Reply(200, body)) as server:
        response = lm_at(server).complete(lm_at(server).request(user("x")))
    assert response.text == ""
    assert response.reasoning == "hm"
    assert response.tool_calls[0]["function"] == {"name": "look", "arguments": "{}"}


def test_an_answer_cut_by_its_length_is_an_answer():
    body = completion(None, {})
    body["choices"][0]["finish_reason"] = "length"
    with FakeServer(lambda _: Reply(200, body)) as server:
        assert lm_at(server)("x") == [""]


def test_lone_surrogates_in_an_answer_can_be_stored():
    body = b'{"choices":[{"index":0,"message":{"role":"assistant","content":"a\\ud800b"}}]}'
    with FakeServer(lambda _: Reply(200, body)) as server:
        lm = lm_at(server)
        assert lm("x") == ["a\ufffdb"] == lm("x")


# -- failures


@pytest.mark.parametrize(
    ("reply", "expected", "text"),
    [
        (rate_limited(), LMRateLimitError, "answered 429: slow down"),
        (failing(500), LMServerError, "answered 500: the server broke"),
        (failing(529), LMServerError, "answered 529"),
        (failing(408), LMTimeoutError, "answered 408"),
        (failing(401, f"bad key {KEY}"), LMAuthError, r"bad key \[secret\]"),
        (failing(403), LMAuthError, "answered 403"),
        (failing(404, "no such model"), LMRequestError, "no such model"),
        (failing(400, "no response_format"), LMRequestError, "no response_format"),
        (failing(422), LMRequestError, "answered 422"),
        (garbage(), LMResponseError, "not"),
        (garbage(""), LMResponseError, "not"),
        (garbage("[1]"), LMResponseError, "not"),
        (Reply(200, {"a": 1}), LMResponseError, "not a chat completion"),
        (Reply(200, {"id": "x", "choices": []}), LMResponseError, "no choices"),
        (Reply(200, completion(None, {})), LMResponseError, "no content"),
        (Reply(200, {"error": {"message": "oops"}}), LMResponseError, "sent an answer"),
        (cut_off(), LMConnectionError, "no connection"),
        (drop(), LMConnectionError, "no connection"),
        (Reply(302, "", {"Location": "http://127.0.0.1:1/"}), LMError, "openai/fake"),
    ],
)
def test_each_failure_is_one_of_ours(reply: Reply, expected: type[LMError], text: str):
    with served(*[reply] * 3, num_retries=0) as (lm, server):
        with pytest.raises(expected, match=text) as caught:
            lm("x")
        assert type(caught.value) in (expected, LMConnectionError) or expected is LMError
    shown = str(caught.value)
    assert "openai/fake" in shown
    assert "Traceback" not in shown
    assert KEY not in shown
    assert caught.value.__suppress_context__
    assert server.count == 1


def test_a_request_that_is_too_long_says_so():
    reply = failing(400, "This model's maximum context length is 4096 tokens", "context_length_exceeded")
    with served(reply) as (lm, _), pytest.raises(LMRequestError) as caught:
        lm("x")
    assert caught.value.context_window


def test_a_hanging_server_times_out():
    with served(*[hang()] * 5, timeout=0.3, num_retries=0) as (lm, _):
        start = time.monotonic()
        with pytest.raises(LMTimeoutError, match=r"0\.3 s"):
            lm("x")
        assert time.monotonic() - start < 30


def test_an_unreachable_server_is_named_without_its_password():
    lm = LM(
        "openai/fake", api_base="http://ada:hunter22@127.0.0.1:1/v1?k=topsecret", api_key=KEY, num_retries=0
    )
    with pytest.raises(LMConnectionError, match=r"no connection to http://127\.0\.0\.1:1/v1") as caught:
        lm("x")
    assert "hunter22" not in str(caught.value)
    assert "topsecret" not in str(caught.value)
    assert "hunter22" not in repr(lm)


def test_a_missing_key_says_which_variable_to_set():
    with pytest.raises(LMAuthError) as caught:
        LM("openai/gpt-4o-mini")("x")
    assert "OPENAI_API_KEY" in caught.value.hint


@pytest.mark.parametrize(
    ("model", "meant"),
    [("opnai/gpt-4o", "'openai/gpt-4o'"), ("gpt-4o-mni", "'gpt-4o-mini'"), ("qqqq", "provider/")],
)
def test_an_unknown_model_says_what_may_have_been_meant(model: str, meant: str):
    with pytest.raises(ConfigurationError, match="unknown model") as caught:
        LM(model, api_key="x")("x")
    assert meant in caught.value.hint


def test_a_failure_while_handling_another_is_not_mistaken_for_it():
    with served(failing(400), num_retries=0) as (lm, server):
        try:
            lm("x")
        except LMRequestError:
            server.stop()
            with pytest.raises(LMConnectionError):
                lm("y")


@pytest.mark.parametrize("reply", [rate_limited(0), failing(500), garbage(), drop()])
def test_what_may_pass_is_asked_again(reply: Reply, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("pytest_lmprog.lm.retry.RetryPolicy.wait", quick_wait)
    tally = Tally()
    with served(reply, reply) as (lm, server), use_scope(CallScope(tally=tally)):
        assert lm("x") == ["fine"]
    assert (server.count, tally.count().retries) == (3, 2)


def test_it_gives_up_after_num_retries_and_says_so(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("pytest_lmprog.lm.retry.RetryPolicy.wait", quick_wait)
    with (
        served(*[failing(500)] * 9, num_retries=2) as (lm, server),
        pytest.raises(LMServerError, match="after 3 attempts"),
    ):
        lm("x")
    assert server.count == 3


def quick_wait(self: Any, error: LMError, attempt: int) -> float | None:
    return 0.0 if error.retryable and attempt < self.retries else None


@pytest.mark.parametrize("status", [400, 401, 404, 422])
def test_what_will_not_pass_is_not_asked_again(status: int):
    with served(*[failing(status)] * 3) as (lm, server), pytest.raises(LMError):
        lm("x")
    assert server.count == 1


def test_retry_after_is_waited_for():
    with served(rate_limited(0.3)) as (lm, server):
        lm("x")
    first, second = server.seen
    assert second.at - first.at >= 0.3


def test_a_wait_holds_no_slot():
    with FakeServer(lambda _: "fine", failures=[rate_limited(2)]) as server:
        lm, scope_limiter = lm_at(server), Limiter(1)

        def ask(text: str) -> float:
            with use_scope(CallScope(limiter=scope_limiter)):
                lm(text)
            return time.monotonic()

        with ThreadPoolExecutor(2) as pool:
            slow = pool.submit(ask, "slow")
            time.sleep(0.2)
            quick = pool.submit(ask, "quick")
            assert quick.result() < slow.result()


# -- limits, stores, processes


def test_requests_in_flight_are_bounded_by_the_lm_and_by_the_scope():
    with FakeServer(latency=0.02) as server:
        lm = lm_at(server, max_concurrency=3)
        lm("warm")
        with ThreadPoolExecutor(12) as pool:
            list(pool.map(lambda i: lm(str(i)), range(12)))
        assert server.max_in_flight <= 3
        server.reset()
        scope = CallScope(limiter=Limiter(2))

        def ask(i: int) -> None:
            with use_scope(scope):
                lm(f"scoped {i}")

        with ThreadPoolExecutor(12) as pool:
            list(pool.map(ask, range(12)))
        assert server.max_in_flight == 2


def test_a_cache_dir_outlives_the_lm(tmp_path: Any):
    with FakeServer() as server:
        first = lm_at(server, cache_dir=tmp_path)("x")
        again = lm_at(server, cache_dir=tmp_path)
        assert again("x") == first
        assert again.complete(again.request(user("x"))).source == "memory"
        other = lm_at(server, cache_dir=tmp_path)
        assert other.complete(other.request(user("x"))).source == "cache"
    assert server.count == 1


ASK = """
import os, sys
from pytest_lmprog.lm.client import LM
from pytest_lmprog.lm.litellm_client import load_litellm
load_litellm()  # once: the children have it
lm = LM("openai/fake", api_base=sys.argv[1], api_key="sk-secret-key", cache_dir=sys.argv[2])
children = []
for _ in range(4):
    child = os.fork()
    if not child:
        print(lm("the same")[0], flush=True)
        os._exit(0)
    children.append(child)
raise SystemExit(any(os.waitpid(child, 0)[1] for child in children))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_processes_that_ask_the_same_reach_the_server_once(tmp_path: Any):
    with FakeServer(latency=0.3) as server:
        command = [sys.executable, "-c", ASK, server.url, str(tmp_path)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=180)
    assert done.returncode == 0, done.stderr
    said = done.stdout.splitlines()
    assert len(said) == 4
    assert len(set(said)) == 1
    assert server.count == 1


def test_answers_and_errors_hold_no_secret_that_the_lm_knows(tmp_path: Any, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SOME_API_KEY", "env-secret-99")
    header = "header-secret-77"
    echoed = f"{KEY} env-secret-99 {header}"
    with FakeServer(lambda _: echoed) as server:
        lm = LM(
            "openai/fake",
            api_base=server.url,
            api_key=KEY,
            extra_headers={"X-Custom": f"Bearer {header}"},
        )
        book, cache = Book(), open_store(tmp_path)
        with use_scope(CallScope(recording=book, cache=cache)):
            said = lm(f"repeat {echoed}")
    assert said == ["[secret] [secret] [secret]"]
    assert next(iter(book.answers.values())).text == said[0]
    written = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert b"repeat" in written
    for secret in echoed.split():
        assert secret.encode() not in written
        assert secret not in repr(lm)


REPLAY = """
import socket, sys
def refuse(*_, **__): raise RuntimeError("a socket was opened")
socket.socket.connect = refuse
from pytest_lmprog.lm.client import LM
from pytest_lmprog.lm.scope import CallScope, use_scope
from pytest_lmprog.lm.types import LMResponse
from pytest_lmprog.errors import ReplayMissError
class Book:
    def lookup(self, request, endpoint=None):
        known = "known" in request.messages[0]["content"]
        return LMResponse("recorded", source="recording") if known else None
    def capabilities(self, model): return None
    def explain_miss(self, request, label, *, rewrite=None): return "missing"
for name in ("openai/gpt-4o-mini", "local/smollm2-135m", "local/none/such.gguf"):
    lm = LM(name)
    with use_scope(CallScope(mode="none", recording=Book())):
        assert lm("known") == ["recorded"]
        lm.capabilities()
        try: lm("other")
        except ReplayMissError as miss: assert str(miss) == "missing"
        else: raise SystemExit("no miss")
heavy = {"litellm", "openai", "httpx", "xllamacpp", "asyncio", "urllib.request"} & set(sys.modules)
raise SystemExit(f"imported: {sorted(heavy)}" if heavy else 0)
"""


def test_replay_opens_no_socket_and_imports_nothing_heavy():
    done = subprocess.run([sys.executable, "-c", REPLAY], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


EXIT = """
import asyncio, sys
from pytest_lmprog.lm.client import LM
lm = LM("openai/fake", api_base=sys.argv[1], api_key="x", timeout=300)
async def main():
    try: await asyncio.wait_for(lm.acall("x"), 1)
    except TimeoutError: print("gave up")
asyncio.run(main())
"""


def test_a_call_that_hangs_does_not_hold_up_the_exit():
    with FakeServer(failures=[hang(120)] * 5) as server:
        start = time.monotonic()
        done = subprocess.run(
            [sys.executable, "-c", EXIT, server.url], capture_output=True, text=True, timeout=180
        )
        assert "gave up" in done.stdout, done.stderr
        assert time.monotonic() - start < 100  # the answer would come after 120


def test_litellm_says_nothing(capfd: pytest.CaptureFixture[str]):
    with served(failing(400), num_retries=0) as (lm, _), pytest.raises(LMRequestError):
        lm("x")
    shown = capfd.readouterr()
    assert shown.out == shown.err == ""


# -- options


@pytest.mark.parametrize(
    "options",
    [
        {"model": ""},
        {"model": " x"},
        {"model": "a\nb"},
        {"model": 5},
        {"model": "openai/"},
        {"temperature": "hot"},
        {"temperature": -1},
        {"temperature": float("nan")},
        {"max_tokens": 0},
        {"timeout": 0},
        {"num_retries": -1},
        {"max_concurrency": 0},
        {"api_base": "nonsense"},
        {"api_base": "ftp://x"},
        {"api_base": "http://host:port"},
        {"api_key": 5},
        {"n": 3},
        {"stream": True},
        {"model": "local/smollm", "temperature": 0},
        {"model": "local/smollm2-135m", "api_base": "http://127.0.0.1"},
        {"seed": object()},
    ],
)
def test_options_that_make_no_sense_are_errors(options: dict[str, Any]):
    with pytest.raises(LmprogError):
        LM(**{"model": "openai/x", **options})


def test_transport_options_are_no_part_of_the_key():
    plain = LM("openai/x", temperature=0)
    other = LM(
        "openai/x",
        temperature=0.0,
        api_key=KEY,
        api_base="http://127.0.0.1:9/v1",
        timeout=5,
        num_retries=0,
        cache=False,
        extra_headers={"a": "b"},
        aws_secret_access_key="abcdefgh",
        azure_ad_token="abcdefgh",
        vertex_credentials={"private_key": "abcdefgh"},
        max_concurrency=2,
        user="ada",
    )
    assert plain.request(user("a")).key == other.request(user("a")).key
    assert LM("openai/x", temperature=0, seed=1).request(user("a")).key != plain.request(user("a")).key
    assert {KEY, "abcdefgh"} <= other.secrets


def test_the_endpoint_is_the_address_in_one_spelling_without_secrets(monkeypatch: pytest.MonkeyPatch):
    def endpoint(**options: Any) -> str:
        return LM("openai/x", **options).endpoint

    same = "http://example.org/v1"
    for spelling in (
        "http://u:p@Example.org:80/v1/",
        "http://example.org/v1//?key=1#x",
        "HTTP://example.org/v1",
    ):
        assert endpoint(api_base=spelling) == same
    assert endpoint(base_url="http://example.org/v1") == same
    assert endpoint(api_base="http://example.org:8000/v1") != same
    assert endpoint() == ""
    assert endpoint(api_version="2") == "?api_version=2"
    assert endpoint(api_base="http://example.org", endpoint="ours") == "ours"
    monkeypatch.setenv("OPENAI_API_BASE", "http://example.org/v1")
    assert endpoint() == same


def test_a_copy_keeps_what_is_not_changed():
    with FakeServer() as server:
        lm = lm_at(server, temperature=0, seed=3)
        copied = lm.copy(temperature=None, max_tokens=7)
        assert copied.params == {"seed": 3, "max_tokens": 7}
        assert copied("x")
    assert server.seen[0].headers["Authorization"] == f"Bearer {KEY}"
    assert lm.params == {"temperature": 0, "seed": 3}


def test_its_repr_says_model_and_parameters():
    lm = LM("openai/x", temperature=0, api_key=KEY, api_base="http://127.0.0.1:9/v1")
    assert repr(lm) == "LM('openai/x', endpoint='http://127.0.0.1:9/v1', temperature=0)"
    assert repr(LM("local/smollm2-135m")) == "LM('local/smollm2-135m')"


def test_no_socket_is_opened_before_the_first_call(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(socket, "socket", None)
    before = threading.active_count()
    lm = LM("openai/x")
    lm.request(user("a"))
    lm.capabilities()
    assert threading.active_count() == before


def test_tools_go_over_the_wire_and_nothing_beside_them() -> None:
    """litellm imports its gateway for any tools, and that a package which it does not require."""
    tool = {"type": "function", "function": {"name": "look", "description": "", "parameters": {}}}
    with served() as (lm, server):
        assert lm.complete(lm.request([user("hi")], tools=(tool,))).text == "fine"
        (seen,) = server.seen
    assert seen.body["tools"] == [tool]
    assert sorted(seen.body) == ["messages", "model", "tools"]
