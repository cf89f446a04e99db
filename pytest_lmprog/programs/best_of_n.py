"""BestOfN: the best of several attempts, by a reward function."""

from __future__ import annotations

from pytest_lmprog.programs.attempts import Attempting

__all__ = ["BestOfN"]


class BestOfN(Attempting):
    """Runs a module up to ``N`` times and returns the best prediction, or the first whose reward reaches
    ``threshold``.

    Parameters
    ----------
    module: the module; its predictors are named ``module...`` (``module.self`` for a predictor).
    N: attempts at most, each with answers of its own at temperature 1.0.
    reward_fn: ``f(inputs, prediction)``: a number; the larger the better. It may be a Judge.
    threshold: the reward at which no further attempt is made.
    fail_count: attempts that may end in an error; default ``N``. Where all do, the last error is raised.
    """
