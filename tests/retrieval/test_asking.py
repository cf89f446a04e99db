"""Retrieval is cached, recorded, replayed and traced as LM calls are."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

import pytest_lmprog as lmp
from pytest_lmprog.errors import LMConnectionError, ReplayMissError
from pytest_lmprog.lm.recordings.book import Book
from pytest_lmprog.lm.scope import CallScope, use_scope
from pytest_lmprog.lm.stores.memory import MemoryStore
from pytest_lmprog.lm.tally import Tally
from pytest_lmprog.programs.trace import Trace, tracing
from pytest_lmprog.retrieval.base import Retriever
from pytest_lmprog.retrieval.passages import Passage, Passages


class Store(Retriever):
    """Finds the query itself, and counts."""

    kind = "store"

    def __init__(self, data="v1"):
        self.data = data
        self.searched = []

    def identity(self):
        return {"of": "test"}

    def fingerprint(self):
        return self.data

    def search(self, query, k):
        self.searched.append(query)
        return Passages(Passage(f"{query} {i}", 1.0 - i / 4, str(i), {"n": i}) for i in range(k))


def book(path):
    return Book(path)


def test_an_equal_call_is_answered_from_memory():
    store = Store()
    assert store("q", k=2) == store("q", k=2) == store("q", 2)
    assert store.searched == ["q"]
    store("q", k=3)
    assert store.searched == ["q", "q"]


def test_threads_that_ask_the_same_search_once():
    together, store = threading.Barrier(8), Store()

    def ask(_):
        together.wait()
        return lmp.Retrieve(k=2, rm=store)("q").passages

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(ask, range(8))) == [["q 0", "q 1"]] * 8
    assert store.searched == ["q"]


def test_a_changed_fingerprint_makes_another_cache_key():
    with use_scope(CallScope(cache=MemoryStore())):
        Store()("q")
        Store()("q")
        changed = Store("v2")
        changed("q")
    assert changed.searched == ["q"]


def test_a_replay_makes_no_search_and_gives_the_same(tmp_path):
    written = book(tmp_path / "r.jsonl")
    with use_scope(CallScope(recording=written)):
        before = lmp.Retrieve(k=2, rm=Store())(["a", "b"])
    written.flush()
    store, tally = Store(), Tally()
    with use_scope(CallScope(mode="none", recording=book(tmp_path / "r.jsonl"), tally=tally)):
        assert lmp.Retrieve(k=2, rm=store)(["a", "b"]) == before
        assert Store()("a", k=6)[0].n == 0
    assert not store.searched
    assert tally.count().calls == 0


def test_a_file_backed_corpus_need_not_be_there_in_replay(tmp_path):
    written = book(tmp_path / "r.jsonl")
    path = tmp_path / "c.txt"
    path.write_text("one\ntwo\n")
    with use_scope(CallScope(recording=written)):
        lmp.BM25(path)("two", k=1)
    written.flush()
    path.unlink()
    with use_scope(CallScope(mode="none", recording=book(tmp_path / "r.jsonl"))):
        assert lmp.BM25(path, index=tmp_path / "index")("two", k=1).passages == ["two"]
    assert not (tmp_path / "index").exists()


def test_a_miss_names_the_query(tmp_path):
    written = book(tmp_path / "r.jsonl")
    with use_scope(CallScope(recording=written)):
        Store()("where is it", k=1)
    written.flush()
    scope = CallScope(mode="none", recording=book(tmp_path / "r.jsonl"), label="test_x[a]")
    with use_scope(scope), pytest.raises(ReplayMissError, match=r"test_x\[a\]") as told:
        Store()("where was it", k=1)
    assert "where is it" in str(told.value)


def test_what_an_embedder_does_inside_is_not_recorded(tmp_path):
    written = book(tmp_path / "r.jsonl")
    trace = Trace()
    with use_scope(CallScope(recording=written, cache=MemoryStore())), tracing(trace):
        lmp.Embeddings(["a", "b"], lambda texts: [[float(len(t)), 1.0] for t in texts])("a", k=1)
    written.flush()
    assert (tmp_path / "r.jsonl").read_text().count('"called"') == 1
    assert [tool.name for tool in trace.tools] == ["retrieve"]


@pytest.mark.parametrize("how", ["sync", "async"])
def test_the_trace_has_each_query_in_order(how):
    trace, retrieve = Trace(), lmp.Retrieve(k=1, rm=Store())
    with tracing(trace):
        if how == "sync":
            retrieve(["a", "b", "c"])
        else:
            asyncio.run(retrieve.acall(["a", "b", "c"]))
    assert [tool.arguments["query"] for tool in trace.tools] == ["a", "b", "c"]
    assert trace.tools[0].arguments == {"query": "a", "k": 3, "retriever": {"kind": "store", "of": "test"}}
    assert trace.tools[0].result == ["a 0", "a 1", "a 2"]


def test_a_failure_is_not_kept():
    calls = []

    def flaky(query, k):
        calls.append(query)
        if len(calls) == 1:
            raise ConnectionError("gone")
        return ["there"]

    retrieve = lmp.Retrieve(rm=flaky)
    with pytest.raises(LMConnectionError):
        retrieve("q")
    assert retrieve("q").passages == ["there"]


def test_two_functions_of_one_name_don_t_share_what_they_found():
    def made(answer):
        def search(query, k):
            return [answer]

        return search

    with use_scope(CallScope(cache=MemoryStore())):
        assert lmp.Retrieve(rm=made("a"))("q").passages == ["a"]
        assert lmp.Retrieve(rm=made("b"))("q").passages == ["b"]


def test_a_recorded_function_records_itself():
    @lmp.recorded
    def search(query: str, k: int) -> list[str]:
        return [query] * k

    trace = Trace()
    with tracing(trace):
        assert lmp.Retrieve(k=2, rm=search)("q").passages == ["q", "q"]
    assert [tool.name for tool in trace.tools] == ["search"]


def test_refreshing_searches_again():
    store, scope = Store(), CallScope(cache=MemoryStore())
    with use_scope(scope):
        store("q")
    with use_scope(replace(scope, mode="all", refresh_id="run")):
        store("q")
        store("q")
    assert store.searched == ["q", "q"]
