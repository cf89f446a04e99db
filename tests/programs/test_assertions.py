"""Assert and Suggest: the four behaviours of the paper, what the LM sees, and what it costs."""

from __future__ import annotations

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

import pytest_lmprog as lmp
from pytest_lmprog.errors import AnswerError, ConfigurationError, UsageError
from pytest_lmprog.lm.scope import CallScope, use_scope
from pytest_lmprog.lm.tally import CallLimit, Tally
from pytest_lmprog.programs import run_program
from pytest_lmprog.programs.retry import retry_signature

SHORT = "Query should be short and less than 10 characters"


class Search(lmp.Module):
    def __init__(self, check=lmp.Assert):
        self.generate_query = lmp.Predict("question -> query")
        self.check = check

    def forward(self, question):
        query = self.generate_query(question=question).query
        self.check(len(query) < 10, SHORT)
        return lmp.Prediction(query=query)


class Suggesting(Search):
    def __init__(self):
        super().__init__(lmp.Suggest)


class AwaitingSearch(Search):
    async def forward(self, question):
        query = (await self.generate_query.acall(question=question)).query
        self.check(len(query) < 10, SHORT)
        return lmp.Prediction(query=query)


LONG = "a query that is far too long"


def said(lm):
    """The last message of each request that reached the LM."""
    return [request.messages[-1]["content"] for request in lm.requests]


def run(program, *answers, script=None, **more):
    """One run, under the maximum of calls that the program declares."""
    lm = lmp.ScriptedLM(script or [{"query": a} if isinstance(a, str) else a for a in answers])
    tally = Tally()
    with lmp.context(lm=lm, **more):
        scope = CallScope(tally=tally, limit=CallLimit(program.max_calls()))
        with use_scope(scope):
            done = run_program(program, {"question": "Who?"})
    return done, lm, tally.count()


RETRY = f"question: Who?\npast_query: {LONG}\ninstructions: {SHORT}"

both = pytest.mark.parametrize("kind", [Search, AwaitingSearch])


class TestTheFourBehaviours:
    @both
    @pytest.mark.parametrize("check", [lmp.Assert, lmp.Suggest])
    def test_pass(self, kind, check):
        done, lm, count = run(kind(check), "short")
        assert done.prediction.query == "short"
        assert said(lm) == ["question: Who?"]
        assert (done.trace.unmet, count.unmet) == ([], 0)

    @both
    @pytest.mark.parametrize("check", [lmp.Assert, lmp.Suggest])
    def test_retry_then_pass(self, kind, check):
        done, lm, count = run(kind(check), LONG, "short")
        assert done.prediction.query == "short"
        assert said(lm) == ["question: Who?", RETRY]
        assert [(c.name, c.rejected) for c in done.trace] == [
            ("generate_query", SHORT),
            ("generate_query", None),
        ]
        assert dict(done.trace[1].inputs) == {
            "question": "Who?",
            "past_query": LONG,
            "instructions": SHORT,
        }
        assert (done.trace.unmet, count.unmet) == ([], 0)

    @both
    def test_suggest_exhausted(self, kind):
        done, lm, count = run(kind(lmp.Suggest), LONG, "also too long", "too long again")
        assert done.prediction.query == "too long again"
        assert said(lm) == ["question: Who?", RETRY, RETRY.replace(LONG, "also too long")]
        assert [(u.message, u.predictor) for u in done.trace.unmet] == [(SHORT, "generate_query")]
        assert count.unmet == 1

    @both
    def test_assert_exhausted(self, kind):
        done, lm, _ = run(kind(lmp.Assert), LONG, "also too long", "too long again")
        assert done.prediction is None
        assert said(lm) == ["question: Who?", RETRY, RETRY.replace(LONG, "also too long")]
        error = done.error
        assert isinstance(error, lmp.AssertionFailed)
        assert isinstance(error, AnswerError)
        assert isinstance(error, AssertionError)
        assert str(error) == f"an assertion does not hold after 2 retries of 'generate_query': {SHORT}"
        assert (error.assertion, error.predictor, error.retries) == (SHORT, "generate_query", 2)
        assert [c.rejected for c in done.trace] == [SHORT, SHORT, None]

    def test_the_whole_retry_prompt(self):
        _, lm, _ = run(Search(), LONG, "short")
        assert list(lm.requests[1].messages) == [
            {
                "role": "system",
                "content": "Given the fields `question`, produce the fields `query`.\n\n"
                "You are given:\n"
                "- `question`\n"
                '- `past_query` ("Past Query:"): past output with errors\n'
                '- `instructions` ("Instructions:"): some instructions you must satisfy\n\n'
                "Answer with one JSON object that has these keys, in this order:\n"
                "- `query`",
            },
            {"role": "user", "content": RETRY},
        ]

    def test_in_chat_form(self):
        answers = [f"[[ ## query ## ]]\n{q}\n\n[[ ## completed ## ]]" for q in (LONG, "short")]
        lm = lmp.ScriptedLM(answers, json_schema=False)
        with lmp.context(lm=lm):
            assert Search()("Who?").query == "short"
        asked = f"[[ ## past_query ## ]]\n{LONG}\n\n[[ ## instructions ## ]]\n{SHORT}\n\n"
        assert said(lm)[1].startswith(f"[[ ## question ## ]]\nWho?\n\n{asked}")


