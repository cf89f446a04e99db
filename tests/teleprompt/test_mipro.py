"""MIPROv2: followed by hand, its sizes and settings, and what it does with what falls short."""

from __future__ import annotations

import random

import pytest

from pytest_lmprog.errors import CompileError, ConfigurationError, MissingExtraError, UsageError
from pytest_lmprog.evaluation.scores import Objective
from pytest_lmprog.programs import context
from pytest_lmprog.teleprompt import (
    BootstrapFewShot,
    CallBound,
    CompileRuntime,
    CompileTask,
    LabeledFewShot,
    MIPROv2,
)
from pytest_lmprog.teleprompt.material.demo_sets import recipes
from pytest_lmprog.teleprompt.material.instructions import instructions_of
from pytest_lmprog.teleprompt.mipro import Sizes
from pytest_lmprog.teleprompt.plans.mipro import trials
from tests.teleprompt.plans.mipro.test_trials import compiled, scripted
from tests.teleprompt.world import (
    QA,
    Looping,
    Pair,
    Raising,
    WorldLM,
    exact,
    jitter,
    knowing,
    labeled_of,
    made_up,
    moody,
    questions,
    result_of,
    rows,
    shown,
    task,
    truth,
)

PRESENT = "Given the fields `question`, produce the fields `answer`."


def small(**more):
    settings = {
        "metric": exact,
        "auto": None,
        "num_candidates": 3,
        "num_trials": 4,
        "minibatch_size": 2,
    }
    return MIPROv2(**{**settings, **more})


class TestByHand:
    """Three training rows and four validation rows, q10 to q13; instructions and demos must both be right.

    Demo sets, at most one demo each: 0 none; 1 labeled, drawn: q1; 2 bootstrapped: the teacher, shown q1,
    knows all training rows, so q0. Instructions: 0 the present one; 1 "Think hard."; the other proposal
    cannot be read. The student knows q10 at once; all of q10 to q13 with "Think hard." and the demo q0;
    q10 and q11 with "Think hard." alone.
    """

    def answer(self, one):
        question = int(one.inputs["question"][1:])
        known = 10
        if one.instructions == "Think hard.":
            known = 13 if one.shown == ["q0"] else 11
        return {"answer": f"a{question}" if question <= known else "no idea"}

    def propose(self, one):
        if one.outputs != ("proposed_instruction",):
            return made_up(one)
        return {"proposed_instruction": "Think hard."} if one.rollout == 1 else "no JSON"

    def run(self, points, monkeypatch, **more):
        monkeypatch.setattr(trials, "STARTUP", 1)
        monkeypatch.setattr(trials.Trials, "_batch", lambda self, trial, size: [0, 1 + trial])
        asked = [{"answer: instruction": i, "answer: demos": d} for i, d in points]
        strategy = small(
            max_bootstrapped_demos=1, max_labeled_demos=1, num_trials=3, minibatch_full_eval_steps=2
        )
        strategy, sampler = scripted(strategy, asked)
        lm = WorldLM(self.answer, propose=self.propose)
        return compiled(strategy, lm, rows(3), valset=rows(4, start=10), **more), sampler, lm

    def test_it(self, monkeypatch):
        result, sampler, _ = self.run([(0, 2), (1, 2), (1, 0)], monkeypatch)
        assert sampler.space == {"answer: instruction": 2, "answer: demos": 3}
        assert sampler.seed == 9
        assert sampler.told == [
            (0, 0, 0.25),  # as it is: q10
            (0, 2, 0.5),  # on q10 and q11: q10
            (1, 2, 1.0),  # on q10 and q12: both
            (1, 2, 1.0),  # fully: all
            (1, 0, 0.5),  # on q10 and q13: q10
            (1, 0, 0.5),  # fully: q10, q11. Its mean is that of (0, 2), and its prompt the shorter one
        ]
        assert (result.winner, result.score, result.stopped) == (2, 1.0, "done")
        assert result.candidates[2].label == "instruction 1, demos 2"
        assert instructions_of(result.program) == {"answer": "Think hard."}
        assert questions(result.program) == ["q0"]
        assert result.notes == ("1 of 2 proposed instructions could not be read",)

    def test_its_calls(self, monkeypatch):
        _, _, lm = self.run([(0, 2), (1, 2), (1, 0)], monkeypatch)
        # The proposer: one batch of rows, the summary, program, module, two proposals.
        assert sum(one.is_proposal for one in lm.live) == 6
        # The bootstrap: q0 alone, as the one success that is wanted. Validation: the program as it is on 4
        # rows; (0, 2) on 2; (1, 2) on 2, then on the other 2; (1, 0) on 2, then on the other 2.
        assert sum(not one.is_proposal for one in lm.live) == 1 + 4 + 2 + 4 + 4
        strategy = small(
            max_bootstrapped_demos=1, max_labeled_demos=1, num_trials=3, minibatch_full_eval_steps=2
        )
        # Bound: the bootstrap on 3 rows; 6 questions; 4 + 3 * 2 + 2 * 2 validation runs.
        assert strategy.bound(task(rows(3), valset=rows(4, start=10))) == CallBound(3 + 6 + 14, 3 + 6 + 14)

    def test_the_program_as_it_is_wins_where_nothing_is_better(self, monkeypatch):
        result, _, _ = self.run([(0, 1), (0, 2), (0, 1)], monkeypatch)
        # All score 0.25; the program as it is has no demo, so its prompt is the shortest.
        assert [c.score for c in result.candidates] == [0.25, 0.25, 0.25]
        assert (result.winner, result.candidates[0].label) == (0, "default")


