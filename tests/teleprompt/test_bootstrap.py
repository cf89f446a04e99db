"""BootstrapFewShot: followed by hand, and against a plain sequential reference."""

from __future__ import annotations

import random
import warnings

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_lmprog.errors import CompileError, ConfigurationError, UsageError
from pytest_lmprog.programs import Example, Module, Predict, context
from pytest_lmprog.teleprompt import BootstrapFewShot, CallBound, CompileRuntime, LabeledFewShot
from tests.teleprompt.world import (
    QA,
    Looping,
    WorldLM,
    exact,
    jitter,
    knowing,
    moody,
    portion,
    questions,
    rows,
    shown,
    task,
    truth,
)


def compiled(strategy, lm, trainset, *, student=None, concurrency=8, seed=0, **more):
    with context(lm=lm):
        return strategy.compile_result(
            task(trainset, student=student, **more), CompileRuntime(concurrency=concurrency, seed=seed)
        )


def asked(lm):
    return [a.inputs["question"] for a in lm.live]


class TestByHand:
    def test_the_first_successes_become_demos(self):
        lm = WorldLM(knowing(1, 3, 4))
        result = compiled(BootstrapFewShot(exact, max_bootstrapped_demos=2, max_labeled_demos=0), lm, rows(6))
        assert shown(result.program) == {
            "answer": [{"question": "q1", "answer": "a1"}, {"question": "q3", "answer": "a3"}]
        }
        assert sorted(asked(lm)) == ["q0", "q1", "q2", "q3"]
        assert result.notes == ()
        assert result.score is None
        assert [(c.index, c.label, c.score) for c in result.candidates] == [(0, "bootstrap", None)]

    def test_labeled_demos_fill_up_with_examples_that_were_not_bootstrapped(self):
        lm = WorldLM(knowing(0, 2))
        result = compiled(BootstrapFewShot(exact, max_bootstrapped_demos=2, max_labeled_demos=4), lm, rows(6))
        rest = [e.question for i, e in enumerate(rows(6)) if i not in (0, 2)]
        random.Random(0).shuffle(rest)
        assert questions(result.program) == ["q0", "q2", *random.Random(0).sample(rest, 2)]

    def test_the_teacher_shows_labeled_demos_but_never_the_example_itself(self):
        lm = WorldLM(knowing())
        compiled(BootstrapFewShot(exact, max_labeled_demos=3), lm, rows(5))
        labeled = questions(LabeledFewShot(k=3).compile(QA(), trainset=rows(5)))
        for one in lm.live:
            assert one.shown == [q for q in labeled if q != one.inputs["question"]]

    def test_a_teacher_with_demos_keeps_its_own(self):
        teacher = LabeledFewShot(k=2).compile(QA(), trainset=rows(2, start=50))
        lm = WorldLM(knowing(0))
        compiled(BootstrapFewShot(exact), lm, rows(3), teacher=teacher)
        assert {tuple(sorted(a.shown)) for a in lm.live} == {("q50", "q51")}
        assert sorted(questions(teacher)) == ["q50", "q51"]

    def test_without_labeled_demos_the_teacher_is_bare(self):
        lm = WorldLM(knowing(0))
        compiled(BootstrapFewShot(exact, max_labeled_demos=0), lm, rows(3))
        assert all(a.demos == () for a in lm.live)

    def test_a_teacher_lm_demonstrates_and_the_student_keeps_its_own(self):
        strong, weak = WorldLM(knowing(0, 1), model="strong"), WorldLM(knowing(), model="weak")
        result = compiled(BootstrapFewShot(exact, max_labeled_demos=0), weak, rows(3), teacher=strong)
        assert questions(result.program) == ["q0", "q1"]
        assert weak.live == []
        assert result.program.answer.lm is None

    def test_teacher_settings_reach_the_teacher(self):
        strong, weak = WorldLM(knowing(0), model="strong"), WorldLM(knowing(), model="weak")
        compiled(BootstrapFewShot(exact, teacher_settings={"lm": strong}), weak, rows(2))
        assert (len(strong.live), len(weak.live)) == (2, 0)

    def test_the_runtimes_lm_is_used(self):
        lm = WorldLM(knowing(0))
        BootstrapFewShot(exact).compile_result(task(rows(2)), CompileRuntime(lm=lm))
        assert len(lm.live) == 2

    def test_a_failed_example_is_tried_again_as_a_new_rollout_at_temperature_one(self):
        def answer(one):
            right = one.inputs["question"] == "q0" and one.rollout == 2
            return {"answer": "a0" if right else "no idea"}

        lm = WorldLM(answer)
        strategy = BootstrapFewShot(exact, max_bootstrapped_demos=1, max_labeled_demos=0, max_rounds=3)
        result = compiled(strategy, lm, rows(2))
        assert [(a.inputs["question"], a.rollout, a.temperature) for a in lm.live] == [
            ("q0", 0, None),
            ("q0", 1, 1.0),
            ("q0", 2, 1.0),
        ]
        assert questions(result.program) == ["q0"]

    def test_without_a_metric_every_answer_is_a_success(self):
        lm = WorldLM(knowing())
        result = compiled(
            BootstrapFewShot(max_bootstrapped_demos=2, max_labeled_demos=0), lm, rows(5), metric=None
        )
        assert questions(result.program) == ["q0", "q1"]
        assert len(lm.live) == 2

    def test_no_bootstrapped_demos_means_no_call(self):
        lm = WorldLM(knowing(0))
        result = compiled(BootstrapFewShot(exact, max_bootstrapped_demos=0, max_labeled_demos=2), lm, rows(4))
        assert lm.live == []
        assert len(questions(result.program)) == 2

    def test_fewer_successes_than_wanted_are_told(self):
        lm = WorldLM(knowing(1))
        with context(lm=lm), pytest.warns(UserWarning, match="1 of 4 demos were bootstrapped: 3 of 3"):
            program = BootstrapFewShot(exact, max_labeled_demos=0).compile(QA(), trainset=rows(3))
        assert questions(program) == ["q1"]

    def test_a_predictor_called_often_gives_one_demo_and_a_nameless_one_none(self):
        lm = WorldLM(lambda one: {"answer": "a0" if one.inputs["question"].endswith("finally") else "x"})
        result = compiled(BootstrapFewShot(exact, max_labeled_demos=0), lm, rows(1), student=Looping())
        (demo,) = shown(result.program)["steps[0]"]
        assert demo["question"] in ("q0", "q0 again", "q0 finally")

    def test_two_predictors_of_one_signature_are_not_conflated(self):
        class Twice(Module):
            def __init__(self) -> None:
                self.first = Predict("question -> answer")
                self.second = Predict("question -> answer")

            def forward(self, question):
                return self.second(question=self.first(question=question).answer)

        lm = WorldLM(lambda one: {"answer": one.inputs["question"] + "+"})
        result = compiled(
            BootstrapFewShot(lambda e, p: p.answer == "q0++", max_labeled_demos=0),
            lm,
            rows(1),
            student=Twice(),
        )
        assert shown(result.program) == {
            "first": [{"question": "q0", "answer": "q0+"}],
            "second": [{"question": "q0+", "answer": "q0++"}],
        }


