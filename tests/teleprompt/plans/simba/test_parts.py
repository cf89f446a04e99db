"""What SIMBA is made of: buckets, the pool, mini-batches, lessons and the questions to the advisor."""

from __future__ import annotations

import math
import statistics
from dataclasses import replace
from random import Random
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_lmprog.evaluation.scores import CaseResult, ErrorInfo
from pytest_lmprog.lm.types import LMResponse
from pytest_lmprog.programs import Example, Module, Predict, Prediction
from pytest_lmprog.programs.trace import PredictorCall, Trace
from pytest_lmprog.teleprompt import SIMBA
from pytest_lmprog.teleprompt.plans.simba.buckets import Bucket, Scored, batch_of_runs, percentile
from pytest_lmprog.teleprompt.plans.simba.introspection import advised, introspection, questions
from pytest_lmprog.teleprompt.plans.simba.lessons import drawn_lesson, poisson, thinned
from pytest_lmprog.teleprompt.plans.simba.pool import Member, Pool, batch_of, setting_of
from tests.teleprompt.world import QA, Pair, labeled_of, rows
from tests.teleprompt.world import questions as demos_of


def runs(*scores: float, feedback: str = "", example: Example | None = None) -> list[Scored]:
    example = example or rows(1)[0]
    return [Scored(CaseResult(example, Prediction(answer=str(s)), Trace()), s, feedback) for s in scores]


@given(st.lists(st.floats(0, 1), min_size=2, max_size=40), st.sampled_from([10, 90]))
def test_percentiles_are_the_usual_ones(scores, percent):
    ordered = sorted(scores)
    expected = statistics.quantiles(ordered, n=100, method="inclusive")[percent - 1]
    assert percentile(ordered, percent) == pytest.approx(expected)


def test_the_percentile_of_one_value_is_it():
    assert percentile([0.3], 10) == percentile([0.3], 90) == 0.3


class TestBuckets:
    def test_gap_then_best_then_best_above_average(self):
        wide, high, low, lone, common = (
            runs(1, 0, 0),
            runs(1, 1, 0.5),
            runs(0.5, 0, 0),
            runs(0.7, 0.2, 0.2),
            runs(0.7, 0.7, 0.2),
        )
        batch = batch_of_runs([low, common, lone, high, wide])
        assert [b.runs[0].score for b in batch.buckets] == [1, 1, 0.7, 0.7, 0.5]
        assert [round(b.promise[2], 3) for b in batch.buckets][2:4] == [0.333, 0.167]
        assert batch.buckets[0].gap == 1

    def test_the_best_run_comes_first_and_equal_ones_keep_their_order(self):
        one = runs(0.5, 1, 1, 0.2)
        (bucket,) = batch_of_runs([one]).buckets
        assert bucket.runs == (one[1], one[2], one[0], one[3])
        assert (bucket.best, bucket.worst) == (one[1], one[3])

    def test_a_difference_always_teaches(self):
        rare = batch_of_runs([runs(1, 0), *[runs(0, 0)] * 20])
        assert (rare.low, rare.high) == (0, 0)
        assert rare.teaches_demo(rare.buckets[0])
        assert rare.teaches_rule(rare.buckets[0])
        assert not rare.teaches_demo(rare.buckets[1])
        assert not rare.teaches_rule(rare.buckets[1])

    def test_alike_good_runs_teach_a_demo_alike_middling_ones_a_rule_too(self):
        batch = batch_of_runs([runs(1, 1), runs(0.5, 0.5), runs(0, 0)])
        good, middling, bad = batch.buckets
        assert [batch.teaches_demo(b) for b in (good, middling, bad)] == [True, True, False]
        assert [batch.teaches_rule(b) for b in (good, middling, bad)] == [False, True, False]

    def test_words_teach_a_rule_where_a_run_falls_short(self):
        batch = batch_of_runs([runs(0, 0, feedback="why"), runs(1, 1, feedback="fine"), runs(0, 0)])
        taught = {b.worst.feedback: batch.teaches_rule(b) for b in batch.buckets}
        assert taught == {"why": True, "fine": False, "": False}


