from __future__ import annotations

import asyncio
import threading
import time
from contextvars import ContextVar

import pytest

from pytest_lmprog.errors import BudgetExceededError, LMRateLimitError, MissingExtraError, RecordingError
from pytest_lmprog.lm.budget import Budget
from pytest_lmprog.lm.flight import Flights, raised_again
from pytest_lmprog.lm.scope import CallScope, use_scope
from pytest_lmprog.lm.scripted import ScriptedLM
from pytest_lmprog.lm.types import LMResponse
from pytest_lmprog.lm.workers import Workers
from tests.lm.conformance import user


def test_the_first_leads_and_the_next_after_landing_leads_again():
    flights = Flights()
    flight, leads = flights.join("a", None)
    assert leads
    assert flights.join("a", None) == (flight, False)
    assert flights.join("b", None)[1]
    flights.land("a", flight, LMResponse("x"), None)
    flight.wait()
    assert flight.response.text == "x"
    assert flights.join("a", None)[1]


@pytest.mark.parametrize(
    "error",
    [
        LMRateLimitError("slow", retry_after=3, hint="wait"),
        MissingExtraError("it", "local"),
        RecordingError("damaged", path="a.jsonl", line=3),
    ],
)
def test_an_error_is_copied_with_all_it_knows(error: Exception):
    copy = raised_again(error)
    assert copy is not error
    assert type(copy) is type(error)
    assert (str(copy), copy.__dict__) == (str(error), error.__dict__)
    assert raised_again(foreign := KeyError("x")) is foreign


def test_an_interrupted_leader_leaves_the_request_to_the_next():
    started, go = threading.Event(), threading.Event()
    answers = iter([KeyboardInterrupt, "fine"])

    def answer(_: object) -> object:
        said = next(answers)
        started.set()
        go.wait(60)
        return said

    lm = ScriptedLM(answer)
    raised: list[BaseException] = []

    def lead() -> None:
        try:
            lm("a")
        except KeyboardInterrupt as error:
            raised.append(error)

    leader = threading.Thread(target=lead)
    leader.start()
    started.wait(60)
    follower = threading.Thread(target=lambda: raised.append(lm("a")))
    follower.start()
    time.sleep(0.05)
    go.set()
    leader.join(60)
    follower.join(60)
    assert sorted(map(repr, raised)) == ["KeyboardInterrupt('scripted')", "['fine']"]


def test_a_leader_without_budget_does_not_stop_those_who_have_one():
    entered, go = threading.Event(), threading.Event()

    class Waiting(Budget):
        def reserve(self, request: object) -> object:
            entered.set()
            go.wait(60)
            raise BudgetExceededError("spent")

    lm = ScriptedLM(lambda _: "fine")
    outcome: list[object] = []

    def lead() -> None:
        with use_scope(CallScope(budget=Waiting(calls=1))), pytest.raises(BudgetExceededError):
            lm("a")

    leader = threading.Thread(target=lead)
    leader.start()
    entered.wait(60)
    follower = threading.Thread(target=lambda: outcome.append(lm.complete(lm.request(user("a"))).text))
    follower.start()
    time.sleep(0.05)
    go.set()
    leader.join(60)
    follower.join(60)
    assert outcome == ["fine"]


def test_workers_carry_context_results_and_errors():
    var: ContextVar[str] = ContextVar("var", default="")
    workers = Workers(maximum=2, idle=0.05)

    async def main() -> None:
        var.set("mine")
        assert await workers.run(var.get) == "mine"
        with pytest.raises(ZeroDivisionError):
            await workers.run(lambda: 1 // 0)

    asyncio.run(main())


def test_workers_run_side_by_side_up_to_their_number_and_go_away():
    workers = Workers(maximum=3, idle=0.05)
    running, most, lock = [0], [0], threading.Lock()

    def work() -> None:
        with lock:
            running[0] += 1
            most[0] = max(most[0], running[0])
        time.sleep(0.02)
        with lock:
            running[0] -= 1

    async def main() -> None:
        await asyncio.gather(*(workers.run(work) for _ in range(9)))

    asyncio.run(main())
    assert most[0] == 3
    deadline = time.monotonic() + 60
    while any(t.name == "lmprog-call" for t in threading.enumerate()) and workers._threads:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    asyncio.run(main())


def test_work_that_ends_after_its_loop_is_dropped_quietly():
    workers = Workers(idle=0.05)
    done = threading.Event()

    async def main() -> None:
        task = asyncio.ensure_future(workers.run(lambda: (time.sleep(0.1), done.set())))
        await asyncio.sleep(0.02)
        task.cancel()

    asyncio.run(main())
    assert done.wait(60)