class TestSuccess:
    def graded(self, value):
        return lambda example, prediction, trace=None: value

    @pytest.mark.parametrize(
        ("value", "threshold", "kept"),
        [(0.0, None, 0), (0.01, None, 2), (0.4, 0.5, 0), (0.5, 0.5, 2), (0.0, 0, 2), (0.0, 0.0, 2)],
    )
    def test_threshold(self, value, threshold, kept):
        strategy = BootstrapFewShot(self.graded(value), threshold, max_labeled_demos=0)
        assert len(questions(compiled(strategy, WorldLM(knowing()), rows(2)).program)) == kept

    def test_the_metric_is_given_the_trace_as_in_dspy(self):
        traces = []

        def metric(example, prediction, trace=None):
            traces.append(trace)
            return True

        compiled(BootstrapFewShot(metric, max_bootstrapped_demos=1), WorldLM(knowing()), rows(1))
        assert [len(t) for t in traces] == [1]

    def test_its_metric_overrides_the_units(self):
        strategy = BootstrapFewShot(lambda e, p: True, max_labeled_demos=0)
        assert len(questions(compiled(strategy, WorldLM(knowing()), rows(2)).program)) == 2
        assert (
            questions(compiled(BootstrapFewShot(max_labeled_demos=0), WorldLM(knowing()), rows(2)).program)
            == []
        )


