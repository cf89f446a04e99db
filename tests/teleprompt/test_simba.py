"""SIMBA: followed by hand."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import Any

import pytest

from pytest_lmprog.errors import CompileError, ConfigurationError, UsageError
from pytest_lmprog.programs import Module, Predict, Prediction, context
from pytest_lmprog.signatures import Signature
from pytest_lmprog.teleprompt import SIMBA, CallBound, CompileRuntime
from pytest_lmprog.teleprompt.engine.seeds import seeded
from pytest_lmprog.teleprompt.material.instructions import instructions_of
from tests.teleprompt.conformance.suite import Noted
from tests.teleprompt.world import (
    QA,
    Asked,
    Looping,
    Pair,
    WorldLM,
    exact,
    knowing,
    labeled_of,
    moody,
    questions,
    rows,
    task,
    truth,
)


class One(Module):
    """One predictor that is told: one."""

    def __init__(self) -> None:
        self.answer = Predict(Signature("question -> answer", "one"))

    def forward(self, question: str) -> Any:
        return self.answer(question=question)


def knows(known: dict[str, list[str]]) -> Any:
    """An LM that, told the words of a key, knows in rollout n the questions with the numbers in [n]."""

    def answer(asked: Asked) -> dict[str, str]:
        question = asked.inputs["question"]
        right = known[asked.instructions.replace("\n\n", " ")][asked.rollout]
        return {"answer": truth(question) if question[1:] in right else "no idea"}

    return answer


def advises(*words: Any) -> Any:
    """An LM that gives these pieces of advice, one after the other; None: what cannot be read."""
    waiting = list(words)

    def propose(asked: Asked) -> Any:
        word = waiting.pop(0)
        return word if word is None else {"discussion": "so so", "advice_for_answer": word}

    def said(asked: Asked) -> Any:
        answer = propose(asked)
        return "no JSON" if answer is None else answer

    return said


def climbed(strategy: SIMBA, lm: WorldLM, n: int, *, seed: int = 0, concurrency: int = 8, **more: Any) -> Any:
    with context(lm=lm):
        student = more.pop("student", None) or One()
        trainset = more.pop("trainset", None) or rows(n)
        runtime = CompileRuntime(seed=seed, concurrency=concurrency)
        runtime = replace(runtime, progress=more.pop("progress", runtime.progress))
        return strategy.compile_result(task(trainset, student=student, **more), runtime)


def asked_of(lm: WorldLM) -> list[Asked]:
    return [a for a in lm.live if a.is_proposal]


def told(result: Any) -> list[str]:
    return [instructions_of(c.program)["answer"].replace("\n\n", " ") for c in result.candidates]


def rules(**more: Any) -> SIMBA:
    """Rules only; the best of the pool is always drawn."""
    defaults: dict[str, Any] = {
        "metric": exact,
        "bsize": 3,
        "num_candidates": 2,
        "max_steps": 2,
        "max_demos": 0,
        "temperature_for_sampling": 0,
        "temperature_for_candidates": 0,
    }
    return SIMBA(**{**defaults, **more})


class TestRules:
    """q0 to q2 are the one mini-batch, two rollouts each.

    Step 1. Told "one", the LM knows q0 in rollout 0 alone: the student has 1 of 3. Only the runs of q0
    differ, so they teach: the advice is "good". Told "one good" it knows q0 and q2 in rollout 0: 2 of 3.
    Step 2. "one good" is drawn for every run. It knows q0 always, q2 in rollout 0 alone, q1 never: q2
    teaches "better". Told "one good better" the LM knows all.
    In the end the student (1 of 3), "one good" (2 of 3) and "one good better" (3 of 3) are evaluated.
    """

    lm = staticmethod(knows({"one": ["0", ""], "one good": ["02", "0"], "one good better": ["012", ""]}))

    def compiled(self, **more: Any) -> tuple[Any, WorldLM]:
        lm = WorldLM(self.lm, propose=advises("good", "better"))
        return climbed(rules(), lm, 3, **more), lm

    @pytest.mark.parametrize("concurrency", [1, 8])
    def test_candidates_calls_and_winner(self, concurrency):
        result, lm = self.compiled(concurrency=concurrency)
        assert told(result) == ["one", "one good", "one good better"]
        assert [c.label for c in result.candidates] == ["student", "step 1, rule", "step 2, rule"]
        assert [c.parents for c in result.candidates] == [(), (0,), (1,)]
        assert (result.winner, result.score, result.validated_on) == (2, 1.0, 3)
        assert (result.stopped, result.notes) == ("done", ())
        # Step 1: 6 runs, 1 piece of advice, 3 runs of the new program. Step 2: rollout 0 is known by now, 3
        # runs, 1 piece of advice, 3 runs. All that the last evaluation asks is known.
        assert len(lm.live) == 10 + 7

    def test_the_advisor_is_shown_both_runs(self):
        _, lm = self.compiled()
        first, second = asked_of(lm)
        assert first.inputs["program_inputs"] == '{\n  "question": "q0"\n}'
        assert first.inputs["known_answers"] == '{\n  "answer": "a0"\n}'
        assert "no idea" in first.inputs["worse_run"]
        assert "a0" not in first.inputs["worse_run"]
        assert "a0" in first.inputs["better_run"]
        assert (first.inputs["worse_score"], first.inputs["better_score"]) == ("0.0", "1.0")
        assert "class One(Module):" in first.inputs["program_code"]
        assert first.inputs["modules"].endswith("instructions: one")
        assert second.inputs["modules"].endswith("instructions: one\n\ngood")
        assert second.inputs["program_inputs"] == '{\n  "question": "q2"\n}'

    def test_the_advisor_is_the_students_lm_or_the_prompt_model(self):
        student = WorldLM(self.lm)
        advisor = WorldLM(self.lm, propose=advises("good", "better"), model="advisor")
        result = climbed(rules(prompt_model=advisor), student, 3)
        assert result.winner == 2
        assert asked_of(student) == []
        assert len(asked_of(advisor)) == 2

    def test_every_candidate_is_noted_and_all_that_was_expected_is_done(self):
        journal, events = Noted(), []
        strategy = SIMBA(exact, bsize=4, num_candidates=2, max_steps=5)
        with context(lm=WorldLM(moody)):
            result = strategy.compile_result(
                task(rows(12), student=QA()), CompileRuntime(journal=journal, progress=events.append)
            )
        assert len(result.candidates) > 6
        assert {entry["index"] for entry in journal.noted} == {c.index for c in result.candidates}
        # What was in flight for a program that was dropped in the end is never done.
        assert 0 <= events[-1].total - events[-1].done < 8

    def test_what_was_spent_is_the_mini_batch_and_the_evaluation(self):
        result, _ = self.compiled()
        assert (result.candidates[2].spent.runs, result.candidates[2].spent.calls) == (3 + 3, 3 + 3)


class TestDemos:
    """q0 and q1, two rollouts. The LM knows q0 in rollout 1 alone, and q1 if it is shown q0.

    The runs of q0 differ. Its lesson is drawn to be a demo: that of rollout 1, q0 -> a0. The new program is
    scored on q0 without its own demo (what the student was asked in rollout 0: wrong) and on q1 (right).
    """

    @staticmethod
    def lm(asked: Asked) -> dict[str, str]:
        question = asked.inputs["question"]
        right = asked.rollout == 1 if question == "q0" else "q0" in asked.shown
        return {"answer": truth(question) if right else "no idea"}

    strategy = SIMBA(metric=exact, bsize=2, num_candidates=2, max_steps=1, max_demos=1)

    def test_candidates_calls_and_winner(self):
        # What is drawn for the first lesson: the program (there is one), the demos to drop, the kind.
        rng = seeded(1, "lesson", 0, 0)
        assert [rng.random() < 0.5 for _ in range(3)][2]
        result = climbed(self.strategy, lm := WorldLM(self.lm), 2, seed=1)
        assert [c.label for c in result.candidates] == ["student", "step 1, demo"]
        assert questions(result.program) == ["q0"]
        assert result.program.answer.demos[0].answer == "a0"
        assert (result.winner, result.score) == (1, 0.5)
        assert len(lm.live) == 4 + 1
        assert asked_of(lm) == []

    def test_a_long_input_is_cut(self):
        strategy = self.strategy.with_settings(demo_input_field_maxlen=1)
        result = climbed(strategy, WorldLM(self.lm), 2, seed=1)
        assert questions(result.candidates[1].program) == ["q [...]"]

    def test_a_full_program_loses_demos_first(self):
        student = labeled_of(QA(), 9)
        student.answer.demos = student.answer.demos[7:]  # q7 and q8
        strategy = self.strategy.with_settings(max_demos=2)
        result = climbed(strategy, WorldLM(self.lm), 2, student=student, seed=1)
        # How many are lost is drawn (one, which a full program loses at least), and which (the first).
        assert questions(result.candidates[1].program) == ["q8", "q0"]
        assert questions(student) == ["q7", "q8"]

    def test_a_demo_of_the_same_example_is_replaced(self):
        student = QA()
        student.answer.demos = [rows(1)[0].copy(answer="wrong")]
        strategy = self.strategy.with_settings(max_demos=9)
        result = climbed(strategy, WorldLM(self.lm), 2, student=student, seed=1)
        demos = result.candidates[1].program.answer.demos
        assert [(d.question, d.answer) for d in demos] == [("q0", "a0")]


def said_of(example: Any, prediction: Any, trace: Any = None) -> Any:
    """The metric, with words."""
    right = prediction.answer == example.answer
    return Prediction(score=float(right), feedback="well done" if right else f"it is {example.answer}")


class TestFeedback:
    known = {"one": ["0", ""], "one good": ["01", ""]}

    def asked(self, known: Any = None, **more: Any) -> list[Asked]:
        lm = WorldLM(knows(known or self.known), propose=advises(*["good"] * 9))
        climbed(rules(metric=said_of, bsize=2, max_steps=1, **more), lm, 2)
        return sorted(asked_of(lm), key=lambda a: a.inputs["program_inputs"])

    def test_what_the_tests_said_of_both_runs(self):
        first = self.asked()[0]
        assert (first.inputs["worse_feedback"], first.inputs["better_feedback"]) == ("it is a0", "well done")

    def test_runs_that_fall_short_alike_teach_by_what_was_said(self):
        second = self.asked()[1]
        assert second.inputs["program_inputs"] == '{\n  "question": "q1"\n}'
        assert second.inputs["worse_feedback"] == "it is a1"
        for name in ("better_run", "better_score", "better_feedback"):
            assert second.inputs[name] == "not available"

    def test_switched_off_nothing_is_told_and_they_teach_nothing(self):
        (only,) = self.asked(use_feedback=False)
        assert only.inputs["program_inputs"] == '{\n  "question": "q0"\n}'
        assert "worse_feedback" not in only.inputs
        assert "better_feedback" not in only.inputs
        assert "it is a0" not in str(only.inputs)

    def test_an_error_is_the_worse_run_with_its_words(self):
        def answer(asked: Asked) -> Any:
            return "no JSON" if asked.rollout else {"answer": truth(asked.inputs["question"])}

        lm = WorldLM(answer, propose=advises("good"))
        climbed(rules(bsize=1, max_steps=1), lm, 1)
        (asked,) = asked_of(lm)
        assert asked.inputs["worse_score"] == "0.0"
        assert "not JSON" in asked.inputs["worse_feedback"]
        assert '"error": "the answer is not JSON"' in asked.inputs["worse_run"]
        assert "ParseError" in asked.inputs["worse_run"]
        assert asked.inputs["better_feedback"] == "nothing"


class TestAdvice:
    def compiled(self, propose: Any, n: int = 4, **more: Any) -> tuple[Any, WorldLM]:
        """Each of n examples is known in rollout 0 alone, so each could teach."""

        def answer(asked: Asked) -> dict[str, str]:
            question = asked.inputs["question"]
            return {"answer": "no idea" if asked.rollout else truth(question)}

        lm = WorldLM(answer, propose=propose)
        strategy = rules(bsize=n, max_steps=1, num_candidates=2)
        return climbed(strategy, lm, n, concurrency=1, **more), lm

    def test_as_many_lessons_as_rollouts_and_one(self):
        result, lm = self.compiled(advises("a", "b", "c"))
        assert told(result) == ["one", "one a", "one b", "one c"]
        assert len(asked_of(lm)) == 3

    def test_another_lesson_takes_the_place_of_one_that_came_to_nothing(self):
        result, lm = self.compiled(advises("a", None, "c", "d"))
        assert told(result) == ["one", "one a", "one c", "one d"]
        assert len(asked_of(lm)) == 4

    def test_an_advisor_that_is_never_understood_is_told(self):
        result, lm = self.compiled(advises(*[None] * 4))
        assert told(result) == ["one"]
        assert result.notes[0].startswith(
            "all 4 pieces of advice could not be read: ParseError: the answer is"
        )
        assert len(asked_of(lm)) == 4

    @pytest.mark.parametrize("word", ["", " ", "N/A", "n/a.", "None", "one"])
    def test_no_advice_is_no_candidate(self, word):
        result, lm = self.compiled(advises(*[word] * 4))
        assert told(result) == ["one"]
        assert (result.winner, result.score) == (0, 1.0)
        assert len(asked_of(lm)) == 4
        assert len(lm.live) == 8 + 4

    def test_the_same_advice_twice_is_one_candidate(self):
        result, lm = self.compiled(advises("a", "a", "a", "unused"))
        assert told(result) == ["one", "one a"]
        # Equal requests are one call; the runs of the twins count as learnt, so no further lesson is asked.
        assert len(lm.live) == 8 + 3 + 4

    def test_what_is_known_already_is_not_run_again(self):
        """Step 2 starts from the student, which beats "one a": the same advice makes the same program."""
        known = {"one": ["01", "1"], "one a": ["", ""]}
        lm = WorldLM(knows(known), propose=advises("a"))
        result = climbed(rules(bsize=2), lm, 2)
        assert told(result) == ["one", "one a"]
        # Step 1: 4 runs, advice, 2 runs. Step 2: 4 runs, advice. The end: the student's 2 and 1 or 2.
        assert lm.taken <= 4 + 1 + 2 + 4 + 1 + 4

    def test_calls_without_a_name_are_not_shown(self):
        shown: list[str] = []

        def propose(asked: Asked) -> Any:
            shown.append(asked.inputs["worse_run"] + asked.inputs["better_run"])
            return {"discussion": "", "advice_for_steps_0": "better"}

        climbed(rules(bsize=2, max_steps=1), WorldLM(moody, propose=propose), 2, student=Looping(), seed=1)
        assert shown
        assert all("hint" not in text and "<unnamed>" not in text for text in shown)

    def test_frozen_predictors_get_none(self):
        student = Pair()
        student.freeze("second")

        def answer(asked: Asked) -> dict[str, str]:
            right = asked.rollout == 0 or asked.inputs["question"] == "q1"
            return {"answer": truth(asked.inputs["question"]) if right else "no idea"}

        outputs: list[Any] = []

        def propose(asked: Asked) -> Any:
            outputs.append(asked.outputs)
            assert "Module second" not in asked.inputs["modules"]
            assert '"module": "second"' in asked.inputs["worse_run"]
            return {"discussion": "", "advice_for_first": "better"}

        result = climbed(rules(bsize=2, max_steps=1), WorldLM(answer, propose=propose), 2, student=student)
        assert outputs == [("discussion", "advice_for_first")]
        instructions = instructions_of(result.candidates[1].program)
        assert instructions["first"].endswith("\n\nbetter")
        assert instructions["second"] == instructions_of(student)["second"]

    def test_names_of_outputs_are_names(self):
        outputs: list[Any] = []

        def propose(asked: Asked) -> Any:
            outputs.append(asked.outputs)
            return {"discussion": "", "advice_for_steps_0": "better"}

        climbed(rules(bsize=2, max_steps=1), WorldLM(moody, propose=propose), 2, student=Looping(), seed=1)
        assert set(outputs) == {("discussion", "advice_for_steps_0")}


class TestWeights:
    """Of q0 and q1, each known in rollout 0 alone by who is told "a" or "b": who knows the heavier wins the
    step, and is what learns next."""

    @pytest.mark.parametrize(("weights", "parent"), [((3, 1), "one a"), ((1, 3), "one b")])
    def test_mini_batches_are_weighted(self, weights, parent):
        known = {"a": "0", "b": "1"}

        def answer(asked: Asked) -> Any:
            question, last = asked.inputs["question"], asked.instructions.split()[-1]
            right = question[1:] in known.get(last, "") or (asked.rollout and last == "one")
            return {"answer": truth(question) if right else "no idea"}

        def propose(asked: Asked) -> Any:
            word = "ab"["q1" in asked.inputs["program_inputs"]]
            return {"discussion": "", "advice_for_answer": word}

        trainset = [e.copy(weight=w) for e, w in zip(rows(2), weights, strict=True)]
        lm = WorldLM(answer, propose=propose)
        result = climbed(rules(bsize=2, max_steps=1), lm, 2, trainset=trainset)
        assert set(told(result)) == {"one", "one a", "one b"}
        assert told(result)[result.winner] == parent
        assert result.score == 0.75

    def test_the_student_is_weighed_too(self):
        """The student knows q0 and q2, which weigh 2 of 5; told "better" the LM knows q1, which weighs 3. So
        that is what learns next."""
        known = {"one": ["02", "012"], "one better": ["1", "012"], "one better more": ["", ""]}
        trainset = [e.copy(weight=w) for e, w in zip(rows(3), (1, 3, 1), strict=True)]
        lm = WorldLM(knows(known), propose=advises("better", "more", "more"))
        result = climbed(rules(), lm, 3, trainset=trainset)
        assert told(result) == ["one", "one better", "one better more"]


class TestTeacher:
    """The student's LM knows nothing; the teacher knows q0, so q0 teaches."""

    def compiled(self, **more: Any) -> tuple[Any, WorldLM]:
        def answer(asked: Asked) -> Any:
            right = "q0" in asked.shown
            return {"answer": truth(asked.inputs["question"]) if right else "no idea"}

        lm = WorldLM(answer, propose=advises(*"abcdefgh"))
        settings = more.pop("settings", {})
        strategy = SIMBA(metric=exact, bsize=2, num_candidates=2, max_steps=2, **settings)
        return climbed(strategy, lm, 2, student=QA(), **more), lm

    @pytest.mark.parametrize("seed", range(3))
    def test_an_lm_takes_the_first_rollout(self, seed):
        teacher = WorldLM(knowing(0), model="teacher")
        result, _ = self.compiled(teacher=teacher, seed=seed)
        assert {(a.inputs["question"], a.rollout) for a in teacher.live} >= {("q0", 0), ("q1", 0)}
        assert all(a.rollout == 0 for a in teacher.live)
        if any("demo" in c.label for c in result.candidates):
            assert result.score == 0.5

    def test_settings_do_too(self):
        teacher = WorldLM(knowing(0), model="teacher")
        self.compiled(settings={"teacher_settings": {"lm": teacher}})
        assert {(a.inputs["question"], a.rollout) for a in teacher.live} >= {("q0", 0), ("q1", 0)}

    def test_a_program_does_too(self):
        teacher, lm = QA(), WorldLM(knowing(0), model="teacher")
        teacher.answer.lm = lm
        self.compiled(teacher=teacher)
        assert {(a.inputs["question"], a.rollout, a.demos) for a in lm.live} == {("q0", 0, ()), ("q1", 0, ())}

    @pytest.mark.parametrize("teacher", [None, WorldLM(knowing(0, 1), model="teacher")])
    def test_the_students_score_is_of_its_own_runs(self, teacher):
        """The student never knows q0, and q1 in rollout 0 alone (two rollouts, the teacher has the first)."""
        lm = WorldLM(knows({"one": ["1", "", ""]}), propose=advises(*[""] * 9))
        result = climbed(rules(bsize=2, num_candidates=3, max_steps=1), lm, 2, teacher=teacher)
        # Rollout 0 of both, or rollouts 1 and 2 of both; and in the end both once more.
        assert result.candidates[0].spent.runs == (2 if teacher is None else 4) + 2

    def test_a_program_may_ask_more_and_is_not_shown_its_own_answers(self):
        class Twice(QA):
            def forward(self, question: str) -> Any:
                self.answer(question=question)
                return self.answer(question=question)

            def max_calls(self) -> int:
                return 2

        teacher, lm = labeled_of(Twice(), 2), WorldLM(knowing(0), model="teacher")
        teacher.answer.lm = lm
        self.compiled(teacher=teacher)
        assert {(a.inputs["question"], *a.shown) for a in lm.live} == {("q0", "q1"), ("q1", "q0")}

    def test_one_that_always_fails_is_told(self):
        result, _ = self.compiled(teacher=WorldLM(lambda asked: "no JSON", model="teacher"))
        assert result.notes[0].startswith("all 4 runs of the teacher ended in an error: ParseError: ")

    def test_it_must_fit(self):
        with pytest.raises(UsageError, match="must have the same predictors"):
            climbed(rules(), WorldLM(moody), 2, teacher=Looping())


