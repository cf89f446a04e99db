"""The bound on completion tokens: it holds whoever answers, also who proposes and who teaches."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

import pytest_lmprog as lmp
from pytest_lmprog.harness.dryrun import _answering, _tokens


def lm(name: str, max_tokens: int | None = None) -> lmp.LM:
    return lmp.LM(f"openai/{name}", api_base="http://127.0.0.1:1/v1", api_key="k", max_tokens=max_tokens)


class QA(lmp.Module):
    def __init__(self, **params: Any) -> None:
        self.answer = lmp.Predict("question -> answer", **params)

    def forward(self, question: str) -> Any:
        return self.answer(question=question)


def exact(example: Any, prediction: Any, trace: Any = None) -> bool:
    return bool(example.answer == prediction.answer)


SEARCH = lmp.BootstrapFewShotWithRandomSearch(exact)
CASES: dict[str, tuple[Any, Any, Any, int | None]] = {
    "a student that is bounded": (QA(max_tokens=20), SEARCH, None, 20),
    "by its LM": (QA(), SEARCH, None, 50),
    "a proposer has only what the LM sets": (QA(max_tokens=20), lmp.COPRO(metric=exact), None, 50),
    "a prompt model without a bound": (
        QA(max_tokens=20),
        lmp.COPRO(metric=exact, prompt_model=lm("b")),
        None,
        None,
    ),
    "a prompt model with one": (QA(), lmp.COPRO(metric=exact, prompt_model=lm("b", 90)), None, 90),
    "a nested one": (
        QA(max_tokens=20),
        lmp.BetterTogether(
            exact, p=SEARCH, w=lmp.COPRO(metric=exact, prompt_model=lm("b", 90)), strategy="p -> w"
        ),
        None,
        90,
    ),
    "a teacher's LM": (QA(), SEARCH, lm("b"), None),
    "a teacher": (QA(), SEARCH, QA(max_tokens=200), 200),
    "teacher settings": (
        QA(),
        lmp.BootstrapFewShot(exact, teacher_settings={"lm": lm("b", 70)}),
        None,
        70,
    ),
    "no teleprompter": (QA(max_tokens=20), None, None, 20),
}


@pytest.mark.parametrize(("program", "teleprompter", "teacher", "most"), CASES.values(), ids=CASES)
def test_the_most_tokens_of_an_answer(
    program: Any, teleprompter: Any, teacher: Any, most: int | None
) -> None:
    basis: Any = SimpleNamespace(written=program, lm=lm("a", 50))
    assert _tokens(_answering(basis, teleprompter, teacher), 10) == (None if most is None else 10 * most)
