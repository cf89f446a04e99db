"""The disk store: what lies on disk, who shares it, and how damage is contained."""

from __future__ import annotations

import os
import pickle
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from pytest_lmprog.errors import CacheError, LmprogWarning
from pytest_lmprog.lm.stores import DATABASE, open_store
from pytest_lmprog.lm.stores.disk import DiskStore
from pytest_lmprog.lm.stores.sqlite import RowReader, checksum

KEY = "a" * 64
OTHER = "b" * 64


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def warned() -> list[str]:
    return []


def fill(folder: Path, rows: int = 1) -> Path:
    with closing(DiskStore(folder)) as store:
        store.set(KEY, b"answer")
        for number in range(rows - 1):
            store.set(f"{number:064x}", os.urandom(1500))
    return folder / DATABASE


def edit(database: Path, statement: str, *values: object) -> None:
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute(statement, values)


class TestFolder:
    def test_nothing_is_created_by_reading(self, folder: Path) -> None:
        assert DiskStore(folder).get(KEY) is None
        assert not folder.exists()

    def test_the_first_write_creates_an_ignored_folder(self, folder: Path) -> None:
        DiskStore(folder).set(KEY, b"x")
        assert (folder / ".gitignore").read_bytes() == b"*\n"

    def test_a_folder_of_the_users_is_not_ignored(self, folder: Path) -> None:
        folder.mkdir()
        DiskStore(folder).set(KEY, b"x")
        assert not (folder / ".gitignore").exists()

    def test_diskcache_and_sqlite_are_imported_on_first_use_only(self) -> None:
        code = (
            "import sys; from pathlib import Path; from pytest_lmprog.lm.stores.disk import DiskStore\n"
            "assert DiskStore(Path('nowhere')).get('a') is None\n"
            "assert not {'diskcache', 'sqlite3'} & set(sys.modules)"
        )
        subprocess.run([sys.executable, "-c", code], check=True)

    def test_values_stay_when_the_store_is_opened_again(self, folder: Path) -> None:
        fill(folder)
        assert DiskStore(folder).get(KEY) == b"answer"

    def test_a_closed_store_opens_again(self, folder: Path) -> None:
        store = DiskStore(folder)
        store.set(KEY, b"x")
        store.close()
        assert store.get(KEY) == b"x"

    def test_no_value_goes_to_a_file(self, folder: Path) -> None:
        DiskStore(folder).set(KEY, bytes(500_000))
        names = {path.name for path in folder.rglob("*") if path.is_file()}
        assert names <= {".gitignore", "claims.lock", DATABASE, f"{DATABASE}-wal", f"{DATABASE}-shm"}

    def test_nothing_is_evicted(self, folder: Path) -> None:
        store = DiskStore(folder)
        store.set(KEY, b"first")
        store.close()
        with closing(sqlite3.connect(folder / DATABASE)) as connection:
            settings = dict(connection.execute("SELECT key, value FROM Settings"))
        assert settings["eviction_policy"] == "none"
        assert settings["cull_limit"] == 0
        assert settings["size_limit"] > 2**60
        assert settings["sqlite_mmap_size"] == 0

    def test_a_path_that_diskcache_would_expand_is_refused(self, tmp_path: Path) -> None:
        store = DiskStore(tmp_path / "$HOME")
        with pytest.raises(CacheError, match="expand"):
            store.set(KEY, b"x")
        assert not (tmp_path / "$HOME" / DATABASE).exists()


