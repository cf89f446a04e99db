"""What holds for every teleprompter. A strategy's tests subclass ``TeleprompterConformance``::

    class TestMine(TeleprompterConformance):
        def make(self) -> TeleprompterBase:
            return Mine(metric=exact)

The world is ``tests.teleprompt.world``: an LM that answers as a pure function of the request, right more
often with more demos, now and then with garbage, after a latency that looks random.
"""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from pytest_lmprog.errors import CompileError, MetricError, ReplayMissError, UsageError
from pytest_lmprog.programs import Module, Predict, context
from pytest_lmprog.programs.ensemble import EnsembledProgram
from pytest_lmprog.teleprompt import (
    CompileResult,
    CompileRuntime,
    ProgressEvent,
    Teleprompter,
    TeleprompterBase,
)
from tests.teleprompt.world import (
    QA,
    Asked,
    Looping,
    Pair,
    WorldLM,
    jitter,
    labeled_of,
    moody,
    portion,
    result_of,
    rows,
    shown,
    task,
    truth,
    unreachable,
)

TRAIN, VAL = 12, 9


class Noted:
    """A journal that keeps what it is told."""

    def __init__(self) -> None:
        self.head: Any = None
        self.noted: list[Any] = []
        self.entries: list[Any] = []
        self.end: Any = None

    def begin(self, head: Any) -> None:
        self.head = head

    def note(self, entry: Any) -> None:
        self.noted.append(entry)

    def finish(self, entries: Any, end: Any) -> None:
        self.entries, self.end = list(entries), end


def member(program: Module) -> Any:
    """The program as the student is: of an ensemble its first member."""
    return program.programs[0] if isinstance(program, EnsembledProgram) else program


