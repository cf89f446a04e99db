"""Saved runs on disk: numbers, pruning, what a name means, damage."""

from __future__ import annotations

import json
import os
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_lmprog.errors import StoreError, UsageError
from pytest_lmprog.harness.saved.store import (
    list_runs,
    load_run,
    load_run_file,
    run_json,
    run_name,
    run_path,
    save_run,
)
from tests.harness.saved_runs import small_run

RUN = small_run({"a": "billing"})


def numbers(folder: Path) -> list[int]:
    return [run.number for run in list_runs(folder)]


def test_runs_are_numbered_and_the_newest_are_kept(tmp_path: Path) -> None:
    for _ in range(5):
        stored = save_run(tmp_path, RUN, keep=3)
    assert stored.number == 5
    assert stored.path.name == "0005.json"
    assert numbers(tmp_path) == [3, 4, 5]
    assert load_run_file(stored.path) == RUN


def test_runs_that_end_at_once_have_numbers_of_their_own(tmp_path: Path) -> None:
    found: list[int] = []

    def save() -> None:
        found.append(save_run(tmp_path, RUN, keep=50).number)

    threads = [threading.Thread(target=save) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == list(range(1, 9))
    assert all(load_run_file(run.path) == RUN for run in list_runs(tmp_path))
    assert not list((tmp_path / "runs").glob(".*"))


def test_without_hard_links_numbers_are_claimed_all_the_same(tmp_path: Path, monkeypatch) -> None:
    def refused(*args: object) -> None:
        raise OSError("no links here")

    monkeypatch.setattr(os, "link", refused)
    assert [save_run(tmp_path, RUN, keep=9).number for _ in range(2)] == [1, 2]
    assert load_run_file(tmp_path / "runs/0002.json") == RUN


def test_the_cache_folder_is_made_and_ignored_by_git(tmp_path: Path) -> None:
    save_run(tmp_path / ".lm_cache", RUN, keep=1)
    assert (tmp_path / ".lm_cache/.gitignore").read_text() == "*\n"


def test_files_of_others_are_no_runs(tmp_path: Path) -> None:
    save_run(tmp_path, RUN, keep=1)
    for name in ("notes.json", "12.txt", "²³.json"):
        (tmp_path / "runs" / name).write_text("{}")
    assert numbers(tmp_path) == [1]


def test_a_name_is_a_number_last_or_a_path(tmp_path: Path) -> None:
    for _ in range(2):
        save_run(tmp_path, RUN, keep=9)
    (tmp_path / "r.json").write_bytes(run_json(RUN))
    paths = {name: run_path(tmp_path, name, cwd=tmp_path) for name in ("1", "0002", "last", "r.json")}
    assert [path.name for path in paths.values()] == ["0001.json", "0002.json", "0002.json", "r.json"]
    assert [run_name(path) for path in paths.values()] == ["run 1", "run 2", "run 2", "r.json"]
    assert load_run(tmp_path, "r.json", cwd=tmp_path) == RUN


def test_no_such_run_says_which_there_are(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no run is saved") as none:
        run_path(tmp_path, "last", cwd=tmp_path)
    assert "--lm-report=run.json" in str(none.value)
    save_run(tmp_path, RUN, keep=9)
    with pytest.raises(UsageError, match=r"there is no run .7..*saved are 1"):
        run_path(tmp_path, "7", cwd=tmp_path)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is not JSON"),
        ('{"kind": ', "is not JSON"),
        ("[1]", "is no pytest-lmprog run"),
        ('{"kind": "other"}', "is no pytest-lmprog run"),
        ('{"kind": "pytest-lmprog run", "format": 9}', "has the format 9; this version reads 1"),
        ('{"kind": "pytest-lmprog run", "format": 1}', "is damaged: KeyError"),
        ("[" * 100_000, "is not JSON"),
    ],
)
def test_damage_is_one_line(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "bad.json"
    path.write_text(text)
    with pytest.raises(StoreError, match=words):
        load_run_file(path)


def test_a_folder_that_cannot_be_made_is_one_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="the run cannot be saved"):
        save_run(tmp_path / "file" / "cache", RUN, keep=1)


def test_the_text_is_json_whatever_the_message_holds() -> None:
    run = replace(RUN, problems=("a lone \ud800 surrogate, \u2028 and </script>",))
    assert json.loads(run_json(run))["problems"] == list(run.problems)
