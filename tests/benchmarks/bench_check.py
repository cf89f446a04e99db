"""``lmprog check`` over 100 snapshots of 20 test modules; whole processes, the best of several."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.rows import Row

MODULES, UNITS, ROUNDS = 20, 5, 7

CONFTEST = """
import pytest
import pytest_lmprog as lmp

@pytest.fixture(scope="session")
def lm():
    return lmp.ScriptedLM(lambda request: {"reasoning": "so", "team": "bug"})
"""
PROGRAM = '''
from typing import Literal
import pytest_lmprog as lmp

LIMIT = %d

class Triaging(lmp.Signature):
    """Decide which team should handle a support ticket."""
    ticket: str = lmp.InputField()
    team: Literal["account", "billing", "bug", "feature"] = lmp.OutputField()

def clean(text):
    return text[: LIMIT + 1000]

class Triage(lmp.Module):
    def __init__(self):
        self.classify = lmp.ChainOfThought(Triaging)

    def forward(self, ticket):
        return self.classify(ticket=clean(ticket))
'''
HEAD = """
import pytest
from pytest_lmprog import LabeledFewShot
from program%d import Triage
"""
UNIT = """
@pytest.mark.lm_program(
    program=Triage, teleprompter=LabeledFewShot(k=4), trainset="data%d.yaml", train_split="train"
)
@pytest.mark.lm_examples("data%d.yaml", split="dev")
class Test%d:
    def test_team(self, example, prediction):
        assert prediction.team == example.team

    def test_short(self, prediction):
        assert len(prediction.reasoning) < 400
"""
ROW = '- {id: e%d, split: %s, ticket: "I was charged twice, %d times", team: bug}\n'


def run() -> list[Row]:
    """Measure a clean check and, for comparison, Python's own start."""
    with tempfile.TemporaryDirectory() as folder:
        project = made(Path(folder))
        compiled(project)
        found = [checked(project) for _ in range(ROUNDS)]
        bare = min(timed([sys.executable, "-c", "pass"], project).seconds for _ in range(ROUNDS))
    assert all(f"{MODULES * UNITS} snapshots checked: nothing pending" in one.said for one in found)
    best = min(one.seconds for one in found)
    return [
        Row("lmprog check, 100 snapshots", best * 1000, "ms", 300),
        Row("Python starts in", bare * 1000, "ms"),
    ]


def made(root: Path) -> Path:
    """Write the project."""
    (root / "pytest.ini").write_text("[pytest]\npythonpath = .\n", encoding="utf-8")
    (root / "conftest.py").write_text(CONFTEST, encoding="utf-8")
    for n in range(MODULES):
        units = "".join(UNIT % (n, n, k) for k in range(UNITS))
        rows = "".join(ROW % (k, "train" if k < 20 else "dev", 100 * n + k) for k in range(40))
        (root / f"program{n}.py").write_text(PROGRAM % n, encoding="utf-8")
        (root / f"test_{n}.py").write_text(HEAD % n + units, encoding="utf-8")
        (root / f"data{n}.yaml").write_text(rows, encoding="utf-8")
    return root


def compiled(project: Path) -> None:
    """Compile all units, whatever their scores."""
    env = {name: value for name, value in os.environ.items() if name != "CI"}
    command = [sys.executable, "-m", "pytest", "--lm-compile", "-q", "-p", "no:randomly"]
    subprocess.run(command, cwd=project, env=env, capture_output=True, check=True)


@dataclass(frozen=True)
class Timed:
    """One process: how long it took and what it said."""

    seconds: float
    said: str


def timed(command: list[str], folder: Path) -> Timed:
    """Run a command."""
    start = time.perf_counter()
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    return Timed(time.perf_counter() - start, done.stdout)


def checked(project: Path) -> Timed:
    """Run a check, as the installed command does."""
    return timed([str(Path(sys.executable).with_name("lmprog")), "check"], project)
