"""MultiChainComparison, majority, KNN, Parallel and batch."""

from __future__ import annotations

import asyncio
import threading

import pytest

import pytest_lmprog as lmp
from pytest_lmprog.errors import LMConnectionError, LmprogWarning, ParseError, UsageError
from pytest_lmprog.programs import run_program


class TestMultiChainComparison:
    attempts = [
        {"reasoning": "count the legs\nof a cat.", "answer": "four"},
        {"rationale": "guess.", "answer": 3},
        lmp.Prediction(answer="five"),
    ]

    def test_what_the_lm_sees(self):
        lm = lmp.ScriptedLM({"Who": {"rationale": "so", "answer": "four"}})
        compare = lmp.MultiChainComparison("question -> answer", temperature=0.5)
        with lmp.context(lm=lm):
            found = compare(self.attempts, question="Who?")
        assert (found.rationale, found.answer) == ("so", "four")
        assert lm.requests[0].params["temperature"] == 0.5
        assert lm.requests[0].messages[-1]["content"] == (
            "question: Who?\n"
            "reasoning_attempt_1: «I'm trying to count the legs I'm not sure but my prediction is four»\n"
            "reasoning_attempt_2: «I'm trying to guess. I'm not sure but my prediction is 3»\n"
            "reasoning_attempt_3: «I'm not sure but my prediction is five»"
        )
        system = lm.requests[0].messages[0]["content"]
        assert '- `reasoning_attempt_2` ("Student Attempt #2:"): reasoning attempt' in system
        assert system.index("`rationale`") < system.rindex("`answer`")

    @pytest.mark.parametrize(
        ("given", "said"),
        [
            (attempts[:2], "2 attempts were given to a comparison of 3"),
            ("abc", "must be a list"),
            ([{}] * 3, "no 'answer'"),
        ],
    )
    def test_attempts_that_do_not_fit(self, given, said):
        with lmp.context(lm=lmp.ScriptedLM("x")), pytest.raises(UsageError, match=said):
            lmp.MultiChainComparison("question -> answer")(given, question="Who?")


class TestMajority:
    def test_the_first_of_what_most_say(self):
        said = ["Rome", "The Paris!", "paris", "Oslo"]
        samples = [lmp.Prediction(n=i, answer=answer) for i, answer in enumerate(said)]
        assert lmp.majority(samples).n == 1
        assert lmp.majority(samples, field="n").n == 0
        assert lmp.majority(samples, normalize=None, field="answer").answer == "Rome"

    def test_what_normalizes_to_nothing_does_not_vote(self):
        assert lmp.majority(["...", "!!", "Paris"]) == "Paris"
        assert lmp.majority(["...", "!!"]) == "..."

    def test_of_a_predictions_completions(self):
        lm = lmp.ScriptedLM([{"kind": k} for k in ("a thing", "b", "Thing", "c")])
        with lmp.context(lm=lm):
            found = lmp.majority(lmp.Predict("question -> kind", n=4, temperature=1.0)(question="?"))
        assert isinstance(found, lmp.Prediction)
        assert found.kind == "a thing"

    def test_lists_and_numbers_vote(self):
        assert lmp.majority([{"x": [1, 2]}, {"x": [2]}, {"x": [2]}]) == {"x": [2]}
        assert lmp.majority([1, 2, 2, True]) == 2

    def test_nothing_has_no_majority(self):
        for wrong in ([], "text", 3):
            with pytest.raises(UsageError):
                lmp.majority(wrong)


class TestKNN:
    rows = [lmp.Example(question=q, answer=q[0]).with_inputs("question") for q in ("aa", "b", "cccc", "d")]

    def knn(self, k, asked=None):
        def vectorize(texts):
            if asked is not None:
                asked.append(list(texts))
            return [[text.count(letter) for letter in "abcd"] for text in texts]

        return lmp.KNN(k, self.rows, vectorize)

    def test_the_nearest_first(self):
        asked = []
        knn = self.knn(2, asked)
        assert [e.answer for e in knn(question="ccaa")] == ["c", "a"]
        assert [e.answer for e in knn(question="d")] == ["d", "a"]
        assert asked[0] == ["question: aa", "question: b", "question: cccc", "question: d"]
        assert asked[1:] == [["question: ccaa"], ["question: d"]]

    def test_ties_follow_the_trainset(self):
        assert [e.answer for e in self.knn(3)(question="xyz")] == ["a", "b", "c"]

    def test_arrays_do_as_well(self):
        numpy = pytest.importorskip("numpy")
        knn = lmp.KNN(1, self.rows, lambda texts: numpy.array([[float(len(t))] for t in texts]))
        assert [e.answer for e in knn(question="x")] == ["c"]

    def test_what_does_not_fit(self):
        with pytest.raises(UsageError, match="k must be"):
            lmp.KNN(0, [], len)
        with pytest.raises(UsageError, match="made 1 vectors of 4 texts"):
            lmp.KNN(1, self.rows, lambda texts: [[1]])(question="x")
        assert lmp.KNN(1, [], len)(question="x") == []


