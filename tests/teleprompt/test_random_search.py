"""BootstrapFewShotWithRandomSearch: followed by hand, and against an exhaustive reference."""

from __future__ import annotations

import random
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_lmprog.errors import CompileError, ParseError, UsageError
from pytest_lmprog.programs import context
from pytest_lmprog.teleprompt import (
    BootstrapFewShot,
    BootstrapFewShotWithRandomSearch,
    BootstrapRS,
    CallBound,
    CompileRuntime,
    LabeledFewShot,
)
from tests.teleprompt.world import (
    QA,
    Looping,
    PlainAdapter,
    WorldLM,
    exact,
    jitter,
    knowing,
    moody,
    portion,
    questions,
    result_of,
    rows,
    shown,
    task,
    truth,
)


def searched(strategy, lm, trainset, *, concurrency=8, seed=0, **more):
    with context(lm=lm, adapter=PlainAdapter()):
        return strategy.compile_result(
            task(trainset, **more), CompileRuntime(concurrency=concurrency, seed=seed)
        )


class TestByHand:
    """Two training rows, two validation rows; the LM is right only where a demo shows q1."""

    def answer(self, one):
        question = one.inputs["question"]
        right = "q1" in one.shown or question == "q1"
        return {"answer": truth(question) if right else "no idea"}

    def strategy(self, **more):
        return BootstrapFewShotWithRandomSearch(
            exact, max_bootstrapped_demos=1, max_labeled_demos=1, num_candidate_programs=2, **more
        )

    def test_candidates_and_winner(self):
        result = searched(self.strategy(), WorldLM(self.answer), rows(2), valset=rows(2, start=10))
        labels = [c.label for c in result.candidates]
        assert labels == ["zero-shot", "labeled", "bootstrap", "bootstrap, shuffle 0", "bootstrap, shuffle 1"]
        (labeled,) = [e.question for e in random.Random(0).sample(rows(2), 1)]
        assert [questions(c.program) for c in result.candidates[:2]] == [[], [labeled]]
        # In every bootstrap the teacher may show one labeled demo, q1 (labeled), to q0; q1 knows itself.
        assert labeled == "q1"
        assert questions(result.candidates[2].program) == ["q0"]
        assert result.winner == 1
        assert result.score == 1.0
        assert result.validated_on == 2
        assert questions(result.program) == ["q1"]

    def test_the_shuffles_are_dspys(self):
        lm = WorldLM(knowing(*range(50)))
        strategy = BootstrapFewShotWithRandomSearch(
            exact, max_bootstrapped_demos=4, max_labeled_demos=0, num_candidate_programs=3
        )
        result = searched(strategy, lm, rows(9), valset=rows(2, start=20))
        for number, candidate in enumerate(result.candidates[3:]):
            order = rows(9)
            random.Random(number).shuffle(order)
            size = random.Random(number).randint(1, 4)
            assert questions(candidate.program) == [e.question for e in order[:size]]

    def test_at_equal_scores_the_shortest_prompt_wins(self):
        result = searched(self.strategy(), WorldLM(knowing(*range(50))), rows(4), valset=rows(3, start=10))
        assert result.candidates[result.winner].label == "zero-shot"
        assert result.score == 1.0

    def test_without_a_valset_it_validates_on_the_trainset(self):
        result = searched(self.strategy(), WorldLM(self.answer), rows(5))
        assert result.validated_on == 5

    def test_ranking_metrics_see_no_trace_and_bootstrapping_ones_do(self):
        traces = []

        def metric(example, prediction, trace=None):
            traces.append(trace is None)
            return True

        strategy = BootstrapFewShotWithRandomSearch(
            metric, num_candidate_programs=0, max_bootstrapped_demos=1
        )
        searched(strategy, WorldLM(knowing()), rows(1), valset=rows(3, start=5), concurrency=1)
        assert traces.count(False) == 1
        assert traces.count(True) >= 3

    def test_no_bootstrapped_demos(self):
        strategy = BootstrapFewShotWithRandomSearch(exact, max_bootstrapped_demos=0, num_candidate_programs=2)
        lm = WorldLM(knowing(0))
        result = searched(strategy, lm, rows(3), valset=rows(2, start=5))
        assert len(result.candidates) == 5
        assert {a.inputs["question"] for a in lm.live} <= {"q5", "q6"}


