"""TeleprompterBase: what all strategies share: DSPy's ``compile``, checks, the driver, settings as data.

Test modules import strategies to name them in a mark, in every run; so what only a compile needs is
imported by it.
"""

from __future__ import annotations

import sys
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
from pytest_lmprog.teleprompt.base import CallBound, Candidate, CompileResult, CompileRuntime, CompileTask

if TYPE_CHECKING:
    from pytest_lmprog.teleprompt.engine.desk import Desk, Plan
    from pytest_lmprog.teleprompt.engine.study import Study

__all__ = ["TeleprompterBase"]

_PACKAGE = __name__.rpartition(".")[0]

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

    libraries: ClassVar[tuple[str, ...]] = ()
    """Distributions whose versions can change the result: they stand in the snapshot."""

    proposes: ClassVar[bool] = False
    """Whether it asks an LM by programs of its own, beside the student and the teacher."""

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

        Inputs of examples that do not name them are the parameters of the student's ``forward``.
        Strategies that make demos replace those of the student. What falls short (fewer demos than asked
        for) is a warning.

        Parameters
        ----------
        teacher: the program that demonstrates, or the LM that the student demonstrates on.
        runtime: seed, concurrency, LM, budget; the default uses the configured LM, 8 runs at a time.
        """
        task = self._task(student, trainset, teacher, valset)
        result = self.compile_result(task, runtime or CompileRuntime(concurrency=self.threads()))
        for note in result.notes:
            warnings.warn(f"{type(self).__name__}: {note}", stacklevel=_callers_level())
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
        from pytest_lmprog.teleprompt.engine import journal
        from pytest_lmprog.teleprompt.engine.driver import drive
        from pytest_lmprog.teleprompt.engine.study import Study

        if not isinstance(runtime, CompileRuntime):
            raise UsageError(f"runtime must be a CompileRuntime, not {runtime!r:.80}")
        self.check(task)
        self.check_lms(task, runtime.lm)
        teaching, ranking = self.objectives(task)
        settings = {} if runtime.lm is None else {"lm": runtime.lm}

        def note(candidate: Candidate) -> None:
            runtime.journal.note(journal.candidate_entry(candidate))

        def plan(desk: Desk) -> Plan[CompileResult]:
            desk.expect(self.bound(task).runs)
            return self.plan(Study(task, teaching, ranking, desk, runtime.seed, settings, note, runtime.drop))

        runtime.journal.begin(journal.head_entry(self, task, runtime.seed))
        result = _with_frozen_note(drive(plan, runtime), task)
        runtime.journal.finish(journal.result_entries(result), journal.end_entry(result))
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

    def check_lms(self, task: CompileTask, lm: LanguageModel | None) -> None:
        """Raise UsageError where the program's LMs (``lm`` where a predictor has none) cannot be used as this
        strategy or one of its parts is to: told before anything is asked."""
        for part in self.parts():
            part.check_lms(task, lm)

    def check_ranking(self, task: CompileTask) -> None:
        """Raise UsageError where there is no metric to rank candidates by."""
        if self.own_metric() is not None:
            return
        if not task.objective.metrics:
            raise UsageError(
                "candidates cannot be ranked without a metric",
                hint=f"{type(self).__name__}(metric=f), with f(example, prediction, trace=None)",
            )
        if not task.objective.ranked:
            raise UsageError(
                "no metric counts while compiling: all are marked optimize=False",
                hint="leave lm_metric(optimize=True) to at least one test function",
            )

    def check_learners(self, task: CompileTask) -> None:
        """Raise UsageError where every predictor is frozen, so that no instructions may change."""
        if all(predictor.is_frozen for predictor in task.student.predictors()):
            raise UsageError(
                f"all predictors of {type(task.student).__name__} are frozen, so there is nothing to compile",
                hint='program.unfreeze("name") lets one change',
            )

    def run_calls(self, task: CompileTask) -> int:
        """Return the most LM calls of one run of the compiled program."""
        from pytest_lmprog.teleprompt.engine.calls import student_calls

        return student_calls(task)

    def parts(self) -> tuple[TeleprompterBase, ...]:
        """Return the strategies that this one runs as parts of its own plan."""
        return ()

    def lms(self) -> tuple[LanguageModel, ...]:
        """Return the LMs among the settings, also of strategies that this one runs."""
        values = [getattr(self, f.name) for f in fields(self)]
        inner = [v for value in values if isinstance(value, Mapping) for v in value.values()]
        own = [v for v in (*values, *inner) if isinstance(v, LanguageModel) and not isinstance(v, Module)]
        return (*own, *(lm for part in self.parts() for lm in part.lms()))

    def functions(self) -> tuple[Any, ...]:
        """Return the functions that the compiled program calls: a snapshot names them only (see
        ``snapshots.restore.load``)."""
        return tuple(function for part in self.parts() for function in part.functions())

    def code(self) -> dict[str, Any]:
        """Return the settings that are code (functions, programs), by name, those of its parts too; without
        the metric, which is noted as one."""
        own = {
            f.name: getattr(self, f.name) for f in fields(self) if f.name not in {*self.unlisted, "metric"}
        }
        found = {name: value for name, value in own.items() if _is_code(value)}
        for number, part in enumerate(self.parts()):
            found |= {f"parts[{number}].{name}": value for name, value in part.code().items()}
        return found

    def threads(self) -> int:
        """Return how many runs ``compile`` has in flight where no runtime says so."""
        return 8

    def own_metric(self) -> Callable[..., Any] | Metric | None:
        """Return the metric among the settings, which overrides the task's."""
        metric: Callable[..., Any] | Metric | None = getattr(self, "metric", None)
        return metric

    def objectives(self, task: CompileTask) -> tuple[Objective, Objective]:
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


def _with_frozen_note(result: CompileResult, task: CompileTask) -> CompileResult:
    """Return ``result``; where every predictor is frozen it says so."""
    if not all(predictor.is_frozen for predictor in task.student.predictors()):
        return result
    note = f"all predictors of {type(task.student).__name__} are frozen: the prompts are as written"
    return replace(result, notes=(note, *result.notes))


def _callers_level() -> int:
    """Return the stack level, seen from who calls this, of the line that called a strategy: strategies
    may wrap ``compile``."""
    frame, level = sys._getframe(1), 1
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith(_PACKAGE):
        frame, level = frame.f_back, level + 1
    return level


def _examples(rows: Rows, name: str, student: Module) -> Sequence[Example]:
    from pytest_lmprog.evaluation.datasets import dataset_of

    return dataset_of(rows, name=name).for_program(student, distinct=False).examples


def _is_code(value: Any) -> bool:
    return isinstance(value, Module) or (callable(value) and not isinstance(value, LanguageModel))


def _default(field: Field[Any]) -> Any:
    return field.default_factory() if field.default_factory is not MISSING else field.default


def _shown(value: Any) -> str:
    if isinstance(value, TeleprompterBase):
        return value.describe()
    if isinstance(value, Mapping) and any(isinstance(one, TeleprompterBase) for one in value.values()):
        return "{" + ", ".join(f"{key!r}: {_shown(value[key])}" for key in sorted(value)) + "}"
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
    if isinstance(value, TeleprompterBase):
        return value.settings()
    name = getattr(value, "__qualname__", None) or getattr(value, "name", None)
    return name if isinstance(name, str) else type(value).__qualname__