class TestHowOften:
    def test_by_default_twice_by_setting_as_set(self):
        assert run(Search(), LONG, LONG, LONG, "short")[1].calls == 3
        done, lm, _ = run(Search(), LONG, LONG, LONG, "short", max_backtracks=3)
        assert (done.prediction.query, lm.calls) == ("short", 4)

    def test_a_program_may_say_it_itself(self):
        program = Search()
        assert program.activate_assertions(max_backtracks=1) is program
        done, lm, _ = run(program.copy(), LONG, LONG, "short")
        assert (done.error.retries, lm.calls) == (1, 2)
        done, lm, _ = run(Suggesting().activate_assertions(max_backtracks=0), LONG)
        assert (done.prediction.query, lm.calls, len(done.trace.unmet)) == (LONG, 1, 1)

    def test_parts_follow_what_is_around_them(self):
        class Outer(lmp.Module):
            max_backtracks = 3

            def __init__(self):
                self.search = Search()

            def forward(self, question):
                return self.search(question=question)

        assert run(Outer(), LONG, LONG, LONG, "short")[0].prediction.query == "short"

    @pytest.mark.parametrize("wrong", [-1, 1.5, True, "2"])
    def test_a_wrong_number_is_refused(self, wrong):
        with pytest.raises(ConfigurationError, match="max_backtracks must be 0 or more"):
            Search().activate_assertions(max_backtracks=wrong)
        with (
            pytest.raises(ConfigurationError, match="max_backtracks must be 0 or more"),
            lmp.context(max_backtracks=wrong),
        ):
            pass

    def test_each_call_has_retries_of_its_own(self):
        class Two(lmp.Module):
            def __init__(self):
                self.first = lmp.Predict("question -> query")
                self.second = lmp.Predict("question, query -> query2")

            def forward(self, question):
                query = self.first(question=question).query
                lmp.Assert(len(query) < 10, SHORT)
                query2 = self.second(question=question, query=query).query2
                lmp.Assert(len(query2) < 10, SHORT)
                return query2

        answers = [LONG, LONG, "short", {"query2": LONG}, {"query2": LONG}, {"query2": "fine"}]
        program = Two()
        assert program.max_calls() == 6
        done, lm, _ = run(program, *answers)
        assert done.prediction.output == "fine"
        assert [c.name for c in done.trace] == ["first"] * 3 + ["second"] * 3
        assert lm.calls == 6