def reference(strategy, lm, trainset, valset, *, stop=None):
    """DSPy's loop: one candidate after the other, evaluated fully, without parallelism or dropping."""
    best, scored = None, []
    for index in range(-3, strategy.num_candidate_programs):
        train = list(trainset)
        size = strategy.max_bootstrapped_demos
        if index >= 0:
            random.Random(index).shuffle(train)
            size = random.Random(index).randint(1, size)
        if index == -3:
            program = LabeledFewShot(k=0).compile(QA(), trainset=train)
        elif index == -2:
            program = LabeledFewShot(k=strategy.max_labeled_demos).compile(QA(), trainset=train)
        else:
            one = BootstrapFewShot(exact, None, None, size, strategy.max_labeled_demos)
            program = one.compile_result(task(train), CompileRuntime(concurrency=1)).program
        right = 0
        for example in valset:
            left = [d for d in program.answer.demos if d["question"] != example.question]
            with suppress(ParseError):
                right += exact(example, program.answer.with_demos(left)(question=example.question))
        scored.append(right / len(valset))
        size = sum(len(m["content"]) for m in prompt_of(program))
        place = (scored[-1], -size, -(index + 3))
        if best is None or place > best[0]:
            best = (place, program)
        if stop is not None and scored[-1] >= stop:
            break
    return best, len(scored)


def prompt_of(program):
    predictor = program.answer
    return PlainAdapter().prompt(predictor.signature, predictor.demos).template()


@settings(max_examples=25, deadline=None)
@given(
    st.integers(0, 10**6),
    st.integers(1, 8),
    st.one_of(st.none(), st.integers(1, 8)),
    st.sampled_from([1, 5, 64]),
    st.sampled_from([None, 0.5, 0.9, 60]),
)
def test_winner_and_calls_against_the_sequential_search(world, n_train, n_val, concurrency, stop):
    def answer(one):
        question = one.inputs["question"]
        luck = portion(world, question, one.shown)
        return "garbage" if luck > 0.95 else {"answer": truth(question) if luck < 0.6 else "x"}

    trainset = rows(n_train)
    valset = None if n_val is None else rows(n_val, start=100)
    strategy = BootstrapFewShotWithRandomSearch(
        exact, max_bootstrapped_demos=3, max_labeled_demos=4, num_candidate_programs=4, stop_at_score=stop
    )
    with context(lm=(plain := WorldLM(answer)), adapter=PlainAdapter()):
        target = None if stop is None else stop / 100 if stop > 1 else stop
        ((score, size, index), program), tried = reference(
            strategy, plain, trainset, valset or trainset, stop=target
        )
    lm = WorldLM(answer, latency=lambda key: portion(world, key) / 2000)
    result = searched(strategy, lm, trainset, valset=valset, concurrency=concurrency)
    winner = result.candidates[result.winner]
    assert (result.score, -winner.characters, -winner.index) == (score, size, index)
    assert shown(result.program) == shown(program)
    assert len(result.candidates) == tried
    assert len(lm.live) <= len(plain.live)


class TestStopAtScore:
    def test_the_first_candidate_to_reach_it_is_the_last(self):
        lm = WorldLM(knowing(*range(50)))
        strategy = BootstrapFewShotWithRandomSearch(exact, stop_at_score=1.0)
        result = searched(strategy, lm, rows(10), valset=rows(4, start=20))
        assert [c.label for c in result.candidates] == ["zero-shot"]
        assert len(lm.live) == 4

    def test_nothing_is_bootstrapped_ahead_of_a_candidate_that_may_reach_it(self):
        def answer(one):
            question = one.inputs["question"]
            return {"answer": truth(question) if question < "q2" or one.demos else "no idea"}

        lm = WorldLM(answer, latency=jitter)
        strategy = BootstrapFewShotWithRandomSearch(
            exact, max_bootstrapped_demos=2, max_labeled_demos=0, stop_at_score=1.0
        )
        result = searched(strategy, lm, rows(10), valset=rows(2, start=20), concurrency=64)
        assert (result.candidates[result.winner].label, result.score) == ("bootstrap", 1.0)
        assert len(result.candidates) == 3
        assert {a.inputs["question"] for a in lm.live} == {"q0", "q1", "q20", "q21"}

    @pytest.mark.parametrize("stop", [0.5, 50])
    def test_a_percentage_is_read_as_such(self, stop):
        lm = WorldLM(knowing(20, 21))
        result = searched(
            BootstrapFewShotWithRandomSearch(exact, stop_at_score=stop), lm, rows(3), valset=rows(4, start=20)
        )
        assert (len(result.candidates), result.score) == (1, 0.5)


