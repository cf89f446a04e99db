"""Minibatches of a trainset: shuffled anew each epoch, so that every example comes round. Pure."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

__all__ = ["minibatch"]


def minibatch(count: int, size: int, number: int, rng: Callable[[int], Random]) -> tuple[int, ...]:
    """Return the positions, out of ``count``, that make the minibatch ``number`` (from 0) of ``size``.

    ``rng`` makes the generator of an epoch. A trainset that is smaller than ``size`` is one batch. The last
    batch of an epoch is filled up from the epoch's start, so no batch holds an example twice."""
    size = min(size, count)
    epoch, place = divmod(number, -(-count // size))
    order = list(range(count))
    rng(epoch).shuffle(order)
    return tuple((order + order)[place * size : (place + 1) * size])
