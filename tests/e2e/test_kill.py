"""A compile that is killed anywhere resumes from what was answered and stored."""

from __future__ import annotations

import random
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from pytest_lmprog.canonical import digest as canonical_digest
from pytest_lmprog.lm.entry import decode_entry
from tests.e2e.answers import topical
from tests.e2e.forks import Forks
from tests.e2e.project import Project
from tests.support.server import FakeServer

KILLS = 25


def asked(request: dict[str, Any]) -> str:
    """Name a request by what is the same in the server's view and the store's."""
    return canonical_digest([request["messages"], request.get("temperature")])


def stored(project: Project) -> Counter[str]:
    """Return how many answers the cache holds for each request."""
    import sqlite3
    from contextlib import closing

    path = project.path / ".lm_cache" / "cache.db"
    if not path.exists():
        return Counter()
    with closing(sqlite3.connect(path)) as rows:
        try:
            values = [row[0] for row in rows.execute("SELECT value FROM Cache")]
        except sqlite3.OperationalError:  # killed before the table was there
            return Counter()
    entries = [decode_entry(bytes(value)) for value in values]
    return Counter(asked(dict(e.request)) for e in entries if e.response is not None and e.request)


@pytest.mark.slow
def test_killed_25_times_it_ends_in_the_same_bytes_and_asks_nothing_stored_again(
    tmp_path: Path, forks: Forks
) -> None:
    rng = random.Random(20)
    with FakeServer(topical, latency=(0.002, 0.03)) as server:
        project = Project(tmp_path / "project", server.url)
        whole = forks.pytest(project, "--lm-compile")
        assert whole.wait() == 0, whole.text
        snapshot, total = project.snapshot.read_bytes(), server.count
        project.forget()
        server.reset()
        kept: Counter[str] = Counter()
        resumed = 0
        for _ in range(KILLS):
            concurrency = rng.choice((1, 8, 64))
            child = forks.pytest(project, "--lm-compile", f"--lm-max-concurrency={concurrency}")
            wait_for(server, rng.randint(0, max(1, total // KILLS * 2)), child)
            time.sleep(rng.uniform(0, 0.05))
            child.kill()
            if project.snapshot.exists():  # it came to its end: begin anew
                assert project.snapshot.read_bytes() == snapshot
                project.forget()
                kept = Counter()
            assert kept.keys().isdisjoint(asked(body) for body in server.bodies)
            resumed += bool(kept)
            kept = stored(project)
            server.reset()
        assert resumed > KILLS // 4
        last = forks.pytest(project, "--lm-compile")
        assert last.wait() == 0, last.text
    assert project.snapshot.read_bytes() == snapshot
    assert kept.keys().isdisjoint(asked(body) for body in server.bodies)


def wait_for(server: FakeServer, answers: int, child: Any) -> None:
    """Wait until the server has given so many answers, or the child has ended."""
    while server.answered < answers and child.poll() is None:
        time.sleep(0.001)
