"""GEPA: instructions evolve by reflection on what the program did and how it was judged."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pytest_lmprog.errors import UsageError
from pytest_lmprog.evaluation.scores import Metric
from pytest_lmprog.lm.types import LanguageModel
from pytest_lmprog.programs import Module
from pytest_lmprog.records import dataclass
from pytest_lmprog.teleprompt.base import CallBound, CompileResult, CompileTask
from pytest_lmprog.teleprompt.checks import check_integer, check_lm, check_shared
from pytest_lmprog.teleprompt.engine.calls import student_bound
from pytest_lmprog.teleprompt.strategy import TeleprompterBase

if TYPE_CHECKING:
    from pytest_lmprog.teleprompt.engine.desk import Plan
    from pytest_lmprog.teleprompt.engine.study import Study

__all__ = ["GEPA", "auto_budget", "validates_on_trainset"]

_CANDIDATES: Mapping[str, int] = {"light": 6, "medium": 12, "heavy": 18}
_STRATEGIES = ("pareto", "current_best")
_SELECTORS = ("round_robin", "all")


@dataclass(frozen=True)
class GEPA(TeleprompterBase):
    """Reflective evolution of instructions (arXiv:2507.19457; settings and defaults are DSPy's).

    A candidate is drawn from those that are best at some validation example, in proportion to how many these
    are. It runs on a minibatch of the trainset; an LM is shown what one predictor was given and put out in
    it, and how the runs were judged, and writes a new instruction. The child is kept if it scores more in sum
    on the same minibatch, and is then evaluated on the valset. Two candidates that learnt about different
    predictors since a common ancestor are merged. The best mean on the valset wins.

    The judgement is what the unit's test functions say: the messages of failed assertions and the feedback of
    ``record_score``. A metric ``f(gold, pred, trace, pred_name, pred_trace)`` is asked for feedback to the
    predictor that is reflected on; it returns a number or ``ScoreWithFeedback(score, feedback)``.

    An own engine, not the ``gepa`` package's: that blocks, keeps its state in a pickle, goes by the order of
    sets and counts its budget after the fact. Stated differences: an evaluation that was had before is not
    made again, ``max_metric_calls`` is never exceeded, a minibatch holds no example twice, a child that is a
    candidate already, or was rejected on the same minibatch, is not tried again, and members are merged
    whatever the size of the valset.

    Parameters
    ----------
    metric: overrides the unit's metrics.
    auto, max_full_evals, max_metric_calls: the budget, just one of them, in evaluations of an example. No
        iteration begins when as many are spent, counted as DSPy does (what was had before too), so the search
        is as long as DSPy's. ``max_metric_calls`` is never exceeded: nor does one begin that could do so.
        ``max_full_evals`` is that many times trainset and valset; ``auto`` DSPy's formula, and like there the
        last iteration may go beyond it.
    reflection_minibatch_size: training examples of an iteration.
    candidate_selection_strategy: "pareto", or "current_best" (the best mean).
    reflection_lm: the LM that reflects, by default the student's.
    skip_perfect_score: do not reflect where all runs of the minibatch reach ``perfect_score``.
    add_format_failure_as_feedback: reflect on answers that could not be read, too.
    instruction_proposer: writes the instructions instead: a Module or function, called with ``candidate``,
        ``reflective_dataset`` and ``components_to_update`` as in DSPy, that returns texts by predictor. A
        function may make one LM call a predictor.
    component_selector: which predictors an iteration changes: "round_robin", "all", or a function of (state,
        trajectories, subsample_scores, candidate_idx, candidate) that returns names. ``state`` is a
        ``population.Population``.
    use_merge, max_merge_invocations: whether to merge, and how many merges may be kept (None: any number).
    num_threads: runs at a time where ``compile`` is called outside pytest.
    failure_score: 0.0; nothing else is taken: an error is a failure, and is counted apart.
    track_stats, track_best_outputs: give the program ``detailed_results`` (``plans.gepa.stats.GEPAResult``).
    seed: of this strategy's choices, beside the compile's own.
    use_feedback: False keeps the words from the reflection, so that it sees scores alone.
    trials_in_flight: iterations side by side, taken in by their order. More are faster, and know less of each
        other.
    """

    metric: Callable[..., Any] | Metric | None = None
    auto: Literal["light", "medium", "heavy"] | None = None
    max_full_evals: int | None = None
    max_metric_calls: int | None = None
    reflection_minibatch_size: int = 3
    candidate_selection_strategy: Literal["pareto", "current_best"] = "pareto"
    reflection_lm: LanguageModel | None = None
    skip_perfect_score: bool = True
    add_format_failure_as_feedback: bool = False
    instruction_proposer: Callable[..., Any] | None = None
    component_selector: Callable[..., Any] | str = "round_robin"
    use_merge: bool = True
    max_merge_invocations: int | None = 5
    num_threads: int | None = None
    failure_score: float = 0.0
    perfect_score: float = 1.0
    track_stats: bool = False
    track_best_outputs: bool = False
    seed: int = 0
    use_feedback: bool = True
    trials_in_flight: int = 1

    proposes: ClassVar[bool] = True
    headline: ClassVar[tuple[str, ...]] = ()
    unlisted: ClassVar[frozenset[str]] = frozenset({"num_threads", "track_stats", "track_best_outputs"})

    def __post_init__(self) -> None:
        check_shared(self)
        self._check_budget()
        for name in ("reflection_minibatch_size", "trials_in_flight"):
            check_integer(name, getattr(self, name), 1)
        check_integer("max_merge_invocations", self.max_merge_invocations, 0, optional=True)
        check_lm("reflection_lm", self.reflection_lm)
        if self.candidate_selection_strategy not in _STRATEGIES:
            raise _not_among("candidate_selection_strategy", _STRATEGIES, self.candidate_selection_strategy)
        if not (callable(self.component_selector) or self.component_selector in _SELECTORS):
            raise _not_among("component_selector", (*_SELECTORS, "a function"), self.component_selector)
        if self.instruction_proposer is not None and not callable(self.instruction_proposer):
            raise UsageError(f"instruction_proposer must be callable, not {self.instruction_proposer!r:.80}")
        if self.failure_score:
            raise UsageError("failure_score is always 0: an error is a failure, and is counted apart")
        perfect = self.perfect_score
        if not isinstance(perfect, int | float) or not 0 < perfect <= 1:
            raise UsageError(f"perfect_score must be above 0 and at most 1, not {perfect!r}")
        check_integer("seed", self.seed, 0)
        if self.track_best_outputs and not self.track_stats:
            raise UsageError("track_best_outputs needs track_stats=True: it is part of the statistics")

    def _check_budget(self) -> None:
        budgets = {name: getattr(self, name) for name in ("auto", "max_full_evals", "max_metric_calls")}
        given = {name: value for name, value in budgets.items() if value is not None}
        if len(given) != 1:
            told = ", ".join(f"{name}={value!r}" for name, value in given.items()) or "none"
            raise UsageError(
                f"GEPA takes just one of auto, max_full_evals and max_metric_calls, not {told}",
                hint="GEPA(auto='light')",
            )
        if self.auto is not None and self.auto not in tuple(_CANDIDATES):
            raise _not_among("auto", tuple(_CANDIDATES), self.auto)
        for name in ("max_full_evals", "max_metric_calls"):
            check_integer(name, given.get(name), 1, optional=True)

    def check(self, task: CompileTask) -> None:
        """There must be a metric, an instruction to change, and a budget that pays for one iteration."""
        super().check(task)
        self.check_ranking(task)
        if task.teacher is not None:
            raise UsageError("GEPA takes no teacher", hint="reflection_lm= is the LM that reflects")
        if all(predictor.is_frozen for predictor in task.student.predictors()):
            raise UsageError("all predictors are frozen: there is no instruction to change")
        least = self.least_calls(task)
        if self.metric_calls(task) < least:
            raise UsageError(
                f"{self.describe()} comes to {self.metric_calls(task)} evaluations of an example, but an "
                f"iteration and the validation before and after it take {least}",
                hint=f"max_metric_calls={5 * least}, or auto='light'",
            )

    def threads(self) -> int:
        """``num_threads``, where given."""
        return super().threads() if self.num_threads is None else self.num_threads

    def metric_calls(self, task: CompileTask) -> int:
        """Return the most evaluations of an example that are made."""
        last = self.least_calls(task) - len(task.validation) - 1
        return self.budget(task) + (0 if self.auto is None else last)

    def budget(self, task: CompileTask) -> int:
        """Return the evaluations after which no iteration begins."""
        if self.max_metric_calls is not None:
            return self.max_metric_calls
        if self.max_full_evals is not None:
            return self.max_full_evals * (len(task.trainset) + len(task.valset or ()))
        return auto_budget(
            len(task.student.predictors()), _CANDIDATES[self.auto or "light"], len(task.validation)
        )

    def batch(self, task: CompileTask) -> int:
        """Return the examples of a minibatch."""
        return min(self.reflection_minibatch_size, len(task.trainset))

    def least_calls(self, task: CompileTask) -> int:
        """Return the evaluations of one iteration whose child is kept, and of the validation before it."""
        return 2 * len(task.validation) + (0 if validates_on_trainset(task) else 2 * self.batch(task))

    def reflections(self, task: CompileTask) -> int:
        """Return the most iterations that reflect: each is counted with two minibatches at least."""
        return math.ceil((self.budget(task) - len(task.validation)) / (2 * self.batch(task)))

    def components(self, task: CompileTask) -> int:
        """Return the most predictors that an iteration changes."""
        changing = sum(not predictor.is_frozen for predictor in task.student.predictors())
        return 1 if self.component_selector == "round_robin" else changing

    def bound(self, task: CompileTask) -> CallBound:
        """The evaluations, and the reflections that they leave room for."""
        jobs = max(self.reflections(task), 0)
        if self.instruction_proposer is None:
            jobs *= self.components(task)
        calls = self.reflector(task).max_calls()
        return student_bound(task, self.metric_calls(task)) + CallBound(jobs, jobs * calls)

    def reflector(self, task: CompileTask) -> Module:
        """Return the program that proposes instructions."""
        from pytest_lmprog.teleprompt.plans.gepa.reflection import CustomProposer, proposer

        custom = self.instruction_proposer
        return proposer() if custom is None else CustomProposer(custom, self.components(task))

    def plan(self, study: Study) -> Plan[CompileResult]:
        """Evolve."""
        from pytest_lmprog.teleprompt.plans.gepa.evolution import Evolution

        return (yield from Evolution(self, study).plan())


def validates_on_trainset(task: CompileTask) -> bool:
    """Return whether trainset and valset are the same examples in the same order."""
    return task.valset is None or list(task.valset) == list(task.trainset)


def auto_budget(predictors: int, candidates: int, validated: int) -> int:
    """Return the evaluations that DSPy's GEPA takes for ``auto``: those of a MIPROv2 with as many candidates,
    minibatches of 35, and a full evaluation every 5 trials."""
    trials = int(max(4 * predictors * math.log2(candidates), 1.5 * candidates))
    full = 1 + (trials + 1) // 5 + 1
    return full * validated + 5 * candidates + 35 * trials


def _not_among(name: str, known: tuple[str, ...], given: object) -> UsageError:
    return UsageError(f"{name} must be one of {', '.join(known)}, not {given!r}")
