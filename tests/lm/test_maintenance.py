"""Looking after the cache: statistics, export and import, checks."""

from __future__ import annotations

import json
import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_lmprog.errors import CacheError
from pytest_lmprog.lm.entry import capabilities_key, encode_answer, encode_capabilities
from pytest_lmprog.lm.maintenance import (
    CacheCheck,
    CacheStats,
    Exported,
    Imported,
    cache_stats,
    export_cache,
    import_cache,
    verify_cache,
)
from pytest_lmprog.lm.stores import DATABASE
from pytest_lmprog.lm.stores.disk import DiskStore
from pytest_lmprog.lm.stores.sqlite import checksum
from pytest_lmprog.lm.types import Capabilities
from tests.lm.recordings.helpers import ENDPOINT, answer, ask


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A cache with three answers of two models and what is known of one."""
    folder = tmp_path / "cache"
    with closing(DiskStore(folder)) as store:
        for request in (ask("a"), ask("b"), ask("c", model="openai/large")):
            store.set(request.cache_key(ENDPOINT), encode_answer(request, answer(), ENDPOINT))
        row = encode_capabilities("openai/small", Capabilities(json_schema=True), ENDPOINT)
        store.set(capabilities_key("openai/small", ENDPOINT), row)
    return folder


def put(folder: Path, key: str, value: bytes) -> None:
    with closing(DiskStore(folder)) as store:
        store.set(key, value)


def contents(folder: Path) -> bytes:
    with closing(sqlite3.connect(folder / DATABASE)) as connection:
        return "\n".join(connection.iterdump()).encode()


class TestStats:
    def test_counts_answers_by_model(self, folder: Path) -> None:
        stats = cache_stats(folder)
        assert (stats.entries, stats.damaged) == (3, 0)
        assert stats.models == {"openai/large": 1, "openai/small": 2}
        assert stats.size == sum(
            len(encode_answer(r, answer(), ENDPOINT)) for r in (ask("a"), ask("b"))
        ) + len(encode_answer(ask("c", model="openai/large"), answer(), ENDPOINT))
        assert stats.file_size == (folder / DATABASE).stat().st_size

    def test_an_absent_or_empty_cache_holds_nothing(self, tmp_path: Path) -> None:
        assert cache_stats(tmp_path / "nothing") == CacheStats()
        assert not (tmp_path / "nothing").exists()
        (tmp_path / "empty").mkdir()
        (tmp_path / "empty" / DATABASE).touch()
        assert cache_stats(tmp_path / "empty") == CacheStats()

    def test_a_damaged_database_is_one_error(self, folder: Path) -> None:
        os.truncate(folder / DATABASE, 5000)
        for look in (cache_stats, verify_cache):
            with pytest.raises(CacheError, match=r"cache\.db: the cache cannot be read"):
                look(folder)

    def test_looking_changes_nothing(self, folder: Path) -> None:
        before = (folder / DATABASE).read_bytes()
        cache_stats(folder)
        verify_cache(folder)
        assert (folder / DATABASE).read_bytes() == before


class TestVerify:
    def test_all_is_well(self, folder: Path) -> None:
        assert verify_cache(folder) == CacheCheck(4, 0, ())

    def test_what_cannot_be_recomputed_is_counted_apart(self, folder: Path) -> None:
        entry = encode_answer(ask("d"), answer(), ENDPOINT, keep_request=False)
        put(folder, ask("d").cache_key(ENDPOINT), entry)
        assert verify_cache(folder) == CacheCheck(4, 1, ())

    @pytest.mark.parametrize(
        ("value", "problem"),
        [
            (b"garbage", "it is not an entry"),
            (b"[]\n[]", "it is not an entry"),
            (b'{"v":1,"response":{"text":7}}\n{"endpoint":"e","request":null}', "it is not an entry"),
            (encode_answer(ask("x"), answer(), ENDPOINT), "its key is not that of its request"),
        ],
    )
    def test_tells_what_is_wrong_with_a_row(self, folder: Path, value: bytes, problem: str) -> None:
        put(folder, "f" * 64, value)
        check = verify_cache(folder)
        assert check.sound == 4
        assert len(check.problems) == 1
        assert check.problems[0].startswith(f"row {'f' * 12}...: {problem}")

    def test_a_row_changed_on_disk(self, folder: Path) -> None:
        with closing(sqlite3.connect(folder / DATABASE)) as connection, connection:
            connection.execute("UPDATE Cache SET mode = 4 WHERE rowid = 1")
            connection.execute("UPDATE Cache SET value = x'00' WHERE rowid = 2")
        check = verify_cache(folder)
        assert check.sound == 2
        assert "something other than bytes" in "".join(check.problems)
        assert "checksum" in "".join(check.problems)
        assert cache_stats(folder).damaged == 2


class TestExportImport:
    def test_round_trip(self, folder: Path, tmp_path: Path) -> None:
        target = tmp_path / "export.jsonl"
        assert export_cache(folder, target) == Exported(4)
        assert import_cache(tmp_path / "other", target) == Imported(4, 0)
        assert verify_cache(tmp_path / "other") == CacheCheck(4, 0, ())
        again = tmp_path / "again.jsonl"
        export_cache(tmp_path / "other", again)
        assert again.read_bytes() == target.read_bytes()
        assert [p.name for p in tmp_path.iterdir() if p.name.endswith(".tmp")] == []

    def test_what_is_there_stays(self, folder: Path, tmp_path: Path) -> None:
        export_cache(folder, tmp_path / "export.jsonl")
        other = tmp_path / "other"
        mine = encode_answer(ask("a"), answer("mine"), ENDPOINT)
        put(other, ask("a").cache_key(ENDPOINT), mine)
        assert import_cache(other, tmp_path / "export.jsonl") == Imported(3, 1)
        assert DiskStore(other).get(ask("a").cache_key(ENDPOINT)) == mine

    def test_bad_rows_are_left_out_and_named(self, folder: Path, tmp_path: Path) -> None:
        put(folder, "f" * 64, b"garbage")
        exported = export_cache(folder, tmp_path / "export.jsonl")
        assert exported.rows == 4
        assert "ffff" in exported.skipped[0]

    def test_a_file_that_cannot_be_written(self, folder: Path, tmp_path: Path) -> None:
        with pytest.raises(CacheError, match=r"export\.jsonl: cannot be written"):
            export_cache(folder, tmp_path / "missing" / "export.jsonl")

    def test_a_failed_export_leaves_the_old_file(self, folder: Path, tmp_path: Path) -> None:
        target = tmp_path / "export.jsonl"
        target.write_text("old")
        os.truncate(folder / DATABASE, 5000)
        with pytest.raises(CacheError):
            export_cache(folder, target)
        assert target.read_text() == "old"
        assert sorted(p.name for p in tmp_path.iterdir()) == ["cache", "export.jsonl"]

    @pytest.mark.parametrize(
        ("change", "where"),
        [
            (lambda lines: [lines[0].replace(b"1", b"2"), *lines[1:]], ":1: "),
            (lambda lines: [*lines[:2], b"{", *lines[2:]], ":3: "),
            (lambda lines: [*lines[:2], b"[]", *lines[2:]], ":3: "),
            (lambda lines: [*lines[:2], lines[2][:-9], *lines[3:]], ":3: "),
            (
                lambda lines: [*lines[:2], lines[2].replace(b"bug", b"gub").replace(b'"key":"', b'"key":"0')],
                ":3: ",
            ),
            (lambda lines: lines[1:], ":1: "),
        ],
    )
    def test_a_damaged_export_adds_nothing(self, folder: Path, tmp_path: Path, change, where: str) -> None:
        source = tmp_path / "export.jsonl"
        export_cache(folder, source)
        source.write_bytes(b"\n".join(change(source.read_bytes().split(b"\n"))))
        with pytest.raises(CacheError, match=rf"export\.jsonl{where}not a row of an exported cache"):
            import_cache(tmp_path / "other", source)
        assert not (tmp_path / "other").exists()

    def test_no_such_file(self, tmp_path: Path) -> None:
        with pytest.raises(CacheError, match=r"export\.jsonl: cannot be read"):
            import_cache(tmp_path / "other", tmp_path / "export.jsonl")

    def test_the_file_is_plain_json_lines(self, folder: Path, tmp_path: Path) -> None:
        export_cache(folder, tmp_path / "export.jsonl")
        rows = [json.loads(line) for line in (tmp_path / "export.jsonl").read_text("utf-8").split("\n")[:-1]]
        assert rows[0]["format"] == 1
        assert [row["key"] for row in rows[1:]] == sorted(row["key"] for row in rows[1:])


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=40))
@settings(max_examples=25, deadline=None)
def test_any_text_survives_the_round_trip(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    root = tmp_path_factory.mktemp("trip")
    key, entry = ask(text).cache_key(ENDPOINT), encode_answer(ask(text), answer(text), ENDPOINT)
    put(root / "one", key, entry)
    export_cache(root / "one", root / "export.jsonl")
    import_cache(root / "two", root / "export.jsonl")
    assert DiskStore(root / "two").get(key) == entry


def test_a_forged_checksum_is_no_way_around_the_key() -> None:
    assert checksum("a" * 64, b"x") != checksum("b" * 64, b"x")
