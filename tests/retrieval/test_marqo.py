"""MarqoRM through Marqo's client, against a local server with Marqo's documented answers."""

from __future__ import annotations

import pytest

from pytest_lmprog.errors import LMConnectionError, LMRequestError, LMResponseError, LMServerError
from pytest_lmprog.retrieval.marqo import MarqoRM
from tests.support.http import LocalServer, Response

pytest.importorskip("marqo")

HITS = [
    {"document": f"Passage {i}", "_id": f"doc{i}", "_score": 0.9 - i / 10, "_highlights": [{}]}
    for i in range(4)
]


def marqo(asked):
    """Answer ``POST /indexes/NAME/search`` as Marqo documents it."""
    if asked.path == "/":
        return {"message": "Welcome to Marqo", "version": "2.23.1"}
    assert (asked.method, asked.path) == ("POST", "/indexes/my-index/search")
    limit = asked.body["limit"]
    return {
        "hits": HITS[:limit],
        "query": asked.body["q"],
        "limit": limit,
        "offset": 0,
        "processingTimeMs": 9,
    }


def test_a_search():
    with LocalServer(marqo) as server:
        rm = MarqoRM("my-index", server.url, filter_string="lang:en", search_method="LEXICAL")
        found = rm("what is it", k=2)
    assert found.passages == ["Passage 0", "Passage 1"]
    assert found.ids == ["doc0", "doc1"]
    assert found.scores == [0.9, 0.8]
    sent = next(asked.body for asked in server.asked if asked.method == "POST")
    assert (sent["q"], sent["filter"], sent["searchMethod"]) == ("what is it", "lang:en", "LEXICAL")
    assert rm.identity() == {
        "collection": "my-index",
        "filter_string": "lang:en",
        "search_method": "LEXICAL",
    }


def test_a_client_of_ones_own():
    import marqo as package

    with LocalServer(marqo) as server:
        rm = MarqoRM("my-index", marqo_client=package.Client(url=server.url), k=1)
        assert rm("q").passages == ["Passage 0"]


@pytest.mark.parametrize(
    ("response", "error", "message"),
    [
        (
            Response({"message": "Index my-index not found", "code": "index_not_found", "type": "x"}, 404),
            LMRequestError,
            "Index my-index not found",
        ),
        (Response({"message": "oops", "code": "internal", "type": "internal"}, 500), LMServerError, "oops"),
        (Response(b"<html>"), LMServerError, "not_in_json_format"),
        (Response({"hits": None}), LMResponseError, "cannot be read"),
        (Response({"hits": [{"_id": "a", "_score": 1.0}]}), LMResponseError, "field 'document'"),
        (Response(drop=True), LMConnectionError, "no connection"),
    ],
)
def test_what_is_no_answer(response, error, message):
    version = {"message": "Welcome to Marqo", "version": "2.23.1"}
    answer = lambda asked: version if asked.path == "/" else response  # noqa: E731
    with LocalServer(answer) as server, pytest.raises(error, match=message):
        MarqoRM("my-index", server.url, num_retries=0)("q", k=1)