class Touch:
    """Unpickling it creates a folder."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str, str]]:
        return os.mkdir, (os.fspath(self.path),)


class TestForgedRows:
    @pytest.fixture
    def bait(self, tmp_path: Path) -> Iterator[Path]:
        bait = tmp_path / "executed"
        pickle.loads(pickle.dumps(Touch(bait)))
        assert bait.exists(), "the bait works"
        bait.rmdir()
        yield bait
        assert not bait.exists()

    def read(self, folder: Path, warned: list[str]) -> bytes | None:
        with closing(DiskStore(folder, warn=warned.append)) as store:
            return store.get(KEY)

    def test_a_pickled_value_is_not_executed(self, folder: Path, bait: Path, warned: list[str]) -> None:
        edit(fill(folder), "UPDATE Cache SET mode = 4, value = ?", pickle.dumps(Touch(bait)))
        assert self.read(folder, warned) is None
        assert "claims to be something other than bytes" in warned[0]
        assert KEY[:12] in warned[0]

    def test_a_pickled_file_is_not_executed(self, folder: Path, bait: Path, warned: list[str]) -> None:
        database = fill(folder)
        (folder / "forged.val").write_bytes(pickle.dumps(Touch(bait)))
        edit(database, "UPDATE Cache SET mode = 4, value = NULL, filename = 'forged.val'")
        assert self.read(folder, warned) is None
        assert len(warned) == 1

    def test_a_pickled_key_is_not_executed(self, folder: Path, bait: Path) -> None:
        edit(fill(folder), "UPDATE Cache SET raw = 0, key = ?", pickle.dumps(Touch(bait)))
        store = DiskStore(folder)
        assert store.get(KEY) is None
        store.set(KEY, b"new")
        with RowReader(folder / DATABASE) as reader:
            rows = list(reader.rows())
        assert sorted(type(value).__name__ for _, value in rows) == ["CacheError", "bytes"]

    @pytest.mark.parametrize("mode", [2, 3])
    def test_a_file_outside_is_neither_read_nor_deleted(
        self, folder: Path, tmp_path: Path, mode: int, warned: list[str]
    ) -> None:
        secret = tmp_path / "secret"
        secret.write_text("secret")
        edit(fill(folder), "UPDATE Cache SET mode = ?, value = NULL, filename = '../secret'", mode)
        assert self.read(folder, warned) is None
        assert warned
        with closing(DiskStore(folder)) as store:
            store.set(KEY, b"new")
            assert store.get(KEY) == b"new"
        assert secret.read_text() == "secret"

    def test_settings_in_the_database_are_not_obeyed(self, folder: Path) -> None:
        database = fill(folder)
        for name, value in (("disk_min_file_size", 0), ("disk_evil", 1), ("eviction_policy", "nonsense")):
            edit(database, "INSERT OR REPLACE INTO Settings VALUES (?, ?)", name, value)
        with closing(DiskStore(folder)) as store:
            assert store.get(KEY) == b"answer"
            store.set(OTHER, b"x")
        assert not list(folder.rglob("*.val"))


class TestDamagedRows:
    @pytest.mark.parametrize(
        "change",
        [
            "value = 'text'",
            "value = NULL",
            "value = 7",
            "value = x'616e7377657273'",
            "tag = NULL",
            "tag = 'x'",
            "mode = 'x'",
        ],
    )
    def test_is_a_warning_and_a_miss(self, folder: Path, change: str, warned: list[str]) -> None:
        edit(fill(folder), f"UPDATE Cache SET {change}")
        with closing(DiskStore(folder, warn=warned.append)) as store:
            assert store.get(KEY) is None
            assert len(warned) == 1
            store.set(KEY, b"again")
            assert store.get(KEY) == b"again"

    def test_a_value_under_another_key_is_refused(self, folder: Path, warned: list[str]) -> None:
        edit(fill(folder), "UPDATE Cache SET key = ?", OTHER)
        with closing(DiskStore(folder, warn=warned.append)) as store:
            assert store.get(OTHER) is None
        assert "checksum" in warned[0]

    def test_the_checksum_binds_key_and_value(self) -> None:
        assert len({checksum(KEY, b"x"), checksum(OTHER, b"x"), checksum(KEY, b"y")}) == 3

    def test_by_default_it_is_a_python_warning(self, folder: Path) -> None:
        edit(fill(folder), "UPDATE Cache SET tag = 1")
        with pytest.warns(LmprogWarning, match="checksum"):
            assert DiskStore(folder).get(KEY) is None


def cut(database: Path) -> None:
    os.truncate(database, database.stat().st_size // 2 + 100)


def garble(database: Path) -> None:
    database.write_bytes(b"this is no database" * 1000)


def cut_to_header(database: Path) -> None:
    os.truncate(database, 60)


def overwrite_inside(database: Path) -> None:
    data = bytearray(database.read_bytes())
    data[4096 : len(data)] = bytes(len(data) - 4096)
    database.write_bytes(data)


def another_program(database: Path) -> None:
    database.unlink()
    edit(database, "CREATE TABLE moz_places (id INTEGER)")


def become_folder(database: Path) -> None:
    database.unlink()
    database.mkdir()


DAMAGES = [cut, garble, cut_to_header, overwrite_inside, another_program, become_folder]


class TestDamagedDatabase:
    @pytest.mark.parametrize("damage", DAMAGES)
    def test_one_warning_and_the_run_goes_on(self, folder: Path, damage, warned: list[str]) -> None:
        database = fill(folder, rows=40)
        damage(database)
        before = None if database.is_dir() else database.read_bytes()
        store = open_store(folder, warn=warned.append)
        for number in range(40):
            name = f"{number:064x}"
            assert store.get(name) is None
            store.set(name, b"fresh")
            assert store.get(name) == b"fresh"
        store.back.close()
        assert len(warned) == 1
        assert "cannot be used" in warned[0]
        assert os.fspath(database) in warned[0]
        assert before is None or database.read_bytes() == before, "left as it was"

    def test_an_empty_file_is_a_new_database(self, folder: Path, warned: list[str]) -> None:
        """A process killed at its first write leaves one."""
        folder.mkdir()
        (folder / DATABASE).touch()
        store = DiskStore(folder, warn=warned.append)
        store.set(KEY, b"x")
        assert store.get(KEY) == b"x"
        assert not warned

    def test_a_file_in_place_of_the_folder(self, folder: Path, warned: list[str]) -> None:
        folder.write_text("in the way")
        store = open_store(folder, warn=warned.append)
        with store.claim(KEY):
            assert store.get(KEY) is None
            store.set(KEY, b"x")
        assert store.get(KEY) == b"x"
        assert len(warned) == 1
        assert folder.read_text() == "in the way"

    def test_the_plain_disk_store_says_that_it_could_not_write(self, folder: Path) -> None:
        folder.write_text("in the way")
        with pytest.raises(CacheError, match="cannot be used"):
            DiskStore(folder).set(KEY, b"x")

    def test_a_full_disk_is_reported_once_and_may_pass(
        self, folder: Path, warned: list[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from pytest_lmprog.lm.stores.rows import RowCache

        def full(*_: object) -> None:
            raise sqlite3.OperationalError("database or disk is full")

        store = open_store(folder, warn=warned.append)
        store.set(KEY, b"x")
        with monkeypatch.context() as patch:
            patch.setattr(RowCache, "_row_insert", full)
            store.set(OTHER, b"y")
            store.set("c" * 64, b"z")
        assert store.get(OTHER) == b"y"
        assert len(warned) == 1
        assert "disk is full" in warned[0]
        store.set("d" * 64, b"later")
        assert DiskStore(folder).get("d" * 64) == b"later"

    def test_a_read_only_database_is_an_error_not_a_loop(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """With ``retry=True`` diskcache would spin for ever here."""
        from pytest_lmprog.lm.stores import rows
        from pytest_lmprog.lm.stores.rows import RowCache

        fill(folder)
        store = DiskStore(folder)
        store.get(KEY)

        def connect(_: RowCache) -> sqlite3.Connection:
            address = f"file:{folder}/{DATABASE}?mode=ro"
            options = {"isolation_level": None, "check_same_thread": False, "factory": rows.Connection}
            return sqlite3.connect(address, uri=True, **options)

        monkeypatch.setattr(RowCache, "_connect", connect)
        error: list[BaseException] = []

        def write() -> None:
            try:
                store.set(OTHER, b"x")
            except CacheError as raised:
                error.append(raised)

        thread = threading.Thread(target=write)  # a new thread opens a connection of its own
        thread.start()
        thread.join(60)
        assert not thread.is_alive()
        assert "readonly" in str(error[0])


class TestReadOnlyFolder:
    def test_what_is_there_can_be_read(
        self, folder: Path, warned: list[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from pytest_lmprog.lm.stores import rows

        fill(folder)

        def refuse(*_: object, **__: object) -> None:
            raise sqlite3.OperationalError("attempt to write a readonly database")

        monkeypatch.setattr(rows, "RowCache", refuse)
        store = open_store(folder, warn=warned.append)
        assert store.get(KEY) == b"answer"
        assert not warned
        store.set(OTHER, b"x")
        store.set("c" * 64, b"x")
        assert store.get(OTHER) == b"x"
        assert len(warned) == 1
        assert "read-only" in warned[0]

    def test_a_claim_needs_no_folder(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        store = DiskStore(tmp_path / "file" / "cache")
        with store.claim(KEY):
            assert not store.claim(KEY).try_acquire()
        assert store.claim(KEY).try_acquire()


WRITER = """
import sys
from pathlib import Path
from pytest_lmprog.lm.stores.disk import DiskStore
store = DiskStore(Path(sys.argv[1]))
for number in range(100_000):
    key = f"{number:064x}"
    store.set(key, key.encode() * 50)
    print(number, flush=True)
