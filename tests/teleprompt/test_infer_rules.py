"""InferRules: followed by hand."""

from __future__ import annotations

from typing import Any, Literal

import pytest

from pytest_lmprog.errors import CompileError, LMRequestError, UsageError
from pytest_lmprog.programs import ChainOfThought, Example, Module, Predict, context
from pytest_lmprog.signatures import InputField, OutputField, Signature
from pytest_lmprog.signatures.values.media import Image
from pytest_lmprog.teleprompt import CallBound, CompileRuntime, InferRules, ProgressEvent
from pytest_lmprog.teleprompt.material.instructions import instructions_of
from pytest_lmprog.teleprompt.plans.rules.rules import Induction, example_texts, ruled
from tests.teleprompt.conformance.suite import Noted
from tests.teleprompt.world import QA, Asked, WorldLM, exact, questions, rows, shown, task, truth


class Told(Module):
    """One predictor that is told: do it."""

    def __init__(self) -> None:
        self.answer = Predict(Signature("question -> answer", "do it"))

    def forward(self, question: str) -> Any:
        return self.answer(question=question)


def knows(plain: str, **ruled_: str) -> Any:
    """An LM that knows the questions with the numbers in ``plain``, and told a rule, those in
    ``ruled_[rule]``."""

    def answer(asked: Asked) -> dict[str, str]:
        rule = asked.instructions.rpartition("\n")[2]
        question = asked.inputs["question"]
        known = plain if asked.instructions == rule else ruled_.get(rule, "")
        return {"answer": truth(question) if question[1:] in known else "no idea"}

    return answer


def induces(*rules: str | None) -> Any:
    """A teacher that answers its rollouts with these rules; None: what cannot be read."""

    def propose(asked: Asked) -> Any:
        text = rules[asked.rollout]
        return "no JSON" if text is None else {"reasoning": "because", "natural_language_rules": text}

    return propose


def searched(strategy: InferRules, lm: WorldLM, n: int = 4, *, concurrency: int = 8, **more: Any) -> Any:
    student = more.pop("student", None) or Told()
    watching = {name: more.pop(name) for name in ("progress", "journal") if name in more}
    runtime = CompileRuntime(concurrency=concurrency, **watching)
    with context(lm=lm):
        return strategy.compile_result(task(rows(n), student=student, **more), runtime)


def inductions(lm: WorldLM) -> list[Asked]:
    return sorted((a for a in lm.live if a.is_proposal), key=lambda a: a.rollout)


class Hidden(Module):
    """No row shows anything of the first predictor, which is never asked."""

    def __init__(self) -> None:
        self.inner = Predict(Signature("hint -> thought", "inner"))
        self.outer = Predict(Signature("question -> answer", "outer"))

    def forward(self, question: str) -> Any:
        return self.outer(question=question)


