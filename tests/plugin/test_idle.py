"""Installed but unused, the plugin loads next to nothing."""

from __future__ import annotations

import gc
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
    heavy = {"litellm", "openai", "httpx", "diskcache", "sqlite3", "xllamacpp", "coverage", "pydantic"}
    heavy |= {
        f"pytest_lmprog.{n}"
        for n in ("teleprompt", "snapshots.text", "harness.saved.collector", "reports.page")
    }
    assert not heavy & loaded


HOW = """
import json
import sys

def pytest_unconfigure(config):
    ours = {name: module for name, module in sys.modules.items() if name.startswith("pytest_lmprog.")}
    rewritten = [n for n, m in ours.items() if type(m.__spec__.loader).__module__.startswith("_pytest")]
    with open("modules.json", "w") as file:
        json.dump([len(ours), rewritten], file)
"""


def test_our_modules_are_loaded_as_python_would(project) -> None:
    project.answers()
    project.test()
    conftest = project.path / "conftest.py"
    conftest.write_text(conftest.read_text() + HOW)
    project.run_apart().assert_outcomes(passed=4)
    count, rewritten = json.loads((project.path / "modules.json").read_text())
    assert count > 50
    assert set(rewritten) <= {"pytest_lmprog.plugin"}, "pytest's loader of plugins takes half as long again"


FROZEN = """
import gc

def pytest_unconfigure():
    with open("frozen.txt", "w") as file:
        file.write(str(gc.get_freeze_count()))
"""


def test_what_a_long_run_keeps_is_given_back_at_its_end(project, monkeypatch) -> None:
    monkeypatch.setattr("pytest_lmprog.plugin.run._MANY", 2)
    project.answers()
    project.test()
    conftest = project.path / "conftest.py"
    conftest.write_text(conftest.read_text() + FROZEN)
    before = gc.get_freeze_count()
    project.run().assert_outcomes(passed=4)
    assert int((project.path / "frozen.txt").read_text()) > before + 1000, (
        "pytest's last collection finds little to do"
    )
    assert gc.get_freeze_count() <= before  # some Pythons start with a few frozen objects
