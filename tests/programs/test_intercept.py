"""Direct calls of litellm and of the OpenAI client inside ``intercept()``."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import litellm
import openai
import pytest
from litellm import acompletion, completion

import pytest_lmprog as lmp
from pytest_lmprog.errors import ReplayMissError, UsageError
from pytest_lmprog.lm.recordings import Book
from pytest_lmprog.lm.scope import CallScope, use_scope
from pytest_lmprog.lm.stores.memory import MemoryStore
from pytest_lmprog.lm.tally import Tally
from tests.support.server import FakeServer

MESSAGES = [{"role": "user", "content": "hello"}]


@pytest.fixture(scope="module")
def server() -> Iterator[FakeServer]:
    with FakeServer() as server:
        yield server


@pytest.fixture
def book(tmp_path: Path) -> Book:
    return Book(tmp_path / "book.jsonl")


def by_litellm(base: str, text: str = "hello", **more: Any) -> Any:
    messages = [{"role": "user", "content": text}]
    return completion(model="openai/m", messages=messages, api_base=base, api_key="sk-123456", **more)


def by_acompletion(base: str, text: str = "hello", **more: Any) -> Any:
    messages = [{"role": "user", "content": text}]
    return asyncio.run(
        acompletion(model="openai/m", messages=messages, api_base=base, api_key="sk-123456", **more)
    )


def by_client(base: str, text: str = "hello", **more: Any) -> Any:
    client = openai.OpenAI(base_url=base, api_key="sk-123456", max_retries=0)
    messages: Any = [{"role": "user", "content": text}]
    return client.chat.completions.create(model="m", messages=messages, **more)


def by_async_client(base: str, text: str = "hello", **more: Any) -> Any:
    async def ask() -> Any:
        async with openai.AsyncOpenAI(base_url=base, api_key="sk-123456", max_retries=0) as client:
            messages: Any = [{"role": "user", "content": text}]
            return await client.chat.completions.create(model="m", messages=messages, **more)

    return asyncio.run(ask())


WAYS = [by_litellm, by_acompletion, by_client, by_async_client]
TYPES = [litellm.ModelResponse, litellm.ModelResponse] + [openai.types.chat.ChatCompletion] * 2


@pytest.mark.parametrize(("way", "kind"), list(zip(WAYS, TYPES, strict=True)))
def test_live_cached_and_replayed_are_the_librarys_own_type(
    way: Any, kind: type, server: FakeServer, book: Book
) -> None:
    before = server.count
    tally = Tally()
    scope = CallScope(recording=book, cache=MemoryStore(), tally=tally)
    with use_scope(scope), lmp.intercept():
        live, again = way(server.url, temperature=0.5), way(server.url, temperature=0.5)
    assert server.count == before + 1
    assert isinstance(live, kind)
    assert live == again
    assert (tally.count().live, tally.count().usage.prompt_tokens > 0) == (1, True)
    book.flush()
    with use_scope(CallScope(mode="none", recording=Book(book.path))), lmp.intercept():
        replayed = way("http://127.0.0.1:9/v1", temperature=0.5)
        with pytest.raises(ReplayMissError, match=r"params.temperature"):
            way("http://127.0.0.1:9/v1", temperature=0.7)
    assert replayed == live
    assert server.count == before + 1


def test_the_key_is_that_of_an_lm(server: FakeServer, book: Book) -> None:
    lm = lmp.LM("openai/m", api_base=server.url, api_key="sk-123456")
    scope = CallScope(recording=book, cache=MemoryStore())
    with use_scope(scope):
        (text,) = lm("one key", temperature=0.1)
        with lmp.intercept():
            before = server.count
            for way in WAYS:
                assert way(server.url, "one key", temperature=0.1).choices[0].message.content == text
            assert lm("another key") == lm("another key"), "an LM inside the block is not intercepted"
    assert server.count == before + 1


def test_several_choices_are_rollouts(server: FakeServer) -> None:
    with lmp.intercept():
        found = by_client(server.url, "many", n=3)
    assert [choice.index for choice in found.choices] == [0, 1, 2]


@pytest.mark.parametrize("more", [{"stream": True}, {"logprobs": True}])
@pytest.mark.parametrize("way", WAYS)
def test_what_cannot_be_recorded_is_refused(way: Any, more: dict[str, Any], server: FakeServer) -> None:
    with lmp.intercept(), pytest.raises(UsageError, match="does not record"):
        way(server.url, **more)


def test_other_ways_to_ask_are_refused(server: FakeServer) -> None:
    client = openai.OpenAI(base_url=server.url, api_key="sk-123456")
    with lmp.intercept():
        with pytest.raises(UsageError, match=r"does not record Responses.create\(\)"):
            client.responses.create(model="m", input="x")
        with pytest.raises(UsageError, match=r"text_completion\(\)"):
            litellm.text_completion(model="openai/m", prompt="x")


def test_errors_are_the_librarys_own() -> None:
    with lmp.intercept(), pytest.raises(openai.APIConnectionError):
        by_client("http://127.0.0.1:9/v1")


def test_blocks_nest_and_end(server: FakeServer) -> None:
    original = litellm.completion.__code__
    with lmp.intercept():
        with lmp.intercept():
            assert litellm.completion.__code__ is not original
        first = by_litellm(server.url, "nested")
        assert by_litellm(server.url, "nested") == first
    assert litellm.completion.__code__ is original
    before = server.count
    by_litellm(server.url, "nested")
    assert server.count == before + 1


def test_threads_of_the_block_are_in_it_and_ask_once(server: FakeServer, book: Book) -> None:
    before, found = server.count, []
    with use_scope(CallScope(recording=book, cache=MemoryStore())), lmp.intercept():
        threads = [
            threading.Thread(target=lambda: found.append(by_client(server.url, "thread"))) for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(found) == 8
    assert server.count == before + 1
    assert book.changes() == 1


def test_no_secret_is_recorded(server: FakeServer, book: Book) -> None:
    with use_scope(CallScope(recording=book, cache=MemoryStore())), lmp.intercept():
        by_client(server.url, "my key is sk-123456")
    book.flush()
    assert "sk-123456" not in book.path.read_text()