def dspys_sets(trainset, count, most, labeled, seed):
    """DSPy's ``create_n_fewshot_demo_sets``: (order of the trainset, demos to bootstrap) a set."""
    rng, sets = random.Random(seed), []
    for number in range(-3, count - 3):
        copied = list(trainset)
        if number == -3:
            sets.append(None)
        elif number == -2 and labeled > 0:
            sets.append("labeled")
        elif number == -1:
            sets.append((copied, most))
        else:
            rng.shuffle(copied)
            sets.append((copied, rng.randint(1, most)))
    return sets


@pytest.mark.parametrize("labeled", [0, 4])
@pytest.mark.parametrize("count", [1, 2, 3, 6])
def test_the_demo_sets_are_made_from_dspys_draws(count, labeled):
    trainset = rows(8)
    strategy = BootstrapFewShot(exact, max_bootstrapped_demos=3, max_labeled_demos=labeled)
    made = [
        (list(recipe.spec.trainset), recipe.spec.wanted) if recipe.spec else recipe.labeled or None
        for recipe in recipes(strategy, trainset, count, random.Random(9))
    ]
    expected = dspys_sets(trainset, count, 3, labeled, 9)
    assert made == [labeled if one == "labeled" else one for one in expected]


class TestSizes:
    @pytest.mark.parametrize(
        ("auto", "student", "examples", "zero_shot", "sizes"),
        [
            # trials = max(2 * choices * log2(candidates), 1.5 * candidates), rounded down.
            ("light", QA, 40, False, Sizes(6, 3, 10, 40, None)),
            ("light", QA, 50, False, Sizes(6, 3, 10, 50, None)),
            ("light", QA, 51, False, Sizes(6, 3, 10, 51, 35)),
            ("light", QA, 500, False, Sizes(6, 3, 10, 100, 35)),
            ("light", QA, 500, True, Sizes(6, 6, 9, 100, 35)),
            ("light", Pair, 500, False, Sizes(6, 3, 20, 100, 35)),
            ("medium", QA, 500, False, Sizes(12, 6, 18, 300, 35)),
            ("medium", Pair, 500, True, Sizes(12, 12, 18, 300, 35)),
            ("heavy", QA, 500, False, Sizes(18, 9, 27, 500, 35)),
            ("heavy", Pair, 2000, False, Sizes(18, 9, 33, 1000, 35)),
        ],
    )
    def test_of_the_modes(self, auto, student, examples, zero_shot, sizes):
        demos = {"max_bootstrapped_demos": 0, "max_labeled_demos": 0} if zero_shot else {}
        strategy = MIPROv2(exact, auto=auto, **demos)
        assert strategy.sizes(task(rows(examples), student=student())) == sizes

    def test_frozen_predictors_are_no_choice(self):
        student = Pair()
        student.freeze("second")
        assert MIPROv2(exact).sizes(task(rows(5), student=student)).trials == 10

    def test_as_told(self):
        strategy = small(num_candidates=7, num_trials=12, minibatch_size=4)
        assert strategy.sizes(task(rows(9))) == Sizes(7, 7, 12, 9, 4)
        assert strategy.sizes(task(rows(4))) == Sizes(7, 7, 12, 4, None)
        assert strategy.with_settings(minibatch=False).sizes(task(rows(9))).batch is None

    def test_of_many_validation_examples_a_mode_takes_a_sample(self):
        lm = WorldLM(knowing(*range(200)))
        strategy, _ = scripted(MIPROv2(exact, program_aware_proposer=False), [])
        strategy = strategy.with_settings(max_bootstrapped_demos=1, max_labeled_demos=0, num_threads=4)
        student = QA()
        student.freeze()
        result = compiled(strategy, lm, rows(3), valset=rows(130, start=10), student=student)
        asked = [int(a.inputs["question"][1:]) for a in lm.live]
        expected = {10 + place for place in random.Random(9).sample(range(130), 100)}
        assert set(asked) == expected
        assert (result.validated_on, result.score) == (100, 1.0)


