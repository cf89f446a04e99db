"""Minibatches: every example comes round, none twice in a batch."""

from __future__ import annotations

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from pytest_lmprog.teleprompt.engine.minibatches import minibatch


def rng(epoch: int) -> Random:
    return Random(f"epoch {epoch}")


def test_an_epoch_is_a_shuffle_in_pieces():
    order = list(range(5))
    rng(0).shuffle(order)
    batches = [minibatch(5, 2, number, rng) for number in range(3)]
    assert [*batches[0], *batches[1], batches[2][0]] == order
    assert batches[2][1] == order[0]  # filled up from the start of the epoch


def test_each_epoch_is_shuffled_anew():
    first, second = ([minibatch(6, 3, number, rng) for number in numbers] for numbers in ((0, 1), (2, 3)))
    assert sorted(sum(first, ())) == sorted(sum(second, ())) == list(range(6))
    assert first != second


@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 30))
def test_no_example_twice_in_a_batch(count, size, number):
    batch = minibatch(count, size, number, rng)
    assert len(set(batch)) == len(batch) == min(size, count)
    assert set(batch) <= set(range(count))
