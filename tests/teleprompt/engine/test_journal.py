"""The compile journal in a file: whole lines at any time, the same bytes at the end, never an error."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import pytest

from pytest_lmprog.programs import context
from pytest_lmprog.teleprompt import (
    BootstrapFewShotWithRandomSearch,
    Candidate,
    CompileResult,
    CompileRuntime,
    LabeledFewShot,
)
from pytest_lmprog.teleprompt.base import Spent
from pytest_lmprog.teleprompt.engine.journal import (
    FORMAT,
    KIND,
    FileJournal,
    candidate_entry,
    unfinished_path,
)
from tests.teleprompt.world import QA, WorldLM, exact, jitter, knowing, labeled_of, moody, rows, task

SEARCH = BootstrapFewShotWithRandomSearch(metric=exact, num_candidate_programs=2, max_labeled_demos=2)


def compiled(path: Path, lm: Any, *, concurrency: int = 8, **more: Any) -> CompileResult:
    with context(lm=lm):
        runtime = CompileRuntime(concurrency=concurrency, journal=FileJournal(path, **more))
        return SEARCH.compile_result(task(rows(8), valset=rows(6, start=50)), runtime)


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_a_candidates_entry_by_hand():
    spent = Spent(runs=3, calls=4, tokens=90, counted=4, cost=0.1 + 0.2, priced=4)
    entry = candidate_entry(Candidate(7, "merge", labeled_of(QA(), 2), 0.5, 123, (0, 4), spent))
    assert entry == {
        "index": 7,
        "label": "merge",
        "parents": [0, 4],
        "score": 0.5,
        "characters": 123,
        "runs": 3,
        "calls": 4,
        "tokens": 90,
        "cost": 0.3,  # 0.30000000000000004, whose last digits depend on the order of the runs
        "instructions": {"answer": entry["instructions"]["answer"]},
        "demos": {"answer": 2},
    }
    assert len(entry["instructions"]["answer"]) == 12


def test_tokens_and_cost_are_told_only_where_every_call_told_them():
    partly = Spent(runs=3, calls=4, tokens=90, counted=3, cost=0.5, priced=2)
    entry = candidate_entry(Candidate(0, "x", QA(), None, 1, (), partly))
    assert (entry["tokens"], entry["cost"], entry["calls"]) == (None, None, 4)
    assert candidate_entry(Candidate(0, "x", QA(), None, 1))["tokens"] is None


def test_head_candidates_and_end(tmp_path):
    path = tmp_path / "deep/er/x.jsonl"
    result = compiled(path, WorldLM(knowing(50, 51, 52)), unit="test_x.py::TestX")
    head, *entries, end = lines(path)
    assert head == {
        "kind": KIND,
        "format": FORMAT,
        "unit": "test_x.py::TestX",
        "teleprompter": SEARCH.describe(),
        "seed": 0,
        "trainset": 8,
        "valset": 6,
    }
    assert [entry["index"] for entry in entries] == [0, 1, 2, 3, 4]
    assert [entry["index"] for entry in entries if entry["winner"]] == [0]  # all score alike: the shortest
    assert end == {"winner": 0, "score": result.score, "validated_on": 6, "stopped": "done"}
    assert not unfinished_path(path).exists()
    assert [p.name for p in path.parent.iterdir()] == ["x.jsonl"]


def test_the_finished_file_is_the_same_at_any_concurrency_but_for_dropped_losers(tmp_path):
    texts = set()
    for concurrency in (1, 8, 64):
        path = tmp_path / f"{concurrency}.jsonl"
        compiled(path, WorldLM(moody, latency=jitter), concurrency=concurrency)
        winner = lines(path)[-1]["winner"]
        timed = ("runs", "calls", "score")
        told = [
            {k: v for k, v in line.items() if k not in timed or line.get("index", winner) == winner}
            for line in lines(path)
        ]
        texts.add(json.dumps(told))
    assert len(texts) == 1


def test_a_journal_without_dropping_is_the_same_bytes(tmp_path):
    for concurrency in (1, 64):
        with context(lm=WorldLM(moody)):
            runtime = CompileRuntime(
                concurrency=concurrency, journal=FileJournal(tmp_path / f"{concurrency}.jsonl")
            )
            LabeledFewShot(k=3).compile_result(task(rows(8)), runtime)
    assert (tmp_path / "1.jsonl").read_bytes() == (tmp_path / "64.jsonl").read_bytes()


def test_a_compile_that_ends_early_leaves_whole_lines_and_the_former_journal(tmp_path):
    path = tmp_path / "x.jsonl"
    compiled(path, WorldLM(moody))
    former = path.read_bytes()

    class KilledError(BaseException):
        pass

    def deadly(asked: Any) -> Any:
        if unfinished_path(path).read_text().count("\n") > 1:
            raise KilledError
        return moody(asked)

    with pytest.raises(KilledError):
        compiled(path, WorldLM(deadly), concurrency=1)
    assert path.read_bytes() == former
    head, *entries = lines(unfinished_path(path))
    assert head["kind"] == KIND
    assert entries
    assert all("winner" not in entry for entry in entries), "nobody has won yet"

    compiled(path, WorldLM(moody), concurrency=1)
    assert not unfinished_path(path).exists()
    assert len(lines(path)) == len(former.splitlines())


def test_an_unwritable_folder_is_one_warning(tmp_path):
    (tmp_path / "file").write_text("in the way")
    warned: list[str] = []
    result = compiled(tmp_path / "file/x.jsonl", WorldLM(moody), warn=warned.append)
    assert result.score is not None
    (said,) = warned
    assert "the compile journal cannot be written" in said
    assert "goes on without it" in said
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        compiled(tmp_path / "file/x.jsonl", WorldLM(moody))
    assert [str(w.message) for w in caught] == [said]


def test_a_journal_that_fails_later_is_a_warning_too(tmp_path):
    warned: list[str] = []
    journal = FileJournal(tmp_path / "x.jsonl", warn=warned.append)
    journal.begin({})
    unfinished_path(journal.path).unlink()
    unfinished_path(journal.path).mkdir()
    journal.note({"index": 0})
    journal.finish([], {})
    assert len(warned) == 1


def test_secrets_are_taken_out_of_every_text(tmp_path):
    journal = FileJournal(
        tmp_path / "x.jsonl", unit="sk-1", clean=lambda text: text.replace("sk-1", "[secret]")
    )
    journal.begin({"teleprompter": "T(key='sk-1')"})
    journal.note({"index": 0, "label": "sk-1", "demos": {"a": 1}})
    assert "sk-1" not in unfinished_path(journal.path).read_text()
    journal.finish([{"index": 0, "label": "sk-1", "parents": ["sk-1"]}], {"stopped": "sk-1"})
    assert "sk-1" not in journal.path.read_text()


def test_it_begins_a_cache_folder_that_git_ignores(tmp_path):
    folder = tmp_path / ".lm_cache"
    journal = FileJournal(folder / "journal/x.jsonl", cache_dir=folder)
    journal.begin({})
    journal.finish([], {"stopped": "done"})
    assert (folder / ".gitignore").read_text() == "*\n"


def test_outside_pytest_there_is_no_journal_unless_given(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with context(lm=WorldLM(moody)):
        SEARCH.compile(QA(), trainset=rows(4))
    assert not list(tmp_path.iterdir())
