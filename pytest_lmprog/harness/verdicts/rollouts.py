"""What several rollouts of each case say: how often it passes, and which cases are flaky."""

from __future__ import annotations

from pytest_lmprog.evaluation.statistics import pass_at_k, pass_hat_k
from pytest_lmprog.harness.results import MetricResult
from pytest_lmprog.records import dataclass

__all__ = ["RolloutFigures", "flaky_cases", "rollout_figures"]


@dataclass(frozen=True, slots=True)
class RolloutFigures:
    """Figures over rollouts, means over examples: ``pass_rate``; ``pass_at_k`` (one of k samples passes;
    Chen et al., arXiv:2107.03374) and ``pass_hat_k`` (all k pass; Yao et al., arXiv:2406.12045), k = n, the
    smallest number of rollouts of an example."""

    n: int
    pass_rate: float
    pass_at_k: float
    pass_hat_k: float


def rollout_figures(result: MetricResult) -> RolloutFigures | None:
    """Return the figures over rollouts, or None where each case has one."""
    counts = list(_counts(result).values())
    if not counts:
        return None
    k = min(n for _, n in counts)
    return RolloutFigures(
        k,
        _mean([passed / n for passed, n in counts]),
        _mean([pass_at_k(n, passed, k) for passed, n in counts]),
        _mean([pass_hat_k(n, passed, k) for passed, n in counts]),
    )


def flaky_cases(result: MetricResult) -> dict[str, tuple[int, int]]:
    """Return the examples of which some rollouts passed and some did not: passed, and all that counted.

    Also those whose rollouts all failed now and some of which passed in the baseline."""
    known = set(result.with_verdict("flaky"))
    counts = _counts(result)
    return {case: (passed, n) for case, (passed, n) in counts.items() if 0 < passed < n or case in known}


def _counts(result: MetricResult) -> dict[str, tuple[int, int]]:
    counts: dict[str, tuple[int, int]] = {}
    for outcome in result.judged if result.repeat > 1 else ():
        passed, n = counts.get(outcome.case, (0, 0))
        counts[outcome.case] = (passed + (outcome.status == "pass"), n + 1)
    return counts


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)
