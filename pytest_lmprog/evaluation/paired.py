"""Tests and intervals for the change of a mean between two runs on the same cases. All deterministic."""

from __future__ import annotations

import math
import random
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from statistics import NormalDist

from pytest_lmprog.errors import UsageError
from pytest_lmprog.evaluation.statistics import t_quantile, t_tail, upper_binomial

__all__ = ["Bootstrapped", "change_interval", "holm", "mcnemar", "paired_bootstrap"]

_NORMAL = NormalDist()
_CLOSE = 1e-12
_DRAWS = 1_000_000
_LEAST, _MOST = 2_000, 10_000
_LARGE = 5_000


def mcnemar(worse: int, better: int) -> float:
    """Return the exact one-sided p-value of McNemar's test (Q. McNemar, Psychometrika 12, 1947): how
    likely ``worse`` or more of the cases that changed got worse, if worse and better were as likely.

    The sign test on the cases that changed; cases that did not change say nothing. No change gives 1.0."""
    if worse < 0 or better < 0:
        raise UsageError(f"numbers of cases must be 0 or more, not {worse} and {better}")
    return upper_binomial(worse, worse + better)


def change_interval(worse: int, better: int, n: int, *, alpha: float = 0.02) -> tuple[float, float]:
    """Return the interval of confidence ``1 - 2 * alpha`` of the change of a rate over ``n`` cases.

    Tango's score interval for paired proportions (T. Tango, Statistics in Medicine 17, 1998), widened to
    hold 0 where the exact test of that side does not reach ``alpha``. n = 0 gives [-1, 1]."""
    if not 0 <= worse + better <= n:
        raise UsageError(f"of {n} cases, {worse} worse and {better} better are too many")
    if n == 0:
        return -1.0, 1.0
    z = _NORMAL.inv_cdf(1 - alpha)
    low = _solved(lambda change: _tango(change, worse, better, n) > z)
    high = _solved(lambda change: _tango(change, worse, better, n) > -z)
    if mcnemar(worse, better) > alpha:
        high = max(high, 0.0)
    if mcnemar(better, worse) > alpha:
        low = min(low, 0.0)
    return low, high


def _tango(change: float, worse: int, better: int, n: int) -> float:
    """Return the score statistic for a true ``change``; it falls as ``change`` grows."""
    a = 2 * n
    b = (2 * n - better + worse) * change - better - worse
    c = -worse * change * (1 - change)
    rate = (math.sqrt(max(0.0, b * b - 4 * a * c)) - b) / (2 * a)
    variance = n * (2 * rate + change * (1 - change))
    distance = better - worse - n * change
    if variance <= 0:
        return math.copysign(math.inf, distance) if distance else 0.0
    return distance / math.sqrt(variance)


def _solved(is_below: Callable[[float], bool]) -> float:
    """Return the change at which ``is_below`` turns from true to false."""
    low, high = -1.0, 1.0
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if is_below(middle) else (low, middle)
    return (low + high) / 2


@dataclass(frozen=True, slots=True)
class Bootstrapped:
    """The change of a mean: one-sided p-value of a drop, and the interval of confidence ``1 - 2 * alpha``."""

    p_value: float
    low: float
    high: float


def paired_bootstrap(
    changes: Sequence[float],
    weights: Sequence[float] | None = None,
    *,
    alpha: float = 0.02,
    seed: int = 0,
) -> Bootstrapped:
    """Return what the paired bootstrap says of the weighted mean of the cases' ``changes``.

    Bias-corrected and accelerated (B. Efron, JASA 82, 1987), widened as Student's t is for few cases
    (T. Hesterberg, The American Statistician 69, 2015). Cases are drawn with a generator of its own; from
    5,000 cases on the normal distribution stands for it. Resampling a handful of cases promises too much:
    p is never below that of the sign test with every case that changed on one side, and changes that are
    all equal are given the spread of cases that never changed (Tango's)."""
    if not changes:
        return Bootstrapped(1.0, -1.0, 1.0)
    weights = [1.0] * len(changes) if weights is None else weights
    # Draws are by place: the order in which cases ended must not change the figures.
    changes, weights = zip(*sorted(zip(changes, weights, strict=True)), strict=True)
    mean = _mean(changes, weights)
    moved = sum(change != 0 for change in changes)
    if len(set(changes)) == 1:
        low, high = change_interval(0, 0, len(changes), alpha=alpha)
        found = Bootstrapped(0.0 if mean < 0 else 1.0, max(-1.0, mean + low), min(1.0, mean + high))
    elif len(changes) >= _LARGE:
        found = _normal(mean, _error(changes, weights, mean), alpha)
    else:
        found = _bca(changes, weights, mean, alpha, random.Random(seed))
    return _held_back(found, 0.5 ** min(moved, 1000), mean, alpha)


