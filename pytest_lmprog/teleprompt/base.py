"""What a teleprompter is given and what it returns. One strategy a file; all pass one conformance suite."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

from pytest_lmprog.evaluation.scores import Objective
from pytest_lmprog.lm.scope import CallScope
from pytest_lmprog.lm.types import LanguageModel
from pytest_lmprog.programs import Example, Module, Trace
from pytest_lmprog.records import dataclass

if TYPE_CHECKING:
    from concurrent.futures import Executor

__all__ = [
    "CallBound",
    "Candidate",
    "CompileResult",
    "CompileRuntime",
    "CompileTask",
    "Journal",
    "Progress",
    "ProgressEvent",
    "Spent",
    "StopReason",
    "Teleprompter",
]

StopReason = Literal["done", "budget"]


@dataclass(frozen=True)
class CompileTask:
    """What is to be compiled.

    Parameters
    ----------
    student: the program; never changed.
    trainset: examples to learn from, their inputs known; at least one.
    valset: examples to rank candidates on, or None: the trainset, an example's own demo left out.
    objective: the metrics.
    teacher: the program that demonstrates, or None: a copy of the student. An LM here means the student
        on that LM.
    max_calls: the most LM calls of one run of the program.
    """

    student: Module
    trainset: Sequence[Example]
    objective: Objective
    valset: Sequence[Example] | None = None
    teacher: Module | LanguageModel | None = None
    max_calls: int | None = None

    @property
    def validation(self) -> Sequence[Example]:
        """The examples that rank candidates."""
        return self.trainset if self.valset is None else self.valset


@dataclass(frozen=True, slots=True)
class ProgressEvent:
    """How far a compile is: for people, never for decisions. ``total`` runs is an upper bound that
    shrinks as work turns out not to be needed."""

    phase: str
    done: int
    total: int
    best: float | None = None
    candidate: str | None = None


class Progress(Protocol):
    """Told of progress from the coordinating thread."""

    def __call__(self, event: ProgressEvent) -> None: ...


class Journal(Protocol):
    """Takes plain entries of a compile (see ``journal``), on the coordinating thread. It raises nothing."""

    def begin(self, head: Mapping[str, Any]) -> None:
        """Note what is compiled, before anything is asked."""
        ...

    def note(self, entry: Mapping[str, Any]) -> None:
        """Note a candidate of which no more is learnt, in any order: for whoever watches."""
        ...

    def finish(self, entries: Sequence[Mapping[str, Any]], end: Mapping[str, Any]) -> None:
        """Note all candidates in index order, and how it ended. Not called where the compile failed."""
        ...


def _no_progress(event: ProgressEvent) -> None:
    del event


class _NoJournal:
    def begin(self, head: Mapping[str, Any]) -> None:
        """Drop it."""

    def note(self, entry: Mapping[str, Any]) -> None:
        """Drop it."""

    def finish(self, entries: Sequence[Mapping[str, Any]], end: Mapping[str, Any]) -> None:
        """Drop them."""


@dataclass(frozen=True)
class CompileRuntime:
    """What a compile runs on. None of it changes the result, except ``seed``.

    Parameters
    ----------
    seed: of every random choice.
    concurrency: runs in flight at most.
    executor: of threads, with at least ``concurrency`` workers, or None for one of its own.
    scope: call scope of every run (cache, budget, tally); a fresh CallLimit is added for each run.
    drop: whether a candidate is dropped as soon as it cannot win. Which runs that saves depends on timing: a
        compile that is recorded, to be replayed without an LM, evaluates everybody.
    journal: told of each candidate (``journal.FileJournal`` writes a file); by default nobody is.
    """

    seed: int = 0
    concurrency: int = 8
    executor: Executor | None = None
    scope: CallScope | None = None
    lm: LanguageModel | None = None
    progress: Progress = _no_progress
    journal: Journal = field(default_factory=_NoJournal)
    drop: bool = True


@dataclass(frozen=True, slots=True)
class Spent:
    """What the runs that evaluated a candidate used, whatever answered them.

    ``tokens`` are those of prompts and completions, as reported for ``counted`` of the ``calls``; ``cost`` in
    USD is known for ``priced`` of them."""

    runs: int = 0
    calls: int = 0
    tokens: int = 0
    counted: int = 0
    cost: float = 0.0
    priced: int = 0

    def plus(self, trace: Trace) -> Spent:
        """Return the sum with one more run."""
        usages = [call.usage.total_tokens for call in trace if call.usage is not None]
        costs = [call.cost for call in trace if call.cost is not None]
        return Spent(
            self.runs + 1,
            self.calls + len(trace),
            self.tokens + sum(usages),
            self.counted + len(usages),
            self.cost + math.fsum(costs),
            self.priced + len(costs),
        )


@dataclass(frozen=True)
class Candidate:
    """One setting of instructions and demos that was tried.

    ``score`` is None where the candidate was dropped before it was evaluated fully (it could not win), or
    nothing was evaluated. Which losers are dropped depends on timing: of a loser nothing may enter an
    artifact. ``characters`` are those of its rendered prompts without the inputs, the first tie-breaker.
    ``parents``: indices of the candidates that it was made from, none for a first one, two for a merge.
    ``spent``: by the runs that evaluated it, as far as they went.
    """

    index: int
    label: str
    program: Module
    score: float | None
    characters: int
    parents: tuple[int, ...] = ()
    spent: Spent = field(default_factory=Spent)


@dataclass(frozen=True)
class CompileResult:
    """What a compile produced: ``program`` is the winner, never the student itself.

    ``winner`` is its place in ``candidates``. ``score`` is its weighted mean over ``validated_on`` examples
    within [0, 1], or None where the strategy evaluates nothing (LabeledFewShot, BootstrapFewShot).
    ``scores`` are those of the validation examples, in their order, where the strategy tells them: without,
    intervals are wider than need be. ``notes`` say what fell short.
    ``program``, ``score``, ``validated_on``, ``notes`` and the winner's index and label
    are the same on every run with the same answers; other candidates' scores need not be.
    """

    program: Module
    candidates: tuple[Candidate, ...]
    winner: int
    score: float | None = None
    validated_on: int = 0
    stopped: StopReason = "done"
    notes: tuple[str, ...] = ()
    scores: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class CallBound:
    """The most that a compile can cost: runs of the program and LM calls."""

    runs: int
    calls: int

    def __add__(self, other: CallBound) -> CallBound:
        return CallBound(self.runs + other.runs, self.calls + other.calls)


@runtime_checkable
class Teleprompter(Protocol):
    """A prompt optimizer. Strategies subclass ``TeleprompterBase``, which adds DSPy's ``compile``."""

    def compile_result(self, task: CompileTask, runtime: CompileRuntime) -> CompileResult:
        """Compile. Deterministic given the answers and ``runtime.seed``, at any concurrency.

        Raises UsageError for data that cannot be learnt from, CompileError (resumable) on transport
        failures. A budget that runs out ends it early, with ``stopped="budget"``."""
        ...

    def bound(self, task: CompileTask) -> CallBound:
        """Return the most calls that ``compile_result`` can make."""
        ...

    def settings(self) -> Mapping[str, Any]:
        """Return the settings as plain data: they stand in the snapshot and its fingerprint."""
        ...
