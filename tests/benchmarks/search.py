"""The random search that the compile benchmarks measure, and the least time that it can take.

Its size is that of the comparison with DSPy: 50 training and 50 validation examples, 16 shuffled
candidates, 4 demos; the LM takes 100 ms and 32 calls at a time.
"""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from typing import Any

from pytest_lmprog.lm.scope import CallScope
from pytest_lmprog.programs import Example, context
from pytest_lmprog.teleprompt import BootstrapFewShotWithRandomSearch, CompileResult, CompileRuntime
from pytest_lmprog.teleprompt.demos import labeled_program, without_example
from tests.teleprompt.world import QA, Asked, exact, portion, rows, task, truth

LATENCY, SLOTS = 0.1, 32
DEMOS, LABELED, CANDIDATES = 4, 16, 16
TRAIN, VAL = rows(50), rows(50, start=1000)


def strategy() -> BootstrapFewShotWithRandomSearch:
    """The search."""
    return BootstrapFewShotWithRandomSearch(
        exact,
        max_bootstrapped_demos=DEMOS,
        max_labeled_demos=LABELED,
        num_candidate_programs=CANDIDATES,
    )


def answer(asked: Asked) -> dict[str, str]:
    """What the LM answers: right in about half of all cases, which ones depends on the demos."""
    question = asked.inputs["question"]
    luck = portion("luck", question, asked.shown)
    return {"answer": truth(question) if luck < 0.4 + 0.01 * len(asked.demos) else "no idea"}


def search(lm: Any, adapter: Any = None, *, concurrency: int = SLOTS) -> tuple[CompileResult, float]:
    """Compile, and return the result and the seconds that it took."""
    start = time.perf_counter()
    with context(lm=lm, adapter=adapter):
        runtime = CompileRuntime(concurrency=concurrency, scope=CallScope())
        result = strategy().compile_result(task(TRAIN, valset=VAL), runtime)
    return result, time.perf_counter() - start


def critical_path(calls: int) -> float:
    """Return the least seconds for ``calls`` calls: all slots busy all the time, or the longest chain of
    calls that wait for each other, whichever takes longer."""
    return LATENCY * max(calls / SLOTS, longest_chain())


def longest_chain() -> int:
    """The waves of the slowest bootstrap where slots are free, and one more to evaluate its candidate."""
    orders: list[tuple[Sequence[Example], int]] = [(TRAIN, DEMOS)]
    for number in range(CANDIDATES):
        shuffled = list(TRAIN)
        random.Random(number).shuffle(shuffled)
        orders.append((shuffled, random.Random(number).randint(1, DEMOS)))
    return max(waves(order, wanted) for order, wanted in orders) + 1


def waves(order: Sequence[Example], wanted: int) -> int:
    """Return how often a bootstrap waits, if it runs ahead as far as demos are missing."""
    teacher = labeled_program(QA(), order, LABELED)
    succeeds = [shows(teacher, example) for example in order]
    count = done = 0
    while done < len(order) and (missing := wanted - sum(succeeds[:done])) > 0:
        done += missing
        count += 1
    return count


def shows(teacher: Any, example: Example) -> bool:
    """Whether the teacher succeeds on ``example``."""
    demos = tuple(without_example(teacher, example).answer.demos)
    return answer(Asked({"question": example.question}, demos, 0, None))["answer"] == example.answer
