"""BootstrapFewShotWithOptuna: one demo a predictor, chosen by TPE among those bootstrapped."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from pytest_lmprog.errors import BudgetExceededError
from pytest_lmprog.evaluation.scores import Metric
from pytest_lmprog.lm.types import LanguageModel
from pytest_lmprog.programs import Example, Module
from pytest_lmprog.records import dataclass
from pytest_lmprog.teleprompt.base import CallBound, CompileResult, CompileRuntime, CompileTask
from pytest_lmprog.teleprompt.bootstrap import BootstrapFewShot
from pytest_lmprog.teleprompt.checks import check_integer, check_shared
from pytest_lmprog.teleprompt.engine.calls import student_bound
from pytest_lmprog.teleprompt.strategy import Rows, TeleprompterBase

if TYPE_CHECKING:
    from pytest_lmprog.teleprompt.engine.desk import Plan
    from pytest_lmprog.teleprompt.engine.study import Study
    from pytest_lmprog.teleprompt.material.bootstrapping import Bootstrapped
    from pytest_lmprog.teleprompt.plans.mipro.combination import Made
    from pytest_lmprog.teleprompt.plans.mipro.tpe import Point, Sampler, Space
    from pytest_lmprog.teleprompt.plans.mipro.trials import Trials

__all__ = ["BootstrapFewShotWithOptuna"]


@dataclass(frozen=True)
class BootstrapFewShotWithOptuna(TeleprompterBase):
    """Chooses one demo for each predictor by TPE (DSPy's teleprompter of that name).

    One bootstrap finds the demos (bootstrapped ones, filled up with labeled ones); each trial gives each
    predictor one of its demos and is evaluated on all validation examples (without a valset: the trainset,
    an example's own demo left out). A combination that comes again costs nothing. As a demo's number says
    nothing about it, it is chosen as a category; in DSPy, as a number.

    Settings as for BootstrapFewShot, and

    Parameters
    ----------
    num_candidate_programs: trials.
    num_threads: runs at a time where ``compile`` is called outside pytest.
    max_demos: demos to bootstrap (DSPy's ``compile(max_demos=)``). Default: ``max_bootstrapped_demos``.
    trials_in_flight: trials at a time. A trial is chosen from what those before it came to, so more in flight
        are quicker and know less. The first ten, which are random, run together in any case.

    Needs the extra ``optuna``. Raises UsageError for a number that is out of range.
    """

    metric: Callable[..., Any] | Metric | None = None
    teacher_settings: Mapping[str, Any] | None = None
    max_bootstrapped_demos: int = 4
    max_labeled_demos: int = 16
    max_rounds: int = 1
    num_candidate_programs: int = 16
    num_threads: int | None = None
    max_errors: int | None = None
    metric_threshold: float | None = None
    max_demos: int | None = None
    trials_in_flight: int = 1

    headline: ClassVar[tuple[str, ...]] = ("max_bootstrapped_demos", "num_candidate_programs")
    unlisted: ClassVar[frozenset[str]] = frozenset({"num_threads"})
    libraries: ClassVar[tuple[str, ...]] = ("optuna",)

    def __post_init__(self) -> None:
        for name in ("num_candidate_programs", "trials_in_flight"):
            check_integer(name, getattr(self, name), 1)
        check_shared(self)
        self.bootstrapper()  # checks the settings that they share

    def bootstrapper(self) -> BootstrapFewShot:
        """Return the bootstrap that finds the demos."""
        demos = self.max_bootstrapped_demos if self.max_demos is None else self.max_demos
        return BootstrapFewShot.shared_by(self, max_bootstrapped_demos=demos)

    def compile(
        self,
        student: Module,
        *,
        trainset: Rows,
        teacher: Module | LanguageModel | None = None,
        valset: Rows | None = None,
        runtime: CompileRuntime | None = None,
        max_demos: int | None = None,
    ) -> Module:
        """Return the compiled program. ``max_demos`` as in DSPy."""
        chosen = self if max_demos is None else replace(self, max_demos=max_demos)
        return super(BootstrapFewShotWithOptuna, chosen).compile(
            student, trainset=trainset, teacher=teacher, valset=valset, runtime=runtime
        )

    def check(self, task: CompileTask) -> None:
        """As for BootstrapFewShot; there must be a metric to rank by, and optuna installed."""
        from pytest_lmprog.teleprompt.plans.mipro.tpe import require_optuna

        self.bootstrapper().check(task)
        self.check_ranking(task)
        require_optuna(type(self).__name__)

    def threads(self) -> int:
        """``num_threads``, where given."""
        return super().threads() if self.num_threads is None else self.num_threads

    def bound(self, task: CompileTask) -> CallBound:
        """The bootstrap in full, and all trials on distinct combinations."""
        evaluated = self.num_candidate_programs * len(task.validation)
        return self.bootstrapper().bound(task) + student_bound(task, evaluated)

    def sampler(self, space: Space, seed: int) -> Sampler:
        """Return what chooses the trials."""
        from pytest_lmprog.teleprompt.plans.mipro.tpe import TPE

        return TPE(space, seed)

    def plan(self, study: Study) -> Plan[CompileResult]:
        """Bootstrap, then try."""
        from pytest_lmprog.teleprompt.material.bootstrapping import bootstrap
        from pytest_lmprog.teleprompt.plans.mipro.trials import Schedule, Trials

        schedule = Schedule(self.num_candidate_programs, in_flight=self.trials_in_flight, seed=study.seed)
        trials = Trials(study, study.task.validation, schedule)
        try:
            spec = self.bootstrapper().spec(study.task.trainset, self.bootstrapper().max_bootstrapped_demos)
            bootstrapping = study.desk.spawn(bootstrap(study, spec))
            yield
            yield from self._tried(study, trials, bootstrapping.value())
        except BudgetExceededError:
            return replace(trials.result(), stopped="budget")
        return trials.result()

    def _tried(self, study: Study, trials: Trials, found: Bootstrapped) -> Plan[None]:
        from pytest_lmprog.teleprompt.material.instructions import learners

        pools = {name: predictor.demos for name, predictor in learners(found.program) if predictor.demos}
        space = {name: len(demos) for name, demos in pools.items()}

        def make(point: Point) -> Made:
            return _made(found, {name: [_example(pools[name][place])] for name, place in point.items()})

        trials.open(space, self.sampler(space, study.seed), make)
        while trials.running:
            trials.record((yield))


def _made(found: Bootstrapped, demos: Mapping[str, list[Example]]) -> Made:
    from pytest_lmprog.teleprompt.material.demos import with_demos
    from pytest_lmprog.teleprompt.plans.mipro.combination import Made

    shown = [f"{name}: {demo.id}" if demo.has_given_id else name for name, (demo,) in demos.items()]
    return Made("; ".join(shown) or "zero-shot", with_demos(found.program, demos), found.notes)


def _example(demo: Mapping[str, Any]) -> Example:
    return demo if isinstance(demo, Example) else Example(demo)
