"""How slow this machine is at the moment, so that absolute budgets can be held anywhere."""

from __future__ import annotations

import time

__all__ = ["slowness"]

USUAL = 0.005
"""Seconds of the yardstick on the machine that the budgets are meant for."""


def slowness() -> float:
    """Return how many times slower than usual the machine is now; never less than 1."""
    return max(1.0, max(_yardstick() for _ in range(5)) / USUAL)


def _yardstick() -> float:
    start = time.perf_counter()
    words: dict[str, int] = {}
    for number in range(20_000):
        word = str(number % 997)
        words[word] = words.get(word, 0) + len(word)
    return time.perf_counter() - start