class TestWhatFallsShort:
    def test_fewer_examples_than_a_mini_batch(self):
        result = climbed(SIMBA(exact), WorldLM(moody), 5, student=QA())
        assert "bsize is 32 and the trainset has 5: a mini-batch is all of it" in result.notes

    def test_a_metric_that_always_fails(self):
        lm = WorldLM(knowing())
        events: list[Any] = []
        result = climbed(rules(), lm, 3, student=QA(), progress=events.append)
        assert (events[-1].done, events[-1].total) == (15, 15), "two times 6 runs, and 3 in the end"
        note = "nothing could be learnt from the trainset (no run scored above 0): the program is as written"
        assert result.notes == (note, "no candidate scored above 0 on the 3 validation examples")
        assert (result.winner, result.score) == (0, 0.0)
        assert len(lm.live) == 6

    def test_a_program_that_is_always_right(self):
        result = climbed(rules(), WorldLM(knowing(0, 1, 2)), 3, student=QA())
        assert "(no runs differed)" in result.notes[0]
        assert (result.winner, result.score) == (0, 1.0)

    def test_nothing_but_errors_stops_it_after_the_first_mini_batch(self):
        lm = WorldLM(lambda asked: "no JSON")
        with pytest.raises(CompileError, match="all 18 runs on the first mini-batch ended") as stopped:
            climbed(SIMBA(exact, bsize=3), lm, 9)
        assert "ParseError: the answer is not JSON" in str(stopped.value)
        assert len(lm.live) == 18

    def test_a_few_runs_that_all_fail_stop_nothing(self):
        result = climbed(rules(max_steps=1), WorldLM(lambda asked: "no JSON", propose=advises("a")), 1)
        assert result.score == 0.0
        (told,) = (note for note in result.notes if "validation runs" in note)
        assert told.startswith("1 of 1 validation runs ended in an error; the first: the answer is not JSON")

    def test_a_raising_example_loses_nothing(self):
        def answer(asked: Asked) -> Any:
            question = asked.inputs["question"]
            if question == "q0" and asked.rollout == 0:
                return "no JSON"
            return {"answer": truth(question) if question == "q0" else "no idea"}

        lm = WorldLM(answer, propose=advises("good"))
        result = climbed(rules(max_steps=1), lm, 3)
        assert told(result) == ["one", "one good"]
        assert "1 of 3 validation runs ended in an error" in result.notes


