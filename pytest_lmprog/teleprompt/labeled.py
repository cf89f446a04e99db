"""LabeledFewShot: labeled rows as demos, without a call."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

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
from pytest_lmprog.teleprompt.checks import check_integer, check_shared
from pytest_lmprog.teleprompt.strategy import Rows, TeleprompterBase

if TYPE_CHECKING:
    from pytest_lmprog.teleprompt.engine.desk import Plan
    from pytest_lmprog.teleprompt.engine.study import Study

__all__ = ["LabeledFewShot"]


@dataclass(frozen=True)
class LabeledFewShot(TeleprompterBase):
    """Gives each predictor ``k`` labeled examples as demos (arXiv:2310.03714). It calls no LM.

    Parameters
    ----------
    k: demos a predictor; all there are where the trainset is smaller.
    sample: draw them at random, for each predictor anew; else the first ``k``.

    Raises UsageError for a ``k`` that is no integer or below 0.
    """

    k: int = 16
    sample: bool = True

    headline: ClassVar[tuple[str, ...]] = ("k",)

    def __post_init__(self) -> None:
        check_integer("k", self.k, 0)
        check_shared(self)

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
        from pytest_lmprog.teleprompt.material.demos import labeled_program

        yield from ()
        task = study.task
        program = labeled_program(task.student, task.trainset, self.k, seed=study.seed, sample=self.sample)
        candidate = Candidate(0, "labeled", program, None, study.characters(program))
        study.note(candidate)
        return CompileResult(program, (candidate,), 0, notes=_notes(self.k, len(task.trainset)))


def _notes(k: int, rows: int) -> tuple[str, ...]:
    return (f"k is {k} and the trainset has {rows}: all of it is shown",) if rows < k else ()
