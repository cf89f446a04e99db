"""The teacher: who demonstrates, made ready to do so."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_lmprog.errors import UsageError
from pytest_lmprog.lm.types import LanguageModel
from pytest_lmprog.programs import Example, Module, Predict
from pytest_lmprog.teleprompt.base import CompileTask
from pytest_lmprog.teleprompt.material.demos import has_demos, labeled_program

__all__ = ["check_teacher", "on_lm", "teacher_program"]


def teacher_program(task: CompileTask, trainset: Sequence[Example], *, labeled: int, seed: int) -> Module:
    """Return the teacher: the given program, else the student (on the given LM).

    Where it has no demos and ``labeled`` is not 0, it gets labeled demos first, as in DSPy."""
    teacher = task.teacher
    if teacher is None:
        program = task.student
    elif isinstance(teacher, Module):
        program = teacher
    else:
        program = on_lm(task.student, teacher)
    if labeled and not has_demos(program):
        program = labeled_program(program, trainset, labeled, seed=seed)
    return program


def on_lm(student: Module, lm: LanguageModel) -> Module:
    """Return ``student`` with every predictor on ``lm``."""

    def edit(_: str, predictor: Predict) -> Predict:
        predictor.lm = lm
        return predictor

    return student.with_predictors(edit)


def check_teacher(task: CompileTask) -> None:
    """Raise UsageError unless the teacher's demonstrations fit the student: the same predictor names,
    and every field of the student's signatures."""
    teacher = task.teacher
    if teacher is None or (isinstance(teacher, LanguageModel) and not isinstance(teacher, Module)):
        return
    if not isinstance(teacher, Module):
        hint = f"teacher=lmp.LM({teacher!r:.80})" if isinstance(teacher, str) else None
        raise UsageError(f"the teacher must be a Module or an LM, not {teacher!r:.80}", hint=hint)
    theirs = dict(teacher.named_predictors())
    ours = dict(task.student.named_predictors())
    if theirs.keys() != ours.keys():
        raise UsageError(
            "teacher and student must have the same predictors: "
            f"the teacher has {_listed(theirs)}, the student {_listed(ours)}",
            hint="make the teacher from the student's class",
        )
    for name, predictor in ours.items():
        _check_fields(name, predictor, theirs[name])


def _check_fields(name: str, student: Predict, teacher: Predict) -> None:
    have = {*teacher.signature.input_fields, *teacher.signature.output_fields}
    need = (*student.signature.input_fields, *student.signature.output_fields)
    lacking = [field for field in need if field not in have]
    if lacking:
        raise UsageError(
            f"the teacher's predictor {name!r} has no field {lacking[0]!r}, which the student's has",
            hint="a demo must show what the student is to put out",
        )


def _listed(predictors: dict[str, Predict]) -> str:
    return ", ".join(predictors) or "none"