class TestMessages:
    def test_of_several_checks_all_are_shown_once(self):
        class Both(lmp.Module):
            def __init__(self):
                self.ask = lmp.Predict("question -> query")

            def forward(self, question):
                query = self.ask(question=question).query
                lmp.Suggest(len(query) < 10, "Be short.")
                lmp.Suggest(query.islower(), "Be lower case.")
                return query

        done, lm, _ = run(Both(), LONG, "SHORT", "fine")
        assert said(lm)[1:] == [
            f"question: Who?\npast_query: {LONG}\ninstructions: Be short.",
            "question: Who?\npast_query: SHORT\ninstructions: Be short.\nBe lower case.",
        ]
        assert done.prediction.output == "fine"
        _, lm, count = run(Both(), LONG, LONG, LONG)
        assert said(lm)[2].endswith("instructions: Be short.")
        assert count.unmet == 1

    def test_all_outputs_are_shown_with_their_types(self):
        class Typed(lmp.Module):
            def __init__(self):
                self.ask = lmp.ChainOfThought("question -> hops: list[str], score: int")

            def forward(self, question):
                found = self.ask(question=question)
                lmp.Assert(found.score > 5, "Raise the score.")
                return found.score

        answers = [{"reasoning": "So.", "hops": ["a", "b"], "score": n} for n in (1, 9)]
        _, lm, _ = run(Typed(), *answers)
        assert said(lm)[1] == (
            "question: Who?\npast_reasoning: So.\npast_hops:\n[1] «a»\n[2] «b»\npast_score: 1\n"
            "instructions: Raise the score."
        )

    def test_names_that_are_taken_are_avoided(self):
        signature = retry_signature(lmp.Signature("past_answer, instructions -> answer"))
        assert list(signature.input_fields) == [
            "past_answer",
            "instructions",
            "past_answer_",
            "instructions_",
        ]
        assert signature.instructions == lmp.Signature("past_answer, instructions -> answer").instructions

    def test_a_prefix_is_the_label(self):
        class Labeled(lmp.Signature):
            question: str = lmp.InputField()
            answer: str = lmp.OutputField(prefix="Final Answer:")

        assert retry_signature(Labeled).fields["past_answer"].prefix == "Past Final Answer:"


class TestTarget:
    class Chain(lmp.Module):
        def __init__(self, target):
            self.first = lmp.Predict("question -> query")
            self.second = lmp.ChainOfThought("question, query -> answer")
            self.target = target

        def forward(self, question):
            query = self.first(question=question).query
            answer = self.second(question=question, query=query).answer
            lmp.Assert(answer == "right", "Be right.", target_module=self.target(self))
            return answer

    def names(self, target, *answers):
        done, lm, _ = run(self.Chain(target), *answers)
        assert done.prediction.output == "right"
        return [call.name for call in done.trace], lm

    wrong, right = ({"reasoning": "r", "answer": a} for a in ("wrong", "right"))

    def test_by_default_the_last(self):
        names, _ = self.names(lambda _: None, "q", self.wrong, self.right)
        assert names == ["first", "second", "second"]

    @pytest.mark.parametrize("target", [lambda p: p.first, lambda p: p.first.signature])
    def test_an_earlier_one_and_what_depends_on_it(self, target):
        names, lm = self.names(target, "q", self.wrong, "q2", self.right)
        assert names == ["first", "second", "first", "second"]
        assert said(lm)[2] == "question: Who?\npast_query: q\ninstructions: Be right."
        assert said(lm)[3] == "question: Who?\nquery: q2"

    def test_what_depends_on_it_only_where_its_output_changes(self):
        done, lm, _ = run(self.Chain(lambda p: p.first), "q", self.wrong, "q", "q")
        assert isinstance(done.error, lmp.AssertionFailed)
        assert [c.name for c in done.trace] == ["first", "second", "first", "first"]
        assert lm.calls == 4

    def test_a_module_stands_for_its_predictors(self):
        class Outer(lmp.Module):
            def __init__(self):
                self.search = Suggesting()
                self.answer = lmp.Predict("query -> answer")

            def forward(self, question):
                query = self.search(question).query
                answer = self.answer(query=query).answer
                lmp.Assert(answer == "right", "Search better.", self.search)
                return answer

        done, lm, _ = run(Outer(), "q1", {"answer": "wrong"}, "q2", {"answer": "right"})
        assert done.prediction.output == "right"
        assert said(lm)[2] == "question: Who?\npast_query: q1\ninstructions: Search better."
        assert [c.name for c in done.trace] == ["search.generate_query", "answer"] * 2

    def test_anything_else_is_refused(self):
        with pytest.raises(UsageError, match="target_module must be a predictor"):
            lmp.Assert(False, "no", target_module="first")