class TestByHand:
    """q0 to q3, validated on q4 to q7; the LM knows q0, q1 and q4.

    The bootstrap wants one demo: q0, at the first try. No demo is labeled. Three sets of rules are
    induced from q0 (the demo) and q1, q2, q3 (labeled): "weak" knows q4, "good" q4 to q6, and "weak" again.
    """

    lm = staticmethod(knows("014", weak="4", good="456"))

    def strategy(self, **more: Any) -> InferRules:
        settings = {"num_candidates": 3, "max_bootstrapped_demos": 1, "max_labeled_demos": 0, **more}
        return InferRules(metric=exact, **settings)

    def compiled(self, *rules: str | None, **more: Any) -> tuple[Any, WorldLM]:
        lm = WorldLM(self.lm, propose=induces(*(rules or ("weak", "good", "weak"))))
        more.setdefault("valset", rows(4, start=4))
        return searched(self.strategy(), lm, **more), lm

    @pytest.mark.parametrize("concurrency", [1, 8])
    def test_candidates_and_winner(self, concurrency):
        result, _ = self.compiled(concurrency=concurrency)
        told = [c.program.answer.signature.instructions for c in result.candidates]
        assert told == ["do it", ruled("do it", "weak"), ruled("do it", "good")]
        assert [c.label for c in result.candidates] == ["bootstrap", "rules 1", "rules 2"]
        assert [c.parents for c in result.candidates] == [(), (0,), (0,)]
        assert (result.winner, result.score, result.validated_on) == (2, 0.75, 4)
        assert (result.stopped, result.notes) == ("done", ())
        assert questions(result.program) == ["q0"]

    def test_the_calls(self):
        # Bootstrap: q0. Inductions: three. "weak" is evaluated first, on four examples; so is "good", which
        # can always win.
        _, lm = self.compiled(concurrency=1)
        assert len(lm.live) == 1 + 3 + 4 + 4

    def test_a_candidate_that_cannot_win_is_dropped(self):
        # "good" comes first and misses q7 alone. "weak" starts with q7: a tie is all it could reach.
        result, lm = self.compiled("good", "weak", "good", concurrency=1)
        assert result.score == 0.75
        assert result.candidates[2].score is None
        assert len(lm.live) == 1 + 3 + 4 + 1

    def test_what_the_inductions_are_shown(self):
        _, lm = self.compiled()
        assert [a.rollout for a in inductions(lm)] == [0, 1, 2]
        for one in inductions(lm):
            assert one.temperature == 1.0
            assert one.outputs == ("reasoning", "natural_language_rules")
            assert "10 rules" in one.instructions
            assert one.inputs["examples_text"].split("\n\n") == [
                f"Example {number}\nInputs:\nquestion: q{number - 1}\nOutputs:\nanswer: a{number - 1}"
                for number in (1, 2, 3, 4)
            ]

    def test_the_rules_stand_behind_the_instructions(self):
        assert ruled("Do it.", "1. Well.") == "Do it.\n\nKeep to these rules:\n1. Well."

    def test_the_bound_by_hand(self):
        # Bootstrap: four. Inductions: three, of four examples, then two, then one. Three programs on four.
        bound = self.strategy().bound(task(rows(4), student=Told(), valset=rows(4, start=4)))
        assert bound == CallBound(4 + 3 + 12, 4 + 9 + 12)

    def test_at_equal_scores_the_shorter_rules_win(self):
        result, _ = self.compiled("longer", "short", "longer", valset=rows(2, start=8))
        assert (result.winner, result.score) == (2, 0.0)

    def test_without_rules_the_bootstrapped_program_is_evaluated(self):
        result, lm = self.compiled(None, " ", None)
        assert [c.label for c in result.candidates] == ["bootstrap"]
        assert (result.winner, result.score) == (0, 0.25)
        assert result.notes == ("3 of 3 inductions gave no rules",)
        assert len(lm.live) == 1 + 3 + 4

    def test_progress_comes_to_its_end(self):
        # One induction of three cannot be read, one says what another said: two programs are not evaluated.
        events: list[ProgressEvent] = []
        lm = WorldLM(self.lm, propose=induces("weak", None, "weak"))
        searched(self.strategy(), lm, concurrency=1, progress=events.append)
        # 1 of 4 tries, 3 inductions, one program on four examples
        assert (events[-1].done, events[-1].total) == (1 + 3 + 4, 1 + 3 + 4)
        assert events[0].total == 1 + 3 + 12

    def test_progress_does_not_wait_for_inductions_without_examples(self):
        events: list[ProgressEvent] = []
        strategy = self.strategy(max_bootstrapped_demos=0, num_candidates=1)
        lm = WorldLM(self.lm, propose=induces("weak"))
        searched(strategy, lm, student=Hidden(), concurrency=1, progress=events.append)
        assert (events[-1].done, events[-1].total) == (1 + 4, 1 + 4)

    def test_the_bootstrap_is_noted_as_the_root(self):
        journal = Noted()
        lm = WorldLM(self.lm, propose=induces("weak", "good", "weak"))
        searched(self.strategy(), lm, journal=journal)
        assert sorted((e["index"], e["score"] is None) for e in journal.noted)[0] == (0, True)

    def test_without_a_valset_it_validates_on_the_trainset(self):
        result, lm = self.compiled(valset=None)
        assert result.validated_on == 4
        assert all(a.inputs["question"] not in a.shown for a in lm.live if not a.is_proposal)

    def test_nothing_to_spend_leaves_the_student_as_it_is(self):
        result = searched(self.strategy(), WorldLM(self.lm, budget=0))
        assert (result.stopped, result.score) == ("budget", None)
        assert shown(result.program) == {"answer": []}
        assert result.notes[0].startswith("0 of 1 demos were bootstrapped")

    @pytest.mark.parametrize("budget", [1, 3, 6])
    def test_a_budget_spent_before_a_candidate_is_evaluated_leaves_the_bootstrap(self, budget):
        lm = WorldLM(self.lm, propose=induces("weak", "good", "weak"), budget=budget)
        result = searched(self.strategy(), lm)
        assert (result.stopped, result.score) == ("budget", None)
        assert result.candidates[result.winner].label == "bootstrap"
        assert questions(result.program) == ["q0"]
        assert result.notes[-1].endswith("the program is that of the bootstrap, without rules")

    def test_a_budget_spent_later_leaves_the_best(self):
        lm = WorldLM(self.lm, propose=induces("good", "weak", "weak"), budget=1 + 3 + 4)
        result = searched(self.strategy(), lm, valset=rows(4, start=4), concurrency=1)
        assert (result.stopped, result.score, result.winner) == ("budget", 0.75, 1)
        assert [c.label for c in result.candidates] == ["bootstrap", "rules 1", "rules 2"]


