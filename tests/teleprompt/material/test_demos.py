"""Demos from rows and traces, and taking them out again."""

from __future__ import annotations

from collections import Counter

import pytest

from pytest_lmprog.lm.types import LMResponse
from pytest_lmprog.programs import Example, Module, Predict, Prediction, Trace
from pytest_lmprog.programs.trace import UNNAMED, PredictorCall
from pytest_lmprog.teleprompt.engine.seeds import seeded
from pytest_lmprog.teleprompt.material.demos import (
    labeled_demos,
    labeled_program,
    traced_demos,
    with_demos,
    without_example,
)
from tests.teleprompt.world import QA, questions, rows, shown


class Hops(Module):
    def __init__(self) -> None:
        self.query = Predict("question -> query")
        self.answer = Predict("question, context -> answer")


def call(name, predictor, inputs, outputs, error=None):
    made = None if outputs is None else Prediction(outputs)
    return PredictorCall(name, predictor, inputs, made, (), LMResponse("{}"), "plain", 0, error)


def test_labeled_demos_hold_only_fields_of_the_signature():
    row = Example(question="q", answer="a", difficulty="hard", id="r1").with_inputs("question")
    (demo,) = labeled_demos([row], QA().answer.signature)
    assert dict(demo) == {"question": "q", "answer": "a"}
    assert demo.id == "r1"


def test_a_row_that_labels_no_output_of_the_predictor_is_no_demo():
    program = labeled_program(Hops(), rows(3), 3)
    assert shown(program)["query"] == []
    # An input may be missing: the demo still shows an output.
    assert [set(d) for d in shown(program)["answer"]] == [{"question", "answer"}] * 3


def test_labeled_demos_are_drawn_as_in_dspy():
    data = rows(20)
    rng = __import__("random").Random(0)
    drawn = [e.question for e in rng.sample(data, 5)]
    assert questions(labeled_program(QA(), data, 5)) == drawn
    assert questions(labeled_program(QA(), data, 5, sample=False)) == [f"q{i}" for i in range(5)]
    assert questions(labeled_program(QA(), data, 5, seed=1)) != drawn


def test_each_predictor_draws_anew():
    class Two(Module):
        def __init__(self) -> None:
            self.a = Predict("question -> answer")
            self.b = Predict("question -> answer")

    program = labeled_program(Two(), rows(20), 5)
    assert questions(program, "a") != questions(program, "b")


def test_demos_of_a_trace_are_named_and_complete():
    student = dict(Hops().named_predictors())
    trace = Trace(
        calls=[
            call("query", student["query"], {"question": "q"}, {"query": "look", "extra": 1}),
            call(UNNAMED, student["query"], {"question": "q"}, {"query": "hidden"}),
            call("answer", student["answer"], {"question": "q", "context": ["c"]}, None, "no JSON"),
        ]
    )
    demos = traced_demos(trace, rows(1)[0], student, seed=0, rollout=0)
    assert {name: dict(d) for name, d in demos.items()} == {"query": {"question": "q", "query": "look"}}


def test_a_demo_keeps_its_own_copy_of_values():
    student = dict(Hops().named_predictors())
    passages = ["one"]
    answer = call("answer", student["answer"], {"question": "q", "context": passages}, {"answer": "a"})
    demos = traced_demos(Trace(calls=[answer]), rows(1)[0], student, seed=0, rollout=0)
    passages.append("two")
    assert demos["answer"]["context"] == ["one"]


def test_of_several_calls_the_last_is_taken_half_of_the_time():
    student = dict(QA().named_predictors())
    counts: Counter[str] = Counter()
    for example in rows(400):
        calls = [call("answer", student["answer"], {"question": f"{i}"}, {"answer": "a"}) for i in range(3)]
        demos = traced_demos(Trace(calls=calls), example, student, seed=0, rollout=0)
        counts[demos["answer"]["question"]] += 1
    assert 160 < counts["2"] < 240
    assert 70 < counts["0"] < 130
    assert 70 < counts["1"] < 130


def test_the_choice_among_calls_depends_on_the_example_alone():
    student = dict(QA().named_predictors())
    calls = [call("answer", student["answer"], {"question": f"{i}"}, {"answer": "a"}) for i in range(5)]

    def chosen(example, seed=0, rollout=0):
        demos = traced_demos(Trace(calls=calls), example, student, seed=seed, rollout=rollout)
        return demos["answer"]["question"]

    data = rows(30)
    assert [chosen(e) for e in data] == [chosen(e) for e in reversed(data)][::-1]
    assert [chosen(e) for e in data] != [chosen(e, seed=1) for e in data]
    assert [chosen(e) for e in data] != [chosen(e, rollout=1) for e in data]


def test_without_example_takes_out_what_comes_from_it():
    data = rows(4)
    program = labeled_program(QA(), data, 4, sample=False)
    assert questions(without_example(program, data[2])) == ["q0", "q1", "q3"]
    assert questions(program) == ["q0", "q1", "q2", "q3"]


def test_without_example_takes_out_demos_of_inner_predictors_by_their_origin():
    origin = Example(question="q", answer="a", id="row-7").with_inputs("question")
    student = dict(Hops().named_predictors())
    inner = call("query", student["query"], {"question": "rephrased"}, {"query": "look"})
    demos = traced_demos(Trace(calls=[inner]), origin, student, seed=0, rollout=0)
    program = with_demos(Hops(), {"query": [demos["query"]]})
    assert shown(without_example(program, origin))["query"] == []


def test_without_example_takes_out_a_twin_under_another_id():
    twin = Example(question="q0", answer="a0", id="twin").with_inputs("question")
    program = labeled_program(QA(), [twin], 1)
    assert questions(without_example(program, rows(1)[0])) == []


def test_without_example_returns_the_program_itself_where_nothing_is_taken():
    program = labeled_program(QA(), rows(3), 3)
    assert without_example(program, rows(1, start=50)[0]) is program


@pytest.mark.parametrize("number", [0, 1, 7])
def test_seed_zero_is_dspys_and_not_replaced(number):
    assert seeded(0, number).random() == __import__("random").Random(number).random()


def test_streams_differ_by_seed_and_part():
    drawn = {seeded(seed, *parts).random() for seed in (0, 1, 9) for parts in [(0,), (1,), (0, "x"), ("0x",)]}
    assert len(drawn) == 12
