"""LabeledFewShot: labeled rows as demos, without a call."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

from pytest_lmprog.errors import UsageError
from pytest_lmprog.lm.types import LanguageModel
from pytest_lmprog.programs import Module
from pytest_lmprog.records import dataclass
from pytest_lmprog.teleprompt.base import (
    CallBound,
    Candidate,
    CompileResult,
    CompileRuntime,
    CompileTask,
)
from pytest_lmprog.teleprompt.strategy import Rows, TeleprompterBase

if TYPE_CHECKING:
    from pytest_lmprog.teleprompt.desk import Plan
    from pytest_lmprog.teleprompt.study import Study

__all__ = ["LabeledFewShot"]


@dataclass(frozen=True)
class LabeledFewShot(TeleprompterBase):
    """Gives each predictor ``k`` labeled examples as demos (arXiv:2310.03714). It calls no LM.

    Parameters
    ----------
    k: demos a predictor; all there are where the trainset is smaller.
    sample: draw them at random, for each predictor anew; else the first ``k``.

    Raises UsageError for ``k`` below 0.
    """

    k: int = 16
    sample: bool = True

    headline: ClassVar[tuple[str, ...]] = ("k",)

    def __post_init__(self) -> None:
        if self.k < 0:
            raise UsageError(f"k must be 0 or more, not {self.k}")

    def compile(
        self,
        student: Module,
        *,
        trainset: Rows,
        teacher: Module | LanguageModel | None = None,
        valset: Rows | None = None,
        runtime: CompileRuntime | None = None,
        sample: bool | None = None,
    ) -> Module:
        """Return the student with labeled demos. ``sample`` as in DSPy; teacher and valset are not used."""
        chosen = self if sample is None else replace(self, sample=sample)
        return super(LabeledFewShot, chosen).compile(
            student, trainset=trainset, teacher=teacher, valset=valset, runtime=runtime
        )

    def bound(self, task: CompileTask) -> CallBound:
        """Nothing."""
        del task
        return CallBound(0, 0)

    def plan(self, study: Study) -> Plan[CompileResult]:
        """Draw the demos."""
        from pytest_lmprog.teleprompt.demos import labeled_program

        yield from ()
        task = study.task
        program = labeled_program(task.student, task.trainset, self.k, seed=study.seed, sample=self.sample)
        candidate = Candidate(0, "labeled", program, None, study.characters(program))
        return CompileResult(program, (candidate,), 0)
