"""What compiling and testing a unit can cost at most, found out without a call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pytest_lmprog.harness.compiling import compile_task
from pytest_lmprog.harness.fit import asks_for_training
from pytest_lmprog.harness.judges.asked import Asked, asked_by
from pytest_lmprog.harness.preparing import metric_functions, teleprompter_of
from pytest_lmprog.harness.state import Prepared
from pytest_lmprog.harness.unit import Unit
from pytest_lmprog.lm.types import LanguageModel
from pytest_lmprog.programs import Module
from pytest_lmprog.records import dataclass
from pytest_lmprog.teleprompt.base import CallBound, CompileTask, Teleprompter
from pytest_lmprog.teleprompt.engine.calls import compiled_calls
from pytest_lmprog.teleprompt.strategy import TeleprompterBase

if TYPE_CHECKING:
    from pytest_lmprog.harness.session import Session

__all__ = ["UnitBound", "unit_bound"]

Answering = tuple[LanguageModel, Mapping[str, Any]]
"""An LM, and request parameters of who asks it."""


@dataclass(frozen=True, slots=True)
class UnitBound:
    """The most that a unit can cost under ``--lm-compile``.

    Parameters
    ----------
    compile, before, after: calls of the teleprompter, of measuring the program as written, of the cases.
    train: of scoring the new program on the training examples.
    tokens: completion tokens at most, or None where no ``max_tokens`` bounds them.
    usd: at most, or None where tokens or prices are not known.
    budget: the budget that ends the compile before that, as given.
    asked: judges and other modules that the metrics were found to ask; their calls are not in the above.
    """

    unit: str
    compile: CallBound
    before: CallBound
    after: CallBound
    tokens: int | None = None
    usd: float | None = None
    budget: str | None = None
    asked: tuple[Asked, ...] = ()
    train: CallBound = CallBound(0, 0)

    @property
    def whole(self) -> CallBound:
        """All runs and calls."""
        return self.compile + self.train + self.before + self.after

    @property
    def metric_calls(self) -> int:
        """The most calls of what the metrics ask, if each evaluation asks once; not part of ``calls``."""
        return self.whole.runs * sum(asked.calls for asked in self.asked)

    @property
    def calls(self) -> int:
        """All calls."""
        return self.whole.calls

    def __str__(self) -> str:
        parts = [("to compile", self.compile), ("for the training examples", self.train)]
        parts.append(("to measure it as written", self.before))
        parts.append(("for its cases", self.after))
        told = " + ".join(f"{bound.calls:,} {what}" for what, bound in parts if bound.calls)
        text = f"at most {self.calls:,} calls" + (f" ({told})" if " + " in told else "")
        if self.tokens is not None:
            text += f", {self.tokens:,} completion tokens"
        else:
            text += "; tokens and USD are not bounded (no max_tokens is set)"
        return text + (f"; the budget stops it at {self.budget}" if self.budget else "")


def unit_bound(session: Session, unit: Unit, *, fixture_lm: Any = None) -> UnitBound:
    """Return the most that ``unit`` can cost. Calls that metrics make themselves are not counted.

    Raises what ``Session.prepare`` and the teleprompter's checks raise."""
    basis = session.basis(unit, fixture_lm)
    teleprompter = teleprompter_of(session, unit)
    nothing = CallBound(0, 0)
    compiling = (
        nothing
        if teleprompter is None
        else _checked_bound(teleprompter, compile_task(session, basis), basis.lm)
    )
    a_run = basis.max_calls if basis.max_calls is not None else basis.written.max_calls()
    compiled = a_run if teleprompter is None else compiled_calls(teleprompter, compile_task(session, basis))
    after = CallBound(len(unit.cases) * unit.repeat, len(unit.cases) * unit.repeat * compiled)
    measures = _measures_before(basis, teleprompter is not None)
    before = CallBound(len(unit.cases), len(unit.cases) * a_run) if measures else nothing
    trains = teleprompter is not None and asks_for_training(unit) and compiling.calls
    train = CallBound(len(unit.trainset), len(unit.trainset) * compiled) if trains else nothing
    calls = (compiling + before + after + train).calls
    budget = session.settings.budget
    teacher = None if teleprompter is None else compile_task(session, basis).teacher
    tokens = _tokens(_answering(basis, teleprompter, teacher), calls)
    return UnitBound(unit.id, compiling, before, after, tokens, None, budget, _asked(session, unit), train)


def _checked_bound(teleprompter: Teleprompter, task: CompileTask, lm: LanguageModel) -> CallBound:
    """Return the teleprompter's bound; raises what would stop the compile before its first call."""
    check = getattr(teleprompter, "check", None)
    if check is not None:
        check(task)
    if isinstance(teleprompter, TeleprompterBase):
        teleprompter.check_lms(task, lm)
    return teleprompter.bound(task)


def _asked(session: Session, unit: Unit) -> tuple[Asked, ...]:
    owner = next((cls for m in unit.metrics if (cls := getattr(m, "cls", None)) is not None), None)
    return asked_by(metric_functions(session, unit), owner)


def _measures_before(basis: Prepared, learns: bool) -> bool:
    unmeasured = basis.snapshot is None or not basis.snapshot.baseline
    return learns and unmeasured and bool(basis.unit.metrics)


def _tokens(answering: Sequence[Answering], calls: int) -> int | None:
    """The most completion tokens: what an LM or a predictor sets as the most of one answer."""
    bounds = [_most(lm, params) for lm, params in answering]
    known = [bound for bound in bounds if bound is not None]
    return calls * max(known) if known and len(known) == len(bounds) else None


def _answering(
    basis: Prepared, teleprompter: Teleprompter | None, teacher: Module | LanguageModel | None
) -> list[Answering]:
    """Return who may answer, with the parameters of the predictor that asks."""
    found: list[Answering] = [(p.lm or basis.lm, p.params) for p in basis.written.predictors()]
    if isinstance(teacher, Module):
        found += [(p.lm or basis.lm, p.params) for p in teacher.predictors()]
    elif teacher is not None:
        found += [(teacher, p.params) for p in basis.written.predictors()]
    if isinstance(teleprompter, TeleprompterBase):
        found += [(lm, {}) for lm in teleprompter.lms()]
        if teleprompter.proposes or any(part.proposes for part in teleprompter.parts()):
            found.append((basis.lm, {}))
    return found


def _most(lm: LanguageModel, given: Mapping[str, Any]) -> int | None:
    params = lm.request(({"role": "user", "content": ""},), **given).params
    stated = [params[name] for name in ("max_tokens", "max_completion_tokens") if params.get(name)]
    return int(max(stated)) if stated else None
