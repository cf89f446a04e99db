"""BootstrapFewShotWithOptuna: followed by hand, and what it does with what falls short."""

from __future__ import annotations

import sys

import pytest

from pytest_lmprog.errors import CompileError, MissingExtraError, UsageError
from pytest_lmprog.programs import context
from pytest_lmprog.teleprompt import BootstrapFewShotWithOptuna, CallBound
from pytest_lmprog.teleprompt.plans.mipro import trials
from tests.teleprompt.plans.mipro.test_trials import compiled, scripted
from tests.teleprompt.world import (
    QA,
    Pair,
    WorldLM,
    exact,
    knowing,
    labeled_of,
    moody,
    questions,
    rows,
    shown,
    task,
)


class TestByHand:
    """Three training rows, two validation rows. The LM knows q0 and q2, and shown q2 everything.

    Demos: q0 and q2 are bootstrapped (two are wanted; q1 fails), q1 is the labeled row that fills up.
    """

    def answer(self, one):
        question = one.inputs["question"]
        right = question in ("q0", "q2") or "q2" in one.shown
        return {"answer": f"a{question[1:]}" if right else "no idea"}

    def run(self, places, monkeypatch, **more):
        monkeypatch.setattr(trials, "STARTUP", 0)
        strategy = BootstrapFewShotWithOptuna(
            exact,
            max_bootstrapped_demos=2,
            max_labeled_demos=3,
            num_candidate_programs=len(places),
            teacher_settings=None,
        )
        strategy, sampler = scripted(strategy, [{"answer": place} for place in places])
        # The teacher has demos of its own (of other rows), so that it is given no labeled ones.
        more = {"valset": rows(2, start=10), "teacher": labeled_of(QA(), 0), **more}
        lm = WorldLM(self.answer)
        return compiled(strategy, lm, rows(3), **more), sampler, lm

    def test_it(self, monkeypatch):
        result, sampler, lm = self.run([0, 1, 2], monkeypatch, teacher=self.teacher())
        assert sampler.space == {"answer": 3}
        assert sampler.told == [(0, 0.0), (1, 1.0), (2, 0.0)]
        assert [questions(c.program) for c in result.candidates] == [["q0"], ["q2"], ["q1"]]
        assert (result.winner, result.score, result.validated_on) == (1, 1.0, 2)
        # The bootstrap asks q0, q1, q2; each of three programs is run on two rows.
        assert len(lm.live) == 3 + 3 * 2

    def teacher(self):
        teacher = QA()
        teacher.answer.demos = [{"question": "q99", "answer": "a99"}]
        return teacher

    def test_a_combination_that_comes_again_costs_nothing(self, monkeypatch):
        result, sampler, lm = self.run([1, 1, 0, 1], monkeypatch, teacher=self.teacher())
        assert sampler.told == [(1, 1.0), (1, 1.0), (0, 0.0), (1, 1.0)]
        assert [(c.index, c.spent.runs) for c in result.candidates] == [(0, 2), (1, 2)]
        assert len(lm.live) == 3 + 2 * 2

    def test_on_the_trainset_an_example_is_scored_without_its_own_demo(self, monkeypatch):
        result, _, _ = self.run([1], monkeypatch, teacher=self.teacher(), valset=None)
        # Demo q2: shown to q0 and q1, not to q2, which the LM knows.
        assert (questions(result.program), result.score) == (["q2"], 1.0)

    def test_the_student_gives_up_its_own_demos(self, monkeypatch):
        student = self.teacher()
        result, _, _ = self.run([0], monkeypatch, student=student, teacher=self.teacher())
        assert questions(result.program) == ["q0"]
        assert questions(student) == ["q99"]