class TestWithoutAPredictor:
    def test_there_is_nothing_to_retry(self):
        with pytest.raises(lmp.AssertionFailed, match=r"^an assertion does not hold: no$"):
            lmp.Assert(1 > 2, "no")
        assert lmp.Suggest(1 > 2, "no") is False
        assert lmp.Suggest(2 > 1, "no") is True
        assert lmp.Assert("yes", "no") is True

    def test_it_is_counted_all_the_same(self):
        class Bare(lmp.Module):
            def forward(self, question):
                lmp.Suggest(False, "no")
                return question

        done, _, count = run(Bare())
        assert [(u.message, u.predictor) for u in done.trace.unmet] == [("no", None)]
        assert count.unmet == 1

    def test_what_always_holds_is_refused(self):
        with pytest.raises(UsageError, match="is a function, which always holds"):
            lmp.Assert(lambda: False, "no")
        with pytest.raises(UsageError, match="must be a text"):
            lmp.Assert(True, None)


class TestPasses:
    def test_requests_that_were_answered_are_not_put_again(self):
        class Repeats(lmp.Module):
            def __init__(self):
                self.ask = lmp.Predict("question -> query")
                self.runs = 0

            def max_calls(self):
                return 4

            def forward(self, question):
                self.runs += 1
                queries = [self.ask(question=question).query for _ in range(3)]
                lmp.Assert(len(queries[-1]) < 10, SHORT)
                return queries

        program = Repeats()
        done, lm, _ = run(program, "one", "two", LONG, "short")
        assert done.prediction.output == ["one", "two", "short"]
        assert (program.runs, lm.calls, len(done.trace)) == (2, 4, 4)

    def test_an_unparsable_answer_fails_as_before(self):
        done, lm, _ = run(Search(), LONG, lmp.ScriptedLM and {"nothing": "here"})
        assert type(done.error).__name__ == "ParseError"
        assert lm.calls == 2

    def test_except_exception_does_not_catch_it(self):
        class Careful(Search):
            def forward(self, question):
                try:
                    return super().forward(question)
                except Exception:  # noqa: BLE001 - as users do
                    return "caught"

        assert run(Careful(), LONG, "short")[0].prediction.query == "short"
        assert run(Careful(), LONG, LONG, LONG)[0].prediction.output == "caught"

    def test_a_forward_that_differs_each_time_ends(self):
        class Moody(lmp.Module):
            def __init__(self):
                self.ask = lmp.Predict("question -> query")
                self.count = 0

            def max_calls(self):
                return 9

            def forward(self, question):
                self.count += 1
                query = self.ask(question=f"{question} {self.count}").query
                lmp.Assert(False, "never")
                return query

        done, lm, _ = run(Moody(), *["a"] * 9)
        assert isinstance(done.error, lmp.AssertionFailed)
        assert lm.calls <= 3

    def test_samples_are_shown_by_the_first(self):
        class Sampling(Search):
            def __init__(self):
                super().__init__()
                self.generate_query = lmp.Predict("question -> query", n=2)

        program = Sampling()
        assert program.max_calls() == 6
        done, lm, _ = run(program, LONG, "other", "short", "x")
        assert done.prediction.query == "short"
        assert said(lm)[2:] == [RETRY, RETRY]
        assert [r.rollout for r in lm.requests] == [0, 1, 0, 1]
        assert [c.rejected for c in done.trace] == [SHORT, SHORT, None, None]


