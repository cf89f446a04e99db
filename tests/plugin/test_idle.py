"""Installed but unused, the plugin loads next to nothing."""

from __future__ import annotations

import json

COUNT = """
import json
import sys

def pytest_unconfigure(config):
    with open("modules.json", "w") as file:
        json.dump(sorted(sys.modules), file)
"""


def modules(project, *arguments: str) -> set[str]:
    project.run_apart(*arguments).assert_outcomes(passed=1)
    return set(json.loads((project.path / "modules.json").read_text()))


def test_an_idle_run(project) -> None:
    project.write("conftest.py", COUNT)
    project.test("def test_a(tmp_path): ...\n")
    added = modules(project) - modules(project, "-p", "no:lmprog")
    assert len(added) < 10, sorted(added)
    assert all(name.startswith("pytest_lmprog") for name in added), sorted(added)
    assert "pytest_lmprog.harness.session" not in added


def test_a_replay_needs_no_client_and_no_event_loop(project) -> None:
    project.answers()
    project.test()
    project.run().assert_outcomes(passed=4)
    conftest = project.path / "conftest.py"
    conftest.write_text(conftest.read_text() + COUNT)
    project.run_apart("--lm-record=none").assert_outcomes(passed=4)
    loaded = set(json.loads((project.path / "modules.json").read_text()))
    heavy = {"litellm", "openai", "httpx", "diskcache", "sqlite3", "xllamacpp", "coverage"}
    assert not heavy & loaded
