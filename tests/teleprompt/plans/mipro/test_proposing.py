"""Proposing: what MIPROv2's proposer asks, in which order, and what it takes of the answers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import pytest_lmprog as lmp
from pytest_lmprog.errors import CompileError, LMRequestError
from pytest_lmprog.programs import Module, Predict, context
from pytest_lmprog.teleprompt import CompileResult, CompileRuntime
from pytest_lmprog.teleprompt.engine.seeds import seeded
from pytest_lmprog.teleprompt.plans.mipro.proposer_signatures import TIPS
from pytest_lmprog.teleprompt.plans.mipro.proposing import Proposer, asks, program_code
from pytest_lmprog.teleprompt.strategy import TeleprompterBase
from tests.teleprompt.world import QA, Pair, PlainAdapter, WorldLM, knowing, rows, task

PRESENT = "Given the fields `question`, produce the fields `answer`."


class Only(TeleprompterBase):
    """A strategy that only proposes."""

    proposer = Proposer(2)
    sets = {}

    def bound(self, task):
        raise NotImplementedError

    def plan(self, study):
        grounds = yield from self.proposer.grounds(study)
        self.found = yield from self.proposer.propose(study, grounds, self.sets)
        return CompileResult(study.task.student.copy(), (), 0)

    def compile_result(self, task, runtime):
        from pytest_lmprog.teleprompt.engine.driver import drive
        from pytest_lmprog.teleprompt.engine.study import Study

        return drive(lambda desk: self.plan(Study(task, task.objective, task.objective, desk)), runtime)


def proposed(proposer, propose, *, student=None, trainset=None, sets=None, concurrency=8):
    """Return what was proposed, and what was asked in the order it was."""
    lm = WorldLM(knowing(), propose=propose)
    strategy = Only()
    strategy.__dict__.update(proposer=proposer, sets=sets or {})
    with context(lm=lm, adapter=PlainAdapter()):
        strategy.compile_result(
            task(trainset or rows(3), student=student), CompileRuntime(concurrency=concurrency)
        )
    return strategy.found, lm.live


def by_output(asked):
    """Group requests by what they ask for."""
    found = {}
    for one in asked:
        found.setdefault(",".join(one.outputs), []).append(one)
    return found


class TestByHand:
    """Two proposals for one predictor: observations of two batches, a summary, two descriptions."""

    def propose(self, one):
        (name,) = one.outputs
        return {name: f"{name} of {one.rollout}"}

    def run(self, **more):
        proposer = Proposer(3, batch=2, seed=9, **more)
        sets = {"answer": [[], rows(1, start=7), [*rows(1, start=8), *rows(3, start=20)]]}
        return proposed(proposer, self.propose, trainset=rows(3), sets=sets)

    def test_what_is_asked(self):
        found, asked = self.run()
        assert found.instructions == {
            "answer": (PRESENT, "proposed_instruction of 1", "proposed_instruction of 2")
        }
        assert found.notes == ()
        asks_for = by_output(asked)
        assert {name: len(ones) for name, ones in asks_for.items()} == {
            "observations": 2,
            "summary": 1,
            "program_description": 1,
            "module_description": 1,
            "proposed_instruction": 2,
        }
        assert len(asked) == asks(Proposer(3, batch=2), QA(), 3) == 7
        first, second = (one.inputs for one in asks_for["observations"])
        assert first == {"examples": "question: q0\nanswer: a0\n\nquestion: q1\nanswer: a1"}
        assert second == {
            "examples": "question: q2\nanswer: a2",
            "prior_observations": "observations of 0",
        }
        (summary,) = asks_for["summary"]
        assert summary.inputs == {"observations": "observations of 0\nobservations of 0"}
        assert {one.temperature for one in asked} == {1.0}
        assert [one.rollout for one in asked].count(0) == 5

    def test_what_a_proposal_is_grounded_in(self):
        _, asked = self.run()
        first, second = by_output(asked)["proposed_instruction"]
        module = f"Module answer\n  takes and puts out: question -> answer\n  instructions: {PRESENT}"
        (describing,) = by_output(asked)["module_description"]
        assert describing.inputs["module"] == module
        assert first.inputs == {
            "dataset_description": "summary of 0",
            "program_code": program_code(QA()),
            "program_description": "program_description of 0",
            "module": module,
            "module_description": "module_description of 0",
            # Three demos: of the first set on.
            "task_demos": "\n\n".join(f"question: q{n}\nanswer: a{n}" for n in (7, 8, 20)),
            "basic_instruction": PRESENT,
            **self.tip(1),
        }
        assert second.inputs["task_demos"].split("\n")[0::3] == [
            "question: q8",
            "question: q20",
            "question: q21",
        ]
        assert (first.rollout, second.rollout) == (1, 2)

    def tip(self, turn):
        text = TIPS[seeded(9, "tip", "answer", turn).choice(sorted(TIPS))]
        return {"tip": text} if text else {}

    def test_tips_differ_with_the_seed(self):
        drawn = {seeded(seed, "tip", "answer", 1).choice(sorted(TIPS)) for seed in range(40)}
        assert drawn == set(TIPS)

    @pytest.mark.parametrize(
        ("off", "gone", "count"),
        [
            ("data", {"dataset_description"}, 4),
            ("program", {"program_code", "program_description", "module", "module_description"}, 5),
            ("tips", {"tip"}, 7),
            ("demos", {"task_demos"}, 7),
        ],
    )
    def test_each_ground_can_be_left_out(self, off, gone, count):
        _, asked = self.run(**{off: False})
        assert len(asked) == asks(Proposer(3, batch=2, **{off: False}), QA(), 3) == count
        for one in by_output(asked)["proposed_instruction"]:
            assert not gone & one.inputs.keys()

    def test_the_same_at_any_concurrency(self):
        runs = [
            proposed(Proposer(4, batch=1), self.propose, student=Pair(), concurrency=c) for c in (1, 8, 64)
        ]
        assert runs[0][0] == runs[1][0] == runs[2][0]
        assert [sorted(a.key for a in asked) for _, asked in runs] == [sorted(a.key for a in runs[0][1])] * 3
        assert len(runs[0][1]) == asks(Proposer(4, batch=1), Pair(), 3) == 3 + 1 + 1 + 2 + 6


class TestSummary:
    def asked(self, observe, rows_, batch=1):
        def propose(one):
            (name,) = one.outputs
            seen = observe(one.inputs["examples"]) if name == "observations" else name
            return {name: seen} if seen else "no JSON"

        _, asked = proposed(Proposer(2, batch=batch, program=False), propose, trainset=rows_)
        return by_output(asked)

    def test_it_looks_at_ten_batches_at_most(self):
        asked = self.asked(lambda examples: "seen", rows(25), 2)
        assert len(asked["observations"]) == 10

    def test_it_stops_after_five_that_add_nothing(self):
        asked = self.asked(lambda examples: "Rows." if "q0" in examples else "Complete.", rows(9))
        assert len(asked["observations"]) == 6
        assert asked["summary"][0].inputs == {"observations": "Rows."}

    def test_an_answer_that_cannot_be_read_is_passed_over(self):
        asked = self.asked(lambda examples: "" if "q1" in examples else f"[{examples[-2:]}]", rows(3))
        before = [one.inputs.get("prior_observations") for one in asked["observations"]]
        assert before == [None, "[a0]", "[a0]"]
        assert asked["summary"][0].inputs == {"observations": "[a0]\n[a2]"}

    def test_without_observations_there_is_no_summary(self):
        def propose(one):
            return "no JSON" if one.outputs == ("observations",) else {one.outputs[0]: "text"}

        found, asked = proposed(Proposer(2, program=False), propose)
        assert by_output(asked).keys() == {"observations", "proposed_instruction"}
        (one,) = by_output(asked)["proposed_instruction"]
        assert "dataset_description" not in one.inputs
        assert found.notes == ()

    def test_without_a_summary_the_first_observation_stands_for_it(self):
        def propose(one):
            return "no JSON" if one.outputs == ("summary",) else {one.outputs[0]: "text of " + one.outputs[0]}

        _, asked = proposed(Proposer(2, program=False), propose)
        (one,) = by_output(asked)["proposed_instruction"]
        assert one.inputs["dataset_description"] == "text of observations"


class TestAnswers:
    def instructions(self, *answers):
        def propose(one):
            return answers[one.rollout - 1]

        bare = Proposer(len(answers) + 1, data=False, program=False)
        found, asked = proposed(bare, propose)
        assert len(asked) == len(answers)
        return found.instructions["answer"][1:], found.notes

    @pytest.mark.parametrize(
        ("answer", "taken"),
        [
            ("  Answer well.\n", "Answer well."),
            ('"Answer well."', "Answer well."),
            ("Instruction: Answer well.", "Answer well."),
            ("**Proposed Instruction:** Answer well.", "Answer well."),
            ("New instructions:\nAnswer well.", "Answer well."),
            ("Classify the ticket: is it a bug?", "Classify the ticket: is it a bug?"),
            ('"A" or "B"? Say which.', '"A" or "B"? Say which.'),
            ('"', '"'),
        ],
    )
    def test_what_models_put_around_an_instruction_is_taken_off(self, answer, taken):
        assert self.instructions({"proposed_instruction": answer}) == ((taken,), ())

    @pytest.mark.parametrize("answer", ["", "  ", "Instruction:", PRESENT, f'"{PRESENT}"', "long " * 1000])
    def test_what_says_nothing_new_is_no_proposal(self, answer):
        assert self.instructions({"proposed_instruction": answer}) == ((), ())

    def test_what_was_proposed_twice_stands_once(self):
        answers = [{"proposed_instruction": text} for text in ("One.", "Two.", "One.")]
        assert self.instructions(*answers) == (("One.", "Two."), ())

    def test_what_cannot_be_read_is_told(self):
        found, notes = self.instructions("no JSON", {"proposed_instruction": "One."}, "no JSON")
        assert found == ("One.",)
        assert notes == ("2 of 3 proposed instructions could not be read",)

    def test_a_long_instruction_may_be_replaced_by_one_as_long(self):
        student = QA()
        student.answer.signature = student.answer.signature.with_instructions("x" * 5000)
        text = "y" * 5000
        found, _ = proposed(
            Proposer(2, data=False, program=False),
            lambda one: {"proposed_instruction": text},
            student=student,
        )
        assert found.instructions["answer"] == ("x" * 5000, text)


class TestTooLong:
    """What does not fit into the LM's context is a proposal less, and no reason to stop."""

    def propose(self, one):
        if one.outputs[0] in ("observations", "proposed_instruction"):
            return LMRequestError("too long", context_window=True)
        return {one.outputs[0]: "text"}

    def test_it_goes_on_without(self):
        found, asked = proposed(Proposer(2), self.propose)
        assert found.instructions == {"answer": (PRESENT,)}
        assert found.notes == ("1 of 1 proposed instructions could not be read",)
        assert ("summary",) not in {one.outputs for one in asked}

    def test_another_refusal_stops_it(self):
        with pytest.raises(CompileError, match="no such model"):
            proposed(Proposer(2), lambda one: LMRequestError("no such model"))


