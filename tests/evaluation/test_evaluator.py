"""Many cases: order, means, errors, limits."""

from __future__ import annotations

import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from pytest_lmprog.errors import AnswerError, LMServerError, MetricError, UsageError
from pytest_lmprog.evaluation.callables import as_metric
from pytest_lmprog.evaluation.evaluator import evaluate, summarise
from pytest_lmprog.evaluation.scores import CaseResult, Metric, Objective, Score
from pytest_lmprog.evaluation.statistics import mean_interval, wilson
from pytest_lmprog.lm.scope import CallScope, current_scope
from pytest_lmprog.programs.example import Example, Prediction
from pytest_lmprog.programs.trace import Trace
from tests.evaluation.programs import Calls, Triage

right: Metric = as_metric(lambda e, p: p.team == e.team, "right")
RIGHT = Objective((right,))


def examples(*pairs: tuple[str, str], weights: tuple[float, ...] = ()) -> list[Example]:
    rows = [Example(ticket=t, team=team, id=f"c{i}") for i, (t, team) in enumerate(pairs)]
    rows = [e.copy(weight=w) for e, w in zip(rows, weights, strict=True)] if weights else rows
    return [row.with_inputs("ticket") for row in rows]


def slow_and_flaky(ticket: str) -> Prediction:
    time.sleep(random.Random(ticket).random() / 100)
    if ticket.startswith("crash"):
        raise ZeroDivisionError(ticket)
    return Prediction(team=ticket.split()[0])


DATA = examples(
    *[(f"{'crash' if i % 5 == 0 else 'bug'} {i}", "bug" if i % 3 else "billing") for i in range(30)]
)


def test_results_do_not_depend_on_concurrency() -> None:
    one = evaluate(Calls(slow_and_flaky), DATA, RIGHT, concurrency=1)
    assert [r.example for r in one.results] == DATA
    for concurrency in (8, 64):
        many = evaluate(Calls(slow_and_flaky), DATA, RIGHT, concurrency=concurrency)
        assert [(r.prediction, r.error, r.scores) for r in many.results] == [
            (r.prediction, r.error, r.scores) for r in one.results
        ]
        assert (many.score, many.errors, many.interval) == (one.score, 6, one.interval)


def test_the_mean_is_weighted_and_divides_by_all() -> None:
    data = examples(("bug 1", "bug"), ("crash", "bug"), ("bug 2", "billing"), weights=(2, 1, 1))
    evaluation = evaluate(Calls(slow_and_flaky), data, RIGHT)
    assert evaluation.score == 0.5
    assert evaluation.scores == (1.0, 0.0, 0.0)
    assert evaluation.weights == (2.0, 1.0, 1.0)
    assert evaluation.errors == 1
    assert evaluation.interval == wilson(0.5 * 16 / 6, 16 / 6)


class Partly:
    """Leaves tickets with an even length unscored."""

    name, weight, optimize, pass_at = "partly", 1.0, True, 0.6

    def score(self, example: Example, prediction: Prediction, trace: Trace) -> Score:
        length = len(example.ticket)
        return Score(length / 10, graded=True) if length % 2 else Score(None)


def test_the_summary_of_a_metric() -> None:
    data = examples(("a", ""), ("bb", ""), ("ccccccc", ""), ("crash", ""))
    evaluation = evaluate(Calls(slow_and_flaky), data, Objective((Partly(), right)))
    summary = evaluation.metric("partly")
    assert (summary.n, summary.errors, summary.unscored, summary.passed) == (3, 1, 1, 1)
    assert summary.mean == pytest.approx((0.1 + 0.7 + 0.0) / 3)
    assert summary.interval == mean_interval([0.1, 0.7, 0.0])
    assert summarise(evaluation.results, right).n == 4
    with pytest.raises(UsageError, match="no metric 'x'; there are: partly, right"):
        evaluation.metric("x")


def test_progress_is_told_from_the_calling_thread() -> None:
    told: list[tuple[int, int, str]] = []

    def progress(done: int, total: int, result: CaseResult) -> None:
        assert threading.current_thread() is threading.main_thread()
        told.append((done, total, result.example.id))

    evaluate(Calls(slow_and_flaky), DATA, RIGHT, concurrency=4, progress=progress)
    assert [done for done, *_ in told] == list(range(1, 31))
    assert {total for _, total, _ in told} == {30}
    assert {id_ for *_, id_ in told} == {e.id for e in DATA}


def test_errors_that_are_no_verdict_stop_it() -> None:
    ran = []

    def down(ticket: str) -> Prediction:
        ran.append(ticket)
        raise LMServerError("down", status=503)

    with pytest.raises(LMServerError, match="down"):
        evaluate(Calls(down), DATA, RIGHT, concurrency=2)
    assert len(ran) <= 4
    with pytest.raises(MetricError):
        evaluate(Triage(), DATA, Objective((as_metric(lambda e, p: p.x, "m"),)))


def test_too_many_errors_stop_it() -> None:
    ran = []

    def crash(ticket: str) -> Prediction:
        ran.append(ticket)
        raise ZeroDivisionError("division by zero")

    with pytest.raises(
        AnswerError, match=r"3 of 3 examples .*max_errors=3.*'c0': ZeroDivisionError: .*division"
    ):
        evaluate(Calls(crash), DATA, RIGHT, concurrency=1, max_errors=3)
    assert len(ran) == 3
    assert evaluate(Calls(slow_and_flaky), DATA, RIGHT, max_errors=7).errors == 6


def test_scope_limit_rollout_and_executor_are_passed_on() -> None:
    seen = []

    def look(ticket: str) -> Prediction:
        scope = current_scope()
        assert scope.limit is not None
        seen.append((scope.label, scope.limit.maximum, threading.current_thread().name))
        return Prediction(team="x")

    with ThreadPoolExecutor(2, thread_name_prefix="given") as threads:
        evaluation = evaluate(
            Calls(look), DATA[:2], RIGHT, executor=threads, scope=CallScope(label="l"), max_calls=4, rollout=1
        )
    assert all(label == "l" and maximum == 4 and name.startswith("given") for label, maximum, name in seen)
    assert [r.rollout for r in evaluation.results] == [1, 1]


def test_no_example_at_all() -> None:
    evaluation = evaluate(Triage(), [], RIGHT)
    assert (evaluation.results, evaluation.score, evaluation.errors) == ((), 0.0, 0)


def test_slots_are_kept_busy() -> None:
    together = threading.Barrier(8, timeout=60)  # opens only where eight run at once

    def wait(ticket: str) -> Prediction:
        together.wait()
        return Prediction(team="x")

    evaluation = evaluate(Calls(wait), DATA[:16], RIGHT, concurrency=8)
    assert (len(evaluation.results), evaluation.errors) == (16, 0)
