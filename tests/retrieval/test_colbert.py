"""ColBERTv2 over HTTP."""

from __future__ import annotations

import socket

import pytest

import pytest_lmprog as lmp
from pytest_lmprog.errors import (
    ConfigurationError,
    LMAuthError,
    LMConnectionError,
    LMRateLimitError,
    LMRequestError,
    LMResponseError,
    LMServerError,
    LMTimeoutError,
)
from pytest_lmprog.retrieval.colbert import ColBERTv2
from tests.support.http import LocalServer, Response

ROWS = [
    {"text": f"Passage {i} | about it", "pid": i, "rank": i + 1, "score": 20.5 - i, "prob": 0.5}
    for i in range(8)
]


def topk(asked):
    given = asked.query or asked.body
    return {"query": given["query"], "topk": ROWS[: int(given["k"])], "latency": 3.5}


def test_a_get_with_query_and_k():
    with LocalServer(topk) as server:
        found = ColBERTv2(url=f"{server.url}/wiki17_abstracts")("Who wrote it? é&k=9", k=3)
    asked = server.asked[0]
    assert (asked.method, asked.path) == ("GET", "/wiki17_abstracts")
    assert asked.query == {"query": "Who wrote it? é&k=9", "k": "3"}
    assert found.passages == [row["text"] for row in ROWS[:3]]
    assert (found[0].long_text, found[0]["long_text"], found[0].score) == (ROWS[0]["text"],) * 2 + (20.5,)
    assert (found[1].pid, found[1].id, found[1]["rank"]) == (1, "1", 2)


def test_a_post_and_a_port_and_texts_alone():
    with LocalServer(topk) as server:
        url, port = server.url.rsplit(":", 1)
        texts = ColBERTv2(url, port, post_requests=True)("q", k=2, simplify=True)
    assert server.asked[0].method == "POST"
    assert server.asked[0].body == {"query": "q", "k": 2}
    assert texts == [row["text"] for row in ROWS[:2]]


def test_ten_passages_unless_told_and_never_more_than_asked_for():
    with LocalServer(lambda asked: {"topk": ROWS}) as server:
        rm = ColBERTv2(server.url)
        assert len(rm("q")) == 8
        assert server.asked[0].query["k"] == "10"
        assert len(rm("q", k=2)) == 2


def test_retrieve_over_it():
    with LocalServer(topk) as server, lmp.context(rm=ColBERTv2(server.url)):
        assert lmp.Retrieve(k=2)("q").passages == [row["text"] for row in ROWS[:2]]


def quick(url, **options):
    return ColBERTv2(url, **{"num_retries": 0, "timeout": 5, **options})


@pytest.mark.parametrize(
    ("response", "error", "message"),
    [
        (Response(status=429, body={"e": 1}, headers={"Retry-After": "7"}), LMRateLimitError, "answered 429"),
        (Response(status=500, body=b"boom"), LMServerError, "answered 500: boom"),
        (Response(status=404, body=b""), LMRequestError, "answered 404: Not Found"),
        (Response(status=401, body=b"no"), LMAuthError, "answered 401"),
        (Response(status=504, body=b"late"), LMTimeoutError, "answered 504"),
        (Response(b"<html>"), LMResponseError, "not JSON: b'<html>'"),
        (Response(b"\xff\xfe"), LMResponseError, "not JSON"),
        (Response([]), LMResponseError, "without a list 'topk'"),
        (Response({"topk": "x"}), LMResponseError, "without a list 'topk'"),
        (Response({"error": "index not loaded"}), LMResponseError, "index not loaded"),
        (Response({"topk": [{"pid": 1}]}), LMResponseError, "a passage without a text"),
        (Response({"topk": [None]}), LMResponseError, "a passage without a text"),
        (Response(drop=True), LMConnectionError, "no connection"),
        (Response(b"{}", headers={"Content-Length": "50"}), LMConnectionError, "no connection"),
    ],
)
def test_what_is_no_answer_is_an_error_that_is_not_scored(response, error, message):
    with LocalServer(lambda asked: response) as server, pytest.raises(error, match=message) as told:
        quick(server.url)("q", k=1)
    assert server.url in str(told.value)


def test_a_server_that_hangs_is_left_after_the_time_out():
    late = LocalServer(lambda asked: Response({"topk": []}, hang=20))
    with late as server, pytest.raises(LMTimeoutError, match=r"no answer within 0\.1 s"):
        quick(server.url, timeout=0.1)("q")


def test_a_refused_connection():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(LMConnectionError, match="Connection refused"):
        quick("http://127.0.0.1", port=port)("q")


def test_it_is_asked_again_where_that_helps():
    answers = iter([Response(status=503), Response(b"garbage"), {"topk": ROWS[:1]}])
    with LocalServer(lambda asked: next(answers)) as server:
        rm = ColBERTv2(server.url)
        rm._retry = type(rm._retry)(3, sleep=lambda _: None)
        assert len(rm("q", k=1)) == 1
    assert len(server.asked) == 3


def test_the_key_holds_no_address_and_no_password():
    rm = ColBERTv2("http://user:secret@host:8080/wiki17?token=abc")
    assert rm.identity() == {"server": "wiki17"}
    assert ColBERTv2("http://other/x", name="wiki").identity() == {"server": "wiki"}
    assert "secret" not in rm.endpoint() + repr(rm)
    assert "abc" not in rm.endpoint() + repr(rm)


@pytest.mark.parametrize("url", ["host:80", "ftp://x", None, ""])
def test_what_is_no_address_is_refused(url):
    with pytest.raises(ConfigurationError, match="has an address like http://"):
        ColBERTv2(url)
