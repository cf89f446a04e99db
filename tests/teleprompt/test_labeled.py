"""LabeledFewShot by hand."""

from __future__ import annotations

import random

import pytest

from pytest_lmprog.errors import UsageError
from pytest_lmprog.programs import Module, Predict, context
from pytest_lmprog.teleprompt import CallBound, CompileRuntime, LabeledFewShot
from tests.teleprompt.world import QA, WorldLM, knowing, questions, rows, task


def test_k_demos_are_drawn_with_random_0():
    compiled = LabeledFewShot(k=3).compile(QA(), trainset=rows(10))
    assert questions(compiled) == [e.question for e in random.Random(0).sample(rows(10), 3)]


def test_sample_false_takes_the_first_k():
    assert questions(LabeledFewShot(k=3).compile(QA(), trainset=rows(10), sample=False)) == ["q0", "q1", "q2"]


def test_sixteen_by_default_and_all_where_there_are_fewer():
    assert len(questions(LabeledFewShot().compile(QA(), trainset=rows(40)))) == 16
    assert len(questions(LabeledFewShot().compile(QA(), trainset=rows(5)))) == 5


def test_fewer_rows_than_demos_are_told():
    with pytest.warns(UserWarning, match="k is 4 and the trainset has 2: all of it is shown"):
        LabeledFewShot(k=4).compile(QA(), trainset=rows(2))
    assert LabeledFewShot(k=2).compile_result(task(rows(2)), CompileRuntime()).notes == ()


def test_a_program_that_is_frozen_all_over_is_told():
    with pytest.warns(UserWarning, match="all predictors of QA are frozen: the prompts are as written"):
        compiled = LabeledFewShot(k=2).compile(QA().freeze(), trainset=rows(2))
    assert questions(compiled) == []


def test_it_calls_nothing():
    lm = WorldLM(knowing())
    with context(lm=lm):
        result = LabeledFewShot().compile_result(task(rows(5)), CompileRuntime())
    assert lm.live == []
    assert LabeledFewShot().bound(task(rows(5))) == CallBound(0, 0)
    assert result.score is None
    assert result.validated_on == 0


def test_it_needs_no_lm():
    assert questions(LabeledFewShot(k=1).compile(QA(), trainset=rows(1))) == ["q0"]


def test_rows_may_be_dicts():
    compiled = LabeledFewShot(k=1).compile(QA(), trainset=[{"question": "q", "answer": "a"}])
    assert questions(compiled) == ["q"]


def test_own_demos_of_the_student_are_replaced_in_the_copy_only():
    student = LabeledFewShot(k=2).compile(QA(), trainset=rows(2))
    compiled = LabeledFewShot(k=1).compile(student, trainset=rows(1, start=7))
    assert questions(compiled) == ["q7"]
    assert sorted(questions(student)) == ["q0", "q1"]


def test_an_empty_trainset_is_an_error():
    with pytest.raises(UsageError, match="trainset"):
        LabeledFewShot().compile(QA(), trainset=[])
    with pytest.raises(UsageError, match="trainset is empty"):
        LabeledFewShot().compile_result(task([]), CompileRuntime())


def test_a_program_without_predictors_is_an_error():
    class Hidden(Module):
        def forward(self, question):
            return Predict("question -> answer")(question=question)

    with pytest.raises(UsageError, match="Hidden has no predictors"):
        LabeledFewShot().compile(Hidden(), trainset=rows(1))


def test_a_class_instead_of_an_instance_is_an_error():
    with pytest.raises(UsageError, match="must be a Module"):
        LabeledFewShot().compile(QA, trainset=rows(1))


def test_settings_and_description():
    assert LabeledFewShot(k=4).settings() == {"class": "LabeledFewShot", "k": 4, "sample": True}
    assert LabeledFewShot().describe() == "LabeledFewShot(k=16)"
    with pytest.raises(UsageError, match="k must be"):
        LabeledFewShot(k=-1)
