"""Candidate search: the winner of a full evaluation, for fewer calls."""

from __future__ import annotations

from pytest_lmprog.programs import context
from pytest_lmprog.teleprompt import BootstrapFewShotWithRandomSearch, CompileRuntime
from tests.benchmarks.rows import Row
from tests.benchmarks.search import full_evaluation
from tests.teleprompt.world import Asked, PlainAdapter, WorldLM, exact, portion, result_of, rows, task, truth

LATENCY, SLOTS, WORLDS = 0.005, 8, 8


def searched(world: int) -> tuple[object, int]:
    """Return the winner with its score and demos, and the calls."""

    def answer(asked: Asked) -> dict[str, str]:
        question = asked.inputs["question"]
        skill = 0.2 + 0.06 * len(asked.demos) + 0.3 * portion(world, asked.shown)
        return {"answer": truth(question) if portion(world, question) < skill else "no idea"}

    lm = WorldLM(answer, latency=LATENCY)
    strategy = BootstrapFewShotWithRandomSearch(exact, max_labeled_demos=6, num_candidate_programs=10)
    with context(lm=lm, adapter=PlainAdapter()):
        result = strategy.compile_result(
            task(rows(30), valset=rows(50, start=100)), CompileRuntime(concurrency=SLOTS)
        )
    outcome = result_of(result)
    return (outcome["winner"], outcome["score"], outcome["demos"]), len(lm.live)


def run() -> list[Row]:
    """Compare over several worlds."""
    with full_evaluation():
        full = [searched(world) for world in range(WORLDS)]
    dropping = [searched(world) for world in range(WORLDS)]
    different = sum(a[0] != b[0] for a, b in zip(full, dropping, strict=True))
    calls = [sum(outcome[1] for outcome in outcomes) for outcomes in (dropping, full)]
    return [
        Row("searches with another winner than a full evaluation", different, "", budget=0),
        Row("calls / full evaluation", calls[0] / calls[1], budget=0.95),
    ]
