"""The bounds of a score are the very floats of the final score."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_lmprog.errors import UsageError
from pytest_lmprog.evaluation.scores import mean
from pytest_lmprog.programs import Example
from pytest_lmprog.teleprompt.engine.standing import Standing, checked_weights

weights = st.one_of(
    st.just(1.0), st.just(0.0), st.sampled_from([0.1, 0.3, 2.5, 5e-324]), st.floats(0, 1e9, allow_nan=False)
)
scored = st.lists(st.tuples(weights, st.floats(0, 1)), min_size=1, max_size=30)


@given(scored, st.integers())
def test_bounds_hold_at_every_step_and_meet_in_the_mean(pairs, seed):
    final = mean([s for _, s in pairs], [w for w, _ in pairs])
    standing = Standing([w for w, _ in pairs])
    order = list(range(len(pairs)))
    random.Random(seed).shuffle(order)
    least, most = standing.least(), standing.most()
    assert least <= final <= most
    for position in order:
        standing.record(position, pairs[position][1])
        assert least <= standing.least() <= final <= standing.most() <= most
        least, most = standing.least(), standing.most()
    assert standing.complete
    assert standing.least() == final == standing.most()


@given(st.lists(weights, min_size=1, max_size=30))
def test_all_right_is_exactly_one(values):
    standing = Standing(values)
    for position in range(len(values)):
        standing.record(position, 1.0)
    assert standing.least() == (1.0 if any(values) else 0.0)


def test_a_score_counts_once():
    standing = Standing([1.0])
    standing.record(0, 1.0)
    with pytest.raises(KeyError):
        standing.record(0, 1.0)


@pytest.mark.parametrize("weight", [-1, float("nan"), float("inf")])
def test_weights_that_break_means_are_refused(weight):
    with pytest.raises(UsageError, match=r"weight of example 'x'"):
        checked_weights([Example(question="q", id="x", weight=weight)])
