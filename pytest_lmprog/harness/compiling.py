"""Compiling a unit: checks, budget, teleprompter, and how the program stood before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field, replace
from typing import TYPE_CHECKING, Any

from pytest_lmprog.errors import (
    BudgetExceededError,
    CompileError,
    ConfigurationError,
    LMError,
    LmprogError,
    MetricError,
    ReplayMissError,
)
from pytest_lmprog.evaluation.leakage import check_leakage
from pytest_lmprog.evaluation.scores import Objective
from pytest_lmprog.harness.fit import SplitScore, learnt_scores, training_score
from pytest_lmprog.harness.journals import journal_path
from pytest_lmprog.harness.preparing import most_calls, program_of, teleprompter_of
from pytest_lmprog.harness.state import Prepared
from pytest_lmprog.harness.unit import Unit
from pytest_lmprog.lm.scope import CallScope
from pytest_lmprog.lm.tally import Tally, TallyCount
from pytest_lmprog.lm.types import LanguageModel
from pytest_lmprog.programs import Module, context
from pytest_lmprog.programs.state import dump_state
from pytest_lmprog.records import dataclass
from pytest_lmprog.teleprompt.base import CompileResult, CompileRuntime, CompileTask, Progress, Teleprompter
from pytest_lmprog.teleprompt.engine.journal import FileJournal

if TYPE_CHECKING:
    from pytest_lmprog.evaluation.evaluator import Evaluation
    from pytest_lmprog.harness.session import Session
    from pytest_lmprog.lm.budget import Budget

__all__ = ["Before", "CompileOutcome", "compile_task", "compile_unit"]


@dataclass(frozen=True, slots=True)
class Before:
    """How the unit stood before: mean score by metric, over the cases it has now.

    ``source``: ``accepted`` (from the accepted baseline) or ``as written`` (measured in this run)."""

    source: str
    scores: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class CompileOutcome:
    """What came of compiling a unit.

    Parameters
    ----------
    prepared: the unit with its new program.
    result: the teleprompter's; None for a unit without one (a program as written).
    calls: made while compiling, measuring the state before included.
    learnt: how the new program scores on training and validation examples; empty where nothing was ranked.
    before: how it stood before, or None where the budget left nothing to find out.
    """

    prepared: Prepared
    result: CompileResult | None
    teleprompter: Teleprompter | None
    calls: TallyCount
    before: Before | None = None
    notes: tuple[str, ...] = ()
    learnt: tuple[SplitScore, ...] = ()

    @property
    def stopped_by_budget(self) -> bool:
        """Whether the budget ended the compile early."""
        return self.result is not None and self.result.stopped == "budget"

    @property
    def empty_handed(self) -> bool:
        """Whether the budget ended the compile before it learnt anything: the program is as written, and
        nothing says that this is best."""
        if self.result is None or not self.stopped_by_budget or self.result.score is not None:
            return False
        return dump_state(self.prepared.program) == dump_state(self.prepared.written)


def compile_unit(
    session: Session, unit: Unit, *, progress: Progress | None = None, fixture_lm: Any = None
) -> CompileOutcome:
    """Compile ``unit`` and return its new program.

    Raises LeakageError, UsageError and ConfigurationError before anything is asked; CompileError
    (resumable) on transport failures and failing metrics; ReplayMissError where calling is not allowed.
    Nothing is written: see ``Session.finish``.
    """
    check_leakage(unit.trainset, unit.cases, unit.valset)
    basis = session.basis(unit, fixture_lm)
    teleprompter = teleprompter_of(session, unit)
    tally = Tally(session.tally_of(unit.id))
    scope = _scope(session, basis, tally, _budget(session))
    result = None
    if teleprompter is not None:
        result = _compiled(session, basis, teleprompter, scope, progress)
        session.hooks.compiled(unit.id, result)
    before, missing = _before(session, basis, scope)
    learnt, unlearnt = _learnt(
        session, basis, teleprompter, result, _runtime(session, basis, scope, progress)
    )
    program = basis.written if result is None else result.program
    notes = (
        *basis.notes,
        *(result.notes if result else ()),
        *_stop_notes(result, scope.budget),
        *(note for note in (missing, unlearnt) if note),
    )
    most = most_calls(basis, program)
    prepared = replace(basis, program=program, rebasing=True, notes=notes, max_calls=most)
    return CompileOutcome(prepared, result, teleprompter, tally.count(), before, notes, learnt)


def _learnt(
    session: Session,
    basis: Prepared,
    teleprompter: Teleprompter | None,
    result: CompileResult | None,
    runtime: CompileRuntime,
) -> tuple[tuple[SplitScore, ...], str | None]:
    """Return how the new program scores on what it was made with, and a note of what is not known."""
    if teleprompter is None or result is None:
        return (), None
    train, note = training_score(teleprompter, compile_task(session, basis), result, runtime)
    return learnt_scores(basis.unit, result, train), note


def _stop_notes(result: CompileResult | None, budget: Budget | None) -> tuple[str, ...]:
    if result is None or result.stopped != "budget":
        return ()
    if budget is not None and 0 in budget.limits.values():
        return (f"stopped: budget ({budget} allows no live call: nothing but the cache answered)",)
    kept = " (the best candidate so far was kept)" if result.score is not None else ""
    return (f"stopped: budget{kept}",)


def _budget(session: Session) -> Budget | None:
    if session.settings.budget is None:
        return None
    from pytest_lmprog.lm.budget import Budget

    return Budget.parse(session.settings.budget, price=session.models.price)


def _scope(session: Session, basis: Prepared, tally: Tally, budget: Budget | None) -> CallScope:
    """Compile calls stay in the cache, unless ``lm_record_compile``; a replay reads what was recorded."""
    records = session.settings.record_compile or session.settings.record == "none"
    return replace(
        basis.scope,
        recording=basis.scope.recording if records else None,
        note_only=True,
        tally=tally,
        budget=budget,
    )


def compile_task(session: Session, basis: Prepared) -> CompileTask:
    """Return what is to be compiled. Raises ConfigurationError for a teacher that is none."""
    unit = basis.unit
    return CompileTask(
        basis.written,
        unit.trainset,
        Objective(unit.metrics),
        unit.valset,
        _teacher(session, unit),
        basis.max_calls,
    )


def _teacher(session: Session, unit: Unit) -> Module | LanguageModel | None:
    teacher = unit.teacher
    if teacher is None or isinstance(teacher, Module | LanguageModel):
        return teacher
    if isinstance(teacher, str):
        return session.models.choose(teacher)
    if callable(teacher):
        return program_of(replace(unit, program=teacher))
    raise ConfigurationError(
        f"{unit.id}: teacher= must be a Module, its class, an LM or a model's name, not {teacher!r:.60}"
    )


def _compiled(
    session: Session,
    basis: Prepared,
    teleprompter: Teleprompter,
    scope: CallScope,
    progress: Progress | None,
) -> CompileResult:
    task = compile_task(session, basis)
    runtime = replace(_runtime(session, basis, scope, progress), journal=_journal(session, basis.unit))
    try:
        return teleprompter.compile_result(task, runtime)
    except ReplayMissError as error:
        raise _not_allowed(session, basis.unit, error) from error
    except CompileError as error:
        raise _located(error, basis.unit, session) from error


def _runtime(
    session: Session, basis: Prepared, scope: CallScope, progress: Progress | None
) -> CompileRuntime:
    runtime = CompileRuntime(
        seed=session.settings.seed,
        concurrency=session.settings.concurrency,
        executor=session.executor(),
        scope=scope,
        lm=basis.lm,
        drop=not session.settings.record_compile or session.settings.record == "none",
    )
    return runtime if progress is None else replace(runtime, progress=progress)


def _journal(session: Session, unit: Unit) -> FileJournal:
    folder = session.settings.cache_dir
    path = journal_path(folder, unit, session.settings.rootdir)
    return FileJournal(path, unit=unit.id, cache_dir=folder, clean=session.clean, warn=session.warn)


def _not_allowed(session: Session, unit: Unit, error: ReplayMissError) -> LmprogError:
    why = "CI is set, so --lm-record=none holds" if session.settings.in_ci else "--lm-record=none holds"
    return ReplayMissError(
        f"{unit.id}: compiling asks the LM, but {why}\n  {session.clean(error.message)}",
        hint="pytest --lm-compile --lm-record=new",
    )


def _located(error: CompileError, unit: Unit, session: Session) -> CompileError:
    return CompileError(session.clean(f"{unit.id}: {error.message}"), hint=error.hint)


def _before(session: Session, basis: Prepared, scope: CallScope) -> tuple[Before | None, str | None]:
    """Return how the accepted program stands, else measure the program as written; or a note that this
    could not be had: the figure is for people, and no reason to lose a compile."""
    unit, snapshot = basis.unit, basis.snapshot
    if not unit.cases or not unit.metrics:
        return None, None
    if snapshot is not None and snapshot.baseline:
        known = {name: m.score for name, m in snapshot.baseline.items() if m.score is not None}
        return Before("accepted", known), None
    if teleprompter_of(session, unit) is None:
        return None, None  # its cases measure the same program
    try:
        measured = _measured(session, basis, scope)
    except (BudgetExceededError, ReplayMissError, LMError, MetricError) as error:
        why = "the budget is spent" if isinstance(error, BudgetExceededError) else type(error).__name__
        return None, f"the program as written was not measured ({why})"
    return Before("as written", {m.name: measured.metric(m.name).mean for m in unit.metrics}), None


def _measured(session: Session, basis: Prepared, scope: CallScope) -> Evaluation:
    from pytest_lmprog.evaluation.evaluator import evaluate

    with context(lm=basis.lm):
        return evaluate(
            basis.written,
            basis.unit.cases,
            Objective(basis.unit.metrics),
            concurrency=session.settings.concurrency,
            executor=session.executor(),
            scope=scope,
            max_calls=basis.max_calls,
        )
