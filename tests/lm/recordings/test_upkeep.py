"""Checking and pruning recordings, and the note of what the last run used."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_lmprog.lm.recordings import Book
from pytest_lmprog.lm.recordings.last_run import read_last_used, write_last_used
from pytest_lmprog.lm.recordings.upkeep import Checked, Pruned, prune_recording, verify_recording
from pytest_lmprog.lm.types import Capabilities, LMRequest
from tests.lm.recordings.helpers import ENDPOINT, answer, ask


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "__lm_recordings__" / "test_support.jsonl"


def record(path: Path, *requests: LMRequest, **options: object) -> Path:
    book = Book(path, **options)
    for request in requests:
        book.add(request, answer(), ENDPOINT)
    book.learn("openai/small", Capabilities(json_schema=True))
    book.flush()
    return path


class TestVerify:
    def test_all_is_well(self, path: Path) -> None:
        record(
            path,
            ask("a"),
            ask("b", response_format={"type": "json_object"}, tools=({"name": "f"},), rollout=3),
        )
        assert verify_recording(path) == Checked(2, 0, ())

    def test_what_cannot_be_recomputed_is_counted_apart(self, path: Path) -> None:
        record(path, ask("a"), store_messages=False)
        assert verify_recording(path) == Checked(0, 1, ())

    def test_redacted_too(self, path: Path) -> None:
        book = Book(path)
        book.add(ask("sk-1"), answer(), ENDPOINT, rewrite=lambda text: text.replace("sk-1", "*"))
        book.add(ask("b"), answer(), ENDPOINT, rewrite=lambda text: text.replace("sk-1", "*"))
        book.flush()
        assert verify_recording(path) == Checked(1, 1, ())


class TestPrune:
    def test_removes_what_was_not_used_and_its_messages(self, path: Path) -> None:
        record(path, ask("kept"), ask("gone"))
        assert prune_recording(path, {ask("kept").key}) == Pruned(1, 1)
        text = path.read_text("utf-8")
        assert "gone" not in text
        assert Book(path).lookup(ask("kept")) is not None
        assert Book(path).capabilities("openai/small") is not None
        assert verify_recording(path) == Checked(1, 0, ())

    def test_answers_of_other_models_stay(self, path: Path) -> None:
        record(path, ask("kept"), ask("gone"), ask("other", model="openai/large"))
        assert prune_recording(path, {ask("kept").key}) == Pruned(1, 2)
        assert Book(path).lookup(ask("other", model="openai/large")) is not None

    def test_nothing_to_remove_leaves_the_file_untouched(self, path: Path) -> None:
        record(path, ask("kept"))
        before = path.stat()
        assert prune_recording(path, {ask("kept").key, "f" * 64}) == Pruned(0, 1)
        assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)

    def test_no_file(self, path: Path) -> None:
        assert prune_recording(path, ()) == Pruned(0, 0)
        assert not path.parent.exists()


class TestLastRun:
    def test_comes_back(self, tmp_path: Path, path: Path) -> None:
        write_last_used(tmp_path / "cache", path, ["b", "a", "b"])
        assert read_last_used(tmp_path / "cache", path) == {"a", "b"}
        write_last_used(tmp_path / "cache", path, ["c"])
        assert read_last_used(tmp_path / "cache", path) == {"c"}

    def test_a_new_cache_folder_is_ignored_by_git(self, tmp_path: Path, path: Path) -> None:
        write_last_used(tmp_path / "cache", path, [])
        assert (tmp_path / "cache" / ".gitignore").read_text() == "*\n"

    def test_recordings_of_one_name_do_not_mix(self, tmp_path: Path, path: Path) -> None:
        write_last_used(tmp_path / "cache", path, ["a"])
        assert read_last_used(tmp_path / "cache", tmp_path / "other" / path.name) is None

    @pytest.mark.parametrize(
        "text", ["", "{", "[]", '{"format":2,"keys":[]}', '{"format":1,"keys":[1]}', "\xff"]
    )
    def test_damage_is_no_note(self, tmp_path: Path, path: Path, text: str) -> None:
        write_last_used(tmp_path / "cache", path, ["a"])
        note = next((tmp_path / "cache" / "last_run").iterdir())
        note.write_text(text, encoding="latin-1")
        assert read_last_used(tmp_path / "cache", path) is None

    def test_a_folder_that_cannot_be_written_is_no_error(self, tmp_path: Path, path: Path) -> None:
        (tmp_path / "cache").write_text("in the way")
        write_last_used(tmp_path / "cache", path, ["a"])
        assert read_last_used(tmp_path / "cache", path) is None
