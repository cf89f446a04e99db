"""A cached Predict, end to end (render, key, look-up, parse), against DSPy's own cached call.

DSPy lives in an environment of its own: ``LMPROG_BENCH_DSPY`` names its Python; where it is unset, one is
made in the temporary folder and kept. Both sides ask a local server once and the cache from then on; they
run by turns, and the fastest of each side's batches is compared.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

from tests.benchmarks.rows import Row
from tests.support.server import FakeServer

BATCHES, CALLS = 7, 2000

OURS = """
import pytest_lmprog as dspy
lm = dspy.LM("openai/bench", api_base=URL, api_key="key", temperature=0)
"""
THEIRS = """
import dspy
lm = dspy.LM("openai/bench", api_base=URL, api_key="key", temperature=0.0, cache=True)
"""
BODY = """
import sys, time
dspy.configure(lm=lm)
class Triage(dspy.Signature):
    \"\"\"Decide which team handles a support ticket.\"\"\"
    ticket: str = dspy.InputField()
    team: str = dspy.OutputField()
predict = dspy.Predict(Triage)
predict.demos = [dspy.Example(ticket=f"ticket number {i} is about money", team="billing") for i in range(4)]
assert predict(ticket="I was charged twice").team == "billing"
for _ in range(50):
    predict(ticket="I was charged twice")
best = min(timed(predict) for _ in range(3))
print(best)
"""
TIMED = f"""
import time
def timed(predict):
    start = time.perf_counter()
    for _ in range({CALLS}):
        predict(ticket="I was charged twice")
    return (time.perf_counter() - start) / {CALLS} * 1e6
"""


def answer(request: dict[str, object]) -> str:
    """JSON where it was asked for, else DSPy's chat form."""
    if request.get("response_format"):
        return '{"team": "billing"}'
    return "[[ ## team ## ]]\nbilling\n\n[[ ## completed ## ]]"


def dspy_python() -> str:
    """Return the Python of an environment with DSPy, made on first use."""
    given = os.environ.get("LMPROG_BENCH_DSPY")
    if given:
        return given
    home = Path(tempfile.gettempdir()) / "lmprog-bench-dspy"
    python = home / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if not (home / "ready").exists():
        venv.create(home, with_pip=True, clear=True)
        subprocess.run([python, "-m", "pip", "install", "-q", "dspy>=3.4,<3.5"], check=True)
        (home / "ready").touch()
    return str(python)


def microseconds(python: str, setup: str, url: str) -> float:
    """Return the best time of one cached call in a process of its own."""
    code = f"URL = {url!r}\n{setup}{TIMED}{BODY}"
    with tempfile.TemporaryDirectory() as folder:
        env = {**os.environ, "DSPY_CACHEDIR": folder, "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
        done = subprocess.run(
            [python, "-c", code], capture_output=True, text=True, env=env, cwd=Path(__file__).parents[2]
        )
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    return float(done.stdout.split()[-1])


def run() -> list[Row]:
    """Measure both, by turns."""
    other = dspy_python()
    with FakeServer(answer) as server:
        pairs = [
            (microseconds(sys.executable, OURS, server.url), microseconds(other, THEIRS, server.url))
            for _ in range(BATCHES)
        ]
    ours, theirs = (min(side) for side in zip(*pairs, strict=True))
    return [
        Row("cached Predict", ours, "us"),
        Row("DSPy's cached Predict", theirs, "us"),
        Row("cached Predict / DSPy's", ours / theirs, "ratio", budget=0.5),
    ]
