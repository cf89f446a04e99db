"""``lmprog rescore`` with a new metric over a saved run of 1,000 cases: no call, whole process."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.benchmarks.projects import PLUGINS, seconds, unit_project
from tests.benchmarks.rows import Row

CASES, ROUNDS = 1000, 5

REFUSING = """
import pytest

@pytest.fixture(scope="session")
def lm():
    raise RuntimeError("rescoring asks nothing")
"""
NEW = """

@pytest.mark.lm_program(program=Triage)
@pytest.mark.lm_examples("rows.jsonl")
class TestTriage:
    def test_team(self, example, prediction):
        assert prediction.team == example.team
"""
METRIC = """
    def test_short(self, prediction):
        return 1 / len(prediction.team)
"""


def run() -> list[Row]:
    """Save a run, add a metric, take the LM away, and measure."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = unit_project(Path(temporary) / "project", CASES)
        test = folder / "test_unit.py"
        text = test.read_text(encoding="utf-8").partition("@pytest.mark")[0] + NEW
        test.write_text(text, encoding="utf-8")
        seconds(folder, record="new")
        test.write_text(text + METRIC, encoding="utf-8")
        (folder / "conftest.py").write_text(REFUSING, encoding="utf-8")
        wall = min(_rescored(folder) for _ in range(ROUNDS))
    return [Row(f"lmprog rescore, {CASES:,} cases, a new metric beside an old one", wall, "s", 2.0)]


def _rescored(folder: Path) -> float:
    code = "import sys; from pytest_lmprog.cli import main; sys.exit(main())"
    environment = {k: v for k, v in os.environ.items() if k not in ("CI", "PYTEST_ADDOPTS")}
    start = time.perf_counter()
    command = [sys.executable, "-c", code, "rescore", "-q", *PLUGINS]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    elapsed = time.perf_counter() - start
    if done.returncode or f"{2 * CASES} passed" not in done.stdout:
        raise RuntimeError(done.stdout[-2000:] + done.stderr[-2000:])
    return elapsed
