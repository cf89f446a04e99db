"""PineconeRM through Pinecone's client, against a local server with Pinecone's documented answers."""

from __future__ import annotations

import pytest

from pytest_lmprog.errors import (
    ConfigurationError,
    LMAuthError,
    LMConnectionError,
    LMRequestError,
    LMResponseError,
    LMServerError,
)
from pytest_lmprog.retrieval.pinecone import PineconeRM
from tests.retrieval.vectors import PASSAGES, letters
from tests.support.http import LocalServer, Response

pytest.importorskip("pinecone")


def pinecone(asked):
    """Answer ``POST /query`` as the data plane documents it."""
    assert (asked.method, asked.path) == ("POST", "/query")
    vector = asked.body["vector"]
    scored = [
        (sum(a * b for a, b in zip(vector, own, strict=True)), i) for i, own in enumerate(letters(PASSAGES))
    ]
    best = sorted(scored, key=lambda pair: (-pair[0], pair[1]))[: asked.body["topK"]]
    matches = [
        {"id": f"v{i}", "score": score, "values": [], "metadata": {"text": PASSAGES[i], "n": i}}
        for score, i in best
    ]
    return {"results": [], "matches": matches, "namespace": "", "usage": {"readUnits": 5}}


def rm(server, **options):
    given = {"embedder": letters, "host": server.url, "num_retries": 0, **options}
    return PineconeRM("letters", "pc-key", **given)


def test_a_query():
    with LocalServer(pinecone) as server:
        found = rm(server, namespace="en", filter={"n": {"$gte": 0}})("bbbb c", k=2)
    assert found.passages == ["bbbb cc", "aaaa bb"]
    assert found.ids == ["v1", "v0"]
    assert found.scores == [18.0, 8.0]
    sent = server.asked[0]
    assert sent.headers["api-key"] == "pc-key"
    assert sent.body["topK"] == 2
    assert sent.body["includeMetadata"] is True
    assert sent.body["namespace"] == "en"
    assert sent.body["filter"] == {"n": {"$gte": 0}}


def test_the_index_is_looked_up_by_name_where_its_address_is_not_given(monkeypatch):
    def both(asked):
        if asked.path == "/indexes/letters":
            field = {"type": "dense_vector", "dimension": 5, "metric": "dotproduct"}
            return {
                "name": "letters",
                "host": server.url,
                "schema": {"fields": {"values": field}},
                "deployment": {"deployment_type": "managed", "cloud": "aws", "region": "us-east-1"},
                "status": {"ready": True, "state": "Ready"},
                "deletion_protection": "disabled",
            }
        return pinecone(asked)

    with LocalServer(both) as server:
        monkeypatch.setenv("PINECONE_CONTROLLER_HOST", server.url)
        assert rm(server, host=None)("zz", k=1).passages == ["zzzz"]


@pytest.mark.parametrize(
    ("response", "error", "message"),
    [
        (Response({"code": 16, "message": "Invalid API key", "details": []}, 401), LMAuthError, "401"),
        (
            Response({"code": 3, "message": "bad dimension", "details": []}, 400),
            LMRequestError,
            "bad dimension",
        ),
        (Response({"code": 13, "message": "oops", "details": []}, 500), LMServerError, "500"),
        (Response(b"<html>"), LMResponseError, "Pinecone"),
        (
            Response({"matches": [{"id": "a", "score": 1.0}]}),
            LMResponseError,
            "without text in its field 'text'",
        ),
        (Response(drop=True), LMConnectionError, "no connection"),
    ],
)
def test_what_is_no_answer(response, error, message):
    with LocalServer(lambda asked: response) as server, pytest.raises(error, match=message) as told:
        rm(server)("z", k=1)
    assert "pc-key" not in str(told.value)


def test_an_index_that_is_not_there(monkeypatch):
    gone = Response(
        {"error": {"code": "NOT_FOUND", "message": "Resource letters not found"}, "status": 404}, 404
    )
    with LocalServer(lambda asked: gone) as server:
        monkeypatch.setenv("PINECONE_CONTROLLER_HOST", server.url)
        with pytest.raises(LMRequestError, match="not found"):
            rm(server, host=None)("z")


def test_a_local_model_is_given_as_a_function():
    with pytest.raises(ConfigurationError, match="takes a local embedding model as a function") as told:
        PineconeRM("letters", local_embed_model="sentence-transformers/x")
    assert "embedder=SentenceTransformer('sentence-transformers/x').encode" in told.value.hint


def test_the_identity_holds_no_address_and_no_key():
    made = PineconeRM("letters", "pc-key", host="letters-1.svc.pinecone.io", openai_api_key="sk-1234567890")
    assert made.identity() == {
        "collection": "letters",
        "embedder": {"model": "openai/text-embedding-ada-002"},
    }
    assert made.endpoint() == "https://letters-1.svc.pinecone.io"
