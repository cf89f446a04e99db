"""COPRO: an LM rewrites the instructions, round after round, and sees what its earlier ones scored."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from pytest_lmprog.errors import UsageError
from pytest_lmprog.evaluation.scores import Metric
from pytest_lmprog.lm.types import LanguageModel
from pytest_lmprog.programs import Module
from pytest_lmprog.records import dataclass
from pytest_lmprog.teleprompt.base import CallBound, CompileResult, CompileRuntime, CompileTask
from pytest_lmprog.teleprompt.checks import check_integer, check_lm, check_number, check_shared
from pytest_lmprog.teleprompt.strategy import Rows, TeleprompterBase

if TYPE_CHECKING:
    from pytest_lmprog.teleprompt.engine.desk import Plan
    from pytest_lmprog.teleprompt.engine.study import Study

__all__ = ["COPRO"]

_IGNORED = frozenset({"display_progress", "display_table", "provide_traceback", "max_errors"})


@dataclass(frozen=True)
class COPRO(TeleprompterBase):
    """Coordinate ascent over instructions and output prefixes (DSPy's COPRO, arXiv:2310.03714), proposed by
    an LM that is shown its best attempts so far with their scores, worst first (OPRO, arXiv:2309.03409).

    In the first round ``breadth - 1`` proposals are made for each predictor, which compete with what the
    student has; in each further round ``breadth`` more. In a round each predictor is taken in turn: all
    that was ever proposed for it is evaluated, with the other predictors at their best. The prefix is the
    label of the predictor's last output field. Demos stay as they are.

    Validation examples rank (without a valset: the trainset, an example's own demo left out). A program
    is evaluated once, whatever leads to it again; in the last round, where scores only decide who wins,
    candidates that cannot win any more are dropped.

    Parameters
    ----------
    prompt_model: the LM that proposes; default: the student's.
    metric: ``f(example, prediction, trace=None)``; overrides the unit's metrics.
    breadth: candidates a round and predictor; 2 or more.
    depth: rounds.
    init_temperature: of the proposals.
    track_stats: accepted as in DSPy; a CompileResult has every candidate with its score.

    Raises UsageError for a setting that is out of range.
    """

    prompt_model: LanguageModel | None = None
    metric: Callable[..., Any] | Metric | None = None
    breadth: int = 10
    depth: int = 3
    init_temperature: float = 1.4
    track_stats: bool = False

    proposes: ClassVar[bool] = True
    headline: ClassVar[tuple[str, ...]] = ("breadth", "depth")
    unlisted: ClassVar[frozenset[str]] = frozenset({"track_stats"})

    def __post_init__(self) -> None:
        check_integer("breadth", self.breadth, 2)
        check_integer("depth", self.depth, 1)
        check_number("init_temperature", self.init_temperature, 0)
        check_lm("prompt_model", self.prompt_model)
        check_shared(self)

    def compile(
        self,
        student: Module,
        *,
        trainset: Rows,
        teacher: Module | LanguageModel | None = None,
        valset: Rows | None = None,
        runtime: CompileRuntime | None = None,
        eval_kwargs: Mapping[str, Any] | None = None,
    ) -> Module:
        """Return the student with the best instructions. ``eval_kwargs`` as in DSPy: ``num_threads`` is how
        many runs are in flight, what is displayed is not used; nor is ``teacher``."""
        threads = _threads(eval_kwargs or {}, self.threads())
        return super().compile(
            student,
            trainset=trainset,
            teacher=teacher,
            valset=valset,
            runtime=runtime or CompileRuntime(concurrency=threads),
        )

    def check(self, task: CompileTask) -> None:
        """As in the base; and there must be a metric to rank by and a predictor that may change."""
        super().check(task)
        self.check_ranking(task)
        self.check_learners(task)

    def bound(self, task: CompileTask) -> CallBound:
        """Every proposal a program of its own, and all of them evaluated fully."""
        from pytest_lmprog.teleprompt.engine.calls import student_bound
        from pytest_lmprog.teleprompt.material.instructions import learners
        from pytest_lmprog.teleprompt.plans.copro.ascent import evaluations, proposals
        from pytest_lmprog.teleprompt.plans.copro.wordings import proposer_calls

        size = len(learners(task.student))
        asked = sum(size * proposals(self, depth) for depth in range(self.depth))
        tried = sum(
            evaluations(self, size, depth, turn) for depth in range(self.depth) for turn in range(size)
        )
        proposed = CallBound(asked, asked * proposer_calls())
        return proposed + student_bound(task, tried * len(task.validation))

    def plan(self, study: Study) -> Plan[CompileResult]:
        """Climb."""
        from pytest_lmprog.teleprompt.plans.copro.ascent import Ascent

        return (yield from Ascent(self, study).plan())


def _threads(given: Mapping[str, Any], default: int) -> int:
    if not isinstance(given, Mapping):
        raise UsageError(f"eval_kwargs must be a mapping, not {given!r:.80}", hint='{"num_threads": 4}')
    unknown = sorted(set(given) - _IGNORED - {"num_threads"})
    if unknown:
        raise UsageError(
            f"eval_kwargs has no setting {unknown[0]!r}",
            hint=f"there are: num_threads, and without effect {', '.join(sorted(_IGNORED))}",
        )
    threads = given.get("num_threads")
    check_integer("num_threads", threads, 1, optional=True)
    return default if threads is None else threads
