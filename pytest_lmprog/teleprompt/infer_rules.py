"""InferRules: rules that an LM reads off the examples, in words, added to the instructions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from pytest_lmprog.evaluation.scores import Metric
from pytest_lmprog.records import dataclass
from pytest_lmprog.teleprompt.base import CallBound, CompileResult, CompileTask
from pytest_lmprog.teleprompt.bootstrap import BootstrapFewShot
from pytest_lmprog.teleprompt.checks import check_integer, check_shared
from pytest_lmprog.teleprompt.strategy import TeleprompterBase

if TYPE_CHECKING:
    from pytest_lmprog.teleprompt.engine.desk import Plan
    from pytest_lmprog.teleprompt.engine.study import Study

__all__ = ["InferRules"]


@dataclass(frozen=True)
class InferRules(TeleprompterBase):
    """Demos and rules (DSPy's InferRules): BootstrapFewShot finds the demos; then, ``num_candidates`` times,
    an LM induces rules for each predictor from its examples, which are added to its instructions.

    A predictor's examples are its demos, then the other training rows that have an input and an output
    of it. Where they are longer than the context of the LM that induces, the second half of them is left
    out, again and again, until they fit. That LM is the one in ``teacher_settings``, else the ``teacher``
    where that is an LM, else the student's. All inductions run side by side, then the candidates race: the
    best score on the validation examples wins. Without a valset these are the trainset, an example's
    own demo left out (DSPy takes half of the trainset away for it).

    The program without rules takes no part: it is the result where no rules were to be had, or the budget
    was spent before a candidate was evaluated.

    Settings as for BootstrapFewShot, and

    Parameters
    ----------
    num_candidates: sets of rules that are tried.
    num_rules: rules that are asked for.
    num_threads: runs at a time where ``compile`` is called outside pytest.

    Raises UsageError for a number that is out of range.
    """

    num_candidates: int = 10
    num_rules: int = 10
    num_threads: int | None = None
    teacher_settings: Mapping[str, Any] | None = None
    metric: Callable[..., Any] | Metric | None = None
    metric_threshold: float | None = None
    max_bootstrapped_demos: int = 4
    max_labeled_demos: int = 16
    max_rounds: int = 1
    max_errors: int | None = None

    proposes: ClassVar[bool] = True
    headline: ClassVar[tuple[str, ...]] = ("num_candidates", "num_rules")
    unlisted: ClassVar[frozenset[str]] = frozenset({"num_threads"})

    def __post_init__(self) -> None:
        check_integer("num_candidates", self.num_candidates, 1)
        check_integer("num_rules", self.num_rules, 1)
        check_shared(self)
        self.bootstrapper()  # checks the settings that they share

    def bootstrapper(self) -> BootstrapFewShot:
        """Return the bootstrap with the settings that they share."""
        return BootstrapFewShot.shared_by(self)

    def check(self, task: CompileTask) -> None:
        """As for BootstrapFewShot; and there must be a metric to rank by and a predictor that may change."""
        self.bootstrapper().check(task)
        self.check_ranking(task)
        self.check_learners(task)

    def threads(self) -> int:
        """``num_threads``, where given."""
        return super().threads() if self.num_threads is None else self.num_threads

    def bound(self, task: CompileTask) -> CallBound:
        """The bootstrap, every induction with its examples halved down to one, and all candidates
        evaluated fully."""
        from pytest_lmprog.teleprompt.engine.calls import student_bound
        from pytest_lmprog.teleprompt.material.instructions import learners
        from pytest_lmprog.teleprompt.plans.rules.rules import Induction

        runs = self.num_candidates * len(learners(task.student))
        calls = Induction(self.num_rules, len(task.trainset)).max_calls()
        induced = CallBound(runs, runs * calls)
        evaluated = student_bound(task, self.num_candidates * len(task.validation))
        return self.bootstrapper().bound(task) + induced + evaluated

    def plan(self, study: Study) -> Plan[CompileResult]:
        """Bootstrap, induce, and let the candidates race."""
        from pytest_lmprog.teleprompt.plans.rules.search import RuleSearch

        return (yield from RuleSearch(self, study).plan())
