"""The pool: order, limits, cancellation, contexts, errors, interruption."""

from __future__ import annotations

import contextvars
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from typing import Any

import pytest

from pytest_lmprog.errors import UsageError
from pytest_lmprog.evaluation.pool import Task, WorkPool


class Inline(Executor):
    """Runs at submission, in the calling thread."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        fn(*args, **kwargs)
        return Future()


@pytest.fixture(params=["own threads", "executor", "inline"])
def executor(request: pytest.FixtureRequest) -> Iterator[Executor | None]:
    if request.param == "executor":
        with ThreadPoolExecutor(8) as threads:
            yield threads
    else:
        yield Inline() if request.param == "inline" else None


def identity(value: Any) -> Any:
    return value


def fail(error: BaseException) -> None:
    raise error


def test_every_task_is_delivered_once(executor: Executor | None) -> None:
    with WorkPool(4, executor) as pool:
        tasks = [pool.submit((i,), identity, i) for i in range(50)]
        done = list(pool.completed())
        assert len(done) == 50
        assert set(done) == set(tasks)
        assert [task.result() for task in tasks] == list(range(50))
        assert pool.next() is None
        assert list(pool.completed()) == []


def test_smaller_priorities_first_then_submission_order(executor: Executor | None) -> None:
    started: list[Any] = []
    with WorkPool(1, executor) as pool:
        for priority, name in [((2,), "c"), ((1, 5), "b"), ((1,), "a"), ((2,), "d")]:
            pool.submit(priority, started.append, name)
        assert [task.args[0] for task in pool.completed()] == ["a", "b", "c", "d"]
    assert started == ["a", "b", "c", "d"]


def test_work_submitted_meanwhile_is_taken_by_priority(executor: Executor | None) -> None:
    order = []
    with WorkPool(1, executor) as pool:
        for i in range(3):
            pool.submit((i + 1,), identity, i)
        for task in pool.completed():
            order.append(task.value)
            if task.value == 0:
                pool.submit((0,), identity, "urgent")
    assert order == [0, "urgent", 1, 2]


def test_no_more_than_the_limit_run_at_once_and_the_limit_is_used() -> None:
    running, most, lock = 0, 0, threading.Lock()

    def work() -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        time.sleep(0.01)
        with lock:
            running -= 1

    with WorkPool(3) as pool:
        for i in range(12):
            pool.submit((i,), work)
        assert sum(1 for _ in pool.completed()) == 12
    assert most == 3


def test_nothing_starts_before_the_coordinator_has_seen_the_results_so_far() -> None:
    started: list[int] = []
    with WorkPool(1) as pool:
        tasks = [pool.submit((i,), started.append, i) for i in range(5)]
        time.sleep(0.02)
        assert started == []
        assert pool.next() is tasks[0]
        time.sleep(0.02)
        assert started == [0]
        assert pool.cancel(tasks[1:4]) == 3
        assert list(pool.completed()) == [tasks[4]]
    assert started == [0, 4]


def test_eager_work_starts_at_once_and_results_can_be_waited_for() -> None:
    begun = threading.Event()
    with WorkPool(2, eager=True) as pool:
        first = pool.submit((0,), begun.set)
        assert begun.wait(60)
        others = [pool.submit((i,), identity, i) for i in range(20)]
        assert [task.result() for task in others] == list(range(20))
        first.result()
    assert first.state == "done"


def test_result_waits_in_a_lazy_pool_too(executor: Executor | None) -> None:
    with WorkPool(1, executor) as pool:
        tasks = [pool.submit((i,), identity, i) for i in range(3)]
        assert tasks[2].result() == 2
        assert [task.value for task in pool.completed()] == [0, 1, 2]


def test_errors_are_kept_with_their_task(executor: Executor | None) -> None:
    class Outcome(BaseException):
        """As pytest's skip and fail are."""

    with WorkPool(2, executor) as pool:
        good = pool.submit((0,), identity, 1)
        bad = pool.submit((1,), fail, ValueError("no"))
        worse = pool.submit((2,), fail, Outcome())
        assert len(list(pool.completed())) == 3
    assert (good.error, good.value) == (None, 1)
    with pytest.raises(ValueError, match="no"):
        bad.result()
    with pytest.raises(Outcome):
        worse.result()


def test_cancelled_tasks_are_not_delivered() -> None:
    release = threading.Event()
    with WorkPool(2) as pool:
        slow = pool.submit((0,), release.wait, 5)
        quick = pool.submit((0,), identity, 1)
        pending = pool.submit((1,), identity, 2)
        assert pool.next() is quick
        assert pool.cancel([slow, pending]) == 1
        assert pool.cancel([slow, pending, quick]) == 0
        assert pool.next() is None
        with pytest.raises(UsageError, match="cancelled"):
            pending.result()
        release.set()
    assert (slow.state, pending.state, quick.state) == ("cancelled", "cancelled", "done")