class TestMiniBatches:
    @given(st.integers(1, 20), st.integers(1, 20), st.integers(0, 5))
    def test_an_epoch_meets_no_example_twice(self, n, size, seed):
        size = min(n, size)
        trainset = rows(n)
        whole = n // size
        for epoch in range(2):
            met = [
                e.question
                for step in range(epoch * whole, (epoch + 1) * whole)
                for e in batch_of(trainset, size, seed=seed, step=step)
            ]
            assert len(met) == len(set(met)) == whole * size

    def test_epochs_differ_and_so_do_seeds(self):
        trainset = rows(20)
        drawn = {
            tuple(e.question for e in batch_of(trainset, 10, seed=seed, step=step))
            for seed in (0, 1)
            for step in range(4)
        }
        assert len(drawn) == 8
        assert [e.question for e in trainset] == [f"q{n}" for n in range(20)]


class TestPool:
    @staticmethod
    def pool(*scores: float, characters: Any = None) -> Pool:
        study: Any = SimpleNamespace(characters=lambda program: len(demos_of(program)))
        pool = Pool()
        for index, score in enumerate(scores):
            demos = (characters or {}).get(index, 0)
            pool.add(Member(index, "", labeled_of(QA(), demos), study, score=score))
        return pool

    def top(self, pool: Pool, size: int) -> list[int]:
        return [member.index for member in pool.top(size)]

    def test_the_best_and_the_student(self):
        pool = self.pool(0.1, 0.5, 0.9, 0.7)
        assert self.top(pool, 2) == [2, 0]
        assert self.top(pool, 3) == [2, 3, 0]
        assert self.top(pool, 9) == [2, 3, 1, 0]
        assert self.top(self.pool(0.8, 0.5, 0.9), 2) == [2, 0]
        assert self.top(self.pool(0.8, 0.9), 1) == [0]

    def test_equal_scores_go_to_the_shorter_then_the_earlier(self):
        assert self.top(self.pool(0.5, 0.5, 0.5, characters={0: 3, 1: 2}), 3) == [2, 1, 0]
        assert self.top(self.pool(0.5, 0.5, 0.5), 3) == [0, 1, 2]

    def test_draws_follow_the_softmax(self):
        pool, rng = self.pool(0.2, 0.4), Random(7)
        drawn = [pool.draw(rng, 6, 0.2).index for _ in range(4000)]
        odds = math.exp(0.4 / 0.2) / math.exp(0.2 / 0.2)
        assert drawn.count(1) / drawn.count(0) == pytest.approx(odds, rel=0.1)

    def test_sharp_draws_do_not_overflow(self):
        assert self.pool(0.0, 1.0).draw(Random(1), 2, 1e-9).index == 1
        assert self.pool(0.0, 1.0, 1.0).draw(Random(1), 3, 0).index == 1

    def test_a_program_is_known_by_instructions_and_demos(self):
        pool = self.pool(0.0)
        assert pool.knows(QA())
        assert not pool.knows(labeled_of(QA(), 1))
        pool.add(Member(1, "", labeled_of(QA(), 1), SimpleNamespace()))  # type: ignore[arg-type]
        assert pool.knows(labeled_of(QA(), 1))
        told = QA().with_predictors(lambda _, p: p.with_signature(p.signature.with_instructions("x")))
        assert setting_of(told) != setting_of(QA())


class TestLessons:
    def drawn(self, *scores: float, max_demos: int = 4) -> Any:
        settings = SIMBA(max_demos=max_demos)
        batch = batch_of_runs([runs(*scores), runs(0, 0)])
        return {
            lesson and lesson.kind
            for seed in range(9)
            for lesson in [drawn_lesson(settings, TestPool.pool(0.0), batch, 0, rng=Random(seed))]
        }

    def test_runs_that_show_nothing_give_no_demo(self):
        assert self.drawn(1, 0) == {"rule"}
        assert self.drawn(1, 1) == {None}

    def test_without_room_for_demos_there_are_rules_alone(self):
        assert self.drawn(1, 0, max_demos=0) == {"rule"}


