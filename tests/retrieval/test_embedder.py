"""Embedder: models through litellm, and functions."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy
import pytest

import pytest_lmprog as lmp
from pytest_lmprog.errors import (
    ConfigurationError,
    LMResponseError,
    LMServerError,
    ReplayMissError,
    UsageError,
)
from pytest_lmprog.lm.scope import CallScope, use_scope
from pytest_lmprog.lm.stores.memory import MemoryStore
from pytest_lmprog.lm.tally import Tally
from tests.retrieval.vectors import letters
from tests.support.http import LocalServer, Response


def openai(asked):
    """Answer ``POST /embeddings`` as OpenAI documents it."""
    assert asked.path == "/v1/embeddings"
    rows = [
        {"object": "embedding", "index": i, "embedding": vector}
        for i, vector in enumerate(letters(asked.body["input"]))
    ]
    usage = {"prompt_tokens": 3, "total_tokens": 3}
    return {"object": "list", "data": rows[::-1], "model": "fake", "usage": usage}


def embedder(server, **options):
    given = {"api_base": f"{server.url}/v1", "api_key": "sk-test-123456", "num_retries": 0, **options}
    return lmp.Embedder("openai/fake", **given)


def test_a_text_is_a_vector_and_a_list_an_array():
    embed = lmp.Embedder(letters)
    assert embed("aab").tolist() == [2, 1, 0, 0, 0]
    assert embed(["a", "b"]).shape == (2, 5)
    assert embed(["a"]).dtype == numpy.float32


@pytest.mark.parametrize(
    "function", [letters, lambda texts: numpy.array(letters(texts)), lambda texts: map(tuple, letters(texts))]
)
def test_functions_may_return_lists_arrays_and_tuples(function):
    assert lmp.Embedder(function)(["ab", "z"]).tolist() == letters(["ab", "z"])


def test_options_go_to_the_function():
    assert lmp.Embedder(lambda texts, scale: [[scale] for _ in texts], scale=3)("x").tolist() == [3]


def test_a_model_is_asked_in_batches_and_once():
    texts = [letter * n for letter in "abcd" for n in (1, 2, 3)]
    with LocalServer(openai) as server:
        embed = embedder(server, batch_size=5)
        assert embed(texts).tolist() == letters(texts)
        assert embed(texts).tolist() == letters(texts)
    assert [len(asked.body["input"]) for asked in server.asked] == [5, 5, 2]


def test_threads_that_ask_the_same_share_one_request():
    together = threading.Barrier(8)
    with LocalServer(lambda asked: Response(openai(asked), hang=0.2)) as server:
        embed = embedder(server)

        def ask(_):
            together.wait()
            return embed("abc").tolist()

        with ThreadPoolExecutor(8) as pool:
            assert list(pool.map(ask, range(8))) == [[1, 1, 1, 0, 0]] * 8
    assert len(server.asked) == 1


def test_the_cache_of_the_scope_is_used_and_a_miss_in_replay_is_an_error():
    tally = Tally()
    scope = CallScope(cache=MemoryStore(), tally=tally)
    with LocalServer(openai) as server, use_scope(scope):
        embedder(server)("ab")
        embedder(server)("ab")
        with use_scope(replace(scope, mode="none")), pytest.raises(ReplayMissError, match=r"of embed\(\)"):
            embedder(server)("ab")
    assert len(server.asked) == 1
    assert tally.count().calls == 0


@pytest.mark.parametrize(
    ("response", "error", "message"),
    [
        (Response({"error": {"message": "boom"}}, 500), LMServerError, "boom"),
        (Response(b"<html>"), LMResponseError, "openai/fake"),
        (Response({"data": [], "model": "fake", "object": "list"}), LMResponseError, "0 vectors for 1 texts"),
    ],
)
def test_what_is_no_answer(response, error, message):
    with LocalServer(lambda asked: response) as server, pytest.raises(error, match=message) as told:
        embedder(server)("a")
    assert len(server.asked) == 1
    assert "sk-test-123456" not in str(told.value)


@pytest.mark.parametrize(
    ("found", "message"),
    [
        (None, "something that is no list for 2 texts"),
        ("ab", "something that is no list"),
        ([[1.0]], "1 vectors for 2 texts"),
        ([["a"], ["b"]], "no list of numbers"),
        ([[1.0], [float("nan")]], "not finite"),
        ([[], []], "empty"),
        ([[1.0], [1.0, 2.0]], "vectors of 1 and 2 numbers"),
    ],
)
def test_functions_that_return_garbage(found, message):
    with pytest.raises(LMResponseError, match=message):
        lmp.Embedder(lambda texts: found)(["a", "b"])


def test_what_is_no_model_or_text_is_refused():
    with pytest.raises(ConfigurationError, match="a model's name or a function"):
        lmp.Embedder(None)
    with pytest.raises(ConfigurationError, match="batch_size must be 1 or more"):
        lmp.Embedder(letters, batch_size=0)
    with pytest.raises(UsageError, match="only texts can be embedded, not int"):
        lmp.Embedder(letters)([1])