"""


class TestProcesses:
    def test_what_a_killed_writer_reported_as_stored_is_there(self, folder: Path) -> None:
        for _ in range(3):
            writer = subprocess.Popen(
                [sys.executable, "-c", WRITER, os.fspath(folder)], stdout=subprocess.PIPE, text=True
            )
            assert writer.stdout is not None
            for line in writer.stdout:
                if int(line) >= 30:
                    break
            writer.send_signal(signal.SIGKILL)
            rest = writer.stdout.read().splitlines()
            writer.stdout.close()
            writer.wait()
            last = int(rest[-2]) if len(rest) > 1 else 30
            with closing(DiskStore(folder)) as store:
                for number in range(last + 1):
                    key = f"{number:064x}"
                    assert store.get(key) == key.encode() * 50

    def test_a_process_killed_while_opening_leaves_a_usable_cache(self, folder: Path) -> None:
        code = (
            "import sqlite3, os, sys, signal; from pathlib import Path\n"
            "from pytest_lmprog.lm.stores import rows; from pytest_lmprog.lm.stores.disk import DiskStore\n"
            "left = int(sys.argv[2])\n"
            "def execute(self, *args):\n"
            "    global left; left -= 1\n"
            "    if left < 0: os.kill(os.getpid(), signal.SIGKILL)\n"
            "    return sqlite3.Connection.execute(self, *args)\n"
            "rows.Connection.execute = execute\n"
            "DiskStore(Path(sys.argv[1])).set('a' * 64, b'x')"
        )
        for moment in (0, 3, 9, 30, 50):
            run = subprocess.run([sys.executable, "-c", code, os.fspath(folder), str(moment)])
            assert run.returncode == -signal.SIGKILL
            with closing(DiskStore(folder)) as store:
                store.set(OTHER, b"y")
                assert store.get(OTHER) == b"y"
            for path in folder.iterdir():
                path.unlink()

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
    def test_a_forked_child_uses_connections_of_its_own(self, folder: Path) -> None:
        store = DiskStore(folder)
        store.set(KEY, b"parent")
        child = os.fork()
        if not child:
            try:
                store.set(OTHER, b"child")
                os._exit(0 if store.get(KEY) == b"parent" else 1)
            finally:
                os._exit(2)
        assert os.waitpid(child, 0)[1] == 0
        assert store.get(OTHER) == b"child"

    def test_no_connection_outlives_its_thread(self, folder: Path) -> None:
        store = DiskStore(folder)
        store.set(KEY, b"x")
        for _ in range(5):
            thread = threading.Thread(target=store.get, args=(KEY,))
            thread.start()
            thread.join()
        assert len(store._writer._connections) == 1

    def test_a_store_that_is_dropped_leaves_no_warning(self, folder: Path) -> None:
        code = (
            "import gc, sys, threading; from pathlib import Path\n"
            "from pytest_lmprog.lm.stores.disk import DiskStore\n"
            "store = DiskStore(Path(sys.argv[1])); store.set('a' * 64, b'x'); lives = threading.Event()\n"
            "thread = threading.Thread(target=lambda: (store.get('a' * 64), lives.wait())); thread.start()\n"
            "del store; gc.collect(); lives.set(); thread.join(); gc.collect()"
        )
        command = [sys.executable, "-W", "error", "-X", "dev", "-c", code, os.fspath(folder)]
        assert subprocess.run(command, capture_output=True, text=True).stderr == ""


def test_open_and_look_up_are_fast(folder: Path) -> None:
    """A look-up takes microseconds; the bound is for machines that are slow and shared."""
    fill(folder, rows=300)
    store = DiskStore(folder)
    store.get(KEY)

    def seconds() -> float:
        start = time.perf_counter()
        for _ in range(100):
            store.get(KEY)
        return (time.perf_counter() - start) / 100

    assert min(seconds() for _ in range(3)) < 0.01
