"""Recordings: answers go to whom they belong, a miss explains itself, bytes don't depend on the run."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path

import pytest

import pytest_lmprog as lmp
from pytest_lmprog.errors import ReplayMissError
from pytest_lmprog.lm.recordings import Book
from pytest_lmprog.lm.scope import CallScope, use_scope
from tests.e2e.answers import plain, topical
from tests.e2e.forks import Forks
from tests.e2e.project import Project
from tests.support.pace import slowness
from tests.support.server import FakeServer

ECHO = """
import pathlib
import pytest

@pytest.mark.parametrize("word", {words!r})
def test_echo(lm, word):
    said = str(lm("Echo the word " + word))
    assert word in said
    with pathlib.Path("said.txt").open("a") as file:
        print(word, said, file=file)
"""


def echo(project: Project, *words: str) -> None:
    project.write("tests/test_echo.py", ECHO.format(words=list(words)))


def said(project: Project) -> list[str]:
    path = project.path / "said.txt"
    lines = sorted(path.read_text(encoding="utf-8").splitlines())
    path.unlink()
    return lines


def test_recorded_in_one_order_and_replayed_in_the_other(tmp_path: Path, forks: Forks) -> None:
    with FakeServer(plain) as server:
        project = Project(tmp_path / "project", server.url)
        echo(project, "alpha", "omega")
        code, out = forks.run(project, "tests/test_echo.py", "-p", "no:randomly")
        assert code == 0, out
        first, asked = said(project), server.count
    echo(project, "omega", "alpha")
    code, out = forks.run(project, "tests/test_echo.py", "-p", "no:randomly", env={"CI": "true"})
    assert code == 0, out
    assert said(project) == first
    assert asked == 2

    echo(project, "omega", "alpha", "gamma")
    code, out = forks.run(project, "tests/test_echo.py", "-p", "no:randomly", "--lm-record=none")
    assert code == 1
    assert "no recorded answer for test_echo[gamma] in tests/__lm_recordings__/test_echo.jsonl" in out
    assert "the nearest recorded request differs in messages[0]" in out
    assert re.search(r"recorded: .*(alpha|omega)", out)
    assert re.search(r"now: +.*gamma", out)
    assert "run with --lm-record=new" in out
    assert "Traceback" not in out
    assert "pytest_lmprog/" not in out, "the frames of the plugin are of no use to the user"


def ticket(text: str) -> list[dict[str, str]]:
    return [{"role": "system", "content": "Decide." * 50}, {"role": "user", "content": f"ticket {text}"}]


def test_a_miss_among_10000_recordings_is_told_in_100_ms(tmp_path: Path) -> None:
    lm = lmp.ScriptedLM(lambda request: "fine", model="scripted/fine")
    path = tmp_path / "test_many.jsonl"
    book = Book(path)
    with use_scope(CallScope(recording=book)):
        for number in range(10_000):
            lm(ticket(f"{number} is {number**3:x}"))
    book.flush()
    took = []
    for _ in range(3):  # the best of three: other work on the machine is not what is measured
        scope = CallScope(recording=Book(path), mode="none", label="test_many[x]")
        with use_scope(scope):
            started = time.process_time()
            with pytest.raises(ReplayMissError, match=r"differs in messages\[1\]"):
                lm(ticket("77 is late"))
            took.append(time.process_time() - started)
    assert min(took) < 0.1 * slowness()


def recorded(forks: Forks, project: Project, *args: str) -> dict[str, bytes]:
    code, out = forks.run(project, *args)
    assert code in (0, 1), out  # answers of the fake are often wrong: failing cases are recorded, too
    return {path.name: path.read_bytes() for path in sorted(project.recordings.iterdir())}


def test_workers_record_what_one_process_records(tmp_path: Path, forks: Forks) -> None:
    with FakeServer(topical, latency=(0.0, 0.03)) as server:
        project = Project(tmp_path / "project", server.url)
        echo(project, "alpha", "omega", "account")
        first = recorded(forks, project, "-p", "no:randomly")
        lines = [json.loads(line) for line in first["test_clerk.jsonl"].splitlines()]
        assert lines
        for args in (("-n4",), ("-p", "randomly")):
            for path in project.recordings.glob("*.jsonl"):
                path.unlink()
            assert recorded(forks, project, *args) == first  # from the cache: latency was measured once
        asked = server.count
        (project.path / ".lm_cache/cache.db").unlink()
        assert recorded(forks, project) == first
        assert server.count == asked
