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
    """Takes one plain entry a candidate, in candidate order."""

    def write(self, entry: Mapping[str, Any]) -> None:
        """Note one candidate."""
        ...


def _no_progress(event: ProgressEvent) -> None:
    del event


class _NoJournal:
    def write(self, entry: Mapping[str, Any]) -> None:
        """Drop the entry."""


@dataclass(frozen=True)
class CompileRuntime:
    """What a compile runs on. None of it changes the result, except ``seed``.

    Parameters
    ----------
    seed: of every random choice.
    concurrency: runs in flight at most.
    executor: of threads, with at least ``concurrency`` workers, or None for one of its own.
    scope: call scope of every run (cache, budget, tally); a fresh CallLimit is added for each run.
    """

    seed: int = 0
    concurrency: int = 8
    executor: Executor | None = None
    scope: CallScope | None = None
    lm: LanguageModel | None = None
    progress: Progress = _no_progress
    journal: Journal = field(default_factory=_NoJournal)


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
    ``spent``: by the runs that evaluated it, as far as they went.
    """

    index: int
    label: str
    program: Module
    score: float | None
    characters: int
    parent: int | None = None
    spent: Spent = field(default_factory=Spent)


@dataclass(frozen=True)
class CompileResult:
    """What a compile produced: ``program`` is the winner, never the student itself.

    ``winner`` is its place in ``candidates``. ``score`` is its weighted mean over ``validated_on`` examples
    within [0, 1], or None where the strategy evaluates nothing (LabeledFewShot, BootstrapFewShot). ``notes``
    say what fell short. ``program``, ``score``, ``validated_on``, ``notes`` and the winner's index and label
    are the same on every run with the same answers; other candidates' scores need not be.
    """

    program: Module
    candidates: tuple[Candidate, ...]
    winner: int
    score: float | None = None
    validated_on: int = 0
    stopped: StopReason = "done"
    notes: tuple[str, ...] = ()


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