def test_a_cancelled_task_that_runs_on_holds_its_slot_until_it_ends() -> None:
    release = threading.Event()
    with WorkPool(1) as pool:
        slow = pool.submit((0,), release.wait, 5)
        threading.Timer(0.05, release.set).start()
        waiter = threading.Timer(0.01, pool.cancel, [[slow]])
        waiter.start()
        after = pool.submit((1,), identity, "after")
        assert pool.next() is after
        assert release.is_set()
        waiter.join()


def test_finished_but_undelivered_tasks_can_be_cancelled() -> None:
    with WorkPool(2) as pool:
        tasks = [pool.submit((i,), identity, i) for i in range(2)]
        for task in tasks:
            task.result()
        pool.cancel([tasks[0]])
        assert list(pool.completed()) == [tasks[1]]
        tasks = [pool.submit((i,), identity, i) for i in range(3)]
        tasks[0].result()
        assert pool.cancel() <= 1
        assert {task.state for task in tasks} == {"cancelled"}
        assert list(pool.completed()) == []


def test_tasks_see_the_context_of_their_submission(executor: Executor | None) -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")
    with WorkPool(2, executor) as pool:
        token = variable.set("outer")
        outer = pool.submit((0,), variable.get)
        variable.reset(token)
        plain = pool.submit((1,), variable.get)
        changes = pool.submit((2,), variable.set, "inner")
        assert (outer.result(), plain.result()) == ("outer", "unset")
        changes.result()
    assert variable.get() == "unset"


def test_leaving_waits_for_what_runs_and_drops_the_rest() -> None:
    ended, started = threading.Event(), threading.Event()

    def slow() -> None:
        started.set()
        time.sleep(0.05)
        ended.set()

    with WorkPool(1, eager=True) as pool:
        pool.submit((0,), slow)
        rest = pool.submit((1,), identity, 1)
        assert started.wait(60)
    assert ended.is_set()
    assert rest.state == "cancelled"
    with pytest.raises(UsageError, match="closed"):
        pool.submit((0,), identity, 1)


def test_leaving_by_an_exception_waits_for_nothing() -> None:
    release = threading.Event()
    begin = time.monotonic()

    def interrupted() -> None:
        with WorkPool(1, eager=True) as pool:
            pool.submit((0,), release.wait, 60)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert time.monotonic() - begin < 30
    release.set()


@pytest.mark.skipif(os.name == "nt", reason="signals")
def test_ctrl_c_ends_a_process_with_calls_in_flight() -> None:
    script = textwrap.dedent(
        """
        import time
        from pytest_lmprog.evaluation.pool import WorkPool
        try:
            with WorkPool(4) as pool:
                for i in range(100):
                    pool.submit((i,), time.sleep, 600)
                print("ready", flush=True)
                list(pool.completed())
        except KeyboardInterrupt:
            print("interrupted", flush=True)
        """
    )
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=120)  # what runs would take ten minutes
    assert (out, process.returncode) == ("interrupted\n", 0)


def test_a_pool_needs_a_slot() -> None:
    with pytest.raises(UsageError, match="concurrency must be 1 or more"):
        WorkPool(0)


def test_priorities_need_not_be_comparable_beyond_a_tie() -> None:
    with WorkPool(1) as pool:
        first: Task[Any] = pool.submit((1,), identity, object())
        second: Task[Any] = pool.submit((1,), identity, object())
        assert list(pool.completed()) == [first, second]
        assert repr(first) == "Task((1,), done)"


def test_many_threads_may_submit() -> None:
    with WorkPool(4, eager=True) as pool:
        made: list[Task[int]] = []

        def submit(base: int) -> None:
            made.extend(pool.submit((i,), identity, base + i) for i in range(100))

        threads = [threading.Thread(target=submit, args=(n * 100,)) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(task.result() for task in made) == list(range(400))


def test_many_tasks_stay_linear() -> None:
    def seconds(n: int) -> float:
        with WorkPool(8) as pool:
            begin = time.process_time()
            for i in range(n):
                pool.submit((i,), identity, i)
            assert sum(1 for _ in pool.completed()) == n
            return time.process_time() - begin

    few = min(seconds(500) for _ in range(3))
    assert min(seconds(5000) for _ in range(3)) < few * 40  # quadratic would be 100