class TestPrograms:
    def test_nothing_is_asked_where_nothing_may_change(self):
        student = QA()
        student.freeze()
        found, asked = proposed(Proposer(3), lambda one: {}, student=student)
        assert (found.instructions, asked) == ({}, [])
        assert asks(Proposer(3), student, 9) == asks(Proposer(1), QA(), 9) == 0

    def test_frozen_predictors_are_not_asked_about(self):
        student = Pair()
        student.freeze("second")
        found, asked = proposed(Proposer(2), lambda one: {one.outputs[0]: "text"}, student=student)
        assert found.instructions.keys() == {"first"}
        assert len(by_output(asked)["module_description"]) == 1

    def test_no_proposal_no_question(self):
        found, asked = proposed(Proposer(1), lambda one: {})
        assert found.instructions == {"answer": (PRESENT,)}
        assert asked == []

    def test_the_code_is_that_of_the_programs_own_classes(self):
        class Inner(Module):
            def __init__(self) -> None:
                self.ask = Predict("question -> answer")

            def forward(self, question: str):
                return self.ask(question=question)  # inner

        class Outer(Module):
            def __init__(self) -> None:
                self.one, self.two = Inner(), Inner()

            def forward(self, question: str):
                return self.two(question=self.one(question=question).answer)

        code = program_code(Outer())
        assert code.index("class Outer(Module):") < code.index("class Inner(Module):")
        assert code.count("# inner") == 1
        assert "class Predict" not in code
        assert "Module one.ask\n  takes and puts out: question -> answer" in code
        assert str(Path(__file__).parent) not in code

    def test_without_code_of_its_own_a_program_is_not_described(self):
        found, asked = proposed(
            Proposer(2), lambda one: {one.outputs[0]: "text"}, student=Predict("question -> answer")
        )
        assert by_output(asked).keys() == {"observations", "summary", "proposed_instruction"}
        (one,) = by_output(asked)["proposed_instruction"]
        assert one.inputs["program_code"].startswith("Module ")
        assert not {"program_description", "module_description"} & one.inputs.keys()
        assert len(found.instructions) == 1

    def test_the_code_of_a_function_program_is_the_functions(self):
        ask = lmp.Predict("question -> answer")

        @lmp.program
        def triage(question):
            return ask(question=question)  # in the function

        assert "# in the function" in program_code(triage)

    def test_long_code_and_long_values_are_cut(self):
        class Wordy(QA):
            """Much to say."""

        Wordy.__doc__ = None
        student = Wordy()
        student.answer.signature = student.answer.signature.with_instructions("x" * 9000)
        assert len(program_code(student)) == 6000
        long = [e.copy(question="q" * 900).with_inputs("question") for e in rows(1)]
        _, asked = proposed(Proposer(2, program=False), lambda one: {one.outputs[0]: "text"}, trainset=long)
        shown = by_output(asked)["observations"][0].inputs["examples"]
        assert shown == "question: " + "q" * 397 + "...\nanswer: a0"

    def test_values_that_are_no_text_are_shown_as_json(self):
        row = rows(1)[0].copy(answer={"b": [1, 2]}).with_inputs("question")
        _, asked = proposed(Proposer(2, program=False), lambda one: {one.outputs[0]: "t"}, trainset=[row])
        shown = by_output(asked)["observations"][0].inputs["examples"]
        assert json.loads(shown.partition("answer: ")[2]) == {"b": [1, 2]}