class TestErrors:
    def test_errors_in_validation_score_zero_and_are_told(self):
        lm = WorldLM(lambda one: "no JSON" if one.inputs["question"] == "q20" else {"answer": "x"})
        strategy = BootstrapFewShotWithRandomSearch(exact, num_candidate_programs=0)
        result = searched(strategy, lm, rows(3), valset=rows(4, start=20))
        assert result.score == 0.0
        assert "1 of 4 validation runs ended in an error" in result.notes

    def test_a_metric_is_needed(self):
        with pytest.raises(UsageError, match="without a metric"):
            searched(BootstrapFewShotWithRandomSearch(), WorldLM(moody), rows(2), metric=None)

    def test_a_hopeless_teacher_stops_it(self):
        lm = WorldLM(lambda one: "no JSON")
        with pytest.raises(CompileError, match="bootstrap runs ended in an error"):
            searched(BootstrapFewShotWithRandomSearch(exact), lm, rows(12))

    def test_an_empty_valset_is_an_error(self):
        with pytest.raises(UsageError, match="valset is empty"):
            searched(BootstrapFewShotWithRandomSearch(exact), WorldLM(moody), rows(2), valset=[])

    def test_settings_are_checked(self):
        with pytest.raises(UsageError, match="num_candidate_programs"):
            BootstrapFewShotWithRandomSearch(num_candidate_programs=-1)
        with pytest.raises(UsageError, match="max_rounds"):
            BootstrapFewShotWithRandomSearch(max_rounds=0)


class TestBudget:
    def strategy(self):
        return BootstrapFewShotWithRandomSearch(exact, num_candidate_programs=2, max_labeled_demos=2)

    def test_nothing_to_spend_leaves_the_student_as_it_is(self):
        student = LabeledFewShot(k=2).compile(QA(), trainset=rows(2))
        lm = WorldLM(knowing(*range(50)), budget=0)
        result = searched(self.strategy(), lm, rows(5), student=student)
        assert result.stopped == "budget"
        assert lm.live == []
        assert shown(result.program) == shown(student)
        assert result.program is not student
        assert result.candidates[result.winner].label == "student"
        assert "as written" in result.notes[0]

    def test_the_best_full_evaluation_is_kept(self):
        # The LM knows two of three validation rows. The candidate with the most demos is evaluated first;
        # zero-shot could still win the tie, so a second one starts.
        known = knowing(*range(22))
        data = {"trainset": rows(5), "valset": rows(3, start=20), "concurrency": 1}
        searched(self.strategy(), free := WorldLM(known), **data)
        bootstraps = sum(int(a.inputs["question"][1:]) < 20 for a in free.live)
        lm = WorldLM(known, budget=bootstraps + 3)
        result = searched(self.strategy(), lm, **data)
        assert result.stopped == "budget"
        assert result.candidates[result.winner].label == "bootstrap"
        assert result.score == 2 / 3

    @pytest.mark.parametrize("budget", range(0, 40, 3))
    def test_it_is_never_exceeded(self, budget):
        lm = WorldLM(moody, budget=budget, latency=jitter)
        result = searched(self.strategy(), lm, rows(8))
        assert len(lm.live) <= budget
        assert result.program.predictors()


def test_the_bound_counts_bootstraps_and_evaluations():
    strategy = BootstrapFewShotWithRandomSearch(exact, num_candidate_programs=2)
    # 3 bootstraps over 4 rows, 5 candidates over 4 (or 7) rows.
    assert strategy.bound(task(rows(4))) == CallBound(12 + 20, 12 + 20)
    assert strategy.bound(task(rows(4), valset=rows(7, start=50))) == CallBound(12 + 35, 12 + 35)
    assert strategy.bound(task(rows(4), teacher=Looping())) == CallBound(32, 12 * 4 + 20)


def test_the_winner_is_the_same_at_any_concurrency():
    strategy = BootstrapFewShotWithRandomSearch(exact, num_candidate_programs=5)
    outcomes = [
        result_of(searched(strategy, WorldLM(moody, latency=jitter), rows(15), concurrency=c))
        for c in (1, 8, 64)
    ]
    assert outcomes[0] == outcomes[1] == outcomes[2]


def test_names_and_settings_as_in_dspy():
    assert BootstrapRS is BootstrapFewShotWithRandomSearch
    strategy = BootstrapRS(exact, None, 2, 8, 1, 10, 4, 20, 0.9, 0.5)
    assert strategy.settings() == {
        "class": "BootstrapFewShotWithRandomSearch",
        "metric": "exact",
        "teacher_settings": None,
        "max_bootstrapped_demos": 2,
        "max_labeled_demos": 8,
        "max_rounds": 1,
        "num_candidate_programs": 10,
        "max_errors": 20,
        "stop_at_score": 0.9,
        "metric_threshold": 0.5,
    }
    assert strategy.threads() == 4
    assert BootstrapRS().threads() == 8


def test_compile_returns_the_winner():
    with context(lm=WorldLM(moody)):
        program = BootstrapRS(exact, num_candidate_programs=3).compile(
            QA(), trainset=rows(10), valset=rows(5, start=50)
        )
    assert isinstance(program, QA)