class TestContext:
    """An LM whose context holds ``size`` examples."""

    def small(self, size: int, seen: list[int]) -> Any:
        def propose(asked: Asked) -> Any:
            examples = asked.inputs["examples_text"].count("Example ")
            seen.append(examples)
            if examples > size:
                return LMRequestError("too long", context_window=True)
            return {"reasoning": "because", "natural_language_rules": "r"}

        return propose

    def compiled(self, size: int, n: int) -> list[int]:
        seen: list[int] = []
        lm = WorldLM(knows("0"), propose=self.small(size, seen))
        strategy = InferRules(1, metric=exact, max_bootstrapped_demos=0, max_labeled_demos=0)
        searched(strategy, lm, n)
        bound = Induction(10, n).max_calls()
        assert len(seen) <= bound
        return seen

    def test_examples_are_halved_until_they_fit(self):
        assert self.compiled(3, 9) == [9, 4, 2]

    @pytest.mark.parametrize(("n", "calls"), [(1, [1]), (2, [2, 1]), (7, [7, 3, 1]), (8, [8, 4, 2, 1])])
    def test_the_bound_is_reached(self, n, calls):
        assert self.compiled(1, n) == calls
        assert Induction(10, n).max_calls() == len(calls)

    def test_one_example_that_is_too_long_stops_the_compile(self):
        with pytest.raises(CompileError, match="LMRequestError: too long"):
            self.compiled(0, 3)

    def test_another_refusal_is_not_taken_for_it(self):
        asked = []

        def propose(one: Asked) -> Any:
            asked.append(one)
            return LMRequestError("no such model")

        strategy = InferRules(1, metric=exact, max_bootstrapped_demos=0)
        with pytest.raises(CompileError, match="no such model"):
            searched(strategy, WorldLM(knows("0"), propose=propose))
        assert len(asked) == 1


class TestWhoInduces:
    strategy = InferRules(1, metric=exact, max_bootstrapped_demos=1, max_labeled_demos=0)

    def asked(self, strategy: InferRules, **more: Any) -> dict[str, list[bool]]:
        """Who was asked what: by LM, whether each of its requests is an induction."""
        student = WorldLM(knows("0"), propose=induces("r"))
        searched(strategy, student, 2, **more)
        others = {"student": student, **more, **(strategy.teacher_settings or {})}
        return {
            name: sorted(a.is_proposal for a in lm.live)
            for name, lm in others.items()
            if isinstance(lm, WorldLM)
        }

    def test_the_student(self):
        assert self.asked(self.strategy) == {"student": [False, False, False, True]}

    def test_the_teachers_settings(self):
        other = WorldLM(knows("0"), propose=induces("r"), model="other")
        strategy = self.strategy.with_settings(teacher_settings={"lm": other})
        assert self.asked(strategy) == {"student": [False, False], "lm": [False, True]}

    def test_a_teacher_that_is_an_lm(self):
        other = WorldLM(knows("0"), propose=induces("r"), model="other")
        assert self.asked(self.strategy, teacher=other) == {
            "student": [False, False],
            "teacher": [False, True],
        }


class Steps(Module):
    """Two steps; the rows have no label for the first one's output."""

    def __init__(self) -> None:
        self.think = Predict(Signature("question -> thought, answer", "think"))
        self.say = Predict(Signature("question -> answer", "say"))

    def forward(self, question: str) -> Any:
        self.think(question=question)
        return self.say(question=question)


