"""BootstrapFewShot: runs of a teacher that the metric accepts become demos."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Any, ClassVar, Self

from pytest_lmprog.errors import UsageError
from pytest_lmprog.evaluation.scores import Metric
from pytest_lmprog.programs import Example
from pytest_lmprog.records import dataclass
from pytest_lmprog.teleprompt.base import CallBound, Candidate, CompileResult, CompileTask, StopReason
from pytest_lmprog.teleprompt.checks import check_integer, check_number, check_shared
from pytest_lmprog.teleprompt.engine.calls import teacher_bound
from pytest_lmprog.teleprompt.strategy import TeleprompterBase

if TYPE_CHECKING:
    from pytest_lmprog.teleprompt.engine.desk import Plan, Rank
    from pytest_lmprog.teleprompt.engine.study import Study
    from pytest_lmprog.teleprompt.material.bootstrapping import Bootstrap

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
            check_integer(name, getattr(self, name), 0)
        check_integer("max_rounds", self.max_rounds, 1)
        check_integer("max_errors", self.max_errors, 1, optional=True)
        check_number("metric_threshold", self.metric_threshold, optional=True)
        check_shared(self)

    @classmethod
    def shared_by(cls, strategy: TeleprompterBase, **changes: Any) -> Self:
        """Return the bootstrap with the settings that another strategy shares with it, ``changes`` apart."""
        shared = {f.name: getattr(strategy, f.name) for f in fields(cls) if hasattr(strategy, f.name)}
        return cls(**{**shared, **changes})

    def check(self, task: CompileTask) -> None:
        """As in the base; and the teacher must fit, and a metric count."""
        from pytest_lmprog.teleprompt.material.teacher import check_teacher

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
        from pytest_lmprog.teleprompt.material.bootstrapping import bootstrap

        found = yield from bootstrap(study, self.spec(study.task.trainset, self.max_bootstrapped_demos))
        candidate = Candidate(0, "bootstrap", found.program, None, study.characters(found.program))
        study.note(candidate)
        stopped: StopReason = "done" if found.whole else "budget"
        return CompileResult(found.program, (candidate,), 0, stopped=stopped, notes=found.notes)

    def spec(self, trainset: Sequence[Example], wanted: int, rank: Rank = (0,)) -> Bootstrap:
        """Return the bootstrap of these settings over ``trainset``."""
        from pytest_lmprog.teleprompt.material.bootstrapping import Bootstrap

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
