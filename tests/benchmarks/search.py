"""The random search that the compile benchmarks measure, and the least time that it can take."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

from pytest_lmprog.lm.scope import CallScope
from pytest_lmprog.lm.tally import Tally
from pytest_lmprog.programs import Example, context
from pytest_lmprog.teleprompt import (
    BootstrapFewShotWithRandomSearch,
    CompileResult,
    CompileRuntime,
)
from pytest_lmprog.teleprompt.engine.race import Race
from pytest_lmprog.teleprompt.material.demos import labeled_program, without_example
from pytest_lmprog.teleprompt.plans import search
from tests.teleprompt.world import QA, Asked, exact, portion, rows, task, truth

DEMOS, LABELED = 4, 16


@dataclass(frozen=True)
class Size:
    """How large the search is, and how fast the LM: seconds a call, calls at a time."""

    train: int = 50
    val: int = 50
    candidates: int = 16
    latency: float = 0.1
    slots: int = 32

    def trainset(self) -> list[Example]:
        """The training examples."""
        return rows(self.train)

    def strategy(self) -> BootstrapFewShotWithRandomSearch:
        """The search."""
        return BootstrapFewShotWithRandomSearch(
            exact,
            max_bootstrapped_demos=DEMOS,
            max_labeled_demos=LABELED,
            num_candidate_programs=self.candidates,
        )

    def search(self, lm: Any, adapter: Any, tally: Tally | None = None) -> tuple[CompileResult, float]:
        """Compile, and return the result and the seconds that it took. ``tally`` counts the calls."""
        start = time.perf_counter()
        with context(lm=lm, adapter=adapter):
            runtime = CompileRuntime(concurrency=self.slots, scope=CallScope(tally=tally))
            result = self.strategy().compile_result(
                task(self.trainset(), valset=rows(self.val, start=1000)), runtime
            )
        return result, time.perf_counter() - start

    def critical_path(self, calls: int) -> float:
        """Return the least seconds for ``calls`` calls: all slots busy all the time, or the longest chain
        of calls that wait for each other, whichever takes longer."""
        return self.latency * max(calls / self.slots, self.longest_chain())

    def longest_chain(self) -> int:
        """The waves of the slowest bootstrap where slots are free, and one to evaluate its candidate."""
        orders: list[tuple[Sequence[Example], int]] = [(self.trainset(), DEMOS)]
        for number in range(self.candidates):
            shuffled = self.trainset()
            random.Random(number).shuffle(shuffled)
            orders.append((shuffled, random.Random(number).randint(1, DEMOS)))
        return max(waves(order, wanted) for order, wanted in orders) + 1


AS_IN_DSPY = Size()
"""50 training and 50 validation examples, 16 shuffled candidates: the size of the comparison with DSPy."""


class FullRace(Race):
    """Drops nobody."""

    def __post_init__(self) -> None:
        self.drop = False
        super().__post_init__()


@contextmanager
def full_evaluation() -> Iterator[None]:
    """Evaluate every candidate fully within the block."""
    with patch.object(search, "Race", FullRace):
        yield


def answer(asked: Asked) -> dict[str, str]:
    """What the LM answers: right in about half of all cases, which ones depends on the demos."""
    question = asked.inputs["question"]
    luck = portion("luck", question, asked.shown)
    return {"answer": truth(question) if luck < 0.4 + 0.01 * len(asked.demos) else "no idea"}


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
