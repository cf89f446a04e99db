"""The driver: plans, budget, failures, and the order in which work starts."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from contextvars import ContextVar

import pytest

from pytest_lmprog.errors import (
    BudgetExceededError,
    CompileError,
    LMConnectionError,
    LMTimeoutError,
    UsageError,
)
from pytest_lmprog.evaluation.callables import as_metric
from pytest_lmprog.evaluation.scores import Objective
from pytest_lmprog.lm.scope import CallScope, current_scope
from pytest_lmprog.programs import Module, context
from pytest_lmprog.teleprompt.base import CompileRuntime
from pytest_lmprog.teleprompt.engine.desk import Desk, Job
from pytest_lmprog.teleprompt.engine.driver import drive
from tests.teleprompt.world import QA, WorldLM, exact, knowing, rows

EXAMPLES = {e.question: e for e in rows(100)}


class Doing(Module):
    """A program that does something with its question."""

    def __init__(self, do):
        self.do = do

    def forward(self, question):
        return {"answer": self.do(question)}


def job(question, do, phase="test"):
    return Job(Doing(do), EXAMPLES[question], phase, 5, Objective((as_metric(exact),)))


def driven(plan, concurrency=1, **more):
    return drive(plan, CompileRuntime(concurrency=concurrency, **more))


def answers(tickets):
    return [t.value().prediction.answer for t in tickets]


def test_a_plan_is_given_its_tickets_as_they_end():
    def plan(desk):
        slow = desk.submit((0,), job("q0", lambda q: time.sleep(0.05) or "slow"))
        fast = desk.submit((1,), job("q1", lambda q: "fast"))
        first, second = (yield), (yield)
        return [first is fast, second is slow, answers([first, second])]

    assert driven(plan, concurrency=2) == [True, True, ["fast", "slow"]]


def test_low_ranks_start_first_then_in_the_order_handed_in():
    started = []

    def plan(desk):
        for number, rank in enumerate([(2,), (1, 5), (1, 0), (2,), (0,)]):
            desk.submit(rank, job(f"q{number}", started.append))
        for _ in range(5):
            yield

    driven(plan)
    assert started == ["q4", "q2", "q1", "q0", "q3"]


def test_no_more_run_at_once_than_allowed():
    now, most, lock = [0], [0], threading.Lock()

    def do(question):
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
        time.sleep(0.005)
        with lock:
            now[0] -= 1

    def plan(desk):
        for number in range(30):
            desk.submit((0,), job(f"q{number}", do))
        for _ in range(30):
            yield

    driven(plan, concurrency=4)
    assert most[0] == 4


def test_a_job_may_be_made_when_it_starts():
    made = []

    def make(question):
        made.append(question)
        return job(question, lambda q: q)

    def plan(desk):
        for number in range(3):
            desk.submit((0,), lambda q=f"q{number}": make(q))
        first = yield
        assert made == ["q0"]
        yield
        yield
        return first.value().prediction.answer

    assert driven(plan) == "q0"
    assert made == ["q0", "q1", "q2"]


def test_plans_spawn_plans_and_each_gets_its_own_tickets():
    def child(desk, number):
        desk.submit((number,), job(f"q{number}", lambda q: q))
        desk.submit((number,), job(f"q{number + 10}", lambda q: q))
        first, second = (yield), (yield)
        return sorted(answers([first, second]))

    def plan(desk):
        tickets = {desk.spawn(child(desk, number)): number for number in range(5)}
        found = {}
        while len(found) < 5:
            ticket = yield
            found[tickets[ticket]] = ticket.value()
        return found

    for concurrency in (1, 3):
        assert driven(plan, concurrency) == {n: sorted([f"q{n}", f"q{n + 10}"]) for n in range(5)}


def test_plans_run_on_the_calling_thread_and_jobs_do_not():
    seen = {}

    def plan(desk):
        seen["plan"] = threading.get_ident()
        desk.submit((0,), job("q0", lambda q: seen.update(job=threading.get_ident())))
        yield

    driven(plan)
    assert seen["plan"] == threading.get_ident() != seen["job"]


def test_what_is_withdrawn_is_not_started_and_not_told():
    started = []

    def child(desk):
        desk.submit((0,), job("q9", started.append))
        yield

    def plan(desk):
        desk.submit((0,), job("q0", started.append))
        gone = desk.submit((1,), job("q1", started.append))
        branch = desk.spawn(child(desk))
        kept = desk.submit((2,), job("q2", started.append))
        desk.withdraw(gone)
        desk.withdraw(branch)
        yield
        last = yield
        return last is kept

    assert driven(plan) is True
    assert started == ["q0", "q2"]


def test_jobs_see_the_context_of_the_caller_and_their_own_settings():
    colour: ContextVar[str] = ContextVar("colour", default="none")
    lm, other = WorldLM(knowing(0)), WorldLM(knowing(0))

    def plan(desk):
        objective = Objective((as_metric(exact),))
        desk.submit((0,), job("q1", lambda q: colour.get()))
        desk.submit((1,), Job(QA(), EXAMPLES["q0"], "test", 5, objective))
        desk.submit((2,), Job(QA(), EXAMPLES["q0"], "test", 5, objective, settings={"lm": other}))
        first = yield
        yield
        yield
        return first.value().prediction.answer

    colour.set("green")
    with context(lm=lm):
        assert driven(plan) == "green"
    assert (len(lm.live), len(other.live)) == (1, 1)


def test_the_scope_reaches_each_run_with_a_limit_of_its_own():
    scopes = []

    def plan(desk):
        desk.submit((0,), job("q0", lambda q: scopes.append(current_scope())))
        desk.submit((0,), job("q1", lambda q: scopes.append(current_scope())))
        yield
        yield

    driven(plan, scope=CallScope(label="compile"))
    assert [s.label for s in scopes] == ["compile", "compile"]
    assert [s.limit.maximum for s in scopes] == [5, 5]
    assert scopes[0].limit is not scopes[1].limit


class TestFailures:
    def fail(self, error):
        def do(question):
            raise error

        return do

    def test_transport_failures_become_one_error_with_the_first_causes(self):
        def plan(desk):
            for number in range(5):
                desk.submit((0,), job(f"q{number}", self.fail(LMTimeoutError(f"no answer {number}"))))
            while True:
                yield

        with pytest.raises(CompileError) as stopped:
            driven(plan, concurrency=5)
        text = str(stopped.value)
        assert "the LM gave no answer" in text
        assert text.count("LMTimeoutError") == 3
        assert text.index("no answer 0") < text.index("no answer 1") < text.index("no answer 2")
        assert isinstance(stopped.value.__cause__, LMTimeoutError)

    def test_the_hint_of_the_cause_is_kept(self):
        def plan(desk):
            desk.submit((0,), job("q0", self.fail(LMConnectionError("down", hint="start the server"))))
            yield

        with pytest.raises(CompileError, match="start the server"):
            driven(plan)

    def test_nothing_is_started_after_a_failure_but_what_runs_may_end(self):
        started, ended = [], []

        def slow(question):
            started.append(question)
            time.sleep(0.05)
            ended.append(question)

        def plan(desk):
            desk.submit((0,), job("q0", slow))
            desk.submit((0,), job("q1", self.fail(LMTimeoutError("no"))))
            for number in range(2, 9):
                desk.submit((1,), job(f"q{number}", slow))
            while True:
                yield

        with pytest.raises(CompileError):
            driven(plan, concurrency=2)
        assert started == ended == ["q0"]

    def test_the_users_own_errors_are_raised_as_they_are(self):
        def plan(desk):
            desk.submit((0,), job("q0", self.fail(UsageError("mend this"))))
            yield

        with pytest.raises(UsageError, match="mend this"):
            driven(plan)

    def test_an_error_of_a_plan_lets_what_runs_end(self):
        ended = []

        def plan(desk):
            desk.submit((0,), job("q0", lambda q: time.sleep(0.05) or ended.append(q)))
            desk.submit((0,), job("q1", lambda q: q))
            yield
            raise CompileError("enough")

        with pytest.raises(CompileError, match="enough"):
            driven(plan, concurrency=2)
        assert ended == ["q0"]

    def test_a_plan_that_waits_for_nothing_is_a_bug(self):
        def plan(desk):
            yield

        with pytest.raises(RuntimeError, match="nothing that it handed in"):
            driven(plan)

    def test_an_interrupt_is_not_held_up_by_what_runs(self):
        release = threading.Event()

        def progress(event):
            raise KeyboardInterrupt

        def plan(desk):
            desk.submit((0,), job("q0", lambda q: release.wait(60)))
            desk.submit((0,), job("q1", lambda q: q))
            yield
            yield

        start = time.perf_counter()
        with pytest.raises(KeyboardInterrupt):
            driven(plan, concurrency=2, progress=progress)
        assert time.perf_counter() - start < 30
        release.set()


class TestProgress:
    def test_each_run_is_told_of_when_its_plan_knows(self):
        events = []

        def plan(desk):
            desk.expect(3)
            desk.submit((0,), job("q0", lambda q: q))
            yield
            desk.best(0.25, "first")
            desk.expect(-1)
            desk.submit((0,), job("q1", lambda q: q))
            yield
            desk.best(0.5, "second")

        driven(plan, concurrency=1, progress=events.append)
        told = [(e.done, e.total, e.best, e.candidate) for e in events]
        assert told == [(1, 2, 0.25, "first"), (2, 2, 0.5, "second")]


class TestBudget:
    def spend(self, question):
        raise BudgetExceededError("spent")

    def test_each_plan_concludes_with_what_it_has_innermost_first(self):
        concluded = []

        def child(desk, number):
            desk.submit((number,), job(f"q{number}", self.spend if number == 1 else lambda q: q))
            try:
                yield
            except BudgetExceededError:
                concluded.append(number)
                return "part"
            return "whole"

        def plan(desk):
            tickets = {desk.spawn(child(desk, n)): n for n in range(4)}
            found = {}
            while len(found) < 4:
                ticket = yield
                found[tickets[ticket]] = ticket.value()
            return found

        assert driven(plan) == {0: "whole", 1: "part", 2: "part", 3: "part"}
        assert sorted(concluded) == [1, 2, 3]

    def test_what_runs_is_still_told_of(self):
        def plan(desk):
            desk.submit((0,), job("q0", lambda q: time.sleep(0.05) or "late"))
            desk.submit((0,), job("q1", self.spend))
            got = []
            try:
                while True:
                    got.append((yield).value().prediction.answer)
            except BudgetExceededError:
                return got

        assert driven(plan, concurrency=2) == ["late"]

    def test_a_plan_that_cannot_conclude_passes_it_on(self):
        def plan(desk):
            desk.submit((0,), job("q0", self.spend))
            yield

        with pytest.raises(BudgetExceededError):
            driven(plan)

    def test_a_parent_is_told_that_a_child_could_not_conclude(self):
        def child(desk):
            desk.submit((0,), job("q0", self.spend))
            yield

        def plan(desk):
            desk.spawn(child(desk))
            ticket = yield
            with pytest.raises(BudgetExceededError):
                ticket.value()
            return "told"

        assert driven(plan) == "told"

    def test_nothing_starts_once_it_is_spent(self):
        started = []

        def plan(desk: Desk):
            desk.submit((0,), job("q0", self.spend))
            desk.submit((1,), job("q1", started.append))
            try:
                yield
            except BudgetExceededError:
                return "spent"

        assert driven(plan) == "spent"
        assert started == []

    def test_a_plan_that_goes_on_regardless_is_a_bug(self):
        def plan(desk):
            desk.submit((0,), job("q0", self.spend))
            while True:
                with suppress(BudgetExceededError):
                    yield

        with pytest.raises(RuntimeError, match="although the budget is spent"):
            driven(plan)


def test_plans_run_under_the_scope_of_the_runs():
    scope = CallScope(label="compile")

    def plan(desk):
        yield from ()
        return current_scope()

    assert driven(plan, scope=scope) is scope
    assert current_scope() is not scope