class TestPrograms:
    def run(self, strategy, points=(), *, lm=None, **more):
        strategy, sampler = scripted(strategy, points)
        lm = lm or WorldLM(moody)
        return compiled(strategy, lm, more.pop("trainset", rows(6)), **more), sampler, lm

    def test_each_predictor_gets_a_demo_of_its_own(self):
        strategy = BootstrapFewShotWithOptuna(exact, max_labeled_demos=4, num_candidate_programs=3)
        result, sampler, _ = self.run(strategy, lm=WorldLM(knowing(*range(9))), student=Pair())
        # The first predictor knows everything, so the second is never asked: labeled rows are its demos, the
        # two that were not bootstrapped.
        assert sampler.space == {"first": 4, "second": 2}
        assert all(len(demos) == 1 for c in result.candidates for demos in shown(c.program).values())
        assert result.candidates[0].label.startswith("first: ")

    def test_without_any_demo_there_is_one_candidate(self):
        strategy = BootstrapFewShotWithOptuna(exact, max_labeled_demos=0, num_candidate_programs=5)
        result, sampler, lm = self.run(strategy, lm=WorldLM(knowing(20)), valset=rows(2, start=20))
        assert sampler.space == {}
        assert [(c.label, c.score) for c in result.candidates] == [("zero-shot", 0.5)]
        assert result.notes == ("0 of 4 demos were bootstrapped: 6 of 6 training examples were tried",)
        assert len(lm.live) == 6 + 2

    def test_max_demos_is_dspys(self):
        pytest.importorskip("optuna")
        lm = WorldLM(knowing(*range(9)))
        with context(lm=lm):
            strategy = BootstrapFewShotWithOptuna(exact, num_candidate_programs=1, max_labeled_demos=0)
            program = strategy.compile(QA(), max_demos=1, trainset=rows(5), valset=rows(2, start=20))
        assert questions(program) == ["q0"]
        assert {one.inputs["question"] for one in lm.live} == {"q0", "q20", "q21"}

    def test_the_bound(self):
        strategy = BootstrapFewShotWithOptuna(exact, num_candidate_programs=3, max_rounds=2)
        assert strategy.bound(task(rows(4))) == CallBound(8 + 12, 8 + 12)
        assert strategy.bound(task(rows(4), valset=rows(5, start=9))).runs == 8 + 15


class TestErrors:
    @pytest.mark.parametrize(
        ("settings", "told"),
        [
            ({"num_candidate_programs": 0}, "num_candidate_programs must be an integer of 1 or more, not 0"),
            ({"trials_in_flight": 0}, "trials_in_flight must be an integer of 1 or more"),
            ({"max_demos": -1}, "max_bootstrapped_demos must be an integer of 0 or more"),
            ({"max_rounds": 0}, "max_rounds must be an integer of 1 or more"),
        ],
    )
    def test_settings_are_checked(self, settings, told):
        with pytest.raises(UsageError, match=told):
            BootstrapFewShotWithOptuna(exact, **settings)

    @pytest.mark.parametrize(
        ("more", "told"),
        [
            ({"trainset": []}, "the trainset is empty"),
            ({"valset": []}, "the valset is empty"),
            ({"metric": None}, "without a metric"),
            ({"teacher": Pair()}, "teacher and student must have the same predictors"),
        ],
    )
    def test_what_is_missing_is_told_before_anything_is_asked(self, more, told):
        lm = WorldLM(moody)
        with pytest.raises(UsageError, match=told):
            compiled(BootstrapFewShotWithOptuna(), lm, more.pop("trainset", rows(2)), **more)
        assert lm.live == []

    def test_a_teacher_that_always_errs_stops_it(self):
        strategy, _ = scripted(BootstrapFewShotWithOptuna(exact), [])
        with pytest.raises(CompileError, match="bootstrap runs ended in an error"):
            compiled(strategy, WorldLM(lambda one: "no JSON"), rows(12))

    def test_without_optuna_nothing_is_asked(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "optuna", None)
        lm = WorldLM(moody)
        with pytest.raises(MissingExtraError, match=r"lmprog\[optuna\]"):
            compiled(BootstrapFewShotWithOptuna(exact), lm, rows(3))
        assert lm.live == []

    def test_a_budget_that_ends_in_the_bootstrap_leaves_the_student(self):
        strategy, _ = scripted(BootstrapFewShotWithOptuna(exact, num_candidate_programs=2), [])
        result = compiled(strategy, WorldLM(knowing(*range(9)), budget=2), rows(5))
        assert (result.stopped, result.candidates[result.winner].label) == ("budget", "student")


def test_names_and_settings_as_in_dspy():
    strategy = BootstrapFewShotWithOptuna(exact, None, 2, 8, 1, 10, 4)
    assert strategy.settings() == {
        "class": "BootstrapFewShotWithOptuna",
        "metric": "exact",
        "teacher_settings": None,
        "max_bootstrapped_demos": 2,
        "max_labeled_demos": 8,
        "max_rounds": 1,
        "num_candidate_programs": 10,
        "max_errors": None,
        "metric_threshold": None,
        "max_demos": None,
        "trials_in_flight": 1,
    }
    assert strategy.threads() == 4
    assert BootstrapFewShotWithOptuna().threads() == 8
