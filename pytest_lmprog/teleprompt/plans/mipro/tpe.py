"""TPE: which choices to try next, given the scores of those tried. The sampler is optuna's."""

from __future__ import annotations

import logging
import math
import threading
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol

from pytest_lmprog.errors import MissingExtraError

__all__ = ["STARTUP", "TPE", "Point", "Sampler", "Space", "require_optuna", "size_of"]

STARTUP = 10
"""Points with scores that TPE needs to know more than chance (optuna's ``n_startup_trials``)."""

Space = Mapping[str, int]
"""How many choices there are, by the name of what is chosen."""

Point = Mapping[str, int]
"""One choice for each name of a space: numbers from 0."""


class Sampler(Protocol):
    """Proposes points. What it proposes depends on nothing but what it was told, and how often asked."""

    def ask(self) -> Point:
        """Return the point to try next: while fewer than ``STARTUP`` scores are known, one at random."""
        ...

    def tell(self, point: Point, score: float) -> None:
        """Take note of the score of a point, which need not be one that was asked for."""
        ...


def require_optuna(what: str) -> Any:
    """Return optuna. Raises MissingExtraError where it is not installed."""
    try:
        import optuna
    except ModuleNotFoundError as error:
        if error.name != "optuna":
            raise
        raise MissingExtraError(what, "optuna") from None
    return optuna


class TPE:
    """The multivariate tree-structured Parzen estimator over categories (Bergstra et al., 2011; optuna).

    For one thread: ask and tell in one order, and the points are the same."""

    def __init__(self, space: Space, seed: int) -> None:
        self._optuna = optuna = require_optuna("TPE")
        self._distributions = {
            name: optuna.distributions.CategoricalDistribution(range(size)) for name, size in space.items()
        }
        with _quiet():
            sampler = optuna.samplers.TPESampler(
                seed=seed % 2**32, multivariate=True, n_startup_trials=STARTUP
            )
            self._study = optuna.create_study(direction="maximize", sampler=sampler)

    def ask(self) -> Point:
        """See Sampler."""
        trial = self._study.ask(self._distributions)
        point = {name: int(trial.params[name]) for name in self._distributions}
        # Its score comes by tell(), like that of points of other origin.
        self._study.tell(trial, state=self._optuna.trial.TrialState.FAIL)
        return point

    def tell(self, point: Point, score: float) -> None:
        """See Sampler."""
        trial = self._optuna.trial.create_trial(
            params=dict(point), distributions=self._distributions, value=score
        )
        self._study.add_trial(trial)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep to itself what optuna says of a new study, and of an argument that was experimental once. Its
    settings, which are the user's, are left alone."""
    logger = logging.getLogger("optuna.storages._in_memory")
    thread = threading.get_ident()

    def elsewhere(record: logging.LogRecord) -> bool:
        return record.thread != thread

    logger.addFilter(elsewhere)
    try:
        with warnings.catch_warnings(action="ignore"):
            yield
    finally:
        logger.removeFilter(elsewhere)


def size_of(space: Space) -> int:
    """Return how many points the space has."""
    return math.prod(space.values())
