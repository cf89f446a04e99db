"""Retrieve: the module over a configured retriever."""

from __future__ import annotations

import asyncio

import pytest

import pytest_lmprog as lmp
from pytest_lmprog.errors import ConfigurationError, LMConnectionError, LMResponseError, UsageError
from pytest_lmprog.retrieval.passages import Passage

SEA = ["The cat sat on the mat.", "A dog ran to the sea.", "The fish swam in the sea.", "Sea dog."]


def test_the_configured_retriever_is_asked():
    with lmp.context(rm=lmp.BM25(SEA)):
        found = lmp.Retrieve(k=2)("fish")
    assert found.passages[0] == SEA[2]
    assert found.ids[0] == "2"
    assert found.scores[0] > found.scores[1] == 0


def test_settings_configure_as_in_dspy():
    try:
        lmp.settings.configure(rm=lambda query, k: [query] * k)
        assert lmp.Retrieve()("q").passages == ["q", "q", "q"]
    finally:
        lmp.settings.configure(rm=None)


def test_ones_own_retriever_is_over_the_configured_one():
    with lmp.context(rm=lambda query, k: ["configured"]):
        assert lmp.Retrieve(1, rm=lambda query, k: ["own"])("q").passages == ["own"]


def test_k_may_be_given_by_the_call_and_the_query_by_name():
    retrieve = lmp.Retrieve(k=1, rm=lmp.BM25(SEA))
    assert len(retrieve("sea", k=3).passages) == 3
    assert len(retrieve(query_or_queries="sea").passages) == 1
    assert len(retrieve(query="sea", k=2).passages) == 2


def test_several_queries_sum_their_scores():
    found = lmp.Retrieve(k=3, rm=lmp.BM25(SEA))(["dog", "sea"])
    alone = [{p.text: p.score for p in lmp.BM25(SEA)(q, k=4)} for q in ("dog", "sea")]
    assert found.passages[0] == "Sea dog."
    assert found.scores[0] == pytest.approx(sum(scores["Sea dog."] for scores in alone), rel=1e-5)


def test_without_scores_reciprocal_ranks_are_summed():
    by_query = {"a": ["x", "y", "z"], "b": ["y", "w"]}
    found = lmp.Retrieve(k=2, rm=lambda query, k: by_query[query])(["a", "b"])
    assert found.passages == ["y", "x"]


@pytest.mark.parametrize("blank", ["", " \n", [], [" "]])
def test_a_blank_query_finds_nothing_and_asks_nobody(blank):
    assert lmp.Retrieve(rm=lambda query, k: 1 / 0)(blank).passages == []


def test_async_is_the_same():
    retrieve = lmp.Retrieve(k=3, rm=lmp.BM25(SEA))
    assert asyncio.run(retrieve.acall(["dog", "sea"])) == retrieve(["dog", "sea"])


def test_no_retriever_is_told_with_a_line_to_copy():
    with pytest.raises(ConfigurationError, match="no retriever is configured") as told:
        lmp.Retrieve()("q")
    assert "lmp.configure(rm=" in told.value.hint


@pytest.mark.parametrize("rm", ["bm25", 5, lmp.BM25])
def test_what_is_no_retriever_is_refused(rm):
    with pytest.raises(ConfigurationError, match="rm must be a retriever or a function"):
        lmp.Retrieve(rm=rm)("q")


@pytest.mark.parametrize("k", [0, -3, "2", None])
def test_a_k_below_1_is_refused_when_made(k):
    with pytest.raises(UsageError, match="k must be a whole number"):
        lmp.Retrieve(k=k)


class Found:
    def __init__(self, text, score):
        self.long_text, self.score = text, score


class DSPyStyle:
    """A retriever as DSPy's are called: ``rm(query, k=k)``."""

    def __call__(self, query, *, k):
        return [Found(f"{query} {i}", 1 / (i + 1)) for i in range(k)]


async def awaited(query, k):
    await asyncio.sleep(0)
    return [query] * k


@pytest.mark.parametrize(
    ("function", "passages"),
    [
        (lambda query, k: ["a", "b", "c"], ["a", "b"]),
        (lambda query, n: [query] * n, ["q", "q"]),
        (lambda query: [query, query], ["q", "q"]),
        (lambda *args: list(args), None),
        (lambda query, **given: [str(given)], ["{'k': 2}"]),
        (lambda query, k: ({"long_text": "a"}, {"text": "b"}), ["a", "b"]),
        (lambda query, k: lmp.Prediction(passages=["a"]), ["a"]),
        (lambda query, k: (text for text in "ab"), ["a", "b"]),
        (lambda query, k: [Passage("a", 0.5)], ["a"]),
        (DSPyStyle(), ["q 0", "q 1"]),
        (awaited, ["q", "q"]),
    ],
)
def test_any_callable_is_a_retriever(function, passages):
    retrieve = lmp.Retrieve(k=2, rm=function)
    if passages is None:
        with pytest.raises(LMResponseError, match="something that is no passage: 2"):
            retrieve("q")
    else:
        assert retrieve("q").passages == passages


@pytest.mark.parametrize("found", [None, "text", {"text": "a"}, [None], [object()], [{"body": "x"}]])
def test_garbage_is_no_answer(found):
    with pytest.raises(LMResponseError, match="returned"):
        lmp.Retrieve(rm=lambda query, k: found)("q")


def test_a_refused_connection_is_no_answer_and_other_errors_are_the_functions_own():
    def refused(query, k):
        raise ConnectionRefusedError("no one there")

    with pytest.raises(LMConnectionError, match="no one there"):
        lmp.Retrieve(rm=refused)("q")
    with pytest.raises(ZeroDivisionError):
        lmp.Retrieve(rm=lambda query, k: 1 / 0)("q")


def test_it_is_a_part_of_programs_without_being_a_predictor():
    class RAG(lmp.Module):
        def __init__(self):
            self.retrieve = lmp.Retrieve(k=1)
            self.answer = lmp.ChainOfThought("context, question -> answer")

        def forward(self, question):
            context = self.retrieve(question).passages
            return lmp.Prediction(
                context=context, answer=self.answer(context=context, question=question).answer
            )

    program = RAG()
    assert [name for name, _ in program.named_predictors()] == ["answer"]
    assert program.max_calls() == 1
    assert program.copy().retrieve.k == 1


def test_what_is_behind_the_configured_retriever_or_a_function_is_told():
    corpus = lmp.BM25(SEA)
    assert lmp.Retrieve().fingerprint is None
    with lmp.context(rm=corpus):
        assert lmp.Retrieve().fingerprint() == corpus.fingerprint()
        assert lmp.Retrieve(rm=corpus).fingerprint is None
        assert lmp.Retrieve(rm=lambda query, k: []).fingerprint() is None
