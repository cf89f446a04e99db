"""Intervals around scores, and what several rollouts of a case say. All deterministic."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from typing import TypeVar

from pytest_lmprog.errors import UsageError
from pytest_lmprog.records import dataclass

__all__ = [
    "ALPHA",
    "Flips",
    "Interval",
    "flips",
    "mean_interval",
    "pass_at_k",
    "pass_hat_k",
    "score_interval",
    "t_quantile",
    "t_tail",
    "upper_binomial",
    "wilson",
]

ALPHA = 0.02
"""The chance of calling an unchanged program worse, one-sided, where nothing else is asked for."""

_K = TypeVar("_K", bound=Hashable)
_Z = 1.959963984540054  # the normal distribution's 97.5 % quantile


@dataclass(frozen=True, slots=True)
class Interval:
    """A 95 % confidence interval within [0, 1]."""

    low: float
    high: float


def wilson(successes: float, n: float) -> Interval:
    """Return Wilson's score interval of a rate (E. B. Wilson, JASA 22, 1927).

    ``successes`` may be fractional, as ``n`` may be (an effective sample size). n = 0 gives [0, 1]."""
    if n < 0 or not 0 <= successes <= n + 1e-9:
        raise UsageError(f"successes must be within 0 and n, not {successes} of {n}")
    if n == 0:
        return Interval(0.0, 1.0)
    rate, z2 = min(1.0, successes / n), _Z * _Z
    centre = (rate + z2 / (2 * n)) / (1 + z2 / n)
    half = _Z / (1 + z2 / n) * math.sqrt(rate * (1 - rate) / n + z2 / (4 * n * n))
    low = 0.0 if rate == 0 else max(0.0, centre - half)
    high = 1.0 if rate == 1 else min(1.0, centre + half)
    return Interval(low, high)


def mean_interval(scores: Sequence[float], weights: Sequence[float] | None = None) -> Interval:
    """Return an interval for the mean of graded scores within [0, 1].

    Student's t (W. S. Gosset, Biometrika 6, 1908) on the weighted mean, cut to [0, 1], with Kish's effective
    sample size where weights differ. Equal scores say nothing of the spread: then it is Wilson's
    interval, which supposes the largest spread there can be. No score at all gives [0, 1].
    """
    weights = [1.0] * len(scores) if weights is None else weights
    total = math.fsum(weights)
    if not total:
        return Interval(0.0, 1.0)
    mean = math.fsum(s * w for s, w in zip(scores, weights, strict=True)) / total
    n = total * total / math.fsum(w * w for w in weights)
    spread = math.fsum(w * (s - mean) ** 2 for s, w in zip(scores, weights, strict=True)) / total
    if n <= 1 or spread < 1e-18:
        return wilson(min(n, mean * n), n)
    half = t_quantile(n - 1) * math.sqrt(spread / (n - 1))
    return Interval(max(0.0, mean - half), min(1.0, mean + half))


def score_interval(scores: Sequence[float], weights: Sequence[float] | None = None) -> Interval:
    """Return Wilson's interval where every score is 0 or 1, else that of ``mean_interval``."""
    if any(score not in (0.0, 1.0) for score in scores):
        return mean_interval(scores, weights)
    weights = [1.0] * len(scores) if weights is None else weights
    total, squares = math.fsum(weights), math.fsum(w * w for w in weights)
    if not total:
        return Interval(0.0, 1.0)
    n = total * total / squares
    rate = math.fsum(s * w for s, w in zip(scores, weights, strict=True)) / total
    return wilson(min(n, rate * n), n)


def t_quantile(degrees: float, tail: float = 0.025) -> float:
    """Return what Student's t with ``degrees`` > 0 degrees of freedom exceeds with the chance ``tail`` < 0.5.

    Solves the distribution function, from the incomplete beta function's continued fraction (Lentz;
    Numerical Recipes 6.4), by bisection. Relative error below 1e-9."""
    low, high = 0.0, 1.0
    while t_tail(high, degrees) > tail:
        low, high = high, high * 2
    while high - low > 1e-11 * high:
        middle = (low + high) / 2
        low, high = (middle, high) if t_tail(middle, degrees) > tail else (low, middle)
    return high


def upper_binomial(successes: int, n: int) -> float:
    """Return the chance of ``successes`` or more in ``n`` throws of a fair coin."""
    if successes <= 0:
        return 1.0
    if n > 1000:
        return _incomplete_beta(0.5, successes, n - successes + 1)
    return sum(math.comb(n, k) for k in range(successes, n + 1)) / (1 << n)


def t_tail(t: float, degrees: float) -> float:
    """Return the chance that Student's t with ``degrees`` > 0 degrees of freedom exceeds ``t``."""
    tail = 0.5 * _incomplete_beta(degrees / (degrees + t * t), degrees / 2, 0.5)
    return tail if t >= 0 else 1.0 - tail


def _incomplete_beta(x: float, a: float, b: float) -> float:
    if x <= 0.0 or x >= 1.0:
        return max(0.0, min(1.0, x))
    if x > (a + 1) / (a + b + 2):
        return 1.0 - _incomplete_beta(1 - x, b, a)
    log_front = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    return math.exp(log_front) * _beta_fraction(x, a, b) / a


def _beta_fraction(x: float, a: float, b: float) -> float:
    tiny = 1e-300
    c, d = 1.0, 1.0 / ((1.0 - (a + b) * x / (a + 1)) or tiny)
    value = d
    for m in range(1, 500):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        for term in (even, odd):
            d = 1.0 / ((1.0 + term * d) or tiny)
            c = (1.0 + term / c) or tiny
            value *= c * d
        if abs(c * d - 1.0) < 1e-15:
            break
    return value


def pass_at_k(n: int, passed: int, k: int) -> float:
    """Return the unbiased estimate of the chance that one or more of ``k`` rollouts pass, from ``passed``
    of ``n`` (M. Chen et al., arXiv:2107.03374): ``1 - C(n - passed, k) / C(n, k)``."""
    _check_k(n, passed, k)
    return 1.0 - math.comb(n - passed, k) / math.comb(n, k)


def pass_hat_k(n: int, passed: int, k: int) -> float:
    """Return the unbiased estimate of the chance that all of ``k`` rollouts pass, from ``passed`` of ``n``
    (S. Yao et al., arXiv:2406.12045): ``C(passed, k) / C(n, k)``."""
    _check_k(n, passed, k)
    return math.comb(passed, k) / math.comb(n, k)


def _check_k(n: int, passed: int, k: int) -> None:
    if not 0 <= passed <= n:
        raise UsageError(f"passed must be within 0 and n, not {passed} of {n}")
    if not 1 <= k <= n:
        raise UsageError(f"k must be within 1 and n = {n}, not {k}")


@dataclass(frozen=True, slots=True)
class Flips:
    """How two results of the same cases differ; keys in the order of the later result."""

    fixed: tuple[Hashable, ...] = ()
    broken: tuple[Hashable, ...] = ()
    added: tuple[Hashable, ...] = ()
    removed: tuple[Hashable, ...] = ()


def flips(before: Mapping[_K, bool], after: Mapping[_K, bool]) -> Flips:
    """Return which cases pass now and failed before (``fixed``), the reverse (``broken``), and which are in
    one result only."""
    shared = [key for key in after if key in before]
    return Flips(
        fixed=tuple(key for key in shared if after[key] and not before[key]),
        broken=tuple(key for key in shared if before[key] and not after[key]),
        added=tuple(key for key in after if key not in before),
        removed=tuple(key for key in before if key not in after),
    )
