"""A small support desk on disk: a program, data, metrics and a scripted LM, for runs of a real pytest."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

__all__ = ["Desk"]

PROGRAM = '''
from typing import Literal
import pytest_lmprog as lmp

def clean(text):
    return text.strip()

class Ticket(lmp.Signature):
    """Decide which team should handle a support ticket."""
    ticket: str = lmp.InputField()
    team: Literal["account", "billing", "bug", "feature"] = lmp.OutputField()

class Triage(lmp.Module):
    """Sorts tickets."""
    def __init__(self):
        self.classify = lmp.Predict(Ticket)
    def forward(self, ticket):
        return self.classify(ticket=clean(ticket))
'''

TICKETS = """
- {id: refund-1, ticket: "I was charged twice", team: billing, split: dev}
- {id: login-1, ticket: "I cannot log in", team: account, split: dev}
- {id: crash-1, ticket: "The app crashes on start", team: bug, split: dev}
- {id: dark-1, ticket: "Please add a dark mode", team: feature, split: dev}
- {id: odd-1, ticket: "Something odd", team: feature, split: dev}
- {id: refund-2, ticket: "Refund my last invoice", team: billing, split: train}
- {id: dark-2, ticket: "A dark theme, when?", team: feature, split: train}
"""

CONFTEST = """
import json
import os
import pytest
import pytest_lmprog as lmp

WORDS = json.loads(os.environ["DESK_WORDS"])

def answer(request):
    last = request.messages[-1]["content"]
    return json.dumps({"team": next((team for word, team in WORDS.items() if word in last), "bug")})

@pytest.fixture(scope="session")
def lm():
    return lmp.ScriptedLM(answer, model=os.environ.get("DESK_MODEL", "scripted/desk"))
"""

TESTS = """
import os
import signal
import pytest
from pytest_lmprog import BootstrapFewShot
from program import Triage

def same(one, other):
    return one == other

@pytest.mark.lm_program(program=Triage, teleprompter=BootstrapFewShot(max_bootstrapped_demos=2),
                        trainset="tickets.yaml", train_split="train")
@pytest.mark.lm_examples("tickets.yaml", split="dev")
class TestTriage:
    @pytest.mark.lm_gate()
    def test_team(self, example, prediction):
        if os.environ.get("KILL") == example.id:
            os.kill(os.getpid(), signal.SIGKILL)
        assert same(prediction.team, example.team)

    def test_size(self, prediction):
        return len(prediction.team) / 10
"""

WORDS = {"charged": "billing", "Refund": "billing", "log in": "account", "dark": "feature"}


class Desk:
    """The project at ``path``; ``words`` is the rule by which its LM answers."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.words = dict(WORDS)
        for name, text in (("program.py", PROGRAM), ("tickets.yaml", TICKETS), ("conftest.py", CONFTEST)):
            (path / name).write_text(text, encoding="utf-8")
        (path / "test_support.py").write_text(TESTS, encoding="utf-8")
        (path / "pytest.ini").write_text("[pytest]\npythonpath = .\n", encoding="utf-8")

    @property
    def snapshot(self) -> Path:
        """The unit's snapshot."""
        return self.path / "__lm_snapshots__/test_support/TestTriage.yaml"

    def edit(self, name: str, old: str, new: str) -> None:
        """Replace ``old``, which must be there, in a file."""
        text = (self.path / name).read_text(encoding="utf-8")
        assert old in text, old
        (self.path / name).write_text(text.replace(old, new), encoding="utf-8")

    def pytest(self, *args: str, **env: str) -> tuple[int, str]:
        """Run pytest in a process of its own; return its exit code and what it printed."""
        return self._run("-m", "pytest", "-p", "no:cacheprovider", *args, **env)

    def with_cache(self, *args: str, **env: str) -> tuple[int, str]:
        """The same, with pytest's own cache (``--lf``)."""
        return self._run("-m", "pytest", *args, **env)

    def lmprog(self, *args: str) -> tuple[int, str]:
        """Run the command-line tool."""
        return self._run("-c", "import sys; from pytest_lmprog.cli import main; sys.exit(main())", *args)

    def _run(self, *args: str, **env: str) -> tuple[int, str]:
        kept = {k: v for k, v in os.environ.items() if k != "CI" and not k.startswith("PYTEST")}
        more: dict[str, Any] = {"DESK_WORDS": json.dumps(self.words), "COLUMNS": "100", **env}
        done = subprocess.run(
            [sys.executable, *args],
            cwd=self.path,
            env={**kept, **more},
            capture_output=True,
            encoding="utf-8",
            timeout=300,
            check=False,
        )
        return done.returncode, done.stdout + done.stderr
