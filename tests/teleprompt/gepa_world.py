"""What GEPA's tests share: LMs that know more by the instruction, and what reflects on them."""

from __future__ import annotations

from typing import Any

from pytest_lmprog.programs import Example, Module, Predict, context
from pytest_lmprog.teleprompt import GEPA, CompileRuntime
from pytest_lmprog.teleprompt.material.instructions import instructions_of
from tests.teleprompt.world import QA, Asked, PlainAdapter, WorldLM, exact, task, truth

START = QA().answer.signature.instructions


def evolved(lm, trainset, *, seed=0, concurrency=8, **settings):
    """Run GEPA; what belongs to the task goes there."""
    own = ("student", "valset", "teacher", "metric")
    given = {name: settings.pop(name) for name in own if name in settings}
    metric = given.pop("metric", exact)
    with context(lm=lm, adapter=PlainAdapter()):
        return GEPA(metric, **settings).compile_result(
            task(trainset, **given), CompileRuntime(concurrency=concurrency, seed=seed)
        )


def ladder(one: Asked) -> Any:
    """By the instruction, the LM knows q0 and as many more as the instruction's number says."""
    number = int(one.instructions.split()[-1]) if one.instructions != START else 0
    question = one.inputs["question"]
    return {"answer": truth(question) if int(question[1:]) % 10 <= number else "no idea"}


def next_rung(one: Asked) -> Any:
    """The proposal: one more than the current instruction."""
    now = one.inputs["current_instruction"]
    return {"new_instruction": f"know {1 if now == START else int(now.split()[-1]) + 1}"}


def tree(result: Any) -> list[Any]:
    return [(c.parents, c.score) for c in result.candidates]


def texts(result: Any, name: str = "answer") -> list[str]:
    return [instructions_of(c.program)[name] for c in result.candidates]


def runs(lm: WorldLM) -> int:
    return sum(not one.is_proposal for one in lm.live)


def reflections(lm: WorldLM) -> list[Asked]:
    return [one for one in lm.live if one.is_proposal]


def case(question: str, answer: str, score: int) -> str:
    """One case as it is shown."""
    judged = f"Score: {score}"
    return f"Inputs:\n- question: {question}\nOutputs:\n- answer: {answer}\nJudgement:\n{judged}"


class Two(Module):
    """Left for questions that begin with l or x, right for others; an answer of left goes through right."""

    def __init__(self) -> None:
        self.left = Predict("question -> answer")
        self.right = Predict("question -> answer")

    def forward(self, question: str) -> Any:
        if question[0] == "r":
            return self.right(question=question)
        found = self.left(question=question)
        return self.right(question=found.answer) if question[0] == "l" else found

    def max_calls(self) -> int:
        return 2


def two_rows() -> list[Example]:
    return [Example(question=q, answer=f"yes {q}").with_inputs("question") for q in ("l0", "l1", "r0", "x0")]


def sides(*, clash: str = "?") -> Any:
    """Left knows x0, and with "L" the l's instead; right knows r0 with "R". Right hands on what is no
    question; with "R" it spoils what has ``clash`` in it."""

    def answer(one: Asked) -> Any:
        question = one.inputs["question"]
        told = one.instructions
        if question.startswith(("yes", "no")):
            return {"answer": "clash" if clash in question and told == "R" else question}
        known = {"L": ("l0", "l1"), "R": ("r0",)}.get(told, ("x0",))
        return {"answer": f"yes {question}" if question in known else f"no {question}"}

    return answer


def to_sides(one: Asked) -> Any:
    """Reflections on what left answered give L, others R."""
    return {"new_instruction": "L" if "question: l" in one.inputs["cases"] else "R"}
