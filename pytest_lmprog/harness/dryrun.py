"""What compiling and testing a unit can cost at most, found out without a call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytest_lmprog.harness.compiling import compile_task
from pytest_lmprog.harness.judges.asked import Asked, asked_by
from pytest_lmprog.harness.preparing import metric_functions, teleprompter_of
from pytest_lmprog.harness.state import Prepared
from pytest_lmprog.harness.unit import Unit
from pytest_lmprog.records import dataclass
from pytest_lmprog.teleprompt.base import CallBound

if TYPE_CHECKING:
    from pytest_lmprog.harness.session import Session

__all__ = ["UnitBound", "unit_bound"]


@dataclass(frozen=True, slots=True)
class UnitBound:
    """The most that a unit can cost under ``--lm-compile``.

    Parameters
    ----------
    compile, before, after: calls of the teleprompter, of measuring the program as written, of the cases.
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

    @property
    def metric_calls(self) -> int:
        """The most calls of what the metrics ask, if each evaluation asks once; not part of ``calls``."""
        evaluations = (self.compile + self.before + self.after).runs
        return evaluations * sum(asked.calls for asked in self.asked)

    @property
    def calls(self) -> int:
        """All calls."""
        return (self.compile + self.before + self.after).calls

    def __str__(self) -> str:
        parts = [("to compile", self.compile), ("to measure it as written", self.before)]
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
    compiling = nothing if teleprompter is None else teleprompter.bound(compile_task(session, basis))
    a_run = basis.max_calls if basis.max_calls is not None else basis.written.max_calls()
    after = CallBound(len(unit.cases) * unit.repeat, len(unit.cases) * unit.repeat * a_run)
    measures = _measures_before(basis, teleprompter is not None)
    before = CallBound(len(unit.cases), len(unit.cases) * a_run) if measures else nothing
    calls = (compiling + before + after).calls
    budget = session.settings.budget
    return UnitBound(
        unit.id, compiling, before, after, _tokens(basis, calls), None, budget, _asked(session, unit)
    )


def _asked(session: Session, unit: Unit) -> tuple[Asked, ...]:
    owner = next((cls for m in unit.metrics if (cls := getattr(m, "cls", None)) is not None), None)
    return asked_by(metric_functions(session, unit), owner)


def _measures_before(basis: Prepared, learns: bool) -> bool:
    unmeasured = basis.snapshot is None or not basis.snapshot.baseline
    return learns and unmeasured and bool(basis.unit.metrics)


def _tokens(basis: Prepared, calls: int) -> int | None:
    """The most completion tokens: what the LM or a predictor sets as the most of one answer."""
    bounds = [_most(basis, predictor) for predictor in basis.written.predictors()]
    known = [bound for bound in bounds if bound is not None]
    return calls * max(known) if known and len(known) == len(bounds) else None


def _most(basis: Prepared, predictor: Any) -> int | None:
    lm = predictor.lm or basis.lm
    params = lm.request(({"role": "user", "content": ""},), **predictor.params).params
    stated = [params[name] for name in ("max_tokens", "max_completion_tokens") if params.get(name)]
    return int(max(stated)) if stated else None
