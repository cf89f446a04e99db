"""BootstrapFewShot: runs of a teacher that the metric accepts become demos."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from pytest_lmprog.errors import BudgetExceededError, CompileError, UsageError
from pytest_lmprog.evaluation.scores import CaseResult, Metric
from pytest_lmprog.programs import Example, Module, context
from pytest_lmprog.teleprompt.base import CallBound, Candidate, CompileResult, CompileTask, StopReason
from pytest_lmprog.teleprompt.demos import labeled_demos, traced_demos, with_demos, without_example
from pytest_lmprog.teleprompt.desk import Plan, Rank, Ticket
from pytest_lmprog.teleprompt.driver import MAX_CAUSES
from pytest_lmprog.teleprompt.seeds import seeded
from pytest_lmprog.teleprompt.strategy import TeleprompterBase
from pytest_lmprog.teleprompt.study import Study, teacher_bound
from pytest_lmprog.teleprompt.teacher import check_teacher, teacher_program

__all__ = ["Bootstrap", "BootstrapFewShot", "Bootstrapped", "bootstrap"]

HOPELESS = 10
"""Examples after which a teacher that has met nothing but errors is given up (DSPy's ``max_errors``)."""


@dataclass(frozen=True)
class Bootstrap:
    """One bootstrap: which demos to look for, and where.

    Parameters
    ----------
    trainset: the examples, in the order in which they are tried.
    wanted: examples that are to succeed.
    labeled: demos a predictor in all; labeled ones fill up.
    rank: leads the rank of its runs.
    """

    trainset: Sequence[Example]
    wanted: int
    labeled: int
    rounds: int
    threshold: float | None = None
    max_errors: int | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    rank: Rank = (0,)


@dataclass(frozen=True)
class Bootstrapped:
    """What a bootstrap came to. ``whole`` is False where the budget ended it; ``notes`` say what fell
    short."""

    program: Module
    whole: bool = True
    notes: tuple[str, ...] = ()


Demonstration = Mapping[str, Example]
"""What a successful run shows: a demo by predictor name."""


@dataclass
class _Walk:
    """The walk through the trainset: what was tried, and what may be tried now.

    Zero waste: the next example is started only while *successes + runs in flight < wanted*. The
    sequential algorithm tries an example exactly if fewer than ``wanted`` of those before it succeed.
    All that is started stands before the next one, so at most *successes + in flight* of them succeed:
    below ``wanted``, whatever the runs in flight come to, the sequential algorithm gets there too. So
    nothing is run that it would not run (except beside the run that reaches ``max_errors``). A failed
    example is tried again in the next round at once, as in DSPy, so its retries are no speculation.
    """

    spec: Bootstrap
    next: int = 0
    in_flight: dict[Ticket, tuple[int, int]] = field(default_factory=dict)
    kept: dict[int, Demonstration] = field(default_factory=dict)
    errors: dict[tuple[int, int], CaseResult] = field(default_factory=dict)
    attempts: int = 0

    def may_start(self) -> bool:
        missing = self.spec.wanted - len(self.kept) - len(self.in_flight)
        return missing > 0 and self.next < len(self.spec.trainset)

    def given_up(self) -> bool:
        """Whether there were too many errors; the answer does not depend on the order runs end in."""
        limit = self.spec.max_errors
        return self._hopeless() if limit is None else len(self.errors) >= limit

    def _hopeless(self) -> bool:
        """Whether the first examples all ended in errors, in every round. One in flight is none yet."""
        turns = range(self.spec.rounds)
        first = range(min(HOPELESS, len(self.spec.trainset)))
        return len(first) == HOPELESS and all((p, t) in self.errors for p in first for t in turns)


def bootstrap(study: Study, spec: Bootstrap) -> Plan[Bootstrapped]:
    """Walk the trainset in order until ``spec.wanted`` examples succeed, then fill up with labeled demos.

    While an example runs, it is not among the teacher's demos. The demos are those of the sequential
    algorithm (DSPy's BootstrapFewShot), at any concurrency. Raises CompileError, with the first causes,
    when ``max_errors`` is reached. A budget that runs out leaves the demos found so far.
    """
    teacher = teacher_program(study.task, spec.trainset, labeled=spec.labeled, seed=study.seed)
    walk = _Walk(spec)
    whole = True
    try:
        yield from _walked(study, spec, teacher, walk)
    except BudgetExceededError:
        whole = False
    study.desk.expect(walk.attempts - len(spec.trainset) * spec.rounds * bool(spec.wanted))
    return Bootstrapped(_taught(study, spec, walk.kept), whole, _notes(walk))


def _walked(study: Study, spec: Bootstrap, teacher: Module, walk: _Walk) -> Plan[None]:
    while True:
        while walk.may_start():
            _try(study, spec, teacher, walk, walk.next, 0)
            walk.next += 1
        if not walk.in_flight:
            return
        ticket = yield
        position, turn = walk.in_flight.pop(ticket)
        result: CaseResult = ticket.value()
        if result.error is not None:
            walk.errors[position, turn] = result
            if walk.given_up():
                raise _too_many(walk)
        if _succeeded(study, spec, result):
            walk.kept[position] = _shown(study, spec, position, turn, result)
        elif turn + 1 < spec.rounds:
            _try(study, spec, teacher, walk, position, turn + 1)


def _try(study: Study, spec: Bootstrap, teacher: Module, walk: _Walk, position: int, turn: int) -> None:
    example = spec.trainset[position]
    program = without_example(teacher, example)
    job = study.teacher_job(program, example, rollout=turn, settings=spec.settings)
    walk.in_flight[study.desk.submit((*spec.rank, position), job)] = (position, turn)
    walk.attempts += 1


def _succeeded(study: Study, spec: Bootstrap, result: CaseResult) -> bool:
    if not study.teaching.metrics:
        return result.error is None
    return study.teaching.keeps(result, spec.threshold)


def _shown(study: Study, spec: Bootstrap, position: int, turn: int, result: CaseResult) -> Demonstration:
    student = dict(study.task.student.named_predictors())
    return traced_demos(result.trace, spec.trainset[position], student, seed=study.seed, rollout=turn)


def _taught(study: Study, spec: Bootstrap, kept: Mapping[int, Demonstration]) -> Module:
    """Return the student with the demos found, each predictor filled up with labeled ones.

    One shuffle, then one generator for all predictors, as in DSPy."""
    rest = [example for position, example in enumerate(spec.trainset) if position not in kept]
    seeded(study.seed, 0).shuffle(rest)
    rng = seeded(study.seed, 0)
    demos: dict[str, list[Example]] = {}
    for name, predictor in study.task.student.named_predictors():
        shown = [kept[position][name] for position in sorted(kept) if name in kept[position]]
        room = max(0, min(spec.labeled - len(shown), len(rest)))
        demos[name] = shown + labeled_demos(rng.sample(rest, room), predictor.signature)
    return with_demos(study.task.student, demos)


def _notes(walk: _Walk) -> tuple[str, ...]:
    notes = []
    if len(walk.kept) < walk.spec.wanted:
        notes.append(
            f"{len(walk.kept)} of {walk.spec.wanted} demos were bootstrapped: {walk.next} of "
            f"{len(walk.spec.trainset)} training examples were tried"
        )
    if walk.errors:
        kinds = Counter(r.error.kind for r in walk.errors.values() if r.error is not None)
        shown = ", ".join(f"{kind} {count}" for kind, count in sorted(kinds.items()))
        notes.append(f"{len(walk.errors)} of {walk.attempts} bootstrap runs ended in an error ({shown})")
    return tuple(notes)


def _too_many(walk: _Walk) -> CompileError:
    first = [walk.errors[key] for key in sorted(walk.errors)][:MAX_CAUSES]
    causes = "\n  ".join(f"bootstrap [{r.example.id}]: {r.error.message}" for r in first if r.error)
    return CompileError(
        f"the compile stopped because {len(walk.errors)} bootstrap runs ended in an error:\n  {causes}",
        hint="mend the program or the teacher, or allow more with max_errors=N",
    )


@dataclass(frozen=True)
class BootstrapFewShot(TeleprompterBase):
    """Demos from runs of a teacher that the metric accepts (DSPy, arXiv:2310.03714, algorithm 1).

    Settings as in DSPy. A score of 0.0 is not a success, unless ``metric_threshold`` says so, and a run
    that ends in an error costs its example no other chance. The student's own demos are replaced; where
    it is its own teacher and has demos already, it demonstrates with them.

    Parameters
    ----------
    metric: ``f(example, prediction, trace=None)``; overrides the unit's metrics. Without any metric every
        run that ends without an error is a success.
    metric_threshold: the least score of a success; 0 is valid. Default: a metric's own, else above 0.
    teacher_settings: overrides of the context while the teacher runs (``{"lm": ...}``).
    max_bootstrapped_demos: examples that are to succeed.
    max_labeled_demos: demos a predictor in all: labeled examples fill up what bootstrapping left. The
        teacher, if it has no demos, gets as many.
    max_rounds: tries an example; those after the first are new rollouts at temperature 1.0.
    max_errors: runs ending in an error at which the compile stops. None: it stops only where the first
        10 examples all end so.
    """

    metric: Callable[..., Any] | Metric | None = None
    metric_threshold: float | None = None
    teacher_settings: Mapping[str, Any] | None = None
    max_bootstrapped_demos: int = 4
    max_labeled_demos: int = 16
    max_rounds: int = 1
    max_errors: int | None = None

    headline: ClassVar[tuple[str, ...]] = ("max_bootstrapped_demos",)

    def __post_init__(self) -> None:
        for name in ("max_bootstrapped_demos", "max_labeled_demos"):
            _at_least(0, name, getattr(self, name))
        _at_least(1, "max_rounds", self.max_rounds)
        if self.max_errors is not None:
            _at_least(1, "max_errors", self.max_errors)
        with context(**(self.teacher_settings or {})):
            pass  # raises ConfigurationError for what is no setting

    def check(self, task: CompileTask) -> None:
        """As in the base; and the teacher must fit, and a metric count."""
        super().check(task)
        check_teacher(task)
        if self.metric is None and task.objective.metrics and not task.objective.ranked:
            raise UsageError(
                "no metric counts while compiling: all are marked optimize=False",
                hint="leave lm_metric(optimize=True) to at least one test function",
            )

    def bound(self, task: CompileTask) -> CallBound:
        """Every example in every round."""
        return teacher_bound(task, len(task.trainset) * self.max_rounds * bool(self.max_bootstrapped_demos))

    def plan(self, study: Study) -> Plan[CompileResult]:
        """One bootstrap."""
        found = yield from bootstrap(study, self.spec(study.task.trainset, self.max_bootstrapped_demos))
        candidate = Candidate(0, "bootstrap", found.program, None, study.characters(found.program))
        stopped: StopReason = "done" if found.whole else "budget"
        return CompileResult(found.program, (candidate,), 0, stopped=stopped, notes=found.notes)

    def spec(self, trainset: Sequence[Example], wanted: int, rank: Rank = (0,)) -> Bootstrap:
        """Return the bootstrap of these settings over ``trainset``."""
        return Bootstrap(
            trainset,
            wanted,
            self.max_labeled_demos,
            self.max_rounds,
            self.metric_threshold,
            self.max_errors,
            self.teacher_settings or {},
            rank,
        )


def _at_least(least: int, name: str, value: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise UsageError(f"{name} must be an integer of {least} or more, not {value!r}")
