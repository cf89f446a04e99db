"""BootstrapFewShot in parallel: the demos and the calls of the sequential algorithm, in less time."""

from __future__ import annotations

import time

from pytest_lmprog.programs import context
from pytest_lmprog.teleprompt import BootstrapFewShot, CompileRuntime
from tests.benchmarks.rows import Row
from tests.teleprompt.world import Asked, PlainAdapter, WorldLM, exact, portion, rows, shown, task, truth

LATENCY, SLOTS, WORLDS, WANTED = 0.02, 32, 10, 8


def bootstrapped(world: int, concurrency: int) -> tuple[dict[str, object], int, float]:
    """Return the demos, the calls and the seconds of one bootstrap."""

    def answer(asked: Asked) -> dict[str, str]:
        question = asked.inputs["question"]
        return {"answer": truth(question) if portion(world, question) < 0.6 else "no idea"}

    lm = WorldLM(answer, latency=LATENCY)
    strategy = BootstrapFewShot(exact, max_bootstrapped_demos=WANTED)
    start = time.perf_counter()
    with context(lm=lm, adapter=PlainAdapter()):
        result = strategy.compile_result(task(rows(60)), CompileRuntime(concurrency=concurrency))
    return shown(result.program), len(lm.live), time.perf_counter() - start


def run() -> list[Row]:
    """Compare concurrency 1 with 32 over several worlds."""
    alone = [bootstrapped(world, 1) for world in range(WORLDS)]
    side_by_side = [bootstrapped(world, SLOTS) for world in range(WORLDS)]
    different = sum(a[0] != b[0] for a, b in zip(alone, side_by_side, strict=True))
    extra = sum(b[1] - a[1] for a, b in zip(alone, side_by_side, strict=True))
    seconds = [sum(outcome[2] for outcome in outcomes) for outcomes in (side_by_side, alone)]
    return [
        Row("bootstraps with other demos than the sequential one", different, "", budget=0),
        Row("calls beyond the sequential algorithm's", extra, "calls", budget=0),
        Row("wall time / sequential", seconds[0] / seconds[1], budget=0.5),
    ]