def _held_back(found: Bootstrapped, least: float, mean: float, alpha: float) -> Bootstrapped:
    """Let a few cases not prove more than signs could, and the interval not say otherwise."""
    p_value = max(found.p_value, least) if mean < 0 else found.p_value
    high = max(found.high, 0.0) if p_value > alpha else found.high
    low = min(found.low, 0.0) if least > alpha else found.low
    return Bootstrapped(p_value, low, high)


def _mean(values: Sequence[float], weights: Sequence[float]) -> float:
    return math.fsum(v * w for v, w in zip(values, weights, strict=True)) / math.fsum(weights)


def _error(changes: Sequence[float], weights: Sequence[float], mean: float) -> float:
    spread = math.fsum((w * (c - mean)) ** 2 for c, w in zip(changes, weights, strict=True))
    return math.sqrt(spread) / math.fsum(weights)


def _normal(mean: float, error: float, alpha: float) -> Bootstrapped:
    reach = _NORMAL.inv_cdf(1 - alpha) * error
    return Bootstrapped(_NORMAL.cdf(mean / error), max(-1.0, mean - reach), min(1.0, mean + reach))


def _bca(
    changes: Sequence[float], weights: Sequence[float], mean: float, alpha: float, rng: random.Random
) -> Bootstrapped:
    drawn = _drawn(changes, weights, rng)
    bias = _NORMAL.inv_cdf(_share_below(drawn, mean, ties=0.5))
    skew = _acceleration(changes, weights)
    step = _NORMAL.inv_cdf(_share_below(drawn, 0.0, ties=0.0)) - bias
    z = step / (1 + skew * step) - bias
    degrees = max(1.0, math.fsum(weights) ** 2 / math.fsum(w * w for w in weights) - 1)
    narrow = math.sqrt(degrees / (degrees + 1))
    reach = t_quantile(degrees, alpha) / narrow
    low, high = (_quantile(drawn, _shifted(z_side, bias, skew)) for z_side in (-reach, reach))
    return Bootstrapped(t_tail(z * narrow, degrees), low, high)


def _drawn(changes: Sequence[float], weights: Sequence[float], rng: random.Random) -> list[float]:
    """Return the sorted means of resampled cases."""
    n = len(changes)
    times = max(_LEAST, min(_MOST, _DRAWS // n))
    if len(set(weights)) == 1:
        return sorted(math.fsum(rng.choices(changes, k=n)) / n for _ in range(times))
    cases = range(n)
    samples = (rng.choices(cases, k=n) for _ in range(times))
    return sorted(_mean([changes[i] for i in s], [weights[i] for i in s]) for s in samples)


def _share_below(drawn: Sequence[float], value: float, *, ties: float) -> float:
    """Return the share of the sorted ``drawn`` below ``value`` and of the ``ties``; never 0 or 1."""
    below, upto = bisect_left(drawn, value - _CLOSE), bisect_right(drawn, value + _CLOSE)
    return (below + ties * (upto - below) + 0.5) / (len(drawn) + 1)


def _acceleration(changes: Sequence[float], weights: Sequence[float]) -> float:
    total = math.fsum(weights)
    summed = math.fsum(c * w for c, w in zip(changes, weights, strict=True))
    cases = [(c, w) for c, w in zip(changes, weights, strict=True) if w < total]
    without = [(summed - c * w) / (total - w) for c, w in cases]
    centre = math.fsum(without) / max(1, len(without))
    squares = math.fsum((centre - one) ** 2 for one in without)
    return math.fsum((centre - one) ** 3 for one in without) / (6 * squares**1.5) if squares else 0.0


def _shifted(z: float, bias: float, skew: float) -> float:
    step = bias + z
    return _NORMAL.cdf(bias + step / (1 - skew * step))


def _quantile(drawn: Sequence[float], share: float) -> float:
    return drawn[min(len(drawn) - 1, max(0, math.ceil(share * len(drawn)) - 1))]


def holm(p_values: Sequence[float]) -> list[float]:
    """Return the p-values corrected for their number (S. Holm, Scandinavian Journal of Statistics 6, 1979),
    in their order: the chance of one false alarm among them is at most ``alpha``, however they depend
    on each other."""
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    stepped = accumulate(
        ((len(order) - rank) * p_values[i] for rank, i in enumerate(order)), func=max, initial=0.0
    )
    corrected = dict(zip(order, list(stepped)[1:], strict=True))
    return [min(1.0, corrected[i]) for i in range(len(p_values))]