class TestPrograms:
    def run(self, strategy=None, *, lm=None, points=(), **more):
        strategy, sampler = scripted(strategy or small(), list(points))
        lm = lm or WorldLM(moody)
        return compiled(strategy, lm, rows(8), **more), sampler, lm

    def test_two_predictors_are_searched_together(self):
        result, sampler, _ = self.run(student=Pair())
        assert sampler.space == {
            "first: instruction": 3,
            "first: demos": 3,
            "second: instruction": 3,
            "second: demos": 3,
        }
        label = result.candidates[1].label
        assert label.startswith("first: instruction ")
        assert "; second: instruction " in label

    def test_only_what_is_not_frozen_is_searched(self):
        student = Pair()
        student.freeze("first")
        _, sampler, _ = self.run(student=student)
        assert list(sampler.space) == ["second: instruction", "second: demos"]

    def test_where_all_is_frozen_the_program_is_evaluated_as_it_is(self):
        student = labeled_of(QA(), 2)
        student.freeze()
        result, sampler, lm = self.run(student=student)
        assert [kind for kind, *_ in sampler.log] == ["tell"]
        assert [c.label for c in result.candidates] == ["default"]
        assert not any(one.is_proposal for one in lm.live)
        assert len(lm.live) == 8
        assert shown(result.program) == shown(student)

    @pytest.mark.parametrize("frozen", [False, True])
    def test_progress_ends_where_it_said(self, frozen):
        events = []
        student = QA()
        if frozen:
            student.freeze()
        strategy, _ = scripted(small(num_candidates=2, num_trials=9, minibatch_full_eval_steps=2), [])
        with context(lm=WorldLM(knowing(*range(8)))):
            runtime = CompileRuntime(progress=events.append)
            strategy.compile_result(task(rows(8), student=student), runtime)
        assert events[-1].done == events[-1].total == len(events)

    def test_the_students_own_demos_are_a_choice(self):
        student = LabeledFewShot(k=2, sample=False).compile(QA(), trainset=rows(2, start=50))
        result, sampler, _ = self.run(student=student)
        assert sampler.space["answer: demos"] == 4
        assert sampler.told[0][:2] == (0, 3)
        assert questions(result.candidates[0].program) == ["q50", "q51"]

    def test_zero_shot_searches_instructions_only(self):
        student = LabeledFewShot(k=1, sample=False).compile(QA(), trainset=rows(1, start=50))
        strategy = small(max_bootstrapped_demos=0, max_labeled_demos=0)
        result, sampler, lm = self.run(strategy, student=student, lm=WorldLM(knowing(*range(60))))
        assert sampler.space == {"answer: instruction": 3}
        assert all(questions(c.program) == ["q50"] for c in result.candidates)
        proposals = [one for one in lm.live if one.outputs == ("proposed_instruction",)]
        # Demos were bootstrapped for the proposals: q0, q1 and q2 in the given order.
        assert proposals[-1].inputs["task_demos"].splitlines()[::3] == [
            f"question: q{number}" for number in (0, 1, 2)
        ]

    def test_zero_shot_without_demos_in_proposals_bootstraps_nothing(self):
        strategy = small(
            max_bootstrapped_demos=0, max_labeled_demos=0, fewshot_aware_proposer=False, num_trials=1
        )
        _, _, lm = self.run(strategy, valset=rows(2, start=20))
        asked = {one.inputs["question"] for one in lm.live if not one.is_proposal}
        assert asked == {"q20", "q21"}

    def test_labeled_demos_alone_are_shuffled(self):
        strategy = small(max_bootstrapped_demos=0, max_labeled_demos=2, num_candidates=6, num_trials=9)
        result, sampler, lm = self.run(strategy, valset=rows(2, start=20))
        assert sampler.space["answer: demos"] == 6
        assert {len(questions(c.program)) for c in result.candidates} == {0, 2}
        asked = {one.inputs["question"] for one in lm.live if not one.is_proposal}
        assert asked == {"q20", "q21"}, "no bootstrap asks"

    def test_equal_sets_are_one(self):
        # Nothing succeeds, so all bootstraps come to nothing.
        _, sampler, _ = self.run(small(max_labeled_demos=0), lm=WorldLM(knowing()))
        assert sampler.space["answer: demos"] == 1

    def test_what_the_winners_demos_fell_short_of_is_told(self):
        # The LM knows q3 and nothing else, until it is shown q3.
        def answer(one):
            question = one.inputs["question"]
            return {"answer": truth(question) if question == "q3" or "q3" in one.shown else "x"}

        strategy = small(max_bootstrapped_demos=4, max_labeled_demos=0, num_trials=9)
        result, _, _ = self.run(strategy, lm=WorldLM(answer), valset=rows(2, start=20))
        assert questions(result.program) == ["q3"]
        # The first set that came to these demos was a shuffled one, of 3 demos.
        told = "1 of 3 demos were bootstrapped: 8 of 8 training examples were tried"
        assert (result.score, result.notes) == (1.0, (told,))

    def test_each_model_does_its_part(self):
        # The models' names enter the requests; the runtime's LM is asked nothing.
        runtime, prompting = WorldLM(moody), WorldLM(moody)
        tasked = WorldLM(moody)
        self.run(small(prompt_model=prompting, task_model=tasked), lm=runtime)
        assert runtime.live == []
        assert all(one.is_proposal for one in prompting.live)
        assert not any(one.is_proposal for one in tasked.live)
        assert prompting.live
        assert tasked.live

    def test_without_a_prompt_model_the_students_proposes(self):
        runtime, tasked = WorldLM(moody), WorldLM(moody)
        self.run(small(task_model=tasked), lm=runtime)
        assert runtime.live
        assert all(one.is_proposal for one in runtime.live)


