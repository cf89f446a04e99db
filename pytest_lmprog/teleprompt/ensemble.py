"""Ensemble: several programs asked the same, whose outputs are reduced to one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from pytest_lmprog.errors import UsageError
from pytest_lmprog.evaluation.scores import Metric, Objective
from pytest_lmprog.lm.types import LanguageModel
from pytest_lmprog.programs import Module
from pytest_lmprog.programs.ensemble import EnsembledProgram
from pytest_lmprog.records import dataclass
from pytest_lmprog.teleprompt.base import CallBound, CompileResult, CompileRuntime, CompileTask
from pytest_lmprog.teleprompt.checks import check_integer, check_shared
from pytest_lmprog.teleprompt.strategy import Rows, TeleprompterBase

if TYPE_CHECKING:
    from pytest_lmprog.teleprompt.engine.desk import Plan
    from pytest_lmprog.teleprompt.engine.study import Study

__all__ = ["Ensemble"]

_MEMBERS = 3


@dataclass(frozen=True)
class Ensemble(TeleprompterBase):
    """Combines programs (DSPy, arXiv:2310.03714; as in Wang et al., arXiv:2203.11171, over prompts).

    ``Ensemble(size=2).compile([a, b, c])`` returns a program that runs two of the three, drawn by the inputs:
    the same inputs ask the same two (DSPy draws anew at each call). With ``of``, a strategy,
    ``Ensemble(of=BootstrapFewShotWithRandomSearch(), size=3)`` is a strategy itself: it combines the ``size``
    best candidates of the other, all of which are evaluated fully for it.

    Parameters
    ----------
    reduce_fn: makes one output of the list of outputs; default ``majority`` by the last field (DSPy: the
        list as it is). A program restored from a snapshot must be given the same function again.
    size: programs that are run at each call, default all; with ``of``, candidates to combine, default 3.
        Candidates whose prompts are the same count once.
    deterministic: taken as in DSPy; draws are deterministic either way.
    of: the strategy whose candidates are combined.

    Raises UsageError for a size below 1, and for a reduce_fn or a strategy that is none.
    """

    reduce_fn: Callable[[list[Any]], Any] | None = None
    size: int | None = None
    deterministic: bool = False
    of: TeleprompterBase | None = None

    headline: ClassVar[tuple[str, ...]] = ("of", "size")
    unlisted: ClassVar[frozenset[str]] = frozenset({"deterministic"})

    def __post_init__(self) -> None:
        check_integer("size", self.size, 1, optional=True)
        check_shared(self)
        if self.reduce_fn is not None and not callable(self.reduce_fn):
            raise UsageError(f"reduce_fn must be a function, not {self.reduce_fn!r:.60}")
        if self.of is not None and not isinstance(self.of, TeleprompterBase):
            raise UsageError(f"of must be a teleprompter, not {self.of!r:.60}")

    @property
    def inner(self) -> TeleprompterBase:
        """The strategy whose candidates are combined. Raises UsageError where there is none."""
        if self.of is None:
            raise UsageError(
                "Ensemble has no strategy to take programs from",
                hint="Ensemble(of=BootstrapFewShotWithRandomSearch(), size=3), or Ensemble().compile([a, b])",
            )
        return self.of

    @property
    def members(self) -> int:
        """How many candidates are combined at most."""
        return _MEMBERS if self.size is None else self.size

    def parts(self) -> tuple[TeleprompterBase, ...]:
        """The strategy whose candidates are combined."""
        return () if self.of is None else (self.of,)

    def functions(self) -> tuple[Callable[..., Any], ...]:
        """The reduce function, and what the other strategy needs."""
        own = () if self.reduce_fn is None else (self.reduce_fn,)
        return (*own, *super().functions())

    def own_metric(self) -> Callable[..., Any] | Metric | None:
        """The other strategy's."""
        return None if self.of is None else self.of.own_metric()

    def objectives(self, task: CompileTask) -> tuple[Objective, Objective]:
        """The other strategy's."""
        return self.inner.objectives(task)

    def threads(self) -> int:
        """The other strategy's."""
        return self.inner.threads()

    def compile(
        self,
        student: Module | Sequence[Module],
        *,
        trainset: Rows | None = None,
        teacher: Module | LanguageModel | None = None,
        valset: Rows | None = None,
        runtime: CompileRuntime | None = None,
    ) -> Module:
        """Return the ensemble of a list of programs; or, with ``of``, of what it makes of one."""
        if isinstance(student, list | tuple):
            return EnsembledProgram([_copy(one) for one in student], self.reduce_fn, self.size)
        if trainset is None or not isinstance(student, Module):
            raise UsageError(
                "Ensemble.compile takes a list of programs, or a program and a trainset",
                hint="Ensemble().compile([a, b]), or Ensemble(of=...).compile(Program(), trainset=[...])",
            )
        return super().compile(student, trainset=trainset, teacher=teacher, valset=valset, runtime=runtime)

    def check(self, task: CompileTask) -> None:
        """As the other strategy; and the student must be no ensemble."""
        self.inner.check(task)
        if isinstance(task.student, EnsembledProgram):
            raise UsageError("the student is an ensemble already: ensembles of ensembles are not made")

    def run_calls(self, task: CompileTask) -> int:
        """Those of all members."""
        return self.members * self.inner.run_calls(task)

    def bound(self, task: CompileTask) -> CallBound:
        """The other strategy in full, and the ensemble evaluated."""
        examples = len(task.validation)
        return self.inner.bound(task) + CallBound(examples, examples * self.run_calls(task))

    def plan(self, study: Study) -> Plan[CompileResult]:
        """Run the other strategy and combine its best."""
        from pytest_lmprog.teleprompt.plans.combining import combined

        return (yield from combined(self, study))


def _copy(program: Module) -> Module:
    if not isinstance(program, Module):
        raise UsageError(f"an ensemble is made of programs, not {program!r:.80}")
    return program.copy()