class TestBudget:
    def compiled(self, budget: int) -> Any:
        lm = WorldLM(TestRules.lm, propose=advises("good", "better"), budget=budget)
        result = climbed(rules(), lm, 3, concurrency=1)
        assert len(lm.live) <= budget
        assert result.stopped == "budget"
        return result

    @pytest.mark.parametrize("budget", [0, 3, 9])
    def test_before_anything_was_learnt_the_student_is_kept(self, budget):
        result = self.compiled(budget)
        assert told(result) == ["one"]
        assert result.score is None
        assert result.notes[-1].endswith("the program is as written")

    def test_then_the_best_on_its_mini_batch(self):
        result = self.compiled(12)
        assert told(result) == ["one", "one good"]
        assert (result.winner, result.score) == (1, None)
        assert result.notes[-1].endswith("the program is the best on its mini-batch")

    def test_then_the_best_that_was_validated(self):
        # 17 calls for the steps. The student comes first: of its five validation rows two are new, of which
        # it knows none; then the budget is spent.
        lm = WorldLM(TestRules.lm, propose=advises("good", "better"), budget=17 + 2)
        result = climbed(rules(), lm, 3, concurrency=1, valset=rows(5))
        assert result.stopped == "budget"
        assert (result.winner, result.score, result.validated_on) == (0, 0.2, 5)
        assert [c.index for c in result.candidates] == [0, 1, 2]