class TestErrors:
    def test_errors_in_validation_score_zero_and_are_told(self):
        lm = WorldLM(lambda one: "no JSON" if one.inputs["question"] == "q20" else {"answer": "x"})
        strategy, _ = scripted(small(num_trials=1), [])
        result = compiled(strategy, lm, rows(3), valset=rows(4, start=20))
        assert result.score == 0.0
        assert "1 of 4 validation runs ended in an error" in result.notes

    def test_a_hopeless_teacher_stops_it(self):
        strategy, _ = scripted(small(), [])
        with pytest.raises(CompileError, match="bootstrap runs ended in an error"):
            compiled(strategy, WorldLM(lambda one: "no JSON"), rows(12), valset=rows(2, start=20))

    def test_a_teacher_that_always_errs_is_told_although_no_demos_win(self):
        lm = WorldLM(lambda one: {"answer": truth(one.inputs["question"])})
        strategy, _ = scripted(small(), [])
        result = compiled(strategy, lm, rows(4), valset=rows(3, start=20), teacher=Raising())
        assert result.candidates[result.winner].label.endswith("demos 0")
        (note,) = (note for note in result.notes if "bootstrap" in note)
        assert note.startswith("4 of 4 bootstrap runs ended in an error (ValueError 4); the first: ")
        assert note.endswith("raised ValueError: boom")

    def test_proposals_that_cannot_be_read_are_told_although_the_present_instruction_wins(self):
        lm = WorldLM(lambda one: {"answer": truth(one.inputs["question"])}, propose=lambda one: "no JSON")
        strategy, _ = scripted(small(), [])
        result = compiled(strategy, lm, rows(4), valset=rows(3, start=20))
        assert result.candidates[result.winner].label == "default"
        assert any(note.endswith("proposed instructions could not be read") for note in result.notes)

    def test_a_metric_that_always_fails_is_told(self):
        strategy, _ = scripted(small(metric=lambda example, prediction, trace=None: False), [])
        result = compiled(strategy, WorldLM(knowing(*range(99))), rows(4), valset=rows(3, start=20))
        assert result.score == 0.0
        assert result.notes[-1] == "no candidate scored above 0 on the 3 validation examples"

    @pytest.mark.parametrize(
        ("settings", "told"),
        [
            ({"auto": "lihgt"}, "auto must be one of 'light', 'medium', 'heavy' or None, not 'lihgt'"),
            ({"num_candidates": 0}, "num_candidates must be an integer of 1 or more, not 0"),
            ({"num_trials": True}, "num_trials must be an integer of 1 or more, not True"),
            ({"minibatch_size": 0}, "minibatch_size must be an integer of 1 or more"),
            ({"minibatch_full_eval_steps": 0}, "minibatch_full_eval_steps must be an integer of 1 or more"),
            ({"view_data_batch_size": 0}, "view_data_batch_size must be an integer of 1 or more"),
            ({"trials_in_flight": 0}, "trials_in_flight must be an integer of 1 or more"),
            ({"seed": -1}, "seed must be an integer of 0 or more"),
            ({"init_temperature": -0.5}, "init_temperature must be a number of 0 or more"),
            ({"prompt_model": "openai/gpt-4o"}, "prompt_model must be an LM, not 'openai/gpt-4o'"),
            ({"task_model": 3}, "task_model must be an LM, not 3"),
            ({"max_bootstrapped_demos": -1}, "max_bootstrapped_demos must be an integer of 0 or more"),
            ({"max_errors": 0}, "max_errors must be an integer of 1 or more"),
        ],
    )
    def test_settings_are_checked(self, settings, told):
        with pytest.raises(UsageError) as error:
            MIPROv2(exact, **settings)
        assert told in str(error.value)

    def test_teacher_settings_are_checked(self):
        with pytest.raises(ConfigurationError):
            MIPROv2(exact, teacher_settings={"lmm": None})

    @pytest.mark.parametrize(
        ("settings", "told"),
        [
            ({"num_trials": 9}, "auto='light' decides on num_candidates and num_trials itself"),
            ({"num_candidates": 9}, "give them with auto=None, or leave them out"),
            ({"auto": None}, "auto=None needs num_candidates and num_trials"),
            ({"auto": None, "num_candidates": 7}, "num_trials=11 suits num_candidates=7"),
        ],
    )
    def test_sizes_must_be_said_once(self, settings, told):
        lm = WorldLM(moody)
        with pytest.raises(UsageError) as error:
            compiled(MIPROv2(exact, **settings), lm, rows(3))
        assert told in str(error.value)
        assert lm.live == []

    @pytest.mark.parametrize(
        ("more", "told"),
        [
            ({"trainset": []}, "the trainset is empty"),
            ({"valset": []}, "the valset is empty"),
            ({"metric": None}, "without a metric"),
            ({"teacher": Looping()}, "teacher and student must have the same predictors"),
        ],
    )
    def test_what_is_missing_is_told_before_anything_is_asked(self, more, told):
        lm = WorldLM(moody)
        with pytest.raises(UsageError, match=told):
            compiled(MIPROv2(), lm, more.pop("trainset", rows(2)), **more)
        assert lm.live == []

    def test_metrics_that_do_not_count_are_told(self):
        class Uncounted:
            name, weight, optimize, pass_at = "f", 1, False, None

        with pytest.raises(UsageError, match="optimize=False"):
            small(metric=None).check(CompileTask(QA(), rows(2), Objective((Uncounted(),))))

    def test_without_optuna_nothing_is_asked(self, monkeypatch):
        monkeypatch.setitem(__import__("sys").modules, "optuna", None)
        lm = WorldLM(moody)
        with pytest.raises(
            MissingExtraError, match=r"MIPROv2 needs the extra 'optuna'.*\n.*lmprog\[optuna\]"
        ):
            compiled(MIPROv2(exact), lm, rows(3))
        assert lm.live == []