class TestThinning:
    def test_poisson(self):
        rng = Random(3)
        for mean in (0.0, 0.5, 2.0):
            drawn = [poisson(rng, mean) for _ in range(4000)]
            assert statistics.fmean(drawn) == pytest.approx(mean, abs=0.08)
            assert statistics.pvariance(drawn) == pytest.approx(mean, abs=0.2)

    @given(st.integers(0, 9), st.integers(1, 5), st.integers(0, 10**6))
    def test_a_full_program_loses_at_least_one(self, held, room, seed):
        program = labeled_of(QA(), held)
        left = demos_of(thinned(program, room, Random(seed)))
        assert left == [q for q in demos_of(program) if q in left], "in order"
        assert (len(left) < held) or held < room
        assert len(demos_of(program)) == held

    def test_the_same_places_everywhere_but_in_frozen_predictors(self):
        program = labeled_of(Pair(), 4)
        for seed in range(5):
            left = thinned(program, 2, Random(seed))
            assert demos_of(left, "first") == demos_of(left, "second")
        program.freeze("second")
        left = thinned(program, 2, Random(0))
        assert len(demos_of(left, "first")) < 4
        assert len(demos_of(left, "second")) == 4


class Odd(Module):
    """Predictors whose paths are no names."""

    def __init__(self) -> None:
        self.hops = [Predict("question -> answer"), Predict("question -> answer")]
        self.hops_0 = Predict("question -> answer")

    def forward(self, question: str) -> Any:
        return self.hops[0](question=question)


class TestAdvisor:
    def test_an_output_for_each_predictor(self):
        outputs = list(introspection(Odd(), use_feedback=True).signature.output_fields)
        assert outputs == ["discussion", "advice_for_hops_0", "advice_for_hops_1", "advice_for_hops_0_"]

    def test_advice_goes_behind_the_instructions_of_whom_it_is_for(self):
        program = Odd()
        own = program.hops_0.signature.instructions
        said = Prediction(advice_for_hops_0="N/A", advice_for_hops_1=None, advice_for_hops_0_=" do \nit  \n")
        assert advised(program, said) == {"hops_0": f"{own}\n\ndo\nit"}

    def test_what_is_told_already_is_no_advice(self):
        program = QA().with_predictors(lambda _, p: p.with_signature(p.signature.with_instructions("a b c")))
        assert advised(program, Prediction(advice_for_answer="b c")) == {}

    def test_every_question_is_an_input(self):
        for use_feedback in (True, False):
            bucket = Bucket(tuple(runs(1, 0)))
            asked = questions(QA(), bucket, use_feedback=use_feedback, limit=0)
            fields = introspection(QA(), use_feedback=use_feedback).signature.input_fields
            assert asked.keys() == fields.keys()
            assert all(isinstance(value, str) for value in asked.values())

    def test_long_values_are_cut_and_strange_ones_have_no_address(self):
        class Strange:
            pass

        example = Example(question="x" * 50, thing=Strange(), many=[1] * 50).with_inputs("question", "thing")
        asked = questions(QA(), Bucket(tuple(runs(1, 0, example=example))), use_feedback=True, limit=30)
        told = questions(QA(), Bucket(tuple(runs(1, 0, example=example))), use_feedback=True, limit=0)
        assert "x" * 30 + " [...]" in asked["program_inputs"]
        assert "x" * 31 not in asked["program_inputs"]
        assert "Strange object at 0x..." in told["program_inputs"]
        assert "x" * 50 in told["program_inputs"]
        assert "[...]" in asked["known_answers"]

    def test_a_refused_output_is_shown_with_its_message(self):
        call = PredictorCall(
            "answer", QA().answer, {"question": "q0"}, Prediction(answer="x"), (), LMResponse("x"), "plain"
        )
        result = CaseResult(
            rows(1)[0], Prediction(answer="x"), Trace(calls=[replace(call, rejected="short")])
        )
        bucket = Bucket((Scored(result, 1.0), Scored(result, 0.0)))
        asked = questions(QA(), bucket, use_feedback=False, limit=0)
        assert '"refused": "short"' in asked["better_run"]
        result = CaseResult(rows(1)[0], Prediction(answer="x"), Trace(calls=[call]))
        asked = questions(QA(), Bucket((Scored(result, 1.0),) * 2), use_feedback=False, limit=0)
        assert "refused" not in asked["worse_run"]

    def test_an_error_is_the_result_of_a_run(self):
        failed = Scored(
            CaseResult(rows(1)[0], None, Trace(), error=ErrorInfo("ValueError", "at 0x7f0000001234")), 0.0
        )
        asked = questions(QA(), Bucket((*runs(1), failed)), use_feedback=False, limit=0)
        assert '"error": "ValueError: at 0x..."' in asked["worse_run"]