class TestValidation:
    def test_the_valset_decides(self):
        known = {"one": ["02", "2"], "one good": ["0", "0"]}
        lm = WorldLM(knows(known), propose=advises("good"))
        result = climbed(rules(max_steps=1), lm, 3, valset=rows(10))
        assert told(result) == ["one", "one good"]
        assert (result.winner, result.score, result.validated_on) == (0, 0.2, 10)

    def test_the_best_of_the_steps_are_thinned_evenly(self):
        """Rollout 1 is right, rollout 0 on one more question the more was advised. So each of six steps
        brings a candidate, made from the last one; of the seven with the student three are evaluated."""

        def answer(asked: Asked) -> dict[str, str]:
            rules = asked.instructions.count("\n\n")
            right = asked.rollout or int(asked.inputs["question"][1:]) < rules
            return {"answer": truth(asked.inputs["question"]) if right else "no idea"}

        def propose(asked: Asked) -> Any:
            word = f"rule {asked.inputs['modules'].count('rule') + 1}"
            return {"discussion": "", "advice_for_answer": word}

        lm = WorldLM(answer, propose=propose)
        result = climbed(rules(bsize=8, max_steps=6), lm, 8)
        # The three lessons of a step come to the same: one candidate.
        assert [c.label for c in result.candidates[1:]] == [f"step {n}, rule" for n in range(1, 7)]
        assert [c.parents for c in result.candidates[1:]] == [(n,) for n in range(6)]
        evaluated = [c.index for c in result.candidates if c.spent.runs > 8]
        assert set(evaluated) <= {0, 3, 6}
        assert (result.winner, result.score) == (6, 0.75)


