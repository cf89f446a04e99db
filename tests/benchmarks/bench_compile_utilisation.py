"""Wall time of a compile against its critical path, for an LM of fixed latency and number of slots: in
the process, and behind an HTTP server through the real client."""

from __future__ import annotations

import json
from typing import Any

from pytest_lmprog.lm.client import LM

from tests.benchmarks.rows import Row
from tests.benchmarks.search import LATENCY, SLOTS, answer, critical_path, search
from tests.support.server import FakeServer
from tests.teleprompt.world import Asked, PlainAdapter, WorldLM


def run() -> list[Row]:
    """Measure both."""
    return [*in_process(), *over_http()]


def in_process() -> list[Row]:
    """Nothing but the teleprompter, the programs and the metric."""
    lm = WorldLM(answer, latency=LATENCY)
    _, seconds = search(lm, PlainAdapter())
    return _rows("in process", len(lm.live), seconds)


def over_http() -> list[Row]:
    """The whole way: adapter, cache in memory, litellm, sockets."""
    with FakeServer(served, latency=LATENCY, slots=SLOTS) as server:
        lm = LM("openai/fake", api_base=server.url, api_key="sk-none", max_concurrency=SLOTS)
        warm_up(lm)
        before = server.count
        _, seconds = search(lm, PlainAdapter())
        return _rows("over HTTP", server.count - before, seconds)


def warm_up(lm: Any) -> None:
    """Import litellm and open connections."""
    lm.complete(lm.request(({"role": "user", "content": json.dumps({"question": "warm"})},) * 2))


def served(request: dict[str, Any]) -> str:
    """Answer a request as the LM in the process does."""
    contents = [json.loads(m["content"]) for m in request["messages"][1:]]
    return json.dumps(answer(Asked(contents[-1], tuple(contents[:-1]), 0, None)))


def _rows(where: str, calls: int, seconds: float) -> list[Row]:
    return [
        Row(f"compile {where}: calls", calls, "calls", budget=1083),
        Row(f"compile {where}: wall time", seconds, "s"),
        Row(f"compile {where}: wall time / critical path", seconds / critical_path(calls), budget=1.15),
    ]
