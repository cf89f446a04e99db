from __future__ import annotations

import json
from contextlib import closing

import pytest

from pytest_lmprog.lm.entry import encode_answer
from pytest_lmprog.lm.maintenance import cache_stats
from pytest_lmprog.lm.recordings.book import Book
from pytest_lmprog.lm.recordings.last_run import write_last_used
from pytest_lmprog.lm.stores.disk import DiskStore
from pytest_lmprog.lm.types import LMRequest, LMResponse


@pytest.fixture
def cached(place):
    """A cache with two answers of one model."""
    with closing(DiskStore(place.root / ".lm_cache")) as store:
        for text in ("a", "b"):
            request = LMRequest("openai/x", ({"role": "user", "content": text},))
            store.set(request.cache_key("e"), encode_answer(request, LMResponse(text), "e"))
    return place


def test_stats_of_no_cache(place):
    code, out, _ = place.run("cache", "stats")
    assert code == 0
    assert out.startswith(".lm_cache: 0 answers")
    assert not (place.root / ".lm_cache").exists()


def test_stats(cached):
    code, out, _ = cached.run("cache", "stats")
    assert code == 0
    assert "2 answers" in out
    assert "openai/x: 2" in out
    assert json.loads(cached.run("cache", "stats", "--json")[1])["models"] == {"openai/x": 2}


def test_export_and_import(cached):
    assert cached.run("cache", "export", "out.jsonl")[:2] == (0, "2 answers written to out.jsonl\n")
    (cached.root / "pytest.ini").write_text("[pytest]\nlm_cache_dir = other\n", encoding="utf-8")
    assert cached.run("cache", "import", "out.jsonl")[1] == "2 answers added, 0 were there already\n"
    assert cached.run("cache", "import", "out.jsonl")[1] == "0 answers added, 2 were there already\n"
    assert cache_stats(cached.root / "other").entries == 2


def test_export_without_a_cache(place):
    code, _, err = place.run("cache", "export", "out.jsonl")
    assert code == 2
    assert "no cache" in err
    assert not (place.root / "out.jsonl").exists()


def test_import_of_something_else(place):
    (place.root / "x.jsonl").write_text("nonsense\n", encoding="utf-8")
    code, _, err = place.run("cache", "import", "x.jsonl")
    assert code == 1
    assert "x.jsonl:1" in err


def test_verify(cached):
    code, out, _ = cached.run("cache", "verify")
    assert code == 0
    assert "2 sound, nothing at fault" in out


def test_verify_finds_a_damaged_recording(place):
    folder = place.root / "tests" / "__lm_recordings__"
    folder.mkdir(parents=True)
    (folder / "test_x.jsonl").write_text("<<<<<<< HEAD\n", encoding="utf-8")
    code, out, err = place.run("cache", "verify")
    assert code == 1
    assert "1 at fault" in out
    assert "test_x.jsonl" in err


def test_prune_without_a_known_run(place):
    folder = place.root / "tests" / "__lm_recordings__"
    folder.mkdir(parents=True)
    path = folder / "test_x.jsonl"
    path.write_text("", encoding="utf-8")
    code, out, _ = place.run("cache", "prune")
    assert code == 0
    assert "left as it is" in out


def test_prune_keeps_what_the_last_run_used(place):
    path = place.root / "tests" / "__lm_recordings__" / "test_x.jsonl"
    book = Book(path)
    requests = [LMRequest("m", ({"role": "user", "content": text},)) for text in "abc"]
    for request in requests:
        book.add(request, LMResponse("answer"), "e")
    book.flush()
    write_last_used(place.root / ".lm_cache", path, [requests[0].key])
    code, out, _ = place.run("cache", "prune")
    assert (code, out) == (0, "tests/__lm_recordings__/test_x.jsonl: 2 removed, 1 kept\n")
    assert Book(path).lookup(requests[0]) is not None
    assert Book(path).lookup(requests[1]) is None


def test_prune_of_nothing(place):
    assert place.run("cache", "prune") == (0, "there are no recordings\n", "")
    assert place.run("cache", "prune", "nowhere")[0] == 2