class TestErrors:
    def broken_on(self, *numbers):
        bad = {f"q{i}" for i in numbers}
        return lambda one: (
            "no JSON" if one.inputs["question"] in bad else {"answer": truth(one.inputs["question"])}
        )

    def test_an_error_is_counted_and_its_example_stays_a_labeled_demo(self):
        lm = WorldLM(self.broken_on(0))
        result = compiled(BootstrapFewShot(exact, max_bootstrapped_demos=2, max_labeled_demos=4), lm, rows(4))
        assert questions(result.program)[:2] == ["q1", "q2"]
        assert "q0" in questions(result.program)
        assert result.notes == ("1 of 3 bootstrap runs ended in an error (ParseError 1)",)

    def test_where_all_runs_end_in_errors_the_first_is_told(self):
        result = compiled(BootstrapFewShot(exact), WorldLM(self.broken_on(0, 1)), rows(2))
        told = "2 of 2 bootstrap runs ended in an error (ParseError 2); the first: the answer is not JSON"
        assert result.notes[-1].startswith(told)

    def test_a_teacher_that_is_a_text_is_told_what_to_write(self):
        with pytest.raises(UsageError, match=r"hint: teacher=lmp.LM\('openai/gpt-4o'\)"):
            BootstrapFewShot(exact).compile(QA(), trainset=rows(2), teacher="openai/gpt-4o")

    def test_an_error_is_tried_again_in_the_next_round(self):
        def answer(one):
            return {"answer": "a0"} if one.rollout else "no JSON"

        strategy = BootstrapFewShot(exact, max_bootstrapped_demos=1, max_labeled_demos=0, max_rounds=2)
        assert questions(compiled(strategy, WorldLM(answer), rows(1)).program) == ["q0"]

    def test_an_error_is_no_success_at_threshold_zero(self):
        strategy = BootstrapFewShot(exact, 0, max_labeled_demos=0)
        assert questions(compiled(strategy, WorldLM(self.broken_on(0, 1)), rows(2)).program) == []

    @pytest.mark.parametrize("concurrency", [1, 8])
    def test_max_errors_stops_with_the_first_causes(self, concurrency):
        lm = WorldLM(self.broken_on(0, 2, 4))
        strategy = BootstrapFewShot(exact, max_bootstrapped_demos=6, max_errors=2)
        with pytest.raises(CompileError) as stopped:
            compiled(strategy, lm, rows(9), concurrency=concurrency)
        assert "bootstrap runs ended in an error" in str(stopped.value)
        assert "the answer is not JSON" in str(stopped.value)
        assert "max_errors" in str(stopped.value)

    def test_a_hopeless_teacher_is_given_up_after_ten_errors(self):
        lm = WorldLM(self.broken_on(*range(40)))
        with pytest.raises(CompileError, match="10 bootstrap runs"):
            compiled(BootstrapFewShot(exact), lm, rows(40), concurrency=1)
        assert len(lm.live) == 10

    def test_a_noisy_teacher_is_not_given_up(self):
        lm = WorldLM(self.broken_on(*range(1, 40)))
        result = compiled(BootstrapFewShot(exact, max_labeled_demos=0), lm, rows(40))
        assert questions(result.program) == ["q0"]
        assert len(lm.live) == 40

    def test_a_program_that_raises_is_an_error_not_a_crash(self):
        class Fragile(QA):
            def forward(self, question):
                answer = super().forward(question)
                if question == "q1":
                    raise ZeroDivisionError("oops")
                return answer

        lm = WorldLM(knowing(0, 1, 2))
        result = compiled(BootstrapFewShot(exact, max_labeled_demos=0), lm, rows(3), student=Fragile())
        assert questions(result.program) == ["q0", "q2"]
        assert any("ZeroDivisionError 1" in note for note in result.notes)

    def test_a_teacher_of_another_structure_is_refused(self):
        with pytest.raises(UsageError, match=r"the teacher has steps\[0\], the student answer"):
            compiled(BootstrapFewShot(exact), WorldLM(knowing()), rows(1), teacher=Looping())

    def test_a_teacher_that_lacks_a_field_is_refused(self):
        class Other(Module):
            def __init__(self) -> None:
                self.answer = Predict("question -> verdict")

        with pytest.raises(UsageError, match="has no field 'answer'"):
            compiled(BootstrapFewShot(exact), WorldLM(knowing()), rows(1), teacher=Other())

    def test_a_teacher_that_is_neither_program_nor_lm_is_refused(self):
        with pytest.raises(UsageError, match="teacher must be"):
            compiled(BootstrapFewShot(exact), WorldLM(knowing()), rows(1), teacher="gpt")

    @pytest.mark.parametrize(
        "bad",
        [{"max_rounds": 0}, {"max_bootstrapped_demos": -1}, {"max_labeled_demos": 1.5}, {"max_errors": 0}],
    )
    def test_impossible_settings_are_refused(self, bad):
        with pytest.raises(UsageError, match=next(iter(bad))):
            BootstrapFewShot(**bad)

    def test_an_unknown_teacher_setting_is_refused(self):
        with pytest.raises(ConfigurationError, match="unknown setting 'model'"):
            BootstrapFewShot(teacher_settings={"model": "x"})