class QA(lmp.Module):
    def __init__(self):
        self.ask = lmp.Predict("question -> answer")

    def forward(self, question):
        return self.ask(question=question)


def upper(request):
    question = request.messages[-1]["content"].removeprefix("question: ")
    return "no JSON" if question == "bad" else {"answer": question.upper()}


class TestParallel:
    def test_results_come_in_order_of_the_pairs(self):
        barrier = threading.Barrier(4, timeout=20)

        def together(request):
            barrier.wait()
            return upper(request)

        qa = QA()
        pairs = [
            (qa, lmp.Example(question="a", answer="x").with_inputs("question")),
            (qa, {"question": "b"}),
            (qa, ("c",)),
            (qa.ask, {"question": "d"}),
        ]
        with lmp.context(lm=lmp.ScriptedLM(together)):
            found = lmp.Parallel(num_threads=4)(pairs)
        assert [one.answer for one in found] == ["A", "B", "C", "D"]

    @pytest.mark.parametrize("parallel", [True, False])
    def test_the_trace_is_in_order_too(self, parallel):
        class Batch(lmp.Module):
            def __init__(self):
                self.qa = QA()

            def forward(self, questions):
                return self.qa.batch([{"question": q} for q in questions], num_threads=8 if parallel else 1)

        with lmp.context(lm=lmp.ScriptedLM(upper)):
            done = run_program(Batch(), {"questions": list("abcdefgh")})
        assert [c.inputs["question"] for c in done.trace] == list("abcdefgh")
        assert {c.name for c in done.trace} == {"qa.ask"}

    def test_failures_leave_none_and_a_warning(self):
        with (
            lmp.context(lm=lmp.ScriptedLM(upper)),
            pytest.warns(LmprogWarning, match="1 of 2 parallel runs failed"),
        ):
            found = QA().batch([{"question": "bad"}, {"question": "b"}])
        assert found[0] is None
        assert found[1].answer == "B"

    def test_failures_can_be_had(self):
        parallel = lmp.Parallel(return_failed_examples=True)
        with lmp.context(lm=lmp.ScriptedLM(upper)):
            results, failed, errors = parallel([(QA(), {"question": q}) for q in ("a", "bad")])
        assert [r and r.answer for r in results] == ["A", None]
        assert failed == [{"question": "bad"}]
        assert isinstance(errors[0], ParseError)

    def test_too_many_failures_are_an_error(self):
        with lmp.context(lm=lmp.ScriptedLM(upper)), pytest.raises(ParseError):
            QA().batch([{"question": "bad"}, {"question": "a"}], max_errors=1)

    def test_an_lm_that_cannot_be_reached_is_an_error(self):
        with (
            lmp.context(lm=lmp.ScriptedLM(lambda r: LMConnectionError("down"))),
            pytest.raises(LMConnectionError),
        ):
            QA().batch([{"question": "a"}])

    def test_async(self):
        with lmp.context(lm=lmp.ScriptedLM(upper)):
            found = asyncio.run(lmp.Parallel().acall([(QA(), {"question": q}) for q in "abc"]))
        assert [one.answer for one in found] == ["A", "B", "C"]

    def test_an_lm_that_answers_in_order_is_asked_in_order(self):
        lm = lmp.ScriptedLM([{"answer": str(n)} for n in range(20)])
        with lmp.context(lm=lm):
            found = QA().batch([{"question": str(n)} for n in range(20)], num_threads=8)
        assert [one.answer for one in found] == [str(n) for n in range(20)]

    def test_a_check_after_it_goes_back_to_the_last_pair(self):
        class Batch(lmp.Module):
            def __init__(self):
                self.qa = QA()

            def forward(self, questions):
                found = self.qa.batch([{"question": q} for q in questions])
                lmp.Assert(found[-1].answer == "told", "Be told.")
                return [one.answer for one in found]

            def max_calls(self):
                return 12

        def answer(request):
            text = request.messages[-1]["content"]
            return {"answer": "told"} if "Be told." in text else upper(request)

        lm = lmp.ScriptedLM(answer)
        with lmp.context(lm=lm):
            done = run_program(Batch(), {"questions": list("abcd")})
        assert done.prediction.output == ["A", "B", "C", "told"]
        assert lm.calls == 5

    def test_wrong_pairs(self):
        for wrong in ([1], [(QA(),)], [(QA(), "text")], [("qa", {})]):
            with pytest.raises(UsageError):
                lmp.Parallel()(wrong)
        with pytest.raises(UsageError):
            lmp.Parallel(num_threads=0)

    def test_nothing_to_do(self):
        assert lmp.Parallel()([]) == []
