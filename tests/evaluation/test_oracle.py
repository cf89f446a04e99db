"""Our statistics against scipy's and statsmodels': installed for tests only (the extra ``oracle``)."""

from __future__ import annotations

import math
import random

import pytest

from pytest_lmprog.evaluation.comparison import compare
from pytest_lmprog.evaluation.paired import change_interval, holm, mcnemar, paired_bootstrap
from pytest_lmprog.evaluation.statistics import t_quantile, t_tail, wilson

WHY = "an oracle for statistics: pip install 'pytest-lmprog[oracle]'"
stats = pytest.importorskip("scipy.stats", reason=WHY)
optimize = pytest.importorskip("scipy.optimize", reason=WHY)
np = pytest.importorskip("numpy", reason=WHY)
tables_of = pytest.importorskip("statsmodels.stats.contingency_tables", reason=WHY)
proportion = pytest.importorskip("statsmodels.stats.proportion", reason=WHY)
multitest = pytest.importorskip("statsmodels.stats.multitest", reason=WHY)


def random_tables(count: int = 1000) -> list[tuple[int, int, int, int]]:
    """Return tables (passed both, got worse, got better, failed both) of 1 to 400 cases."""
    rng = random.Random(2026)
    found = []
    for _ in range(count):
        n = rng.randint(1, 400)
        cut = sorted(rng.randint(0, n) for _ in range(3)) if rng.random() < 0.5 else _quiet(rng, n)
        found.append((cut[0], cut[1] - cut[0], cut[2] - cut[1], n - cut[2]))
    return found


def _quiet(rng: random.Random, n: int) -> list[int]:
    """Few changes, as runs of one program have them."""
    worse, better = rng.randint(0, n // 8), rng.randint(0, n // 8)
    both = rng.randint(0, n - worse - better)
    return [both, both + worse, both + worse + better]


TABLES = random_tables()


def test_verdicts_on_a_thousand_tables() -> None:
    for both, worse, better, neither in TABLES:
        before = [True] * (both + worse) + [False] * (better + neither)
        after = [True] * both + [False] * worse + [True] * better + [False] * neither
        found = compare(before, after, alpha=0.02)
        expected = stats.binomtest(worse, worse + better, alternative="greater").pvalue if worse else 1.0
        assert found.p_value == pytest.approx(expected, rel=1e-9)
        verdict = "PASS" if worse <= better else "FAIL" if expected <= 0.02 else "INCONCLUSIVE"
        assert found.verdict == verdict


def test_mcnemar_two_sided_as_statsmodels_has_it() -> None:
    for both, worse, better, neither in TABLES:
        theirs = tables_of.mcnemar([[both, worse], [better, neither]], exact=True).pvalue
        ours = min(1.0, 2 * min(mcnemar(worse, better), mcnemar(better, worse)))
        assert ours == pytest.approx(theirs, rel=1e-9)


def test_the_interval_ends_where_the_score_test_does() -> None:
    z = stats.norm.ppf(0.98)
    for both, worse, better, neither in TABLES[:150]:
        n = both + worse + better + neither
        low, high = change_interval(worse, better, n)
        for edge, expected in ((low, z), (high, -z)):
            if abs(edge) < 1e-9 or abs(edge) > 1 - 1e-9:
                continue  # widened to hold 0, or the end of the scale
            assert _score(edge, worse, better, n) == pytest.approx(expected, abs=2e-3)


def _score(change: float, worse: int, better: int, n: int) -> float:
    """The score statistic, its nuisance parameter found by maximising the likelihood numerically."""
    least, most = max(0.0, -change), (1 - change) / 2

    def unlikely(rate: float) -> float:  # rate: P(worse); P(better) = rate + change
        parts = ((worse, rate), (better, rate + change), (n - worse - better, 1 - 2 * rate - change))
        return -sum(k * math.log(max(p, 1e-300)) for k, p in parts if k)

    rate = optimize.minimize_scalar(
        unlikely, bounds=(least, most), method="bounded", options={"xatol": 1e-12}
    ).x
    return (better - worse - n * change) / math.sqrt(n * (2 * rate + change - change**2))


def test_wilson_on_a_thousand_tables() -> None:
    for both, worse, better, neither in TABLES:
        n, passed = both + worse + better + neither, both + better
        found = wilson(passed, n)
        theirs = proportion.proportion_confint(passed, n, alpha=0.05, method="wilson")
        assert (found.low, found.high) == pytest.approx(theirs, abs=1e-9)


def test_holm_as_statsmodels_has_it() -> None:
    rng = random.Random(1)
    for size in (1, 2, 3, 10, 100):  # theirs takes 90 ms a call
        p_values = [rng.random() ** 3 for _ in range(size)]
        theirs = multitest.multipletests(p_values, method="holm")[1]
        assert holm(p_values) == pytest.approx(list(theirs))


@pytest.mark.parametrize("degrees", [1, 2.5, 9, 99, 1000])
def test_students_t(degrees: float) -> None:
    for tail in (0.005, 0.02, 0.025, 0.1):
        assert t_quantile(degrees, tail) == pytest.approx(stats.t.isf(tail, degrees), rel=1e-7)
    for t in (-3.0, -0.5, 0.0, 0.7, 4.0):
        assert t_tail(t, degrees) == pytest.approx(stats.t.sf(t, degrees), rel=1e-7)


@pytest.mark.parametrize("seed", range(4))
def test_the_bootstrap_against_scipys(seed: int) -> None:
    rng = random.Random(seed)
    changes = [rng.betavariate(2, 5) - 0.3 - (0.3 if rng.random() < 0.1 else 0) for _ in range(300)]
    theirs = stats.bootstrap(
        (np.array(changes),), np.mean, confidence_level=0.96, n_resamples=20_000, method="BCa", rng=seed
    ).confidence_interval
    ours = paired_bootstrap(changes, alpha=0.02)
    width = theirs.high - theirs.low
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=0.06 * width)