def sequential(trainset, wanted, rounds, succeeds):
    """DSPy's loop, without an LM: which (example, round) are tried, and which examples succeed."""
    tried, kept = [], []
    for position in range(len(trainset)):
        if len(kept) >= wanted:
            break
        for turn in range(rounds):
            tried.append((position, turn))
            if succeeds(position, turn):
                kept.append(position)
                break
    return tried, kept


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 10**6),
    st.integers(1, 25),
    st.integers(0, 6),
    st.integers(1, 3),
    st.sampled_from([0.1, 0.5, 0.9]),
    st.sampled_from([1, 3, 64]),
)
def test_same_demos_and_not_one_extra_call(world, n, wanted, rounds, rate, concurrency):
    def succeeds(position, turn):
        return portion(world, position, turn) < rate

    def answer(one):
        position = int(one.inputs["question"][1:])
        return {"answer": truth(one.inputs["question"]) if succeeds(position, one.rollout) else "x"}

    tried, kept = sequential(rows(n), wanted, rounds, succeeds)
    lm = WorldLM(answer, latency=lambda key: portion(world, key) / 2000)
    strategy = BootstrapFewShot(exact, max_bootstrapped_demos=wanted, max_labeled_demos=0, max_rounds=rounds)
    from tests.teleprompt.world import PlainAdapter

    with context(adapter=PlainAdapter()):
        result = compiled(strategy, lm, rows(n), concurrency=concurrency)
    assert questions(result.program) == [f"q{i}" for i in kept]
    assert sorted((int(a.inputs["question"][1:]), a.rollout) for a in lm.live) == tried


def test_as_many_run_at_once_as_demos_are_missing():
    lm = WorldLM(knowing(*range(50)), latency=0.02)
    compiled(BootstrapFewShot(exact, max_bootstrapped_demos=5), lm, rows(20), concurrency=64)
    assert lm.most_in_flight == 5
    assert len(lm.live) == 5


