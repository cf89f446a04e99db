"""Did it get worse? Two runs on the same cases, compared case by case: PASS, FAIL or INCONCLUSIVE."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from pytest_lmprog.errors import UsageError
from pytest_lmprog.evaluation.paired import change_interval, holm, mcnemar, paired_bootstrap
from pytest_lmprog.evaluation.statistics import ALPHA

__all__ = ["Comparison", "Decision", "compare", "corrected"]

TOLERANCE = 1e-9
"""Rounding of a mean must not decide."""

Decision = Literal["PASS", "FAIL", "INCONCLUSIVE"]

Scores = Mapping[Any, float | bool | None] | Sequence[float | bool | None]
"""The score of each case within [0, 1], or passed or failed; None where it was not scored."""


@dataclass(frozen=True)
class Comparison:
    """What two runs on the same cases say of the change.

    Parameters
    ----------
    verdict: ``PASS``: it did not get worse, or by no more than ``max_drop``. ``FAIL``: it did, by more than
        that, and noise does not explain it. ``INCONCLUSIVE``: it looks worse, and these cases cannot tell
        noise from a drop of more than ``max_drop``.
    reason: the verdict in one sentence, with its figures.
    n: cases that were compared.
    before, after: weighted means over these; None without any.
    change: ``after`` less ``before``.
    interval: of the change, with confidence ``1 - 2 * alpha``.
    p_value: one-sided: how likely noise alone makes it look this bad; ``p_corrected`` after a correction
        for several metrics, which is what decides.
    test: ``exact McNemar`` (every case passed or failed) or ``paired bootstrap`` (graded, rates, weights).
    worse, better: the cases whose score fell, rose.
    added, removed: cases of the later, the earlier run only; not compared.
    unscored: cases that one of the runs did not score; not compared.
    """

    verdict: Decision
    reason: str
    n: int
    before: float | None
    after: float | None
    change: float
    interval: tuple[float, float]
    p_value: float
    p_corrected: float
    alpha: float
    max_drop: float
    test: Literal["exact McNemar", "paired bootstrap"]
    worse: tuple[Hashable, ...] = ()
    better: tuple[Hashable, ...] = ()
    added: tuple[Hashable, ...] = field(default=(), repr=False)
    removed: tuple[Hashable, ...] = field(default=(), repr=False)
    unscored: tuple[Hashable, ...] = field(default=(), repr=False)

    @property
    def confidence(self) -> float:
        """The interval's."""
        return 1 - 2 * self.alpha

    def to_plain(self) -> dict[str, Any]:
        """Return JSON data (where the cases' ids are)."""
        plain = {name: list(v) if isinstance(v, tuple) else v for name, v in asdict(self).items()}
        return {**plain, "confidence": self.confidence}


def compare(
    before: Scores,
    after: Scores,
    *,
    alpha: float = ALPHA,
    max_drop: float = 0.0,
    weights: Mapping[Any, float] | Sequence[float] | None = None,
    seed: int = 0,
) -> Comparison:
    """Compare two runs of one metric on the same cases, by id (mappings) or position (sequences).

    Parameters
    ----------
    before, after: the scores; both runs may be noisy.
    alpha: chance at which noise alone may be called FAIL, one-sided.
    max_drop: by how much the mean may fall.
    weights: of the cases, 1 where not given.
    seed: of the bootstrap's generator; the same data and seed give the same figures.

    Raises UsageError for scores outside [0, 1], sequences of different lengths, and bad limits.
    """
    _check_limits(alpha, max_drop)
    old, new = _by_case(before), _by_case(after)
    if isinstance(before, Mapping) != isinstance(after, Mapping):
        raise UsageError("compare takes two mappings by case or two sequences, not one of each")
    if not isinstance(before, Mapping) and len(old) != len(new):
        raise UsageError(f"sequences are paired by position: {len(old)} and {len(new)} scores do not pair")
    shared = [case for case in new if case in old]
    pairs = {c: (b, a) for c in shared if (b := old[c]) is not None and (a := new[c]) is not None}
    found = _figures(pairs, _weights(weights, pairs), alpha, seed)
    comparison = replace(
        found,
        max_drop=max_drop,
        added=tuple(case for case in new if case not in old),
        removed=tuple(case for case in old if case not in new),
        unscored=tuple(case for case in shared if case not in pairs),
    )
    return _decided(comparison)


def corrected(comparisons: Mapping[str, Comparison]) -> dict[str, Comparison]:
    """Return the comparisons of several metrics, decided anew by p-values corrected for their number
    (Holm), so that the chance that one of them fails by noise alone stays ``alpha``."""
    names = [name for name, found in comparisons.items() if found.n]
    p_values = holm([comparisons[name].p_value for name in names])
    again = {
        name: _decided(replace(comparisons[name], p_corrected=p))
        for name, p in zip(names, p_values, strict=True)
    }
    return {name: again.get(name, found) for name, found in comparisons.items()}


