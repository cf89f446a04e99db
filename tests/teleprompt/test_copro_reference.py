"""COPRO against a reference: one program after the other, each evaluated fully."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_lmprog.programs import context
from pytest_lmprog.teleprompt import COPRO, CompileRuntime
from pytest_lmprog.teleprompt.material.instructions import instructions_of
from tests.teleprompt.test_copro import Two
from tests.teleprompt.world import Asked, PlainAdapter, WorldLM, exact, jitter, portion, rows, task, truth

N = 6


class Chance:
    """What is proposed and what is known, as ``seed`` has it. Few instructions, so that many come twice."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def proposal(self, shown: Any, rollout: int) -> str:
        number = int(portion(self.seed, shown, rollout) * 7)
        return "" if number == 6 else f"told {'x' * (number % 3)}{number}"

    def knows(self, instruction: str, question: str) -> bool:
        return portion(self.seed, instruction, question) < 0.2 + 0.4 * portion(self.seed, instruction)

    def propose(self, asked: Asked) -> Any:
        (shown,) = asked.inputs.values()
        text = self.proposal(shown, asked.rollout)
        return {"proposed_instruction": text, "proposed_prefix_for_output_field": ""}

    def answer(self, asked: Asked) -> Any:
        question = asked.inputs["question"]
        return {"answer": truth(question) if self.knows(asked.instructions, question) else "no idea"}

    def score(self, words: tuple[str, ...]) -> float:
        return sum(any(self.knows(word, f"q{i}") for word in words) for i in range(N)) / N


def reference(
    chance: Chance, breadth: int, depth: int
) -> tuple[tuple[str, ...], float, list[tuple[str, ...]]]:
    """Coordinate ascent as in DSPy, with this project's rule for ties."""
    best = ("one", "two")
    tried = [best]
    pools: list[dict[str, float]] = [{"one": 0.0}, {"two": 0.0}]

    def place(words: tuple[str, ...]) -> Any:
        return chance.score(words), -sum(map(len, words)), -tried.index(words)

    for turn in range(depth):
        for pool in pools:
            ranked = sorted(pool, key=lambda word: -pool[word])[:breadth]
            attempts = [
                f"Instruction {i}: {word}\nScore {i}: {100 * pool[word]:.2f}"
                for i, word in enumerate(reversed(ranked), 1)
            ]
            shown = "\n\n".join(attempts) if turn else next(iter(pool))
            numbers = range(turn * breadth, (turn + 1) * breadth - (turn == 0))
            found = [chance.proposal(shown, number) for number in numbers]
            pool.update({word: 0.0 for word in found if word and word not in pool})
        for at, pool in enumerate(pools):
            programs = [(*best[:at], word, *best[at + 1 :]) for word in pool]
            tried += [words for words in programs if words not in tried]
            pool.update({w[at]: max(pool[w[at]], chance.score(w)) for w in programs})
            best = max(programs, key=place)
    return best, chance.score(best), tried


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    breadth=st.integers(2, 4),
    depth=st.integers(1, 3),
    concurrency=st.sampled_from([1, 3, 8]),
)
def test_the_ascent_is_that_of_the_reference(seed, breadth, depth, concurrency):
    chance = Chance(seed)
    lm = WorldLM(chance.answer, propose=chance.propose, latency=jitter if concurrency == 3 else 0.0)
    strategy = COPRO(metric=exact, breadth=breadth, depth=depth)
    wanted = task(rows(N), student=Two())
    with context(lm=lm, adapter=PlainAdapter()):
        result = strategy.compile_result(wanted, CompileRuntime(concurrency=concurrency))
        bound = strategy.bound(wanted)
    best, score, tried = reference(chance, breadth, depth)
    assert [tuple(instructions_of(c.program).values()) for c in result.candidates] == tried
    assert tuple(instructions_of(result.program).values()) == best
    assert result.score == score
    assert lm.taken <= bound.calls
