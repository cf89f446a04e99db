"""BootstrapFewShotWithRandomSearch: bootstraps over shuffled trainsets, ranked on validation examples."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from pytest_lmprog.evaluation.scores import Metric
from pytest_lmprog.records import dataclass
from pytest_lmprog.teleprompt.base import CallBound, CompileResult, CompileTask
from pytest_lmprog.teleprompt.bootstrap import BootstrapFewShot
from pytest_lmprog.teleprompt.checks import check_integer, check_number, check_shared
from pytest_lmprog.teleprompt.engine.calls import student_bound, teacher_bound
from pytest_lmprog.teleprompt.strategy import TeleprompterBase

if TYPE_CHECKING:
    from pytest_lmprog.teleprompt.engine.desk import Plan
    from pytest_lmprog.teleprompt.engine.study import Study

__all__ = ["FIXED", "BootstrapFewShotWithRandomSearch", "BootstrapRS"]

FIXED = 3
"""Candidates before the shuffled ones: zero-shot, labeled, bootstrap in the given order."""


@dataclass(frozen=True)
class BootstrapFewShotWithRandomSearch(TeleprompterBase):
    """Random search over bootstrapped demos (DSPy, arXiv:2310.03714, algorithm 2).

    Candidates: zero-shot; labeled demos only; a bootstrap over the trainset in the given order; then
    ``num_candidate_programs`` bootstraps over shuffles of it, each for a random number of demos from 1 to
    ``max_bootstrapped_demos``. All bootstrap and are evaluated side by side. The best score on the
    valset (without one: on the trainset, an example's own demo left out) wins.

    Settings as for BootstrapFewShot, and

    Parameters
    ----------
    num_candidate_programs: shuffled candidates.
    num_threads: runs at a time where ``compile`` is called outside pytest.
    stop_at_score: the first candidate, in order, that reaches it is the last one tried. Within [0, 1];
        above 1 it is read as a percentage, as in DSPy. Candidates then start one after the other, each
        as soon as those before it cannot reach it: no call is made in vain.
    max_errors: as for BootstrapFewShot, for each bootstrap by itself. In validation an error scores 0.
    """

    metric: Callable[..., Any] | Metric | None = None
    teacher_settings: Mapping[str, Any] | None = None
    max_bootstrapped_demos: int = 4
    max_labeled_demos: int = 16
    max_rounds: int = 1
    num_candidate_programs: int = 16
    num_threads: int | None = None
    max_errors: int | None = None
    stop_at_score: float | None = None
    metric_threshold: float | None = None

    headline: ClassVar[tuple[str, ...]] = ("max_bootstrapped_demos", "num_candidate_programs")
    unlisted: ClassVar[frozenset[str]] = frozenset({"num_threads"})

    def __post_init__(self) -> None:
        check_integer("num_candidate_programs", self.num_candidate_programs, 0)
        check_shared(self)
        check_number("stop_at_score", self.stop_at_score, 0, 100, optional=True)
        self.bootstrapper()  # checks the settings that they share

    def bootstrapper(self) -> BootstrapFewShot:
        """Return the bootstrap with the settings that they share."""
        return BootstrapFewShot.shared_by(self)

    def check(self, task: CompileTask) -> None:
        """As for BootstrapFewShot; and there must be a metric to rank by."""
        self.bootstrapper().check(task)
        self.check_ranking(task)

    def threads(self) -> int:
        """``num_threads``, where given."""
        return super().threads() if self.num_threads is None else self.num_threads

    def bound(self, task: CompileTask) -> CallBound:
        """All bootstraps in full, and all candidates evaluated fully."""
        bootstraps = self.num_candidate_programs + 1
        runs = bootstraps * self.bootstrapper().bound(task).runs
        evaluated = (self.num_candidate_programs + FIXED) * len(task.validation)
        return teacher_bound(task, runs) + student_bound(task, evaluated)

    def plan(self, study: Study) -> Plan[CompileResult]:
        """Propose the candidates, and let them race."""
        from pytest_lmprog.teleprompt.plans.search import Search

        return (yield from Search(self, study).plan())


BootstrapRS = BootstrapFewShotWithRandomSearch
