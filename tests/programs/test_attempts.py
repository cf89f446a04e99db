"""BestOfN and Refine: which attempts are made, what they share, what comes back."""

from __future__ import annotations

import asyncio

import pytest

import pytest_lmprog as lmp
from pytest_lmprog.errors import LMConnectionError, ParseError, UsageError
from pytest_lmprog.lm.scope import CallScope, use_scope
from pytest_lmprog.lm.tally import CallLimit
from pytest_lmprog.programs import run_program


class QA(lmp.Module):
    def __init__(self):
        self.ask = lmp.Predict("question -> answer")

    def forward(self, question):
        return self.ask(question=question)


def scored(**scores):
    return lambda inputs, prediction: scores[prediction.answer]


def answering(*answers):
    """Answer by the rollout; advise when asked to."""

    def answer(request):
        if "program_code" in str(request.messages[-1]["content"]):
            return {"discussion": "it is wrong", "advice": {"ask": "Say more."}}
        said = answers[request.rollout]
        return said if isinstance(said, str | Exception) else {"answer": said[0]}

    return lmp.ScriptedLM(answer)


def run(program, lm, **more):
    with lmp.context(lm=lm), use_scope(CallScope(limit=CallLimit(program.max_calls()))):
        return run_program(program, {"question": "Who?"}, **more)


both = pytest.mark.parametrize("kind", [lmp.BestOfN, lmp.Refine])


class TestBoth:
    @both
    def test_the_best_is_returned(self, kind):
        lm = answering(["a"], ["b"], ["c"])
        done = run(kind(QA(), 3, scored(a=0.2, b=0.7, c=0.5), threshold=1.0), lm)
        assert done.prediction.answer == "b"
        asked = [r for r in lm.requests if "program_code" not in str(r.messages[-1]["content"])]
        assert [(r.rollout, r.params["temperature"]) for r in asked] == [(0, 1.0), (1, 1.0), (2, 1.0)]
        kept = [c.outputs.answer for c in done.trace if c.name == "module.ask" and c.rejected is None]
        assert kept == ["b"]

    @both
    def test_the_first_that_is_good_enough_ends_it(self, kind):
        lm = answering(["a"], ["b"], ["c"])
        done = run(kind(QA(), 3, scored(a=0.8, b=1.0, c=1.0), threshold=0.8), lm)
        assert (done.prediction.answer, lm.calls) == ("a", 1)

    @both
    def test_of_equals_the_first(self, kind):
        done = run(kind(QA(), 3, scored(a=0.5, b=0.5, c=0.5), threshold=1.0), answering(["a"], ["b"], ["c"]))
        assert done.prediction.answer == "a"

    @both
    def test_rollouts_are_disjoint(self, kind):
        lm = answering(*([c] for c in "abcdef"))
        program = kind(QA(), 3, lambda inputs, prediction: 0, threshold=1.0)
        run(program, lm, rollout=1)
        assert sorted({r.rollout for r in lm.requests}) == [3, 4, 5]

    @both
    def test_attempts_that_fail_are_passed_over(self, kind):
        done = run(kind(QA(), 3, scored(b=0.1), threshold=1.0), answering("nothing", ["b"], "nothing"))
        assert done.prediction.answer == "b"

    @both
    def test_all_fail(self, kind):
        done = run(kind(QA(), 2, scored(), threshold=1.0), answering("no", "nothing"))
        assert isinstance(done.error, ParseError)

    @both
    def test_no_more_than_fail_count_fail(self, kind):
        lm = answering("no", "nothing", ["a"])
        done = run(kind(QA(), 3, scored(a=1), threshold=1.0, fail_count=1), lm)
        assert isinstance(done.error, ParseError)
        assert lm.calls == 2

    @both
    def test_an_lm_that_cannot_be_reached_ends_it(self, kind):
        lm = answering(LMConnectionError("down"), ["a"])
        with pytest.raises(LMConnectionError):
            run(kind(QA(), 3, scored(a=1), threshold=1.0), lm)

    @both
    def test_async_is_the_same(self, kind):
        lm = answering(["a"], ["b"])
        program = kind(QA(), 2, scored(a=0.2, b=0.7), threshold=1.0)
        with lmp.context(lm=lm):
            assert asyncio.run(program.acall(question="Who?")).answer == "b"

    @both
    @pytest.mark.parametrize("reward", [lambda i, p: "good", lambda i, p: float("nan"), lambda i, p: None])
    def test_a_reward_is_a_number(self, kind, reward):
        with pytest.raises(UsageError, match="the reward must be"):
            run(kind(QA(), 2, reward, threshold=1.0), answering(["a"], ["b"]))

    @both
    def test_what_it_is_made_of_is_checked(self, kind):
        for wrong in ((QA, 2, len), (QA(), 0, len), (QA(), 2, None)):
            with pytest.raises(UsageError):
                kind(*wrong, threshold=1.0)

    def test_max_calls(self):
        assert lmp.BestOfN(QA(), 4, len, 1.0).max_calls() == 4
        assert (
            lmp.Refine(QA(), 4, len, 1.0).max_calls()
            == 4 + 3 * lmp.Predict("a -> b: dict[str, str]").max_calls()
        )


class TestRefine:
    def test_advice_is_shown_to_the_predictor_it_is_for(self):
        lm = answering(["a"], ["b"])
        done = run(lmp.Refine(QA(), 2, scored(a=0.2, b=1.0), threshold=1.0), lm)
        assert done.prediction.answer == "b"
        first, advice, second = (str(r.messages[-1]["content"]) for r in lm.requests)
        assert first == "question: Who?"
        assert second == "question: Who?\nhint_: Say more."
        assert "reward_value: 0.2" in advice
        assert "module_names:\n[1] «ask»" in advice
        assert "class QA(lmp.Module):" in advice
        assert '"answer": "a"' in advice
        assert [c.name for c in done.trace] == ["module.ask", "feedback", "module.ask"]

    def test_a_failed_assert_is_feedback(self):
        def reward(inputs, prediction):
            assert len(prediction.answer) > 3, "the answer is too short"
            return 1.0

        lm = answering(["a"], ["long enough"])
        assert run(lmp.Refine(QA(), 2, reward, threshold=1.0), lm).prediction.answer == "long enough"
        assert "reward_feedback: the answer is too short" in str(lm.requests[1].messages[-1]["content"])

    def test_advice_that_cannot_be_read_is_none(self):
        def answer(request):
            advising = "program_code" in str(request.messages[-1]["content"])
            return "no" if advising else {"answer": "ab"[request.rollout]}

        lm = lmp.ScriptedLM(answer)
        done = run(lmp.Refine(QA(), 2, scored(a=0.1, b=0.2), threshold=1.0), lm)
        assert done.prediction.answer == "b"

    def test_hints_end_with_the_run(self):
        qa = QA()
        lm = answering(["a"], ["b"])
        run(lmp.Refine(qa, 2, scored(a=0.2, b=1.0), threshold=1.0), lm)
        with lmp.context(lm=lm):
            qa(question="Who?")
        assert "hint_" not in str(lm.requests[-1].messages)
