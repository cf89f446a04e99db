"""BootstrapFewShotWithRandomSearch against DSPy's: the same program, data and settings, and the same server,
which answers as a pure function of the request after 100 ms, 32 requests at a time.

Both sides run by turns, each time in a process of its own with an empty cache; the fastest of each is
compared.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.benchmarks.bench_cached_predict import dspy_python
from tests.benchmarks.rows import Row
from tests.benchmarks.search import AS_IN_DSPY, DEMOS, LABELED
from tests.support.server import FakeServer
from tests.teleprompt.world import portion, truth

TURNS = 2

OURS = """
import pytest_lmprog as dspy
from pytest_lmprog.teleprompt import BootstrapFewShotWithRandomSearch
lm = dspy.LM("openai/bench", api_base=URL, api_key="key", temperature=0.0, max_concurrency=SLOTS)
"""
EVALUATED_FULLY = """
from tests.benchmarks.search import full_evaluation
whole = full_evaluation()
whole.__enter__()
"""
THEIRS = """
import dspy
from dspy.teleprompt import BootstrapFewShotWithRandomSearch
lm = dspy.LM("openai/bench", api_base=URL, api_key="key", temperature=0.0)
"""
BODY = f"""
import json, time
dspy.configure(lm=lm, adapter=dspy.JSONAdapter())
def rows(start, n):
    made = [dspy.Example(question=f"q{{i}}", answer=f"a{{i}}") for i in range(start, start + n)]
    return [row.with_inputs("question") for row in made]
class QA(dspy.Module):
    def __init__(self):
        self.answer = dspy.Predict("question -> answer")
    def forward(self, question):
        return self.answer(question=question)
def exact(example, prediction, trace=None):
    return prediction.answer == example.answer
search = BootstrapFewShotWithRandomSearch(
    metric=exact, max_bootstrapped_demos={DEMOS}, max_labeled_demos={LABELED},
    num_candidate_programs={AS_IN_DSPY.candidates}, num_threads=SLOTS,
)
lm("warm")
start = time.perf_counter()
program = search.compile(QA(), trainset=rows(0, {AS_IN_DSPY.train}), valset=rows(1000, {AS_IN_DSPY.val}))
seconds = time.perf_counter() - start
print("search: " + json.dumps({{"seconds": seconds, "demos": [d["question"] for d in program.answer.demos]}}))
"""


def answer(request: dict[str, Any]) -> str:
    """Right in about half of all cases; which ones depends on the questions of the demos. JSON where it is
    asked for, else DSPy's chat form."""
    asked = [re.findall(r"\bq\d+\b", str(m["content"])) for m in request["messages"] if m["role"] == "user"]
    *shown, question = [found[-1] for found in asked if found] or ["q0"]
    luck = portion("luck", question, shown)
    said = truth(question) if luck < 0.4 + 0.01 * len(shown) else "no idea"
    return json.dumps({"answer": said})


def searched(python: str, setup: str, server: FakeServer) -> tuple[float, list[str], int]:
    """Search in a process of its own; return its seconds, the winner's demos and the calls."""
    code = f"URL = {server.url!r}\nSLOTS = {AS_IN_DSPY.slots}\n{setup}{BODY}"
    server.reset()
    root = Path(__file__).parents[2]
    with tempfile.TemporaryDirectory() as folder:
        env = {**os.environ, "DSPY_CACHEDIR": folder, "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
        done = subprocess.run([python, "-c", code], capture_output=True, text=True, env=env, cwd=root)
    found = [line for line in done.stdout.splitlines() if line.startswith("search: ")]
    if not found:
        raise RuntimeError(done.stderr[-2000:])
    data = json.loads(found[0].removeprefix("search: "))
    return data["seconds"], data["demos"], server.count - 1


def run() -> list[Row]:
    """Measure both, by turns."""
    other = dspy_python()
    with FakeServer(answer, latency=AS_IN_DSPY.latency, slots=AS_IN_DSPY.slots) as server:
        turns = [
            (searched(sys.executable, OURS, server), searched(other, THEIRS, server)) for _ in range(TURNS)
        ]
        _, exhaustive, _ = searched(sys.executable, OURS + EVALUATED_FULLY, server)
    ours, theirs = (min(side) for side in zip(*turns, strict=True))
    return [
        Row("random search", ours[0], "s"),
        Row("DSPy's random search", theirs[0], "s"),
        Row("random search / DSPy's", ours[0] / theirs[0], budget=1 / 3),
        Row("calls", ours[2], "calls", budget=theirs[2]),
        Row("DSPy's calls", theirs[2], "calls"),
        Row("searches with another winner than a full evaluation", float(ours[1] != exhaustive), "", 0),
    ]
