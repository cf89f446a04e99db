"""Recorded functions, one by one: results, errors, single flight, secrets, names."""

from __future__ import annotations

import asyncio
import dataclasses
import threading
import time
from pathlib import Path
from typing import Any

import pytest

import pytest_lmprog as lmp
from pytest_lmprog.errors import RecordingError, ReplayMissError, UsageError
from pytest_lmprog.lm.recordings import Book
from pytest_lmprog.lm.recordings.upkeep import verify_recording
from pytest_lmprog.lm.scope import CallScope, use_scope
from pytest_lmprog.lm.stores.memory import MemoryStore
from pytest_lmprog.lm.tally import Tally
from pytest_lmprog.programs.trace import Trace, tracing


@dataclasses.dataclass
class Passage:
    text: str
    at: tuple[int, int] = (0, 1)


class ToolError(Exception):
    pass


def test_live_and_replayed_results_are_the_same_and_restored(tmp_path: Path) -> None:
    made = []

    @lmp.recorded
    def search(query: str, k: int = 2) -> list[Passage]:
        made.append(query)
        return [Passage(query)] * k

    book, tally = Book(tmp_path / "b.jsonl"), Tally()
    with use_scope(CallScope(recording=book, cache=MemoryStore(), tally=tally)):
        live = search("a")
        assert search(query="a", k=2) == live == [Passage("a"), Passage("a")]
    assert (tally.count().tools, tally.count().live_tools, tally.count().calls) == (2, 1, 0)
    book.flush()
    trace = Trace()
    with use_scope(CallScope(mode="none", recording=Book(book.path))), tracing(trace):
        assert search("a") == live
        with pytest.raises(ReplayMissError, match=r"(?s)no recorded result.*differs in arguments.k.*2.*3"):
            search("a", k=3)
    assert made == ["a"]
    assert [(t.name, t.arguments, t.source) for t in trace.tools] == [
        ("search", {"query": "a", "k": 2}, "recording")
    ]
    assert verify_recording(book.path).sound == 1


def test_errors_are_raised_anew_unless_they_are_results() -> None:
    made = []

    @lmp.recorded(errors=(ToolError,))
    def tool(x: int) -> int:
        made.append(x)
        raise ToolError("no") if x else ValueError("bug")

    for _ in range(2):
        with pytest.raises(ToolError, match=r"^no$"):
            tool(1)
        with pytest.raises(ValueError, match="bug"):
            tool(0)
    assert made == [1, 0, 0]


def test_threads_and_tasks_call_once() -> None:
    made = []

    @lmp.recorded
    def slow(x: int) -> int:
        made.append(x)
        time.sleep(0.05)
        return x

    @lmp.recorded
    async def aslow(x: int) -> int:
        made.append(x)
        await asyncio.sleep(0.05)
        return x

    async def many() -> list[int]:
        return await asyncio.gather(*(aslow(2) for _ in range(8)))

    threads = [threading.Thread(target=slow, args=(1,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert asyncio.run(many()) == [2] * 8
    assert made == [1, 2]


def test_secrets_are_taken_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOOL_API_KEY", "sk-very-secret-1")

    @lmp.recorded
    def show(text: str) -> str:
        return f"{text} sk-very-secret-1"

    book = Book(tmp_path / "b.jsonl")
    with use_scope(CallScope(recording=book, cache=MemoryStore())):
        assert show("sk-very-secret-1") == "sk-very-secret-1 [secret]".replace(
            "sk-very-secret-1 ", "[secret] "
        )
    book.flush()
    assert "sk-very" not in book.path.read_text()


def test_two_functions_of_one_name_are_refused(tmp_path: Path) -> None:
    one = lmp.recorded(lambda x: x + 1, name="f")
    two = lmp.recorded(lambda x: x + 2, name="f")
    with use_scope(CallScope(recording=Book(tmp_path / "b.jsonl"), cache=MemoryStore())):
        one(1)
        with pytest.raises(RecordingError, match="answered by two functions"):
            two(1)


def test_a_changed_function_or_its_data_is_not_answered_from_the_cache() -> None:
    data = ["v1"]

    class Corpus:
        def fingerprint(self) -> str:
            return data[0]

        @lmp.recorded
        def search(self, query: str) -> str:
            return f"{query} {data[0]}"

    with use_scope(CallScope(cache=MemoryStore())):
        assert Corpus().search("q") == "q v1"
        data[0] = "v2"
        assert Corpus().search("q") == "q v2"


def test_what_cannot_be_recorded_is_refused() -> None:
    @lmp.recorded(ignore=["client"])
    def good(x: int, client: Any = None) -> int:
        return x

    @lmp.recorded
    def bad(x: Any) -> Any:
        return object()

    assert good(1, client=object()) == 1
    with pytest.raises(UsageError, match="argument x"):
        bad(object())
    with pytest.raises(UsageError, match=r"bad\(\) returned what cannot be recorded"):
        bad(1)
    with pytest.raises(UsageError, match="generator"):

        @lmp.recorded
        def stream() -> Any:
            yield 1
