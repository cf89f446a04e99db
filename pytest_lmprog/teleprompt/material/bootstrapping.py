"""Bootstrapping: the walk through a trainset on which runs of a teacher become demos, as a plan."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import Any

from pytest_lmprog.errors import BudgetExceededError, CompileError
from pytest_lmprog.evaluation.scores import CaseResult
from pytest_lmprog.programs import Example, Module
from pytest_lmprog.records import dataclass
from pytest_lmprog.teleprompt.engine.desk import Plan, Rank, Ticket
from pytest_lmprog.teleprompt.engine.driver import MAX_CAUSES
from pytest_lmprog.teleprompt.engine.seeds import seeded
from pytest_lmprog.teleprompt.engine.shortfalls import all_failed
from pytest_lmprog.teleprompt.engine.study import Study
from pytest_lmprog.teleprompt.material.demos import labeled_demos, traced_demos, with_demos, without_example
from pytest_lmprog.teleprompt.material.teacher import teacher_program

__all__ = ["Bootstrap", "Bootstrapped", "Demonstration", "all_failures", "bootstrap"]

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


Demonstration = Mapping[str, Example]
"""What a successful run shows: a demo by predictor name."""


@dataclass(frozen=True)
class Bootstrapped:
    """What a bootstrap came to. ``whole`` is False where the budget ended it; ``notes`` say what fell
    short; ``kept`` is what each success shows, by the place of its example. ``failure``: of the notes the one
    that says that every run ended in an error."""

    program: Module
    whole: bool = True
    notes: tuple[str, ...] = ()
    kept: Mapping[int, Demonstration] = field(default_factory=dict)
    failure: str | None = None


def all_failures(found: Sequence[Bootstrapped]) -> tuple[str, ...]:
    """Return what the first of several bootstraps tells where the teacher met nothing but errors in any:
    the demos of none may win, and nothing else would tell."""
    failures = [one.failure for one in found if one.failure is not None]
    return tuple(failures[:1]) if len(failures) == len(found) else ()


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
    notes = _notes(walk)
    failure = notes[-1] if walk.errors and len(walk.errors) == walk.attempts else None
    return Bootstrapped(_taught(study, spec, walk.kept), whole, notes, walk.kept, failure)


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
        messages = [
            r.error.message for _, r in sorted(walk.errors.items(), key=lambda one: one[0]) if r.error
        ]
        cause = all_failed(messages, walk.attempts)
        notes.append(
            f"{len(walk.errors)} of {walk.attempts} bootstrap runs ended in an error ({shown}){cause}"
        )
    return tuple(notes)


def _too_many(walk: _Walk) -> CompileError:
    # Without a limit the first examples decide; how many later ones ended before them depends on timing.
    last = len(walk.spec.trainset) if walk.spec.max_errors is not None else HOPELESS
    counted = [walk.errors[key] for key in sorted(walk.errors) if key[0] < last]
    causes = "\n  ".join(
        f"bootstrap [{r.example.id}]: {r.error.message}" for r in counted[:MAX_CAUSES] if r.error
    )
    return CompileError(
        f"the compile stopped because {len(counted)} bootstrap runs ended in an error:\n  {causes}",
        hint="mend the program or the teacher, or allow more with max_errors=N",
    )
