"""Where journals lie, and what is read of them."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pytest_lmprog.errors import StoreError
from pytest_lmprog.harness.journals import Entry, Journal, journal_path, list_journals, read_journal
from pytest_lmprog.teleprompt.engine.journal import FORMAT, KIND, unfinished_path

HEAD = {"kind": KIND, "format": FORMAT, "unit": "t.py::TestX", "teleprompter": "T()", "seed": 0}
END = {"winner": 3, "score": 1.0, "validated_on": 4, "stopped": "done"}


def entry(index: int, *parents: int, **more: Any) -> dict[str, Any]:
    return {"index": index, "label": f"c{index}", "parents": list(parents), **more}


def written(path: Path, *lines: dict[str, Any], rest: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(line) + "\n" for line in lines) + rest, encoding="utf-8")
    return path


def unit(snapshot: Path) -> Any:
    return SimpleNamespace(snapshot=snapshot)


def test_a_journal_lies_as_its_snapshot_does(tmp_path):
    cache = tmp_path / ".lm_cache"
    path = journal_path(cache, unit(tmp_path / "tests/__lm_snapshots__/test_x/TestX@m.yaml"), tmp_path)
    assert path.relative_to(cache).as_posix() == "journal/tests/test_x/TestX@m.jsonl"
    placed = journal_path(cache, unit(tmp_path / "support/triage.yaml"), tmp_path)
    assert placed.relative_to(cache).as_posix() == "journal/support/triage.jsonl"
    other = journal_path(cache, unit(tmp_path.parent / "other/triage.yaml"), tmp_path)
    assert other.name == "triage.jsonl"
    assert other.parent.name.startswith("outside-")
    assert str(tmp_path.parent.name) not in str(other.relative_to(cache))


def test_finished_and_unfinished_ones_are_listed_once(tmp_path):
    folder = tmp_path / "journal"
    both, only = folder / "a/X.jsonl", folder / "b/Y.jsonl"
    written(both, HEAD)
    written(unfinished_path(both), HEAD)
    written(unfinished_path(only), HEAD)
    written(folder / "a/.X.jsonl.123.tmp", HEAD)
    assert list_journals(tmp_path) == [both, only]
    assert list_journals(tmp_path / "none") == []


def test_a_finished_journal(tmp_path):
    lines = [entry(0, score=0.5, runs=4), entry(3, 0, winner=True, cost=0.25), END]
    found = read_journal(written(tmp_path / "x.jsonl", HEAD, *lines))
    assert found.head == HEAD
    assert found.entries == (
        Entry(0, "c0", score=0.5, runs=4),
        Entry(3, "c3", (0,), winner=True, cost=0.25),
    )
    assert found.end == END
    assert found.to_plain() == {**HEAD, "finished": True, "candidates": lines[:2], "end": END}


def test_an_unfinished_one_stands_where_there_is_no_other_or_when_asked_for(tmp_path):
    path = tmp_path / "x.jsonl"
    written(unfinished_path(path), HEAD, entry(1), rest='{"index": 2, "la')
    found = read_journal(path)
    assert (found.torn, found.end, [e.index for e in found.entries]) == (True, None, [1])
    written(path, HEAD, entry(0), END)
    assert [e.index for e in read_journal(path).entries] == [0]
    assert [e.index for e in read_journal(path, unfinished=True).entries] == [1]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "x.jsonl:1: is no pytest-lmprog journal"),
        ('{"a": 1}\n', "x.jsonl:1: is no pytest-lmprog journal"),
        (json.dumps({**HEAD, "format": 9}) + "\n", "has the format 9; this version reads 1"),
        (json.dumps(HEAD) + "\n{]\n{}\n", "x.jsonl:2: is no JSON"),
        (json.dumps(HEAD) + "\n[1]\n", "x.jsonl:2: is no JSON object"),
        (json.dumps(HEAD) + '\n{"index": 1}\n', "is damaged"),
        (json.dumps(HEAD) + '\n{"index": 1, "label": "x", "surprise": 1}\n', "is damaged"),
    ],
)
def test_damage_is_one_clear_error(tmp_path, text, said):
    (tmp_path / "x.jsonl").write_text(text)
    with pytest.raises(StoreError) as raised:
        read_journal(tmp_path / "x.jsonl")
    assert said in str(raised.value)


def test_a_missing_one(tmp_path):
    with pytest.raises(StoreError, match="cannot be read"):
        read_journal(tmp_path / "x.jsonl")


def test_lineage_is_all_that_a_candidate_was_made_from():
    entries = (
        Entry(0, "a"),
        Entry(1, "b"),
        Entry(2, "c", (0,)),
        Entry(5, "m", (2, 1)),
        Entry(6, "x", (9, 6)),
    )
    found = Journal({}, entries)
    assert [e.index for e in found.lineage(5)] == [0, 1, 2, 5]
    assert [e.index for e in found.lineage(6)] == [6], "a parent that is not there, and itself"
