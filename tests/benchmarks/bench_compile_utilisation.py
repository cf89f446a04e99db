"""Wall time of a compile against its critical path, for an LM of fixed latency and number of slots: in
the process, and behind an HTTP server through the real client."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from pytest_lmprog.lm.client import LM
from pytest_lmprog.lm.tally import Tally
from tests.benchmarks.rows import Row
from tests.benchmarks.search import AS_IN_DSPY, Size, answer, full_evaluation
from tests.teleprompt.world import Asked, PlainAdapter, WorldLM

SLOW = Size(train=25, val=25, candidates=5, latency=0.4, slots=8)
"""Slow enough that the processor time of clients and servers hides in the latency."""


def run() -> list[Row]:
    """Measure both."""
    return [*in_process(), *over_http("over HTTP", SLOW, 1.15), *over_http("over HTTP, fast", AS_IN_DSPY)]


def in_process() -> list[Row]:
    """Nothing but the teleprompter, the programs and the metric."""
    lm = WorldLM(answer, latency=AS_IN_DSPY.latency)
    _, seconds = AS_IN_DSPY.search(lm, PlainAdapter())
    calls = len(lm.live)
    return [
        Row("compile in process: calls", calls, "calls", budget=sequential_calls()),
        *_rows("in process", AS_IN_DSPY, calls, seconds, 1.15),
    ]


def sequential_calls() -> int:
    """The calls of the same search one after the other, every candidate evaluated fully."""
    lm = WorldLM(answer)
    with full_evaluation():
        replace(AS_IN_DSPY, slots=1).search(lm, PlainAdapter())
    return len(lm.live)


def over_http(where: str, size: Size, budget: float | None = None) -> list[Row]:
    """The whole way: cache in memory, single flight, litellm, sockets; the server in another process."""
    with server(size) as url:
        lm = LM("openai/fake", api_base=url, api_key="sk-none", max_concurrency=size.slots)
        lm.complete(lm.request(({"role": "user", "content": json.dumps({"question": "warm"})},) * 2))
        tally = Tally()
        _, seconds = size.search(lm, PlainAdapter(), tally)
    return _rows(where, size, tally.count().live, seconds, budget)


@contextmanager
def server(size: Size) -> Iterator[str]:
    """Serve ``served`` from a process of its own."""
    command = [sys.executable, "-m", "tests.support.server", "--latency", str(size.latency)]
    command += ["--slots", str(size.slots), "--answer", "tests.benchmarks.bench_compile_utilisation:served"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2])
    assert process.stdout is not None
    try:
        yield f"http://127.0.0.1:{int(process.stdout.readline())}/v1"
    finally:
        process.kill()
        process.wait()


def served(request: dict[str, Any]) -> str:
    """Answer a request as the LM in the process does."""
    contents = [json.loads(m["content"]) for m in request["messages"][1:]]
    return json.dumps(answer(Asked(contents[-1], tuple(contents[:-1]), 0, None)))


def _rows(where: str, size: Size, calls: int, seconds: float, budget: float | None) -> list[Row]:
    path = size.critical_path(calls)
    return [
        Row(f"compile {where}: wall time", seconds, "s"),
        Row(f"compile {where}: wall time / critical path", seconds / path, budget=budget),
    ]
