"""One conformance suite for every AnswerStore."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_lmprog.lm.entry import encode_answer, read_answer
from pytest_lmprog.lm.scope import AnswerStore
from pytest_lmprog.lm.stores import open_store
from pytest_lmprog.lm.stores.disk import DiskStore
from pytest_lmprog.lm.stores.memory import MemoryStore
from pytest_lmprog.lm.stores.reading import stored
from pytest_lmprog.lm.stores.tiered import TieredStore
from pytest_lmprog.lm.types import LMRequest, LMResponse

MakeStore = Callable[[Path], AnswerStore]

MAKERS: dict[str, MakeStore] = {
    "memory": lambda _: MemoryStore(),
    "disk": DiskStore,
    "tiered": open_store,
    "tiered-memory": lambda _: TieredStore(MemoryStore(max_bytes=0), MemoryStore()),
}


def key(number: int) -> str:
    return f"{number:064x}"


@pytest.fixture(params=sorted(MAKERS))
def store(request: pytest.FixtureRequest, tmp_path: Path) -> AnswerStore:
    return MAKERS[request.param](tmp_path / "cache")


def test_unknown_key_is_none(store: AnswerStore) -> None:
    assert store.get(key(1)) is None


@pytest.mark.parametrize("size", [0, 1, 2_000, 40_000, 3_000_000])
def test_bytes_come_back_as_they_went_in(store: AnswerStore, size: int) -> None:
    value = (b"a\r\nb\x00\xff" * (size // 6 + 1))[:size]
    store.set(key(1), value)
    assert store.get(key(1)) == value
    assert type(store.get(key(1))) is bytes
    assert store.get(key(2)) is None


def test_a_later_value_replaces(store: AnswerStore) -> None:
    store.set(key(1), b"one")
    store.set(key(1), b"two")
    assert store.get(key(1)) == b"two"


def test_threads_read_and_write_at_once(store: AnswerStore) -> None:
    wrong: list[object] = []

    def work(thread: int) -> None:
        for number in range(20):
            name = key(thread * 100 + number)
            store.set(name, name.encode())
            if store.get(name) != name.encode():
                wrong.append(name)

    run_threads(work, 8)
    assert not wrong
    assert all(store.get(key(t * 100 + n)) == key(t * 100 + n).encode() for t in range(8) for n in range(20))


def test_a_claim_lets_one_thread_in(store: AnswerStore) -> None:
    """64 threads that ask for the same key compute it once."""
    computed: list[int] = []

    def work(thread: int) -> None:
        with store.claim(key(7)):
            if store.get(key(7)) is None:
                computed.append(thread)
                store.set(key(7), b"answer")

    run_threads(work, 64)
    assert len(computed) == 1


def test_claims_on_different_keys_do_not_wait(store: AnswerStore) -> None:
    with store.claim(key(1)), store.claim(key(2)):
        pass


def test_a_claim_is_freed_by_an_exception(store: AnswerStore) -> None:
    with pytest.raises(ZeroDivisionError), store.claim(key(1)):
        raise ZeroDivisionError
    assert store.claim(key(1)).try_acquire()


def run_threads(work: Callable[[int], None], count: int) -> None:
    threads = [threading.Thread(target=work, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads)


class TestMemoryStore:
    def test_the_least_recently_used_goes_first(self) -> None:
        store = MemoryStore(max_bytes=3 * 1200)
        for number in (1, 2, 3):
            store.set(key(number), bytes(1000))
        store.get(key(1))
        store.set(key(4), bytes(1000))
        assert [number for number in (1, 2, 3, 4) if store.get(key(number)) is not None] == [1, 3, 4]

    def test_replacing_does_not_count_twice(self) -> None:
        store = MemoryStore(max_bytes=2000)
        for _ in range(50):
            store.set(key(1), bytes(900))
        assert len(store) == 1

    def test_a_value_too_large_is_not_kept_and_leaves_no_debt(self) -> None:
        store = MemoryStore(max_bytes=1000)
        store.set(key(1), bytes(5000))
        store.set(key(2), bytes(100))
        assert store.get(key(1)) is None
        assert store.get(key(2)) == bytes(100)


class TestTieredStore:
    def test_reads_fill_the_front(self) -> None:
        front, back = MemoryStore(), MemoryStore()
        back.set(key(1), b"x")
        tiered = TieredStore(front, back)
        assert tiered.get(key(1)) == b"x"
        assert front.get(key(1)) == b"x"

    def test_writes_reach_both(self) -> None:
        front, back = MemoryStore(), MemoryStore()
        TieredStore(front, back).set(key(1), b"x")
        assert front.get(key(1)) == back.get(key(1)) == b"x"


def test_a_newer_row_of_another_is_seen_past_an_old_one_in_front():
    """``--lm-record=all``: what this process read before another asked anew will not do."""
    front, back = MemoryStore(), MemoryStore()
    tiered = TieredStore(front, back)
    request = LMRequest("m", ({"role": "user", "content": "q"},))
    rows = (("old", "1"), ("new", "2"))
    old, new = (encode_answer(request, LMResponse(text), "", asked_in=run) for text, run in rows)
    front.set(key(1), old)
    back.set(key(1), new)
    found = stored(tiered, key(1), "2", read_answer)
    assert found is not None
    assert found.text == "new"
    assert front.get(key(1)) == new
