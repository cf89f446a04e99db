"""Claims: one holder a key, across threads and processes, freed by death."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from pytest_lmprog.lm import claims as module
from pytest_lmprog.lm.claims import FileClaims, LocalClaims

WORKER = """
import sys, time
from pathlib import Path
from pytest_lmprog.lm.stores import open_store
folder, log = Path(sys.argv[1]), open(sys.argv[2], "a")
store = open_store(folder)
for number in range(20):
    key = f"{number:064x}"
    with store.claim(key):
        if store.get(key) is None:
            time.sleep(0.005)
            log.write(f"{number}\\n"); log.flush()
            store.set(key, b"answer")
    assert store.get(key) == b"answer"
"""

HOLDER = """
import sys, time
from pathlib import Path
from pytest_lmprog.lm.claims import FileClaims
with FileClaims(Path(sys.argv[1])).claim("k"):
    print("held", flush=True)
    time.sleep(60)
"""


def start(code: str, *arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", code, *map(os.fspath, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_four_processes_compute_each_key_once(tmp_path: Path) -> None:
    log = tmp_path / "log"
    workers = [start(WORKER, tmp_path / "cache", log) for _ in range(4)]
    assert [worker.wait(60) for worker in workers] == [0, 0, 0, 0]
    for worker in workers:
        worker.stdout.close()
    assert sorted(map(int, log.read_text().split())) == list(range(20))
    assert not [path for path in (tmp_path / "cache").iterdir() if "lock" in path.name][1:], "one lock file"


def test_a_killed_holder_frees_its_key(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    holder = start(HOLDER, lock)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    claim = FileClaims(lock).claim("k")
    assert not claim.try_acquire()
    assert FileClaims(lock).claim("other").try_acquire()
    taken: list[float] = []

    def wait() -> None:
        with claim:
            taken.append(time.monotonic())

    thread = threading.Thread(target=wait)
    thread.start()
    time.sleep(0.05)
    assert not taken
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    holder.stdout.close()
    thread.join(60)
    assert taken, "the key of a dead process is free"


class TestThreads:
    @pytest.mark.parametrize("make", [lambda path: LocalClaims(), lambda path: FileClaims(path / "lock")])
    def test_never_two_at_once(self, tmp_path: Path, make) -> None:
        claims = make(tmp_path)
        inside, most = [0] * 3, [0] * 3
        tally = threading.Lock()

        def work(number: int) -> None:
            key = number % 3
            for _ in range(5):
                with claims.claim(f"key{key}"):
                    with tally:
                        inside[key] += 1
                        most[key] = max(most[key], inside[key])
                    time.sleep(0.0002)
                    with tally:
                        inside[key] -= 1

        threads = [threading.Thread(target=work, args=(n,)) for n in range(64)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert most == [1, 1, 1]

    def test_two_objects_on_one_file_exclude_each_other(self, tmp_path: Path) -> None:
        with FileClaims(tmp_path / "lock").claim("k"):
            assert not FileClaims(tmp_path / "lock").claim("k").try_acquire()
        assert FileClaims(tmp_path / "lock").claim("k").try_acquire()

    def test_releasing_one_key_keeps_the_others(self, tmp_path: Path) -> None:
        """POSIX drops all locks of a process when it closes any descriptor of the file."""
        lock = tmp_path / "lock"
        first = FileClaims(lock).claim("a")
        first.acquire()
        with FileClaims(lock).claim("b"):
            pass
        probe = (
            "import sys; from pathlib import Path; from pytest_lmprog.lm.claims import FileClaims\n"
            "claims = FileClaims(Path(sys.argv[1]))\n"
            "print(claims.claim('a').try_acquire(), claims.claim('b').try_acquire())"
        )
        run = subprocess.run([sys.executable, "-c", probe, lock], capture_output=True, text=True)
        assert run.stdout == "False True\n"
        first.release()
        run = subprocess.run([sys.executable, "-c", probe, lock], capture_output=True, text=True)
        assert run.stdout == "True True\n"

    def test_another_thread_may_release(self, tmp_path: Path) -> None:
        claim = FileClaims(tmp_path / "lock").claim("k")
        claim.acquire()
        thread = threading.Thread(target=claim.release)
        thread.start()
        thread.join()
        assert FileClaims(tmp_path / "lock").claim("k").try_acquire()

    def test_releasing_what_is_not_held_does_nothing(self, tmp_path: Path) -> None:
        claim = FileClaims(tmp_path / "lock").claim("k")
        claim.release()
        with claim:
            pass
        claim.release()


class TestResources:
    def test_nothing_is_kept_when_no_claim_is_held(self, tmp_path: Path) -> None:
        before = set(module._current._slots), set(module._current._files)
        for number in range(50):
            with FileClaims(tmp_path / "lock").claim(str(number)):
                assert len(module._current._files) >= 1
        assert (set(module._current._slots), set(module._current._files)) == before

    def test_an_interrupted_wait_leaves_nothing(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def interrupt(_: float) -> None:
            raise KeyboardInterrupt

        before = set(module._current._files)
        holder = start(HOLDER, tmp_path / "lock")
        assert holder.stdout is not None
        holder.stdout.readline()
        monkeypatch.setattr(module.time, "sleep", interrupt)
        with pytest.raises(KeyboardInterrupt):
            FileClaims(tmp_path / "lock").claim("k").acquire()
        holder.kill()
        holder.wait()
        holder.stdout.close()
        assert set(module._current._files) == before
        assert FileClaims(tmp_path / "lock").claim("k").try_acquire()

    def test_a_deleted_lock_file_is_made_again(self, tmp_path: Path) -> None:
        claims = FileClaims(tmp_path / "lock")
        with claims.claim("a"):
            (tmp_path / "lock").unlink()
            with claims.claim("b"):
                assert (tmp_path / "lock").exists()

    @pytest.mark.parametrize("place", ["missing/lock", "file/lock", "folder"])
    def test_without_a_lock_file_it_holds_within_the_process(self, tmp_path: Path, place: str) -> None:
        (tmp_path / "file").touch()
        (tmp_path / "folder").mkdir()
        claims = FileClaims(tmp_path / place)
        with claims.claim("k"):
            assert not claims.claim("k").try_acquire()
        assert claims.claim("k").try_acquire()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_does_not_inherit_claims(tmp_path: Path) -> None:
    claims = FileClaims(tmp_path / "lock")
    claim = claims.claim("k")
    claim.acquire()
    child = os.fork()
    if not child:
        try:
            free = claims.claim("other")
            held = claims.claim("k").try_acquire()
            os._exit(0 if not held and free.try_acquire() else 1)
        finally:
            os._exit(2)
    assert os.waitpid(child, 0)[1] == 0
    claim.release()
    assert claims.claim("k").try_acquire()
