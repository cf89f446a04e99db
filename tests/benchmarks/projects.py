"""Projects that the replay and idle benchmarks run pytest on, in processes of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

__all__ = ["empty_project", "seconds", "unit_project"]

PLUGINS = ("-p", "no:randomly", "-p", "no:xdist", "-p", "no:timeout", "-p", "no:hypothesispytest")

CONFTEST = """
import json
import pytest
import pytest_lmprog as lmp

@pytest.fixture(scope="session")
def lm():
    return lmp.ScriptedLM(lambda request: json.dumps({"team": "billing"}))
"""

UNIT = """
import pytest
import pytest_lmprog as lmp

class Ticket(lmp.Signature):
    \"\"\"Decide which team should handle a support ticket.\"\"\"
    ticket: str = lmp.InputField()
    team: str = lmp.OutputField()

class Triage(lmp.Module):
    def __init__(self):
        self.classify = lmp.Predict(Ticket)
    def forward(self, ticket):
        return self.classify(ticket=ticket)

@pytest.mark.lm_program(program=Triage)
@pytest.mark.lm_examples("rows.jsonl")
def test_team(example, prediction):
    assert prediction.team == example.team
"""

EMPTY = """
import pytest

@pytest.mark.parametrize("example", list(range({n})), ids=[f"case-{{i:06}}" for i in range({n})])
def test_team(example):
    pass
"""


def unit_project(folder: Path, cases: int, *, snapshot: bool = False) -> Path:
    """Write a project with one metric on ``cases`` examples, record its answers, and make its snapshot."""
    folder.mkdir(parents=True)
    (folder / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    (folder / "conftest.py").write_text(CONFTEST, encoding="utf-8")
    (folder / "test_unit.py").write_text(UNIT, encoding="utf-8")
    rows = (
        {"id": f"case-{i:06}", "ticket": f"I was charged twice for order {i}", "team": "billing"}
        for i in range(cases)
    )
    text = "".join(json.dumps(row) + "\n" for row in rows)
    (folder / "rows.jsonl").write_text(text, encoding="utf-8")
    seconds(folder, *(["--lm-update"] if snapshot else []), record="new")
    return folder


def empty_project(folder: Path, cases: int) -> Path:
    """Write a project with as many empty parametrized tests."""
    folder.mkdir(parents=True)
    (folder / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    (folder / "test_empty.py").write_text(EMPTY.format(n=cases), encoding="utf-8")
    return folder


def seconds(folder: Path, *arguments: str, record: str = "none") -> float:
    """Return how long a run of pytest takes, from the start of its process to the end."""
    environment = {**os.environ, "PYTEST_LMPROG_RECORD": record}
    for name in ("PYTEST_ADDOPTS", "PYTHONDONTWRITEBYTECODE", "CI"):  # compiled modules are kept, as usual
        environment.pop(name, None)
    command = [sys.executable, "-m", "pytest", "-q", *PLUGINS, *arguments]
    start = time.perf_counter()
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    elapsed = time.perf_counter() - start
    if done.returncode:
        raise RuntimeError(done.stdout[-2000:] + done.stderr[-2000:])
    return elapsed