class TestExamples:
    def test_each_predictor_has_rules_of_its_own(self):
        def answer(asked: Asked) -> Any:
            return {"thought": "hm", "answer": truth(asked.inputs["question"])}

        def propose(asked: Asked) -> Any:
            if asked.outputs == ("thought", "answer"):
                return answer(asked)
            rule = "of thought" if "thought: hm" in asked.inputs["examples_text"] else "of answer"
            return {"reasoning": "because", "natural_language_rules": rule}

        strategy = InferRules(1, metric=exact, max_bootstrapped_demos=1, max_labeled_demos=0)
        lm = WorldLM(answer, propose=propose)
        result = searched(strategy, lm, 3, student=Steps())
        assert instructions_of(result.program) == {
            "think": ruled("think", "of thought"),
            "say": ruled("say", "of answer"),
        }
        frozen = Steps()
        frozen.freeze("say")
        again = searched(strategy, lm, 3, student=frozen)
        assert instructions_of(again.program) == {"think": ruled("think", "of thought"), "say": "say"}

    def test_a_predictor_without_examples_goes_without_rules(self):
        strategy = InferRules(1, metric=exact, max_bootstrapped_demos=0)
        result = searched(strategy, WorldLM(knows("0"), propose=induces("r")), student=Hidden())
        assert instructions_of(result.program) == {"inner": "inner", "outer": ruled("outer", "r")}
        (note,) = [note for note in result.notes if "rules" in note]
        assert note == "no rules for 'inner': no training example shows what it is to put out"

    def test_demos_come_first_and_their_rows_not_again(self):
        class Team(Signature):
            """Decide."""

            ticket: str = InputField()
            words: list[str] = InputField()
            score: dict[str, int] = InputField()
            team: Literal["bug", "billing"] = OutputField()
            open: bool = OutputField()

        given = {"words": ["x", "y"], "score": {"b": 1, "a": 2}}
        labels = {"team": "bug", "open": True, "note": "n"}
        data = [
            Example({"ticket": f"t{i}", **given, **labels}).with_inputs("ticket", *given) for i in range(2)
        ]
        predictor = ChainOfThought(Team)
        predictor.demos = [{**data[1].inputs(), "reasoning": "so", "team": "billing", "open": False}]
        assert example_texts(predictor, data) == [
            'Example 1\nInputs:\nticket: t1\nwords: [1] «x»\n[2] «y»\nscore: {"a":2,"b":1}\n'
            "Outputs:\nreasoning: so\nteam: billing\nopen: false",
            'Example 2\nInputs:\nticket: t0\nwords: [1] «x»\n[2] «y»\nscore: {"a":2,"b":1}\n'
            "Outputs:\nteam: bug\nopen: true",
        ]

    def test_a_picture_is_named_not_shown(self):
        class Seen(Signature):
            """Look."""

            picture: Image = InputField()
            animal: str = OutputField()

        row = Example(picture=Image("https://example.com/cat.png"), animal="cat").with_inputs("picture")
        (text,) = example_texts(Predict(Seen), [row])
        assert text == "Example 1\nInputs:\npicture: (Image)\nOutputs:\nanimal: cat"

    def test_one_rule_is_asked_for_as_one(self):
        assert "Find a rule by which" in Induction(1, 3).induce.signature.instructions


class TestSettings:
    def test_defaults_are_dspys(self):
        settings = InferRules().settings()
        assert settings == {
            "class": "InferRules",
            "num_candidates": 10,
            "num_rules": 10,
            "teacher_settings": None,
            "metric": None,
            "metric_threshold": None,
            "max_bootstrapped_demos": 4,
            "max_labeled_demos": 16,
            "max_rounds": 1,
            "max_errors": None,
        }
        assert InferRules(num_rules=3).describe() == "InferRules(num_candidates=10, num_rules=3)"

    @pytest.mark.parametrize(
        ("settings", "message"),
        [
            ({"num_candidates": 0}, "num_candidates must be an integer of 1 or more, not 0"),
            ({"num_rules": 0}, "num_rules must be an integer of 1 or more, not 0"),
            ({"num_rules": "ten"}, "num_rules must be an integer of 1 or more, not 'ten'"),
            ({"num_threads": 0}, "num_threads must be an integer of 1 or more, not 0"),
            ({"max_rounds": 0}, "max_rounds must be an integer of 1 or more, not 0"),
        ],
    )
    def test_bad_settings_are_told(self, settings, message):
        with pytest.raises(UsageError) as caught:
            InferRules(**settings)
        assert caught.value.message == message

    def test_it_needs_a_metric(self):
        with pytest.raises(UsageError, match="cannot be ranked without a metric"):
            searched(InferRules(), WorldLM(knows("")), metric=None)

    def test_it_needs_a_predictor_that_may_change(self):
        student = Told()
        student.freeze("answer")
        with pytest.raises(UsageError, match="all predictors of Told are frozen"):
            searched(InferRules(metric=exact), WorldLM(knows("")), student=student)

    def test_a_teacher_that_always_errs_stops_it(self):
        lm = WorldLM(lambda asked: "no JSON")
        with pytest.raises(CompileError, match="10 bootstrap runs ended in an error"):
            searched(InferRules(metric=exact), lm, 12)

    def test_threads_are_a_runtimes(self):
        lm = WorldLM(knows("0", r="0", s="0"), propose=induces("r", "s"), latency=0.002)
        with context(lm=lm):
            InferRules(2, num_threads=2, metric=exact, max_bootstrapped_demos=0).compile(
                QA(), trainset=rows(8)
            )
        assert lm.most_in_flight == 2
