"""TeleprompterBase: what all strategies share: DSPy's ``compile``, checks, the driver, settings as data.

Test modules import strategies to name them in a mark, in every run; so what only a compile needs is
imported by it.
"""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import MISSING, Field, fields, replace
from typing import TYPE_CHECKING, Any, ClassVar, Self

from pytest_lmprog.errors import UsageError
from pytest_lmprog.evaluation.scores import Metric, Objective
from pytest_lmprog.lm.types import LanguageModel
from pytest_lmprog.programs import Example, Module
from pytest_lmprog.records import dataclass
from pytest_lmprog.teleprompt.base import CallBound, CompileResult, CompileRuntime, CompileTask

if TYPE_CHECKING:
    from pytest_lmprog.teleprompt.desk import Desk, Plan
    from pytest_lmprog.teleprompt.study import Study

__all__ = ["TeleprompterBase"]

Rows = Iterable[Example | Mapping[str, Any]]


@dataclass(frozen=True)
class TeleprompterBase(ABC):
    """Base of strategies: frozen dataclasses whose fields are the settings.

    A strategy defines ``plan``, which proposes candidates and receives scores, and ``bound``. It owns no
    thread, budget or seed: see ``driver``, ``desk`` and ``study``.
    """

    headline: ClassVar[tuple[str, ...]] = ()
    """Settings that ``describe`` always shows; others are shown where they are not the default."""

    unlisted: ClassVar[frozenset[str]] = frozenset()
    """Settings that cannot change the result: left out of ``settings()``."""

    @abstractmethod
    def plan(self, study: Study) -> Plan[CompileResult]:
        """Return the plan that compiles. It must depend on nothing but the study and what runs return."""

    @abstractmethod
    def bound(self, task: CompileTask) -> CallBound:
        """Return the most runs and calls that ``compile_result`` can make."""

    def compile(
        self,
        student: Module,
        *,
        trainset: Rows,
        teacher: Module | LanguageModel | None = None,
        valset: Rows | None = None,
        runtime: CompileRuntime | None = None,
    ) -> Module:
        """Return the compiled program, as in DSPy; the student is untouched.

        Inputs of examples that do not name them are the parameters of the student's ``forward``. A demo
        that the student has is replaced. What falls short (fewer demos than asked for) is a warning.

        Parameters
        ----------
        teacher: the program that demonstrates, or the LM that the student demonstrates on.
        runtime: seed, concurrency, LM, budget; the default uses the configured LM, 8 runs at a time.
        """
        task = self._task(student, trainset, teacher, valset)
        result = self.compile_result(task, runtime or CompileRuntime(concurrency=self.threads()))
        for note in result.notes:
            warnings.warn(f"{type(self).__name__}: {note}", stacklevel=2)
        return result.program

    def _task(
        self, student: Module, trainset: Rows, teacher: Module | LanguageModel | None, valset: Rows | None
    ) -> CompileTask:
        if not isinstance(student, Module):
            raise UsageError(
                f"the student must be a Module, not {student!r:.80}", hint="pass an instance: Program()"
            )
        train = _examples(trainset, "trainset", student)
        val = None if valset is None else _examples(valset, "valset", student)
        return CompileTask(student, train, Objective(()), val, teacher)

    def compile_result(self, task: CompileTask, runtime: CompileRuntime) -> CompileResult:
        """Compile. See ``Teleprompter.compile_result`` for what holds."""
        from pytest_lmprog.teleprompt.driver import drive
        from pytest_lmprog.teleprompt.study import Study

        self.check(task)
        teaching, ranking = self._objectives(task)
        settings = {} if runtime.lm is None else {"lm": runtime.lm}

        def plan(desk: Desk) -> Plan[CompileResult]:
            desk.expect(self.bound(task).runs)
            return self.plan(Study(task, teaching, ranking, desk, runtime.seed, settings))

        result = drive(plan, runtime)
        for place in range(len(result.candidates)):
            runtime.journal.write(_entry(result, place))
        return result

    def check(self, task: CompileTask) -> None:
        """Raise UsageError where ``task`` cannot be compiled with these settings."""
        if not task.student.predictors():
            raise UsageError(
                f"{type(task.student).__name__} has no predictors, so there is nothing to compile",
                hint="assign its Predict modules to attributes in __init__",
            )
        if not task.trainset:
            raise UsageError("the trainset is empty: there is nothing to learn from")
        if task.valset is not None and not task.valset:
            raise UsageError("the valset is empty", hint="leave it out to validate on the trainset")

    def threads(self) -> int:
        """Return how many runs ``compile`` has in flight where no runtime says so."""
        return 8

    def own_metric(self) -> Callable[..., Any] | Metric | None:
        """Return the metric among the settings, which overrides the task's."""
        metric: Callable[..., Any] | Metric | None = getattr(self, "metric", None)
        return metric

    def _objectives(self, task: CompileTask) -> tuple[Objective, Objective]:
        """Return what decides on demos and what ranks candidates."""
        from pytest_lmprog.evaluation.callables import as_metric

        metric = self.own_metric()
        if metric is None:
            return task.objective, task.objective
        teaching = Objective((as_metric(metric),))
        return teaching, Objective((as_metric(metric, sees_trace=False),))

    def settings(self) -> dict[str, Any]:
        """Return ``class`` and all settings that can change the result, as plain data. A function stands
        there by its qualified name, an LM by its model."""
        listed = {f.name: _plain(getattr(self, f.name)) for f in fields(self) if f.name not in self.unlisted}
        return {"class": type(self).__name__, **listed}

    def describe(self) -> str:
        """Return the settings that matter, as one would write them: ``BootstrapFewShot(max_rounds=2)``."""
        shown = [f for f in fields(self) if f.name in self.headline or getattr(self, f.name) != _default(f)]
        parts = ", ".join(f"{f.name}={_shown(getattr(self, f.name))}" for f in shown)
        return f"{type(self).__name__}({parts})"

    def with_settings(self, **changes: Any) -> Self:
        """Return the same strategy with other settings."""
        return replace(self, **changes)


def _examples(rows: Rows, name: str, student: Module) -> Sequence[Example]:
    from pytest_lmprog.evaluation.datasets import dataset_of

    return dataset_of(rows, name=name).for_program(student, distinct=False).examples


def _default(field: Field[Any]) -> Any:
    return field.default_factory() if field.default_factory is not MISSING else field.default


def _shown(value: Any) -> str:
    plain = _plain(value)
    return plain if isinstance(plain, str) and not isinstance(value, str) else repr(plain)


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Mapping):
        return {str(key): _plain(value[key]) for key in sorted(value)}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, LanguageModel):
        return value.model
    name = getattr(value, "__qualname__", None) or getattr(value, "name", None)
    return name if isinstance(name, str) else type(value).__qualname__


def _entry(result: CompileResult, place: int) -> dict[str, Any]:
    """Return the journal entry of a candidate."""
    candidate = result.candidates[place]
    demos = {name: len(predictor.demos) for name, predictor in candidate.program.named_predictors()}
    return {
        "index": candidate.index,
        "label": candidate.label,
        "parent": candidate.parent,
        "score": candidate.score,
        "characters": candidate.characters,
        "demos": demos,
        "winner": place == result.winner,
    }
