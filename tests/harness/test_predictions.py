"""Predictions: each made once, some ahead, shared by all who ask."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest

from pytest_lmprog.errors import LMTimeoutError
from pytest_lmprog.harness.predictions import Predictions
from pytest_lmprog.programs import Example, Prediction, Run, Trace

EXAMPLES = [Example(id=f"e{i}", x=i).with_inputs("x") for i in range(10)]
ITEMS = [(e, 0) for e in EXAMPLES]


class Maker:
    def __init__(self, *, latency: float = 0.0, fails: Any = ()) -> None:
        self.latency = latency
        self.fails = set(fails)
        self.made: list[tuple[str, int]] = []
        self.threads: set[int] = set()
        self.most = 0
        self._now = 0
        self._lock = threading.Lock()

    def __call__(self, example: Example, rollout: int) -> Run:
        with self._lock:
            self.made.append((example.id, rollout))
            self.threads.add(threading.get_ident())
            self._now += 1
            self.most = max(self.most, self._now)
        time.sleep(self.latency)
        with self._lock:
            self._now -= 1
        if example.id in self.fails:
            raise LMTimeoutError("no answer in time")
        return Run(Prediction(x=example.x), Trace())


def test_each_is_made_once_for_all_metrics() -> None:
    maker = Maker()
    predictions = Predictions(maker)
    predictions.expect(ITEMS * 3)
    for _ in range(3):
        for example in EXAMPLES:
            run = predictions.get(example)
            assert run.prediction is not None
            assert run.prediction.x == example.x
    assert sorted(maker.made) == sorted((e.id, 0) for e in EXAMPLES)
    predictions.close()


def test_all_start_at_the_first_and_no_more_at_once_than_allowed() -> None:
    maker = Maker(latency=0.01)
    predictions = Predictions(maker, concurrency=4)
    predictions.expect(ITEMS)
    predictions.get(EXAMPLES[0])
    deadline = time.monotonic() + 60
    while len(maker.made) < len(ITEMS) and time.monotonic() < deadline:
        time.sleep(0.002)
    assert len(maker.made) == len(ITEMS)
    assert maker.most == 4
    predictions.close()


def test_one_ahead_starts_no_more_than_one() -> None:
    maker = Maker()
    predictions = Predictions(maker, ahead=1)
    predictions.expect(ITEMS)
    predictions.get(EXAMPLES[0])
    predictions.get(EXAMPLES[1])
    time.sleep(0.05)
    assert sorted(maker.made) == [("e0", 0), ("e1", 0), ("e2", 0)]
    predictions.close()


def test_none_ahead_runs_in_the_asking_thread() -> None:
    maker = Maker()
    predictions = Predictions(maker, ahead=0)
    predictions.expect(ITEMS)
    predictions.get(EXAMPLES[3])
    assert maker.made == [("e3", 0)]
    assert maker.threads == {threading.get_ident()}


@pytest.mark.parametrize("ahead", [0, 1, None])
def test_asked_in_another_order_or_again_after_all(ahead: int | None) -> None:
    maker = Maker()
    predictions = Predictions(maker, ahead=ahead)
    predictions.expect(ITEMS)
    for example in reversed(EXAMPLES):
        predictions.get(example)
    assert len(maker.made) == len(ITEMS)
    predictions.get(EXAMPLES[0])
    assert len(maker.made) == len(ITEMS) + 1
    predictions.close()


def test_what_nobody_announced_is_made_when_asked_for() -> None:
    maker = Maker()
    predictions = Predictions(maker)
    assert predictions.get(EXAMPLES[0], 2).prediction is not None
    assert maker.made == [("e0", 2)]
    predictions.close()


@pytest.mark.parametrize("ahead", [0, None])
def test_an_error_reaches_everyone_who_asks_and_is_tried_once(ahead: int | None) -> None:
    maker = Maker(fails=["e1"])
    predictions = Predictions(maker, ahead=ahead)
    predictions.expect(ITEMS * 2)
    for _ in range(2):
        with pytest.raises(LMTimeoutError):
            predictions.get(EXAMPLES[1])
        predictions.get(EXAMPLES[2])
    assert maker.made.count(("e1", 0)) == 1
    predictions.close()


def test_rollouts_are_runs_of_their_own() -> None:
    maker = Maker()
    predictions = Predictions(maker, ahead=0)
    predictions.expect([(EXAMPLES[0], 0), (EXAMPLES[0], 1)])
    predictions.get(EXAMPLES[0], 0)
    predictions.get(EXAMPLES[0], 1)
    assert maker.made == [("e0", 0), ("e0", 1)]


def test_closing_waits_for_what_is_in_flight_and_starts_nothing_more() -> None:
    maker = Maker(latency=0.02)
    predictions = Predictions(maker, concurrency=2)
    predictions.expect(ITEMS)
    predictions.get(EXAMPLES[0])
    predictions.close()
    made = len(maker.made)
    assert made < len(ITEMS)
    time.sleep(0.05)
    assert len(maker.made) == made


def test_many_cases_stay_linear() -> None:
    def seconds(n: int) -> float:
        examples = [Example(id=str(i), x=i).with_inputs("x") for i in range(n)]
        predictions = Predictions(Maker(), ahead=None)
        begun = time.process_time()
        predictions.expect([(e, 0) for e in examples])
        for example in examples:
            predictions.get(example)
        predictions.close()
        return time.process_time() - begun

    few = min(seconds(400) for _ in range(3))
    assert min(seconds(4000) for _ in range(3)) < few * 40  # quadratic would be 100
