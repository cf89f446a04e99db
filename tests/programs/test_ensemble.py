"""EnsembledProgram: who is asked, what becomes of the outputs and of errors."""

from __future__ import annotations

import asyncio
from threading import Barrier
from typing import Any

import pytest

from pytest_lmprog.errors import LMConnectionError, ParseError, UsageError
from pytest_lmprog.programs import Example, Module, Predict, context, forward_inputs, run_program
from pytest_lmprog.programs.ensemble import EnsembledProgram, function_name
from pytest_lmprog.programs.majority import majority
from tests.teleprompt.world import QA, Looping, PlainAdapter, WorldLM


class Says(Module):
    """Says one thing, or raises it."""

    def __init__(self, said: Any, calls: int = 1) -> None:
        self.said, self.calls, self.heard = said, calls, []

    def forward(self, question: str) -> Any:
        self.heard.append(question)
        if isinstance(self.said, Exception):
            raise self.said
        return self.said

    def max_calls(self) -> int:
        return self.calls


def listed(outputs: list[Any]) -> list[Any]:
    return outputs


def test_most_votes_win_and_the_first_at_equal_votes():
    assert EnsembledProgram([Says("a"), Says("b"), Says("B")])(question="q") == "b"
    assert EnsembledProgram([Says("x"), Says("b")])(question="q") == "x"


def test_another_function_may_reduce():
    assert EnsembledProgram([Says("a"), Says("b")], listed)(question="q") == ["a", "b"]


def test_who_fails_has_no_vote():
    program = EnsembledProgram([Says(ParseError("bad", answer="")), Says("b"), Says(ValueError("x"))], listed)
    assert program(question="q") == ["b"]


def test_where_all_fail_the_first_error_is_raised():
    program = EnsembledProgram([Says(ValueError("first")), Says(KeyError("second"))])
    with pytest.raises(ValueError, match="first"):
        program(question="q")


def test_what_is_no_fault_of_the_program_is_raised_at_once():
    with pytest.raises(LMConnectionError):
        EnsembledProgram([Says("a"), Says(LMConnectionError("down"))])(question="q")


def test_members_run_side_by_side():
    together = Barrier(3, timeout=5)

    class Waits(Module):
        def forward(self, question: str) -> str:
            together.wait()
            return question

    assert EnsembledProgram([Waits(), Waits(), Waits()])(question="q") == "q"


def test_async_does_the_same():
    program = EnsembledProgram([Says("a"), Says("b"), Says("b")])
    assert asyncio.run(program.acall(question="q")) == "b"


def test_a_draw_depends_on_the_inputs_and_the_seed_alone():
    members = [Says(n) for n in range(5)]
    program = EnsembledProgram(members, listed, size=2)
    drawn = {q: program(question=q) for q in map(str, range(20))}
    assert all(len(set(two)) == 2 and two == sorted(two) for two in drawn.values())
    assert len({tuple(two) for two in drawn.values()}) > 3
    assert drawn == {q: program(question=q) for q in drawn}
    other = EnsembledProgram(members, listed, size=2, seed=1)
    assert drawn != {q: other(question=q) for q in drawn}
    odd = EnsembledProgram(members, listed, size=2)
    assert odd(question=object()) == odd(question=object())


def test_its_calls_are_those_of_the_members_that_can_be_asked():
    members = [Says("a", 1), Says("b", 5), Says("c", 2)]
    assert EnsembledProgram(members).max_calls() == 8
    assert EnsembledProgram(members, size=2).max_calls() == 7
    assert EnsembledProgram([Looping(), Looping()]).max_calls() == 8


def test_predictors_are_named_by_member_and_traced_in_their_order():
    program = EnsembledProgram([QA(), QA(), Predict("question -> answer")])
    assert [name for name, _ in program.named_predictors()] == [
        "programs[0].answer",
        "programs[1].answer",
        "programs[2]",
    ]
    with context(lm=WorldLM(lambda asked: {"answer": "x"}), adapter=PlainAdapter()):
        run = run_program(program, {"question": "q"})
    assert [call.name for call in run.trace] == ["programs[0].answer", "programs[1].answer", "programs[2]"]
    assert run.prediction is not None
    assert run.prediction.answer == "x"


def test_it_takes_the_inputs_of_its_members():
    program = EnsembledProgram([QA(), QA()])
    assert forward_inputs(program) == ("question",)
    assert forward_inputs(EnsembledProgram([Predict("a, b -> c")])) == ("a", "b")
    heard = Says("x")
    EnsembledProgram([heard])(Example(question="q", answer="a").with_inputs("question"))
    EnsembledProgram([heard])("positional")
    assert heard.heard == ["q", "positional"]


def test_no_member_sees_what_another_does_to_the_inputs():
    class Greedy(Module):
        def forward(self, items: list[str]) -> str:
            return items.pop()

    given = ["x"]
    assert EnsembledProgram([Greedy(), Greedy()], listed)(items=given) == ["x", "x"]
    assert given == ["x"]


def test_a_copy_has_members_of_its_own():
    program = EnsembledProgram([QA()], listed)
    copied = program.copy()
    assert copied.programs[0] is not program.programs[0]
    assert copied.reduce_fn is listed


def test_names_of_functions():
    assert function_name(majority) == "majority"
    assert function_name(listed).endswith("test_ensemble.listed")
    assert function_name(Says("a")).endswith("test_ensemble.Says")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([],), "at least one program"),
        ((["x"],), "made of programs"),
        (([QA()], "majority"), "reduce_fn must be a function"),
        (([QA()], None, 2), "size must be between 1 and 1"),
        (([QA()], None, 0), "size must be between 1 and 1"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(UsageError, match=message):
        EnsembledProgram(*arguments)
