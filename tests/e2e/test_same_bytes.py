"""The bytes of a snapshot depend on the answers alone, whatever the run is like."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.e2e.answers import topical, unconstrained
from tests.e2e.forks import Forks
from tests.e2e.project import Project
from tests.e2e.test_compile_killed import TELEPROMPTERS, answer
from tests.support.server import Answer, FakeServer, request_digest

RUNS: dict[str, tuple[tuple[str, ...], Mapping[str, str]]] = {
    "one at a time": (("--lm-max-concurrency=1",), {"PYTHONHASHSEED": "1"}),
    "64 at a time, verbose, in colour": (
        ("--lm-max-concurrency=64", "-vv", "--color=yes"),
        {"PYTHONHASHSEED": "2"},
    ),
    "on 4 workers, in CI, shuffled": (
        ("--lm-max-concurrency=8", "-n4", "--lm-record=new", "-p", "randomly", "-p", "no:cacheprovider"),
        {"PYTHONHASHSEED": "3", "CI": "true"},
    ),
}


def compiled(
    tmp_path: Path,
    answer: Answer,
    *names: str,
    forks: Forks | None = None,
    teleprompter: str | None = None,
) -> list[bytes]:
    """Compile once a run of that name; each with all forgotten, and each request sent once."""
    found = []
    with FakeServer(answer, latency=(0.0, 0.03)) as server:
        project = Project(tmp_path / "project", server.url, teleprompter=teleprompter)
        for name in names:
            project.forget()
            server.reset()
            args, env = RUNS[name]
            if forks is None:
                code, out = project.run("--lm-compile", *args, env=env)
            else:
                code, out = forks.run(project, "--lm-compile", *args)
            assert code == 0, out
            assert max(Counter(request_digest(body) for body in server.bodies).values()) == 1
            found.append(project.snapshot.read_bytes())
    return found


def test_a_snapshot_is_the_same_however_it_is_compiled(tmp_path: Path) -> None:
    one, *others = compiled(tmp_path, topical, *RUNS)
    assert b"demos:" in one
    assert all(other == one for other in others)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["gepa", "simba"])
def test_so_it_is_where_the_words_of_the_tests_enter_prompts(tmp_path: Path, name: str) -> None:
    runs = "one at a time", "64 at a time, verbose, in colour"
    one, other = compiled(tmp_path, answer, *runs, teleprompter=TELEPROMPTERS[name])
    assert one == other


@pytest.mark.slow
def test_so_it_is_where_the_endpoint_refuses_constrained_json(tmp_path: Path, forks: Forks) -> None:
    one, other = compiled(
        tmp_path, unconstrained, "one at a time", "64 at a time, verbose, in colour", forks=forks
    )
    assert b"json_schema: false" in one
    assert one == other