def _check_limits(alpha: float, max_drop: float) -> None:
    if not 0 < alpha < 0.5:
        raise UsageError(f"alpha must be above 0 and below 0.5, not {alpha!r}")
    if not 0 <= max_drop <= 1:
        raise UsageError(f"max_drop must be within [0, 1], not {max_drop!r}")


def _by_case(scores: Scores) -> dict[Any, float | None]:
    items = scores.items() if isinstance(scores, Mapping) else enumerate(scores)
    return {case: None if score is None else _checked(case, score) for case, score in items}


def _checked(case: Any, score: float | bool) -> float:
    try:
        value = math.nan if isinstance(score, str) else float(score)
    except (TypeError, ValueError):
        value = math.nan
    if not 0 <= value <= 1:
        raise UsageError(f"the score of case {case!r} must be within [0, 1], not {score!r}")
    return value


def _weights(given: Mapping[Any, float] | Sequence[float] | None, cases: Mapping[Any, Any]) -> list[float]:
    if given is None:
        return [1.0] * len(cases)
    found = dict(given) if isinstance(given, Mapping) else dict(enumerate(given))
    weights = [float(found.get(case, 1.0)) for case in cases]
    if any(not (math.isfinite(weight) and weight > 0) for weight in weights):
        raise UsageError("weights must be finite and above 0")
    return weights


def _figures(
    pairs: Mapping[Any, tuple[float, float]], weights: list[float], alpha: float, seed: int
) -> Comparison:
    changes = [after - before for before, after in pairs.values()]
    worse = tuple(c for c, change in zip(pairs, changes, strict=True) if change < -TOLERANCE)
    better = tuple(c for c, change in zip(pairs, changes, strict=True) if change > TOLERANCE)
    exact = len(set(weights)) <= 1 and all(v in (0.0, 1.0) for pair in pairs.values() for v in pair)
    if exact:
        p_value = mcnemar(len(worse), len(better))
        interval = change_interval(len(worse), len(better), len(pairs), alpha=alpha)
    else:
        found = paired_bootstrap(changes, weights, alpha=alpha, seed=seed)
        p_value, interval = found.p_value, (found.low, found.high)
    total = math.fsum(weights)
    before, after = (
        math.fsum(w * pair[i] for w, pair in zip(weights, pairs.values(), strict=True)) / total
        if total
        else None
        for i in (0, 1)
    )
    change = 0.0 if before is None or after is None else after - before
    return Comparison(
        "INCONCLUSIVE",
        "",
        len(pairs),
        before,
        after,
        0.0 if abs(change) < TOLERANCE else change,
        interval,
        p_value,
        p_value,
        alpha,
        0.0,
        "exact McNemar" if exact else "paired bootstrap",
        worse,
        better,
    )


def _decided(found: Comparison) -> Comparison:
    """Return the comparison with its verdict and the reason for it."""
    verdict, reason = _decision(found)
    return replace(found, verdict=verdict, reason=reason)


def _decision(found: Comparison) -> tuple[Decision, str]:
    if not found.n:
        return "INCONCLUSIVE", "there is no case that both runs scored"
    if found.change >= 0:
        return "PASS", _better(found)
    if found.p_corrected <= found.alpha and -found.change > found.max_drop + TOLERANCE:
        return "FAIL", f"{_worse(found)}, which noise does not explain ({_p(found)} <= alpha {found.alpha:g})"
    if found.interval[0] >= -found.max_drop - TOLERANCE:
        return "PASS", f"{_worse(found)}, surely by no more than max_drop {found.max_drop:g}"
    limit = f"more than max_drop {found.max_drop:g}" if found.max_drop else "a real drop"
    if found.p_corrected > found.alpha:
        limit += f", or noise ({_p(found)} > alpha {found.alpha:g})"
    return "INCONCLUSIVE", f"{_worse(found)}, which may be {limit}"


def _better(found: Comparison) -> str:
    if found.change:
        return f"the score rose by {found.change:.3f} ({_interval(found)})"
    return f"{'the score is the same' if found.worse else 'no case got worse'} ({_interval(found)})"


def _worse(found: Comparison) -> str:
    return f"the score fell by {-found.change:.3f} ({_interval(found)})"


def _interval(found: Comparison) -> str:
    low, high = (0.0 if abs(end) < 0.0005 else end for end in found.interval)
    return f"{100 * found.confidence:.4g}% CI {low:+.3f} to {high:+.3f}"


def _p(found: Comparison) -> str:
    corrected = found.p_corrected != found.p_value
    return f"p = {found.p_corrected:.2g}{' corrected' if corrected else ''}"