class TestBudget:
    def test_the_best_full_evaluation_is_kept(self):
        # All prompts know the same rows, so that the shortest wins: the program as it is. 4 calls bootstrap,
        # 6 evaluate it, 6 propose: 20 end among the trials.
        lm = WorldLM(knowing(*range(30)), budget=20)
        strategy, _ = scripted(small(num_trials=4), [])
        result = compiled(strategy, lm, rows(5), valset=rows(6, start=10), concurrency=2)
        assert result.stopped == "budget"
        assert (result.winner, result.score) == (0, 1.0)

    def test_nothing_to_spend_leaves_the_student_as_it_is(self):
        student = labeled_of(QA(), 2)
        strategy, _ = scripted(small(), [])
        lm = WorldLM(moody, budget=0)
        result = compiled(strategy, lm, rows(5), student=student)
        assert (result.stopped, lm.live) == ("budget", [])
        assert shown(result.program) == shown(student)
        assert result.candidates[result.winner].label == "student"
        assert "the program is as written" in result.notes[0]


class TestAsInDSPy:
    def test_names_and_settings(self):
        strategy = MIPROv2(exact, None, None, None, 2, 3, None, 7, 4, 20, 5, 0.5, True, False, "logs", 0.9)
        assert strategy.settings() == {
            "class": "MIPROv2",
            "metric": "exact",
            "prompt_model": None,
            "task_model": None,
            "teacher_settings": None,
            "max_bootstrapped_demos": 2,
            "max_labeled_demos": 3,
            "auto": None,
            "num_candidates": 7,
            "max_errors": 20,
            "seed": 5,
            "init_temperature": 0.5,
            "metric_threshold": 0.9,
            "num_trials": None,
            "minibatch": True,
            "minibatch_size": 35,
            "minibatch_full_eval_steps": 5,
            "program_aware_proposer": True,
            "data_aware_proposer": True,
            "view_data_batch_size": 10,
            "tip_aware_proposer": True,
            "fewshot_aware_proposer": True,
            "trials_in_flight": 1,
        }
        assert strategy.threads() == 4
        assert MIPROv2().threads() == 8
        assert MIPROv2().describe() == "MIPROv2(auto='light')"

    def test_compile_takes_dspys_settings(self):
        pytest.importorskip("optuna")
        lm = WorldLM(moody)
        strategy = MIPROv2(exact, auto=None, num_candidates=3)
        with context(lm=lm):
            program = strategy.compile(
                QA(),
                trainset=rows(6),
                valset=rows(5, start=20),
                num_trials=2,
                max_bootstrapped_demos=1,
                max_labeled_demos=0,
                seed=None,
                minibatch_size=2,
                program_aware_proposer=False,
                requires_permission_to_run=False,
            )
        assert isinstance(program, QA)
        assert ("program_description",) not in {one.outputs for one in lm.live}
        assert all(len(one.shown) <= 1 for one in lm.live if not one.is_proposal)
        assert strategy.num_trials is None

    def test_compile_names_what_it_does_not_take(self):
        with pytest.raises(UsageError, match=r"takes no 'num_trial'\n  hint: did you mean 'num_trials'"):
            MIPROv2(exact).compile(QA(), trainset=rows(2), num_trial=3)
        with pytest.raises(UsageError, match="it takes num_trials, max_boot"):
            MIPROv2(exact).compile(QA(), trainset=rows(2), xyz=3)


def test_the_seeds_of_strategy_and_compile_are_added():
    pytest.importorskip("optuna")

    def outcome(seed, of_compile):
        lm = WorldLM(moody, latency=jitter)
        with context(lm=lm):
            strategy = small(seed=seed, num_trials=14, num_candidates=5, max_labeled_demos=2)
            runtime = CompileRuntime(seed=of_compile)
            found = strategy.compile_result(task(rows(9), valset=rows(6, start=20)), runtime)
        return result_of(found)["candidates"]

    assert outcome(9, 0) == outcome(9, 0)
    assert outcome(9, 0) != outcome(10, 0)
    assert outcome(9, 1) != outcome(9, 0)
