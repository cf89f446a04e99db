"""BootstrapFewShot: runs of a teacher that the metric accepts become demos."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from pytest_lmprog.errors import UsageError
from pytest_lmprog.evaluation.scores import Metric
from pytest_lmprog.programs import Example, context
from pytest_lmprog.records import dataclass
from pytest_lmprog.teleprompt.base import CallBound, Candidate, CompileResult, CompileTask, StopReason
from pytest_lmprog.teleprompt.calls import teacher_bound
from pytest_lmprog.teleprompt.strategy import TeleprompterBase

if TYPE_CHECKING:
    from pytest_lmprog.teleprompt.bootstrapping import Bootstrap
    from pytest_lmprog.teleprompt.desk import Plan, Rank
    from pytest_lmprog.teleprompt.study import Study

__all__ = ["BootstrapFewShot"]


@dataclass(frozen=True)
class BootstrapFewShot(TeleprompterBase):
    """Demos from runs of a teacher that the metric accepts (DSPy, arXiv:2310.03714, algorithm 1).

    Settings as in DSPy. A score of 0.0 is not a success, unless ``metric_threshold`` says so, and a run
    that ends in an error costs its example no other chance. The student's own demos are replaced; where
    it is its own teacher and has demos already, it demonstrates with them.

    Parameters
    ----------
    metric: ``f(example, prediction, trace=None)``; overrides the unit's metrics. Without any metric every
        run that ends without an error is a success.
    metric_threshold: the least score of a success; 0 is valid. Default: a metric's own, else above 0.
    teacher_settings: overrides of the context while the teacher runs (``{"lm": ...}``).
    max_bootstrapped_demos: examples that are to succeed.
    max_labeled_demos: demos a predictor in all: labeled examples fill up what bootstrapping left. The
        teacher, if it has no demos, gets as many.
    max_rounds: tries an example; those after the first are new rollouts at temperature 1.0.
    max_errors: runs ending in an error at which the compile stops. None: it stops only where the first
        10 examples all end so.

    Raises UsageError for a number that is out of range, ConfigurationError for an unknown teacher setting.
    """

    metric: Callable[..., Any] | Metric | None = None
    metric_threshold: float | None = None
    teacher_settings: Mapping[str, Any] | None = None
    max_bootstrapped_demos: int = 4
    max_labeled_demos: int = 16
    max_rounds: int = 1
    max_errors: int | None = None

    headline: ClassVar[tuple[str, ...]] = ("max_bootstrapped_demos",)

    def __post_init__(self) -> None:
        for name in ("max_bootstrapped_demos", "max_labeled_demos"):
            _at_least(0, name, getattr(self, name))
        _at_least(1, "max_rounds", self.max_rounds)
        if self.max_errors is not None:
            _at_least(1, "max_errors", self.max_errors)
        with context(**(self.teacher_settings or {})):
            pass  # raises ConfigurationError for what is no setting

    def check(self, task: CompileTask) -> None:
        """As in the base; and the teacher must fit, and a metric count."""
        from pytest_lmprog.teleprompt.teacher import check_teacher

        super().check(task)
        check_teacher(task)
        if self.metric is None and task.objective.metrics and not task.objective.ranked:
            raise UsageError(
                "no metric counts while compiling: all are marked optimize=False",
                hint="leave lm_metric(optimize=True) to at least one test function",
            )

    def bound(self, task: CompileTask) -> CallBound:
        """Every example in every round."""
        return teacher_bound(task, len(task.trainset) * self.max_rounds * bool(self.max_bootstrapped_demos))

    def plan(self, study: Study) -> Plan[CompileResult]:
        """One bootstrap."""
        from pytest_lmprog.teleprompt.bootstrapping import bootstrap

        found = yield from bootstrap(study, self.spec(study.task.trainset, self.max_bootstrapped_demos))
        candidate = Candidate(0, "bootstrap", found.program, None, study.characters(found.program))
        stopped: StopReason = "done" if found.whole else "budget"
        return CompileResult(found.program, (candidate,), 0, stopped=stopped, notes=found.notes)

    def spec(self, trainset: Sequence[Example], wanted: int, rank: Rank = (0,)) -> Bootstrap:
        """Return the bootstrap of these settings over ``trainset``."""
        from pytest_lmprog.teleprompt.bootstrapping import Bootstrap

        return Bootstrap(
            trainset,
            wanted,
            self.max_labeled_demos,
            self.max_rounds,
            self.metric_threshold,
            self.max_errors,
            self.teacher_settings or {},
            rank,
        )


def _at_least(least: int, name: str, value: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise UsageError(f"{name} must be an integer of {least} or more, not {value!r}")
