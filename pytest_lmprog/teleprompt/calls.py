"""How many LM calls runs can make at most."""

from __future__ import annotations

from pytest_lmprog.programs import Module
from pytest_lmprog.teleprompt.base import CallBound, CompileTask

__all__ = ["student_bound", "student_calls", "teacher_bound", "teacher_calls"]


def student_bound(task: CompileTask, runs: int) -> CallBound:
    """Return the most that ``runs`` runs of the student cost."""
    return CallBound(runs, runs * student_calls(task))


def teacher_bound(task: CompileTask, runs: int) -> CallBound:
    """Return the most that ``runs`` runs of the teacher cost."""
    return CallBound(runs, runs * teacher_calls(task))


def student_calls(task: CompileTask) -> int:
    """Return the most LM calls of one run of the student."""
    return task.student.max_calls() if task.max_calls is None else task.max_calls


def teacher_calls(task: CompileTask) -> int:
    """Return the most LM calls of one run of the teacher."""
    if not isinstance(task.teacher, Module):
        return student_calls(task)
    return max(task.teacher.max_calls(), task.max_calls or 0)
