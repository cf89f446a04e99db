"""A small project for pytester: a triage program, six tickets, and an LM that answers by a rule."""

from __future__ import annotations

import contextlib
import importlib
import pkgutil
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import pytest_lmprog

# pytester forgets modules that a run imported. All of ours are to stay: a class that is imported anew is
# another class to the modules that knew it.
importlib.import_module("hypothesis")  # its plugin imports it at the end of every run
with contextlib.suppress(ImportError):  # it cannot be imported twice in a process
    importlib.import_module("numpy")
for _module in pkgutil.walk_packages(pytest_lmprog.__path__, "pytest_lmprog."):
    if not _module.name.endswith(".__main__"):
        importlib.import_module(_module.name)

PROGRAM = '''
from typing import Literal
import pytest_lmprog as lmp

class TriageTicket(lmp.Signature):
    """Decide which team should handle a support ticket."""
    ticket: str = lmp.InputField()
    team: Literal["account", "billing", "bug", "feature"] = lmp.OutputField()

class Triage(lmp.Module):
    def __init__(self):
        self.classify = lmp.Predict(TriageTicket)
    def forward(self, ticket):
        return self.classify(ticket=ticket)
'''

TICKETS = """
- {id: refund-1, ticket: "I was charged twice", team: billing, split: dev}
- {id: login-1, ticket: "I cannot log in", team: account, split: dev}
- {id: crash-1, ticket: "The app crashes on start", team: bug, split: dev}
- {id: dark-1, ticket: "Please add a dark mode", team: feature, split: dev}
- {id: refund-2, ticket: "Refund my last invoice", team: billing, split: train}
- {id: login-2, ticket: "My password reset never comes", team: account, split: train}
"""

CONFTEST = """
import json
import pathlib
import pytest
import pytest_lmprog as lmp

WORDS = {words!r}

def answer(request):
    with pathlib.Path({calls!r}).open("a") as log:
        log.write("call\\n")
    last = request.messages[-1]["content"]
    team = next((team for word, team in WORDS.items() if word in last), "bug")
    if team.startswith("!"):
        return team[1:]
    return json.dumps({{"team": team}})

@pytest.fixture(scope="session")
def lm():
    return lmp.ScriptedLM(answer)
"""

WORDS = {
    "charged": "billing",
    "Refund": "billing",
    "log in": "account",
    "password": "account",
    "dark": "feature",
}

UNIT = """
import pytest
from program import Triage

@pytest.mark.lm_program(program=Triage)
@pytest.mark.lm_examples("tickets.yaml", split="dev")
class TestTriage:
    def test_team(self, example, prediction):
        assert prediction.team == example.team
"""


class Project:
    """A project in a temporary folder."""

    def __init__(self, pytester: pytest.Pytester) -> None:
        self.pytester = pytester
        self.path = pytester.path
        self.calls_log = pytester.path / "calls.log"
        self.write("program.py", PROGRAM)
        self.write("tickets.yaml", TICKETS)
        self.write("pytest.ini", "[pytest]\npythonpath = .\n")
        self.answers(**{})

    def write(self, name: str, text: str) -> Path:
        """Write a file of the project."""
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    def answers(self, words: dict[str, str] | None = None, **more: str) -> None:
        """Set the rule of the LM: a word in the prompt and the team; a team with ``!`` is a raw answer."""
        rule = {**(WORDS if words is None else words), **more}
        self.write("conftest.py", CONFTEST.format(words=rule, calls=str(self.calls_log)))

    def test(self, text: str = UNIT, name: str = "test_support.py") -> Path:
        """Write a test module."""
        return self.write(name, text)

    def run(self, *args: str) -> pytest.RunResult:
        """Run pytest in this process."""
        return self.pytester.runpytest_inprocess("-p", "no:randomly", "-p", "no:cacheprovider", *args)

    def run_cached(self, *args: str) -> pytest.RunResult:
        """Run pytest in this process, with its cache (``--lf``)."""
        return self.pytester.runpytest_inprocess("-p", "no:randomly", *args)

    def run_apart(self, *args: str) -> pytest.RunResult:
        """Run pytest in a process of its own."""
        return self.pytester.runpytest_subprocess("-p", "no:randomly", *args)

    def forget(self) -> None:
        """Remove cache and recordings."""
        for name in (".lm_cache", "__lm_recordings__"):
            shutil.rmtree(self.path / name, ignore_errors=True)

    @property
    def calls(self) -> int:
        """How often the LM was really asked."""
        return len(self.calls_log.read_text().splitlines()) if self.calls_log.exists() else 0


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.delenv("CI", raising=False)
    for name in ("RECORD", "MODEL", "LIMIT", "REPEAT", "SEED", "CACHE_DIR", "BUDGET", "MAX_CONCURRENCY"):
        monkeypatch.delenv(f"PYTEST_LMPROG_{name}", raising=False)
    return Project(pytester)


@pytest.fixture
def collected(project: Project) -> Callable[..., list[str]]:
    """Collect a test module and return the node ids."""

    def collect(text: str, *args: str) -> list[str]:
        project.test(text)
        result: Any = project.run("--collect-only", "-q", *args)
        return [line for line in result.outlines if "::" in line and " " not in line.split("[")[0]]

    return collect
