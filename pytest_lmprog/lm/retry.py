"""When to ask again, and how long to wait before."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable
from dataclasses import field

from pytest_lmprog.errors import LMError
from pytest_lmprog.records import dataclass

__all__ = ["RetryPolicy", "retry_after_seconds"]


@dataclass(frozen=True)
class RetryPolicy:
    """Exponential back-off with jitter; a Retry-After is waited for in full, up to ``longest_told``.

    Parameters
    ----------
    retries: how often a request is asked again.
    first: seconds before the first retry; each later wait is twice the one before, ``longest`` at most.
    longest_told: an endpoint that asks for more patience than this many seconds is not asked again.
    jitter: returns a factor for a wait. Not seeded: waits are not part of any result, and equal waits
        in many processes would meet again.
    sleep: waits for some seconds.
    """

    retries: int = 3
    first: float = 0.5
    longest: float = 20.0
    longest_told: float = 60.0
    jitter: Callable[[], float] = field(default_factory=lambda: _jitter(random.Random()))
    sleep: Callable[[float], None] = time.sleep

    def wait(self, error: LMError, attempt: int) -> float | None:
        """Return the seconds to wait after ``attempt`` (from 0) failed with ``error``; None: give up."""
        if attempt >= self.retries or not error.retryable:
            return None
        told = getattr(error, "retry_after", None)
        if told is not None:
            return None if told > self.longest_told else float(max(told, 0.0))
        return float(min(self.first * 2**attempt, self.longest) * self.jitter())


def _jitter(rng: random.Random) -> Callable[[], float]:
    return lambda: rng.uniform(0.75, 1.25)


def retry_after_seconds(header: str | None, now: Callable[[], float] = time.time) -> float | None:
    """Read a Retry-After header: seconds, or an HTTP date (RFC 9110, 10.2.3). None if it says nothing."""
    if header is None:
        return None
    try:
        seconds = float(header)
    except ValueError:
        return _until(header, now)
    return max(seconds, 0.0) if math.isfinite(seconds) else None


def _until(date: str, now: Callable[[], float]) -> float | None:
    from email.utils import parsedate_to_datetime

    try:
        return max(parsedate_to_datetime(date).timestamp() - now(), 0.0)
    except (ValueError, TypeError, OverflowError):
        return None