def test_the_bound_is_every_example_in_every_round():
    strategy = BootstrapFewShot(exact, max_rounds=2)
    assert strategy.bound(task(rows(7))) == CallBound(14, 14)
    assert strategy.bound(task(rows(7), student=Looping())) == CallBound(14, 56)
    assert strategy.bound(task(rows(7), max_calls=5)) == CallBound(14, 70)
    assert strategy.bound(task(rows(7), teacher=Looping())) == CallBound(14, 56)
    assert strategy.bound(task(rows(7), teacher=Looping(), max_calls=9)) == CallBound(14, 126)
    assert strategy.bound(task(rows(7), teacher=QA(), max_calls=3)) == CallBound(14, 42)
    assert BootstrapFewShot(exact, max_bootstrapped_demos=0).bound(task(rows(7))) == CallBound(0, 0)


def test_a_budget_that_ends_it_keeps_the_demos_found_so_far():
    lm = WorldLM(knowing(*range(9)), budget=3)
    strategy = BootstrapFewShot(exact, max_bootstrapped_demos=8, max_labeled_demos=0)
    result = compiled(strategy, lm, rows(9), concurrency=2)
    # Which of two runs in flight is the last to be paid for depends on timing.
    assert questions(result.program) in (["q0", "q1", "q2"], ["q0", "q1", "q3"])
    assert result.stopped == "budget"
    assert len(lm.live) == 3


def test_a_seed_changes_the_labeled_demos():
    lm = WorldLM(knowing())
    strategy = BootstrapFewShot(exact, max_labeled_demos=4)
    by_seed = [tuple(questions(compiled(strategy, lm, rows(30), seed=s).program)) for s in (0, 1, 9, 0)]
    assert by_seed[0] == by_seed[3]
    assert len(set(by_seed)) == 3


def test_settings_are_plain_and_name_the_metric():
    assert BootstrapFewShot(exact, teacher_settings={"lm": WorldLM(moody)}).settings() == {
        "class": "BootstrapFewShot",
        "metric": "exact",
        "metric_threshold": None,
        "teacher_settings": {"lm": "world"},
        "max_bootstrapped_demos": 4,
        "max_labeled_demos": 16,
        "max_rounds": 1,
        "max_errors": None,
    }


def test_description():
    assert BootstrapFewShot().describe() == "BootstrapFewShot(max_bootstrapped_demos=4)"
    told = BootstrapFewShot(exact, max_bootstrapped_demos=2, max_rounds=3).describe()
    assert told == "BootstrapFewShot(metric=exact, max_bootstrapped_demos=2, max_rounds=3)"


def test_metrics_that_do_not_count_cannot_decide():
    from dataclasses import replace

    from pytest_lmprog.evaluation.callables import as_metric
    from pytest_lmprog.evaluation.scores import Objective

    aside = replace(task(rows(2)), objective=Objective((replace(as_metric(exact), optimize=False),)))
    with pytest.raises(UsageError, match="optimize=False"):
        BootstrapFewShot().compile_result(aside, CompileRuntime(lm=WorldLM(knowing())))


def test_random_latency_does_not_matter():
    outcomes = []
    for concurrency in (1, 8, 64):
        lm = WorldLM(moody, latency=jitter)
        result = compiled(BootstrapFewShot(exact), lm, rows(30), concurrency=concurrency)
        outcomes.append((shown(result.program), result.notes, len(lm.live)))
    assert outcomes[0] == outcomes[1] == outcomes[2]


def test_examples_that_name_no_inputs_take_those_of_forward():
    lm = WorldLM(knowing(0))
    plain = [Example(question="q0", answer="a0")]
    with context(lm=lm), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = BootstrapFewShot(exact, max_labeled_demos=0).compile(QA(), trainset=plain)
    assert questions(program) == ["q0"]
    assert lm.live[0].inputs == {"question": "q0"}
