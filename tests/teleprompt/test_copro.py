"""COPRO: followed by hand."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from pytest_lmprog.errors import UsageError
from pytest_lmprog.programs import Module, Predict, context
from pytest_lmprog.signatures import Signature
from pytest_lmprog.teleprompt import COPRO, CallBound, CompileRuntime
from pytest_lmprog.teleprompt.material.instructions import instructions_of
from tests.teleprompt.world import QA, Asked, WorldLM, exact, labeled_of, rows, shown, task, truth


class One(Module):
    """One predictor that is told: one."""

    def __init__(self) -> None:
        self.answer = Predict(Signature("question -> answer", "one"))

    def forward(self, question: str) -> Any:
        return self.answer(question=question)


class Two(Module):
    """The second is asked where the first does not know."""

    def __init__(self) -> None:
        self.first = Predict(Signature("question -> answer", "one"))
        self.second = Predict(Signature("question -> answer", "two"))

    def forward(self, question: str) -> Any:
        result = self.first(question=question)
        return result if result.answer.startswith("a") else self.second(question=question)


def knows(**questions: str) -> Any:
    """An LM that, told ``name``, knows the questions with the numbers in ``questions[name]``."""

    def answer(asked: Asked) -> dict[str, str]:
        question = asked.inputs["question"]
        known = questions.get(asked.instructions.rstrip("!?"), "")
        return {"answer": truth(question) if question[1:] in known else "no idea"}

    return answer


def says(*instructions: str | None, prefix: str = "") -> Any:
    """A proposer that answers its rollouts with these instructions; None: what cannot be read."""

    def propose(asked: Asked) -> Any:
        text = instructions[asked.rollout]
        if text is None:
            return "no JSON"
        return {"proposed_instruction": text, "proposed_prefix_for_output_field": prefix}

    return propose


def climbed(strategy: COPRO, lm: WorldLM, n: int = 4, *, concurrency: int = 8, **more: Any) -> Any:
    with context(lm=lm):
        student = more.pop("student", None) or One()
        return strategy.compile_result(
            task(rows(n), student=student, **more), CompileRuntime(concurrency=concurrency)
        )


def asked_of(lm: WorldLM) -> list[Asked]:
    return sorted((a for a in lm.live if a.is_proposal), key=lambda a: a.rollout)


def told(result: Any) -> list[Any]:
    return [tuple(instructions_of(c.program).values()) for c in result.candidates]


class TestOnePredictor:
    """q0 to q3. Told "one" the LM knows nothing, told "weak" q0, told "good" q0 and q1, told "best" all but
    q3. Round 1 (rollouts 0 and 1) proposes "weak" and "good". Round 2 (rollouts 3 to 5) is shown all three,
    worst first, and proposes "best", once more "good", and nothing.
    """

    lm = staticmethod(knows(weak="0", good="01", best="012"))
    proposals = ("weak", "good", "unused", "best", "good", "")

    def compiled(self, **more: Any) -> tuple[Any, WorldLM]:
        lm = WorldLM(self.lm, propose=says(*self.proposals))
        return climbed(COPRO(metric=exact, breadth=3, depth=2), lm, **more), lm

    @pytest.mark.parametrize("concurrency", [1, 8])
    def test_candidates_scores_and_winner(self, concurrency):
        result, lm = self.compiled(concurrency=concurrency)
        assert told(result) == [("one",), ("weak",), ("good",), ("best",)]
        assert [c.score for c in result.candidates] == [0.0, 0.25, 0.5, 0.75]
        assert [c.parents for c in result.candidates] == [(), (0,), (0,), (2,)]
        labels = ["as written", "round 1, answer #1", "round 1, answer #2", "round 2, answer #3"]
        assert [c.label for c in result.candidates] == labels
        assert (result.winner, result.score, result.validated_on) == (3, 0.75, 4)
        assert result.stopped == "done"
        assert result.notes == ("1 of 5 proposals could not be read or had no instruction",)
        # 2 + 3 proposals, and four programs on four examples.
        assert len(lm.live) == 5 + 16

    def test_what_the_proposer_is_asked(self):
        _, lm = self.compiled()
        first, second, *later = asked_of(lm)
        assert [a.rollout for a in (first, second)] == [0, 1]
        assert first.inputs == second.inputs == {"basic_instruction": "one"}
        assert first.temperature == second.temperature == 1.4
        assert [a.rollout for a in later] == [3, 4, 5]
        for one in later:
            assert one.temperature == 1.4
            assert one.inputs == {
                "attempted_instructions": "Instruction 1: one\nScore 1: 0.00\n\n"
                "Instruction 2: weak\nScore 2: 25.00\n\n"
                "Instruction 3: good\nScore 3: 50.00"
            }
            assert one.outputs == ("proposed_instruction", "proposed_prefix_for_output_field")

    def test_the_bound_by_hand(self):
        # 2 + 3 proposals, six programs on four examples.
        bound = COPRO(breadth=3, depth=2).bound(task(rows(4), student=One()))
        assert bound == CallBound(29, 29)

    def test_a_valset_ranks(self):
        # Of q2 and q3 "best" knows one, the others none.
        result, _ = self.compiled(valset=rows(2, start=2))
        assert (result.winner, result.score, result.validated_on) == (3, 0.5, 2)

    def test_a_spent_budget_leaves_the_best_of_what_was_evaluated(self):
        lm = WorldLM(self.lm, propose=says(*self.proposals), budget=2 + 12 + 3 + 2)
        result = climbed(COPRO(metric=exact, breadth=3, depth=2), lm)
        assert result.stopped == "budget"
        assert instructions_of(result.program) == {"answer": "good"}
        assert (result.score, result.candidates[3].score) == (0.5, None)

    def test_nothing_to_spend_leaves_the_student_as_written(self):
        student = labeled_of(One(), 2)
        result = climbed(COPRO(metric=exact), WorldLM(self.lm, budget=0), student=student)
        assert (result.stopped, result.score, len(result.candidates)) == ("budget", None, 1)
        assert "as written" in result.notes[0]
        assert shown(result.program) == shown(student)
        assert result.program is not student


class TestTwoPredictors:
    """q0 to q3, depth 2, breadth 2. The first is told "one" (knows nothing), the second "two" (q1).

    Round 1 proposes "first" (q0) and "second" (q1, q2). In turn:
      first:  0 (one, two) 1/4, 1 (first, two) 2/4, which leads
      second: (first, two) is known, 2 (first, second) 3/4, which leads
    Round 2: the first's attempts are one 25, first 50; the second's two 50, second 75. Two proposals each:
    "last" (q0, q3) and "first" again; what cannot be read, and "second" again.
      first:  3 (one, second), (first, second) is known, 4 (last, second) 4/4, which leads
      second: 5 (last, two), (last, second) is known
    """

    answer = staticmethod(knows(two="1", first="0", second="12", last="03"))

    def propose(self, asked: Asked) -> Any:
        if "basic_instruction" in asked.inputs:
            text: Any = {"one": "first", "two": "second"}[asked.inputs["basic_instruction"]]
        elif "Instruction 1: one" in asked.inputs["attempted_instructions"]:
            text = {2: "last", 3: "first"}[asked.rollout]
        else:
            text = {2: None, 3: "second"}[asked.rollout]
        return says(*[text] * 4)(asked)

    def compiled(self, **more: Any) -> tuple[Any, WorldLM]:
        lm = WorldLM(self.answer, propose=self.propose)
        strategy = COPRO(metric=exact, breadth=2, depth=2)
        return climbed(strategy, lm, student=more.pop("student", None) or Two(), **more), lm

    @pytest.mark.parametrize("concurrency", [1, 8])
    def test_each_is_taken_in_turn(self, concurrency):
        result, _ = self.compiled(concurrency=concurrency)
        assert told(result) == [
            ("one", "two"),
            ("first", "two"),
            ("first", "second"),
            ("one", "second"),
            ("last", "second"),
            ("last", "two"),
        ]
        assert [c.parents for c in result.candidates] == [(), (0,), (1,), (2,), (2,), (4,)]
        assert [c.score for c in result.candidates[:3]] == [0.25, 0.5, 0.75]
        assert (result.winner, result.score) == (4, 1.0)

    def test_each_is_shown_its_own_attempts(self):
        _, lm = self.compiled()
        attempts = {a.inputs["attempted_instructions"] for a in asked_of(lm) if a.rollout >= 2}
        assert attempts == {
            "Instruction 1: one\nScore 1: 25.00\n\nInstruction 2: first\nScore 2: 50.00",
            "Instruction 1: two\nScore 1: 50.00\n\nInstruction 2: second\nScore 2: 75.00",
        }

    def test_the_bound_by_hand(self):
        # Proposals: two predictors, 1 + 2 each. Programs: 2, then 1 (one is known), then 3 and 3; on four
        # examples, two calls a run.
        bound = COPRO(breadth=2, depth=2).bound(task(rows(4), student=Two()))
        assert bound == CallBound(6 + 36, 6 + 72)

    def test_a_frozen_predictor_is_passed_over(self):
        student = Two()
        student.freeze("second")
        result, lm = self.compiled(student=student)
        # (one, two) 1/4, (first, two) 2/4, (last, two) 3/4
        assert told(result) == [("one", "two"), ("first", "two"), ("last", "two")]
        assert result.score == 0.75
        assert len(asked_of(lm)) == 3
        bound = COPRO(breadth=2, depth=2).bound(task(rows(4), student=student))
        assert bound == CallBound(3 + 16, 3 + 32)


class TestAttempts:
    def test_only_the_best_so_many_are_shown(self):
        # Breadth 2: the third attempt, the worst, is left out in round 3.
        lm = WorldLM(
            knows(one="0", good="01", best="012"), propose=says("bad", "-", "best", "good", "x", "x")
        )
        climbed(COPRO(metric=exact, breadth=2, depth=3), lm)
        shown_last = asked_of(lm)[-1].inputs["attempted_instructions"]
        assert shown_last == "Instruction 1: good\nScore 1: 50.00\n\nInstruction 2: best\nScore 2: 75.00"

    def test_prefixes_are_proposed_shown_and_set(self):
        lm = WorldLM(knows(good="01"), propose=says('"good"', "-", "x", "x", prefix=' "So it\nis:" '))
        result = climbed(COPRO(metric=exact, breadth=2, depth=2), lm)
        assert instructions_of(result.program) == {"answer": "good"}
        assert result.program.answer.signature.output_fields["answer"].prefix == "So it is:"
        assert asked_of(lm)[-1].inputs["attempted_instructions"] == (
            "Instruction 1: one\nScore 1: 0.00\n\nInstruction 2: good\nPrefix 2: So it is:\nScore 2: 50.00"
        )

    def test_another_prefix_makes_another_program(self):
        def propose(asked: Asked) -> Any:
            return says("one", "one", "one", prefix=("", "Well:", "Well:")[asked.rollout])(asked)

        result = climbed(COPRO(metric=exact, breadth=4, depth=1), WorldLM(knows(), propose=propose))
        prefixes = [c.program.answer.signature.fields["answer"].prefix for c in result.candidates]
        assert prefixes == [None, "Well:"]

    def test_without_a_prefix_the_students_stays(self):
        student = One()
        student.answer.signature = student.answer.signature.with_field("answer", prefix="Mine:")
        result = climbed(
            COPRO(metric=exact, breadth=2, depth=1),
            WorldLM(knows(good="0"), propose=says("good")),
            student=student,
        )
        assert result.program.answer.signature.fields["answer"].prefix == "Mine:"
        assert instructions_of(result.program) == {"answer": "good"}

    def test_nothing_that_can_be_read_leaves_the_student(self):
        lm = WorldLM(knows(one="0"), propose=says(None, "", ' "" ', None, None, " "))
        result = climbed(COPRO(metric=exact, breadth=3, depth=2), lm)
        assert told(result) == [("one",)]
        assert (result.score, result.stopped) == (0.25, "done")
        assert result.notes == ("5 of 5 proposals could not be read or had no instruction",)
        assert len(lm.live) == 5 + 4

    def test_at_equal_scores_the_shorter_prompt_wins(self):
        lm = WorldLM(knows(), propose=says("longer than one", "1"))
        result = climbed(COPRO(metric=exact, breadth=3, depth=1), lm)
        assert instructions_of(result.program) == {"answer": "1"}
        assert (result.winner, result.score) == (2, 0.0)

    def test_demos_stay_and_none_shows_its_own_answer(self):
        lm = WorldLM(knows(good="0"), propose=says("good"))
        result = climbed(COPRO(metric=exact, breadth=2, depth=1), lm, student=labeled_of(One(), 2))
        assert shown(result.program) == shown(labeled_of(One(), 2))
        prompts = {a.inputs["question"]: a.shown for a in lm.live if not a.is_proposal}
        assert prompts == {"q0": ["q1"], "q1": ["q0"], "q2": ["q0", "q1"], "q3": ["q0", "q1"]}

    def test_the_prompt_model_proposes_and_nothing_else(self):
        other = WorldLM(knows(), propose=says("good"), model="other")
        lm = WorldLM(knows(good="0"))
        result = climbed(COPRO(other, exact, breadth=2, depth=1), lm)
        assert instructions_of(result.program) == {"answer": "good"}
        assert [a.is_proposal for a in other.live] == [True]
        assert not any(a.is_proposal for a in lm.live)

    def test_the_student_is_evaluated_while_proposals_are_awaited(self):
        evaluated = threading.Event()

        def propose(asked: Asked) -> Any:
            assert evaluated.wait(timeout=5)
            return says("good")(asked)

        def answer(asked: Asked) -> Any:
            evaluated.set()
            return knows(good="0")(asked)

        result = climbed(COPRO(metric=exact, breadth=2, depth=1), WorldLM(answer, propose=propose))
        assert result.score == 0.25

    @pytest.mark.parametrize(("depth", "calls"), [(1, 1 + 10 + 1), (2, 1 + 10 + 10 + 2)])
    def test_losers_are_dropped_in_the_last_round_only(self, depth, calls):
        # "one" knows all of ten examples; "b", which is shorter, none: its first failure puts it out.
        # The first of two rounds needs its score. Both proposals of the second are known.
        lm = WorldLM(knows(one="0123456789"), propose=says("b", "-", "b", "b"))
        result = climbed(COPRO(metric=exact, breadth=2, depth=depth), lm, n=10, concurrency=1)
        assert result.candidates[1].score == (None if depth == 1 else 0.0)
        assert len(lm.live) == calls


class TestSettings:
    def test_defaults_are_dspys(self):
        assert COPRO().settings() == {
            "class": "COPRO",
            "prompt_model": None,
            "metric": None,
            "breadth": 10,
            "depth": 3,
            "init_temperature": 1.4,
        }
        assert COPRO(depth=2).describe() == "COPRO(breadth=10, depth=2)"

    @pytest.mark.parametrize(
        ("settings", "message"),
        [
            ({"breadth": 1}, "breadth must be an integer of 2 or more, not 1"),
            ({"breadth": True}, "breadth must be an integer of 2 or more, not True"),
            ({"depth": 0}, "depth must be an integer of 1 or more, not 0"),
            ({"depth": 1.5}, "depth must be an integer of 1 or more, not 1.5"),
            ({"init_temperature": -1}, "init_temperature must be a number of 0 or more, not -1"),
            ({"init_temperature": float("nan")}, "init_temperature must be a number of 0 or more, not nan"),
            ({"init_temperature": "hot"}, "init_temperature must be a number of 0 or more, not 'hot'"),
            ({"prompt_model": "openai/gpt-4o"}, "prompt_model must be an LM, not 'openai/gpt-4o'"),
        ],
    )
    def test_bad_settings_are_told(self, settings, message):
        with pytest.raises(UsageError) as caught:
            COPRO(**settings)
        assert caught.value.message == message

    def test_it_needs_a_metric(self):
        with pytest.raises(UsageError, match="cannot be ranked without a metric"):
            climbed(COPRO(), WorldLM(knows()), metric=None)

    def test_it_needs_a_predictor_that_may_change(self):
        student = One()
        student.freeze("answer")
        with pytest.raises(UsageError, match="all predictors of One are frozen"):
            climbed(COPRO(metric=exact), WorldLM(knows()), student=student)

    def test_an_empty_valset_is_told(self):
        with pytest.raises(UsageError, match="valset is empty"):
            climbed(COPRO(metric=exact), WorldLM(knows()), valset=[])

    def test_a_metric_that_always_fails_leaves_the_shortest(self):
        result = climbed(
            COPRO(metric=lambda example, prediction, trace=None: 0.0, breadth=2, depth=1),
            WorldLM(knows(), propose=says("something longer")),
        )
        assert (result.winner, result.score) == (0, 0.0)
        assert result.notes == ("no candidate scored above 0 on the 4 validation examples",)


class TestCompile:
    def test_eval_kwargs_say_how_many_threads(self):
        lm = WorldLM(knows(good="01"), propose=says(*["good"] * 4), latency=0.002)
        kwargs = {"num_threads": 2, "display_progress": True, "display_table": 0}
        with context(lm=lm):
            program = COPRO(metric=exact, breadth=5, depth=1).compile(
                QA(), trainset=rows(8), eval_kwargs=kwargs
            )
        assert instructions_of(program) == {"answer": "good"}
        assert lm.most_in_flight == 2

    @pytest.mark.parametrize(
        ("kwargs", "message"),
        [
            ({"threads": 2}, "eval_kwargs has no setting 'threads'"),
            (5, "eval_kwargs must be a mapping, not 5"),
            ({"num_threads": 0}, "num_threads must be an integer of 1 or more, not 0"),
            ({"num_threads": "2"}, "num_threads must be an integer of 1 or more, not '2'"),
        ],
    )
    def test_other_eval_kwargs_are_told(self, kwargs, message):
        with pytest.raises(UsageError) as caught:
            COPRO(metric=exact).compile(QA(), trainset=rows(2), eval_kwargs=kwargs)
        assert caught.value.message == message
