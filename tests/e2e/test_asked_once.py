"""The same request reaches the server once, from however many threads, tasks and processes."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import pytest_lmprog as lmp
from tests.e2e.answers import plain
from tests.e2e.forks import Forks
from tests.support.server import FakeServer

ONE_OF_FOUR = """
import os, pathlib, time
import pytest_lmprog as lmp
lm = lmp.LM("openai/fake", api_base={url!r}, api_key="sk-e2e-secret", cache_dir={cache!r})
pathlib.Path("ready-" + str(os.getpid())).touch()
while len(list(pathlib.Path(".").glob("ready-*"))) < 4:
    time.sleep(0.001)
print(lm("the same question"))
"""


def threads(lm: lmp.LM, count: int) -> list[str]:
    """Ask from so many threads at the same moment."""
    gate = threading.Barrier(count)

    def ask(_: int) -> str:
        gate.wait()
        return str(lm("the same question"))

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(ask, range(count)))


def tasks(lm: lmp.LM, count: int) -> list[str]:
    """Ask from so many tasks of one event loop."""

    async def ask() -> list[str]:
        calls = (lm.acall("the same question") for _ in range(count))
        return [str(said) for said in await asyncio.gather(*calls)]

    return asyncio.run(ask())


def mixed(lm: lmp.LM, count: int) -> list[str]:
    """Ask from threads and, meanwhile, from the tasks of two event loops."""
    with ThreadPoolExecutor(3) as pool:
        parts = [
            pool.submit(threads, lm, count // 2),
            pool.submit(tasks, lm, count // 4),
            pool.submit(tasks, lm, count // 4),
        ]
        return [said for part in parts for said in part.result()]


@pytest.mark.parametrize("ways", [threads, tasks, mixed])
@pytest.mark.parametrize("on_disk", [True, False])
def test_32_at_once_in_one_process(tmp_path: Path, ways: object, on_disk: bool) -> None:
    with FakeServer(plain, latency=0.1) as server:
        folder = tmp_path / "cache" if on_disk else None
        lm = lmp.LM("openai/fake", api_base=server.url, api_key="sk-e2e-secret", cache_dir=folder)
        said = ways(lm, 32)  # type: ignore[operator]
    assert len(said) == 32
    assert len(set(said)) == 1
    assert server.count == 1


def test_4_processes(tmp_path: Path, forks: Forks) -> None:
    with FakeServer(plain, latency=0.2) as server:
        code = ONE_OF_FOUR.format(url=server.url, cache=str(tmp_path / "cache"))
        children = [forks.start(code, tmp_path) for _ in range(4)]
        assert [child.wait() for child in children] == [0] * 4, [child.text for child in children]
    assert len({child.text for child in children}) == 1
    assert server.count == 1
