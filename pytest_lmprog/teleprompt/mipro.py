"""MIPROv2: instructions and demos of all predictors chosen together, by TPE."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pytest_lmprog.errors import UsageError
from pytest_lmprog.evaluation.scores import Metric
from pytest_lmprog.lm.types import LanguageModel
from pytest_lmprog.programs import Module
from pytest_lmprog.records import dataclass
from pytest_lmprog.teleprompt.base import CallBound, CompileResult, CompileRuntime, CompileTask
from pytest_lmprog.teleprompt.bootstrap import BootstrapFewShot
from pytest_lmprog.teleprompt.checks import check_integer, check_lm, check_number, check_shared
from pytest_lmprog.teleprompt.strategy import Rows, TeleprompterBase

if TYPE_CHECKING:
    from typing import TypedDict, Unpack

    from pytest_lmprog.teleprompt.engine.desk import Plan
    from pytest_lmprog.teleprompt.engine.study import Study
    from pytest_lmprog.teleprompt.plans.mipro.tpe import Sampler, Space

    class CompileSettings(TypedDict, total=False):
        """Settings that DSPy takes when it compiles."""

        num_trials: int | None
        max_bootstrapped_demos: int | None
        max_labeled_demos: int | None
        seed: int | None
        minibatch: bool
        minibatch_size: int
        minibatch_full_eval_steps: int
        program_aware_proposer: bool
        data_aware_proposer: bool
        view_data_batch_size: int
        tip_aware_proposer: bool
        fewshot_aware_proposer: bool
        requires_permission_to_run: bool | None
        provide_traceback: bool | None


__all__ = ["AUTO", "MIPROv2", "Sizes"]

AUTO = {"light": (6, 100), "medium": (12, 300), "heavy": (18, 1000)}
"""Candidates and validation examples of each mode (DSPy)."""

_MINIBATCHES_ABOVE = 50
_ZERO_SHOT_DEMOS = 3
_OF_COMPILE = (
    "num_trials",
    "max_bootstrapped_demos",
    "max_labeled_demos",
    "seed",
    "minibatch",
    "minibatch_size",
    "minibatch_full_eval_steps",
    "program_aware_proposer",
    "data_aware_proposer",
    "view_data_batch_size",
    "tip_aware_proposer",
    "fewshot_aware_proposer",
)
_WITHOUT_EFFECT = ("requires_permission_to_run", "provide_traceback")


@dataclass(frozen=True)
class Sizes:
    """How much is tried: sets of demos, instructions a predictor (the present one included), trials,
    validation examples, and how many of these a trial is scored on (None: all)."""

    demo_sets: int
    instructions: int
    trials: int
    examples: int
    batch: int | None


@dataclass(frozen=True)
class MIPROv2(TeleprompterBase):
    """Searches instructions and demos of all predictors together (Opsahl-Ong et al., arXiv:2406.11695).

    First sets of demos are made (none, labeled, bootstrapped over the trainset and over shuffles of it),
    and instructions are proposed for each predictor, from a summary of the data, the program's code, a set
    of demos and a tip; the first candidate is the present instruction. Then TPE chooses an instruction and
    a set of demos for each predictor, trial after trial, each scored on a minibatch of the validation
    examples; the combination with the best mean is evaluated fully every so many trials. The program as
    it is is evaluated fully first. Only full evaluations can win.

    Without a valset the trainset validates, an example's own demo left out; DSPy splits off 80% of it.

    Settings as in DSPy, those of its ``compile`` too; demos as for BootstrapFewShot, and

    Parameters
    ----------
    prompt_model: the LM that proposes instructions. Default: the student's.
    task_model: the LM that runs student and teacher while compiling.
    auto: how much is tried: ``light`` (6 candidates, 100 validation examples), ``medium`` (12, 300),
        ``heavy`` (18, 1000). None: as ``num_candidates`` and ``num_trials`` say.
    num_candidates: sets of demos, and instructions a predictor.
    num_threads: runs at a time where ``compile`` is called outside pytest.
    seed: of demo sets, tips, minibatches and TPE, added to the compile's own seed (``--lm-seed``).
    init_temperature: at which instructions are proposed.
    num_trials: combinations tried.
    minibatch, minibatch_size: whether a trial is scored on so many examples only, drawn for each trial. With
        ``auto`` never for 50 or fewer.
    minibatch_full_eval_steps: trials after which one combination is evaluated fully.
    program_aware_proposer, data_aware_proposer, tip_aware_proposer, fewshot_aware_proposer: what
        proposals are made from.
    view_data_batch_size: rows that the summary of the data looks at together.
    trials_in_flight: trials at a time. A trial is chosen from what those before it came to, so more in flight
        are quicker and know less. The first ones, which are random, run together in any case.
    verbose, track_stats, log_dir: as in DSPy; here the journal tells of every candidate.

    Needs the extra ``optuna``. Raises UsageError for a number that is out of range.
    """

    metric: Callable[..., Any] | Metric | None = None
    prompt_model: LanguageModel | None = None
    task_model: LanguageModel | None = None
    teacher_settings: Mapping[str, Any] | None = None
    max_bootstrapped_demos: int = 4
    max_labeled_demos: int = 4
    auto: Literal["light", "medium", "heavy"] | None = "light"
    num_candidates: int | None = None
    num_threads: int | None = None
    max_errors: int | None = None
    seed: int = 9
    init_temperature: float = 1.0
    verbose: bool = False
    track_stats: bool = True
    log_dir: str | None = None
    metric_threshold: float | None = None
    num_trials: int | None = None
    minibatch: bool = True
    minibatch_size: int = 35
    minibatch_full_eval_steps: int = 5
    program_aware_proposer: bool = True
    data_aware_proposer: bool = True
    view_data_batch_size: int = 10
    tip_aware_proposer: bool = True
    fewshot_aware_proposer: bool = True
    trials_in_flight: int = 1

    proposes: ClassVar[bool] = True
    headline: ClassVar[tuple[str, ...]] = ("auto",)
    unlisted: ClassVar[frozenset[str]] = frozenset({"num_threads", "verbose", "track_stats", "log_dir"})
    libraries: ClassVar[tuple[str, ...]] = ("optuna",)

    def __post_init__(self) -> None:
        if self.auto is not None and self.auto not in tuple(AUTO):
            raise UsageError(f"auto must be one of {', '.join(map(repr, AUTO))} or None, not {self.auto!r}")
        for name in ("num_candidates", "num_trials"):
            check_integer(name, getattr(self, name), 1, optional=True)
        for name in ("minibatch_size", "minibatch_full_eval_steps", "view_data_batch_size"):
            check_integer(name, getattr(self, name), 1)
        check_integer("trials_in_flight", self.trials_in_flight, 1)
        check_integer("seed", self.seed, 0)
        for name in ("prompt_model", "task_model"):
            check_lm(name, getattr(self, name))
        check_number("init_temperature", self.init_temperature, 0)
        check_shared(self)
        self.bootstrapper()  # checks the settings that they share

    @property
    def zero_shot(self) -> bool:
        """Whether only instructions are searched. Demos are bootstrapped even so, for the proposals."""
        return self.max_bootstrapped_demos == 0 and self.max_labeled_demos == 0

    def bootstrapper(self) -> BootstrapFewShot:
        """Return the bootstrap that makes the demos."""
        demos = _ZERO_SHOT_DEMOS if self.zero_shot else self.max_bootstrapped_demos
        return BootstrapFewShot.shared_by(self, max_bootstrapped_demos=demos)

    def compile(
        self,
        student: Module,
        *,
        trainset: Rows,
        teacher: Module | LanguageModel | None = None,
        valset: Rows | None = None,
        runtime: CompileRuntime | None = None,
        **settings: Unpack[CompileSettings],
    ) -> Module:
        """Return the compiled program, as in DSPy. ``settings`` stand in for this strategy's own."""
        for name in settings:
            if name not in (*_OF_COMPILE, *_WITHOUT_EFFECT):
                raise _unknown(name)
        given = {k: v for k, v in settings.items() if k in _OF_COMPILE and v is not None}
        return super(MIPROv2, self.with_settings(**given)).compile(
            student, trainset=trainset, teacher=teacher, valset=valset, runtime=runtime
        )

    def check(self, task: CompileTask) -> None:
        """As for BootstrapFewShot; there must be a metric to rank by, the sizes must be known, and optuna
        installed."""
        from pytest_lmprog.teleprompt.plans.mipro.tpe import require_optuna

        self.bootstrapper().check(task)
        self.check_ranking(task)
        self.sizes(task)
        require_optuna(type(self).__name__)

    def threads(self) -> int:
        """``num_threads``, where given."""
        return super().threads() if self.num_threads is None else self.num_threads

    def sizes(self, task: CompileTask) -> Sizes:
        """Return how much is tried. Raises UsageError where the settings don't say, or say two things."""
        examples = len(task.validation)
        if self.auto is None:
            candidates, trials = self._said(task)
            batch = self._batch(examples, True)
            return Sizes(candidates, candidates, trials, examples, batch)
        if self.num_candidates is not None or self.num_trials is not None:
            raise UsageError(
                f"auto={self.auto!r} decides on num_candidates and num_trials itself",
                hint="give them with auto=None, or leave them out",
            )
        candidates, most = AUTO[self.auto]
        examples = min(examples, most)
        instructions = candidates if self.zero_shot else candidates // 2
        batch = self._batch(examples, examples > _MINIBATCHES_ABOVE)
        return Sizes(candidates, instructions, self._trials(task, candidates), examples, batch)

    def _said(self, task: CompileTask) -> tuple[int, int]:
        if self.num_candidates is None:
            raise UsageError("auto=None needs num_candidates and num_trials")
        if self.num_trials is None:
            raise UsageError(
                "auto=None needs num_trials",
                hint=f"num_trials={self._trials(task, self.num_candidates)} suits num_candidates="
                f"{self.num_candidates}",
            )
        return self.num_candidates, self.num_trials

    def _batch(self, examples: int, wanted: bool) -> int | None:
        return self.minibatch_size if wanted and self.minibatch and self.minibatch_size < examples else None

    def _trials(self, task: CompileTask, candidates: int) -> int:
        """DSPy's rule: the more there is to choose, the more trials."""
        learning = sum(not predictor.is_frozen for predictor in task.student.predictors())
        choices = learning * (1 if self.zero_shot else 2)
        return int(max(2 * choices * math.log2(candidates), 1.5 * candidates))

    def bound(self, task: CompileTask) -> CallBound:
        """All bootstraps in full, all proposals, and all trials and full evaluations on distinct
        combinations."""
        from pytest_lmprog.teleprompt.plans.mipro.search import bound

        return bound(self, task)

    def sampler(self, space: Space, seed: int) -> Sampler:
        """Return what chooses the trials."""
        from pytest_lmprog.teleprompt.plans.mipro.tpe import TPE

        return TPE(space, seed)

    def plan(self, study: Study) -> Plan[CompileResult]:
        """Make demos and instructions, and search their combinations."""
        from pytest_lmprog.teleprompt.plans.mipro.search import MIPROSearch

        return (yield from MIPROSearch(self, study).plan())


def _unknown(name: str) -> UsageError:
    near = get_close_matches(name, _OF_COMPILE, 1)
    return UsageError(
        f"MIPROv2.compile takes no {name!r}",
        hint=f"did you mean {near[0]!r}?" if near else f"it takes {', '.join(_OF_COMPILE)}",
    )