class TestMaxCalls:
    def test_a_program_made_by_exec_has_no_module_to_look_into(self):
        names = {"lmp": lmp}
        exec(
            "class Made(lmp.Module):\n    def forward(self, question):\n        return question\n",
            {**names, "__name__": None},
            names,
        )
        assert names["Made"].forward.__module__ is None
        assert names["Made"]().max_calls() == 0

    def test_a_helper_that_checks_counts(self):
        def checked(query):
            lmp.Suggest(len(query) < 10, SHORT)

        class Helped(lmp.Module):
            def __init__(self):
                self.ask = lmp.Predict("question -> query")

            def forward(self, question):
                query = self.ask(question=question).query
                checked(query)
                return self._more(query)

            def _more(self, query):
                return query

        class Plain(Helped):
            def forward(self, question):
                return self._more(self.ask(question=question).query)

        class Method(Plain):
            def _more(self, query):
                lmp.Assert(query, "not empty")
                return query

        assert (Helped().max_calls(), Plain().max_calls(), Method().max_calls()) == (3, 1, 3)
        assert Helped().activate_assertions(max_backtracks=4).max_calls() == 5
        assert Helped().activate_assertions(max_backtracks=0).max_calls() == 1
        with lmp.context(max_backtracks=1):
            assert Helped().max_calls() == 2

    def test_parts_multiply(self):
        class Inner(lmp.Module):
            def __init__(self):
                self.ask = lmp.Predict("question -> query")

            def forward(self, question):
                query = self.ask(question=question).query
                lmp.Assert(len(query) < 10, SHORT)
                return query

        class Outer(lmp.Module):
            def __init__(self):
                self.inner = Inner()
                self.answer = lmp.Predict("query -> answer")

            def forward(self, question):
                query = self.inner(question)
                answer = self.answer(query=query).answer
                lmp.Assert(answer == "right", "Be right.", self.inner)
                return answer

        program = Outer()
        assert program.max_calls() == (3 + 1) * 3
        count = iter(range(1000))

        def never_right(request):
            (name,) = request.response_format["json_schema"]["schema"]["properties"]
            retried = "instructions" in request.messages[-1]["content"]
            long = name == "query" and not retried
            return {name: LONG if long else f"v{next(count)}"}

        done, lm, _ = run(program, script=never_right)
        assert isinstance(done.error, lmp.AssertionFailed)
        assert 4 < lm.calls <= 12

    def test_a_target_far_back_stays_within_it(self):
        class Deep(lmp.Module):
            def __init__(self):
                self.steps = [lmp.Predict(f"question, s{i} -> s{i + 1}") for i in range(4)]

            def forward(self, question):
                value = "x"
                for i, step in enumerate(self.steps):
                    value = step(**{"question": question, f"s{i}": value})[f"s{i + 1}"]
                    lmp.Suggest(len(value) > 99, f"step {i}", self.steps[0])
                    lmp.Suggest(len(value) > 99, f"again {i}")
                return value

        count = iter(range(1000))

        def answer(request):
            (name,) = request.response_format["json_schema"]["schema"]["properties"]
            return {name: f"v{next(count)}"}

        program = Deep()
        done, lm, _ = run(program, script=answer)
        assert done.error is None
        assert 4 < lm.calls <= program.max_calls() == 12
        assert len(done.trace.unmet) == 8


class TestConcurrency:
    def test_32_threads_run_32_retries_at_once(self):
        barrier = threading.Barrier(32, timeout=30)

        def answer(request):
            retried = "instructions" in request.messages[-1]["content"]
            if retried:
                barrier.wait()  # passes only when all 32 retries are in flight
            return {"query": "short" if retried else LONG}

        program = Search()
        lm = lmp.ScriptedLM(answer, max_concurrency=64)

        def one(number):
            with lmp.context(lm=lm):
                return program(f"Who is {number}?").query

        with ThreadPoolExecutor(32) as pool:
            assert list(pool.map(one, range(32))) == ["short"] * 32
        assert lm.calls == 64
        for number in range(32):
            mine = [text for text in said(lm) if f"Who is {number}?" in text]
            assert mine[1] == RETRY.replace("Who?", f"Who is {number}?")

    def test_32_tasks_too(self):
        def answer(request):
            time.sleep(0.01)
            return {"query": "short" if "instructions" in request.messages[-1]["content"] else LONG}

        program = AwaitingSearch()

        async def main():
            return await asyncio.gather(*(program.acall(f"Who is {n}?") for n in range(32)))

        lm = lmp.ScriptedLM(answer, max_concurrency=64)
        with lmp.context(lm=lm):
            assert [p.query for p in asyncio.run(main())] == ["short"] * 32
        assert lm.calls == 64

    def test_parts_that_run_side_by_side_in_one_run(self):
        class Fan(lmp.Module):
            def __init__(self):
                self.search = AwaitingSearch()

            async def forward(self, question):
                asked = [self.search.acall(f"{question} {n}") for n in range(4)]
                return [found.query for found in await asyncio.gather(*asked)]

        def answer(request):
            text = request.messages[-1]["content"]
            return {"query": "short" + text.split("?")[1][1:2] if "instructions" in text else LONG}

        lm = lmp.ScriptedLM(answer)
        with lmp.context(lm=lm):
            done = run_program(Fan(), {"question": "Who?"})
        assert done.prediction.output == ["short0", "short1", "short2", "short3"]
        assert len(done.trace) == lm.calls == 8