def test_the_bound_counts_runs_advice_and_evaluations():
    strategy = SIMBA(exact, bsize=3, num_candidates=2, max_steps=4)
    # A step: 2 x 3 runs, advice from 3 examples, 3 new programs x 3 runs. The end: 3 programs.
    steps = 4 * (6 + 3 + 9)
    assert strategy.bound(task(rows(5))) == CallBound(steps + 3 * 5, steps + 3 * 5)
    assert strategy.bound(task(rows(2), valset=rows(7, start=50))) == CallBound(
        4 * (4 + 2 + 6) + 21, 4 * (4 + 2 + 6) + 21
    )
    # Looping asks up to 4 times; a teacher of its kind takes half of the sampled runs.
    assert strategy.bound(task(rows(5), teacher=Looping())) == CallBound(
        steps + 15, 4 * (3 + 3 * 4 + 3 + 9) + 15
    )
    assert SIMBA(exact, max_steps=0).bound(task(rows(5))) == CallBound(5, 5)


def test_names_order_and_defaults_are_dspys():
    assert SIMBA(exact).settings() == {
        "class": "SIMBA",
        "metric": "exact",
        "bsize": 32,
        "num_candidates": 6,
        "max_steps": 8,
        "max_demos": 4,
        "prompt_model": None,
        "teacher_settings": None,
        "demo_input_field_maxlen": 100_000,
        "temperature_for_sampling": 0.2,
        "temperature_for_candidates": 0.2,
        "use_feedback": True,
    }
    assert SIMBA(num_threads=3).threads() == 3
    assert SIMBA().threads() == 8
    assert SIMBA().describe() == "SIMBA(num_candidates=6, max_steps=8)"
    assert SIMBA(prompt_model=WorldLM(moody, model="big")).settings()["prompt_model"] == "big"


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"bsize": 0}, "bsize must be an integer of 1 or more, not 0"),
        ({"num_candidates": 0}, "num_candidates must be an integer of 1 or more"),
        ({"max_steps": -1}, "max_steps must be an integer of 0 or more"),
        ({"max_demos": 1.5}, "max_demos must be an integer of 0 or more"),
        ({"demo_input_field_maxlen": True}, "demo_input_field_maxlen must be an integer"),
        ({"temperature_for_sampling": -1}, "temperature_for_sampling must be a number of 0 or more"),
        ({"num_threads": 0}, "num_threads must be an integer of 1 or more"),
        ({"temperature_for_candidates": "hot"}, "temperature_for_candidates must be a number of 0"),
        ({"prompt_model": "openai/gpt"}, "prompt_model must be an LM, not 'openai/gpt'"),
    ],
)
def test_settings_are_checked(settings, words):
    with pytest.raises(UsageError, match=words):
        SIMBA(exact, **settings)