class TeleprompterConformance:
    """Subclass it and define ``make``.

    ``asks`` says whether the strategy calls an LM at all, ``ranks`` whether it scores candidates. Where the
    strategy's own programs ask (for proposals), the world makes texts up: override ``propose`` for others.
    """

    asks = True
    ranks = False

    def make(self) -> TeleprompterBase:
        """Return the strategy, with the metric ``exact`` where it takes one."""
        raise NotImplementedError

    propose: Any = None
    mood: Any = staticmethod(moody)
    """The LM of most tests: right now and then, as its request has it."""

    def world(self, answer: Any, **more: Any) -> WorldLM:
        """Return the LM of the world, which answers the student with ``answer``."""
        return WorldLM(answer, propose=self.propose, **more)

    def run(
        self, lm: Any, *, concurrency: int = 8, runtime: dict[str, Any] | None = None, **more: Any
    ) -> CompileResult:
        trainset = more.pop("trainset", None) or rows(TRAIN)
        with context(lm=lm):
            return self.make().compile_result(
                task(trainset, **more), CompileRuntime(concurrency=concurrency, **(runtime or {}))
            )

    @pytest.mark.parametrize(
        ("student", "valset", "seed"),
        [
            (QA, None, 0),
            (QA, rows(VAL, start=100), 7),
            (Looping, None, 7),
            (Looping, rows(VAL, start=100), 0),
        ],
        ids=["one", "one-valset", "loop", "loop-valset"],
    )
    def test_the_result_is_the_same_at_any_concurrency(self, student, valset, seed):
        outcomes = []
        for concurrency in (1, 8, 64):
            lm = self.world(self.mood, latency=jitter)
            result = self.run(
                lm, concurrency=concurrency, student=student(), valset=valset, runtime={"seed": seed}
            )
            outcomes.append(result_of(result))
        assert outcomes[0] == outcomes[1] == outcomes[2]

    def test_running_it_again_asks_nothing_new(self):
        lm = self.world(self.mood, latency=jitter)
        first = result_of(self.run(lm, concurrency=64))
        asked = {a.key for a in lm.live}
        again = result_of(self.run(lm, concurrency=1))
        assert first == again
        # Which losers are dropped depends on timing, so a second run may ask for a dropped one's runs;
        # nothing is ever asked twice.
        keys = [a.key for a in lm.live]
        assert len(keys) == len(set(keys))
        assert asked <= set(keys)

    def test_it_resumes_from_any_answers_that_were_stored(self):
        whole = self.world(self.mood, latency=jitter)
        expected = result_of(self.run(whole))
        for share in (0.3, 0.8):
            lm = self.world(self.mood, latency=jitter)
            lm.memory.update({k: v for k, v in whole.memory.items() if portion("kept", k) < share})
            kept = len(lm.memory)
            assert result_of(self.run(lm, concurrency=3)) == expected
            assert self.ranks or len(lm.live) == len(whole.live) - kept

    def test_frozen_predictors_are_left_alone(self):
        student = labeled_of(Pair(), 2)
        student.freeze("second")
        result = self.run(self.world(self.mood), student=student)
        for candidate in result.candidates:
            second = member(candidate.program).second
            assert second.is_frozen
            assert second.demos == student.second.demos
            assert second.signature is student.second.signature

    def test_the_student_is_untouched(self):
        student = labeled_of(QA(), 2)
        predictor, before = student.answer, (shown(student), student.answer.signature, student.answer.lm)
        result = self.run(self.world(self.mood), student=student)
        assert student.answer is predictor
        assert (shown(student), student.answer.signature, student.answer.lm) == before
        assert result.program is not student
        assert member(result.program).answer is not predictor
        assert all(member(c.program) is not student for c in result.candidates)

    def test_predictors_keep_their_names(self):
        result = self.run(self.world(self.mood), student=Looping())
        program = member(result.program)
        assert [name for name, _ in program.named_predictors()] == ["steps[0]"]
        assert type(program) is Looping

    def test_demos_hold_nothing_but_fields_of_their_predictor(self):
        noisy = [e.copy(note="secret").with_inputs("question") for e in rows(TRAIN)]
        result = self.run(self.world(self.mood), trainset=noisy)
        for candidate in result.candidates:
            for demo in shown(member(candidate.program))["answer"]:
                assert set(demo) <= {"question", "answer"}

    def test_the_winner_is_among_the_candidates(self):
        result = self.run(self.world(self.mood))
        winner = result.candidates[result.winner]
        assert winner.program is result.program
        assert winner.score == result.score
        assert (result.score is not None) is self.ranks
        assert [c.index for c in result.candidates] == sorted({c.index for c in result.candidates})

    @pytest.mark.parametrize("valset", [None, rows(TRAIN)])
    def test_an_examples_own_answer_is_never_among_its_demos(self, valset):
        lm = self.world(self.mood)
        self.run(lm, valset=valset)
        for one in lm.live:
            assert one.is_proposal or one.inputs["question"] not in one.shown

    @pytest.mark.parametrize("student", [QA, Looping])
    def test_the_bound_holds(self, student):
        strategy = self.make()
        lm = self.world(lambda one: {"answer": "wrong"})
        self.run(lm, student=student())
        bound = strategy.bound(task(rows(TRAIN), student=student()))
        assert lm.taken <= bound.calls
        assert bound.calls >= bound.runs
        assert (bound.calls > 0) is self.asks

    def test_a_run_that_asks_more_than_it_declared_is_stopped(self):
        class Liar(Looping):
            def max_calls(self) -> int:
                return 2

        if self.asks:
            from pytest_lmprog.errors import CallLimitError

            with pytest.raises(CallLimitError, match="more than 2 calls to the LM"):
                self.run(self.world(lambda one: {"answer": "wrong"}), student=Liar())

    @pytest.mark.parametrize("budget", [0, 1, 2, 5, 11, 23])
    @pytest.mark.parametrize("concurrency", [1, 8])
    def test_the_budget_is_never_exceeded(self, budget, concurrency):
        lm = self.world(self.mood, budget=budget, latency=jitter)
        result = self.run(lm, concurrency=concurrency)
        assert len(lm.live) <= budget
        assert [name for name, _ in member(result.program).named_predictors()] == ["answer"]
        winner = result.candidates[result.winner]
        assert winner.program is result.program
        if self.asks and budget == 0:
            assert result.stopped == "budget"
        if not self.asks:
            assert result.stopped == "done"

    def test_errors_are_never_scored_as_successes(self):
        def broken(one: Asked) -> Any:
            question = one.inputs["question"]
            return "no JSON" if portion(question) < 0.4 else {"answer": truth(question)}

        result = self.run(self.world(broken))
        bad = {f"q{i}" for i in range(TRAIN) if portion(f"q{i}") < 0.4}
        assert bad  # else this tests nothing
        if self.ranks:
            assert result.score == (TRAIN - len(bad)) / TRAIN

    def test_a_transport_failure_stops_it_resumably(self):
        if not self.asks:
            return
        down = {"now": False}

        def flaky(one: Asked) -> Any:
            if down["now"] and portion("down", one.inputs["question"]) < 0.5:
                return unreachable(one)
            return self.mood(one)

        whole = result_of(self.run(self.world(self.mood, latency=jitter)))
        lm = self.world(flaky, latency=jitter)
        down["now"] = True
        with pytest.raises(CompileError, match="nobody answers") as stopped:
            self.run(lm)
        assert "LMConnectionError" in str(stopped.value)
        assert "again to resume" in str(stopped.value)
        answered = set(lm.memory)
        down["now"] = False
        assert result_of(self.run(lm)) == whole
        assert answered <= set(lm.memory)

    def test_a_metric_that_raises_stops_it_and_is_named(self):
        def broken(example: Any, prediction: Any, trace: Any = None) -> bool:
            raise KeyError("verdict")

        strategy = self.make()
        if not self.asks or not hasattr(strategy, "metric"):
            return
        with context(lm=self.world(lambda one: {"answer": "x"})), pytest.raises(CompileError) as stopped:
            strategy.with_settings(metric=broken).compile_result(task(rows(3)), CompileRuntime())
        assert "metric broken raised KeyError" in str(stopped.value)
        assert rows(3)[0].id in str(stopped.value)
        assert isinstance(stopped.value.__cause__, MetricError)

    def test_a_replay_miss_is_raised_as_it_is(self):
        def miss(one: Asked) -> Any:
            return ReplayMissError("no recorded answer")

        if self.asks:
            with pytest.raises(ReplayMissError):
                self.run(self.world(miss))

    def test_an_executor_of_the_callers_is_used_and_left_open(self):
        with ThreadPoolExecutor(4) as executor:
            result = self.run(self.world(self.mood), concurrency=4, runtime={"executor": executor})
            assert executor.submit(int, "1").result() == 1
        assert result_of(result) == result_of(self.run(self.world(self.mood)))

    def test_progress_comes_from_the_calling_thread_and_never_runs_over(self):
        events: list[ProgressEvent] = []
        threads: set[int] = set()

        def progress(event: ProgressEvent) -> None:
            events.append(event)
            threads.add(threading.get_ident())

        self.run(self.world(self.mood, latency=jitter), runtime={"progress": progress})
        assert bool(events) is self.asks
        assert threads <= {threading.get_ident()}
        assert all(e.done <= e.total for e in events)
        assert [e.done for e in events] == list(range(1, len(events) + 1))
        totals = [e.total for e in events]
        assert totals == sorted(totals, reverse=True)
        bests = [e.best for e in events if e.best is not None]
        assert bests == sorted(bests)
        assert bool(bests) is self.ranks

    def test_the_journal_has_one_plain_entry_a_candidate_in_order(self):
        journal = Noted()
        result = self.run(self.world(self.mood), runtime={"journal": journal})
        assert [e["index"] for e in journal.entries] == [c.index for c in result.candidates]
        assert [e["winner"] for e in journal.entries].count(True) == 1
        assert journal.end["winner"] == result.candidates[result.winner].index
        plain = [journal.head, *journal.noted, *journal.entries, journal.end]
        assert json.loads(json.dumps(plain)) == plain

    def test_candidates_are_noted_as_they_become_known(self):
        journal = Noted()
        self.run(self.world(self.mood, latency=jitter), runtime={"journal": journal})
        final = {entry["index"]: entry for entry in journal.entries}
        noted = {entry["index"]: entry for entry in journal.noted}
        assert len(noted) == len(journal.noted), "each once"
        assert noted.keys() <= final.keys()
        for index, entry in noted.items():
            assert final[index] == {**entry, "winner": final[index]["winner"]}
        assert {index for index, entry in final.items() if entry["score"] is not None} <= noted.keys()

    def test_settings_are_plain_data(self):
        strategy = self.make()
        assert isinstance(strategy, Teleprompter)
        assert json.loads(json.dumps(strategy.settings())) == strategy.settings()
        assert strategy.settings()["class"] == type(strategy).__name__
        assert strategy.describe().startswith(type(strategy).__name__ + "(")

    def test_compile_is_dspys(self):
        with context(lm=self.world(self.mood)), _quiet():
            program = self.make().compile(
                QA(), trainset=rows(TRAIN), teacher=None, valset=rows(VAL, start=100)
            )
        assert isinstance(member(program), QA)

    def test_it_needs_examples_and_predictors(self):
        class Empty(Module):
            def forward(self, question: str) -> Any:
                return Predict("question -> answer")(question=question)

        with pytest.raises(UsageError, match="trainset is empty"):
            self.make().compile_result(task([]), CompileRuntime(lm=self.world(self.mood)))
        with pytest.raises(UsageError, match="Empty has no predictors"):
            self.make().compile_result(
                task(rows(2), student=Empty()), CompileRuntime(lm=self.world(self.mood))
            )

    def test_one_example_is_enough(self):
        result = self.run(self.world(self.mood), trainset=rows(1))
        assert len(shown(member(result.program))["answer"]) <= 1


def _quiet() -> Any:
    import warnings

    return warnings.catch_warnings(action="ignore")