def test_teacher_settings_are_checked():
    with pytest.raises(ConfigurationError):
        SIMBA(exact, teacher_settings={"lmm": None})


def test_what_cannot_be_compiled_is_said_before_a_call():
    lm = WorldLM(moody)
    with pytest.raises(UsageError, match="cannot be ranked without a metric"):
        climbed(SIMBA(), lm, 3, metric=None)
    with pytest.raises(UsageError, match="all predictors of One are frozen"):
        climbed(SIMBA(exact), lm, 3, student=One().freeze())
    with pytest.raises(UsageError, match="the valset is empty"):
        climbed(SIMBA(exact), lm, 3, valset=[])
    with pytest.raises(UsageError, match="weight of example"):
        climbed(SIMBA(exact), lm, 3, trainset=[e.copy(weight=-1) for e in rows(3)])
    with pytest.raises(UsageError, match="weight of example"):
        climbed(SIMBA(exact), lm, 3, trainset=[e.copy(weight=-1) for e in rows(3)], valset=rows(2))
    assert lm.live == []


def test_what_falls_short_is_a_warning_at_the_callers_line():
    with context(lm=WorldLM(moody)), pytest.warns(UserWarning, match="SIMBA: bsize is 32") as told:
        SIMBA(exact, num_candidates=1, max_steps=0).compile(QA(), trainset=rows(2))
    assert {warning.filename for warning in told} == {__file__}


def test_compile_takes_a_seed_as_dspys():
    def compiled(**more: Any) -> list[str]:
        with context(lm=WorldLM(moody)), warnings.catch_warnings(action="ignore"):
            program = SIMBA(exact, bsize=6, num_candidates=2, max_steps=2).compile(
                QA(), trainset=rows(12), **more
            )
        return questions(program)

    assert compiled(seed=5) == compiled(runtime=CompileRuntime(seed=5))
    assert len({tuple(compiled(seed=seed)) for seed in range(5)}) > 1
