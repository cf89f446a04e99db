"""Fit: how the compiled program scores on training, validation and test examples, side by side.

The training examples are scored only where the teleprompter ranked candidates on a validation set of their
own: elsewhere the two are the same, or nothing was evaluated and a compile stays as cheap as it is.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any, Literal

from pytest_lmprog.errors import BudgetExceededError, CompileError, LMError, MetricError, ReplayMissError
from pytest_lmprog.evaluation.scores import Objective, mean
from pytest_lmprog.evaluation.statistics import Interval, score_interval, wilson
from pytest_lmprog.harness.results import CaseOutcome, UnitResult
from pytest_lmprog.programs import Example
from pytest_lmprog.records import dataclass
from pytest_lmprog.teleprompt.base import CompileResult, CompileRuntime, CompileTask, Teleprompter

if TYPE_CHECKING:
    from pytest_lmprog.harness.compiling import CompileOutcome
    from pytest_lmprog.harness.unit import Unit

__all__ = ["SplitScore", "asks_for_training", "learnt_scores", "misfit", "splits", "training_score"]

Split = Literal["train", "validation", "test"]


@dataclass(frozen=True, slots=True)
class SplitScore:
    """How the compiled program scores on one kind of examples, by what the compile optimizes.

    ``score`` is the weighted mean over ``n`` examples, errors counted 0, with its 95 % interval from ``low``
    to ``high``; None where it is not known, ``note`` says why."""

    split: Split
    score: float | None = None
    n: int = 0
    low: float = 0.0
    high: float = 1.0
    note: str = ""

    @property
    def interval(self) -> Interval:
        """The interval."""
        return Interval(self.low, self.high)

    def to_plain(self) -> dict[str, Any]:
        """Return JSON data."""
        known = self.score is not None
        names = [f.name for f in fields(self) if known or f.name not in ("low", "high", "n")]
        return {name: value for name in names if (value := getattr(self, name)) not in ("", None)}

    @classmethod
    def from_plain(cls, data: Mapping[str, Any]) -> SplitScore:
        """Read what ``to_plain`` returned."""
        return cls(**data)


def _scored(split: Split, scores: Sequence[float], weights: Sequence[float], note: str = "") -> SplitScore:
    found = score_interval(scores, weights)
    return SplitScore(split, mean(scores, weights), len(scores), found.low, found.high, note)


# --- training and validation ----------------------------------------------------------------------------


def asks_for_training(unit: Unit) -> bool:
    """Return whether scoring the training examples can take calls of its own."""
    return unit.valset is not None


def training_score(
    teleprompter: Teleprompter, task: CompileTask, result: CompileResult, runtime: CompileRuntime
) -> tuple[SplitScore | None, str | None]:
    """Score the winner on the training examples, each without its own demo, where that tells something;
    or return a note that this could not be had: the figure is for people, and no reason to lose a compile."""
    if task.valset is None or result.score is None:
        return None, None
    try:
        if result.stopped == "budget":
            raise BudgetExceededError("it ended the compile")
        return _training_score(teleprompter, task, result, runtime), None
    except (BudgetExceededError, ReplayMissError, LMError, MetricError, CompileError) as error:
        why = "the budget is spent" if isinstance(error, BudgetExceededError) else type(error).__name__
        return None, f"the training examples were not scored ({why})"


def _training_score(
    teleprompter: Teleprompter, task: CompileTask, result: CompileResult, runtime: CompileRuntime
) -> SplitScore:
    from pytest_lmprog.teleprompt.engine.calls import compiled_calls
    from pytest_lmprog.teleprompt.engine.driver import drive
    from pytest_lmprog.teleprompt.engine.gathering import scored
    from pytest_lmprog.teleprompt.engine.study import Study

    ranking = _ranking(teleprompter, task)
    task = replace(task, max_calls=compiled_calls(teleprompter, task))
    settings = {} if runtime.lm is None else {"lm": runtime.lm}

    def plan(desk: Any) -> Any:
        desk.expect(len(task.trainset))
        study = Study(task, ranking, ranking, desk, runtime.seed, settings)
        return scored(study, result.program, task.trainset, phase="train")

    results = drive(plan, runtime)
    return _scored("train", [ranking.score(one) for one in results], [e.weight for e in task.trainset])


def _ranking(teleprompter: Teleprompter, task: CompileTask) -> Objective:
    """Return what ranked the candidates: the teleprompter's own metric, else the unit's."""
    objectives = getattr(teleprompter, "objectives", None)
    return task.objective if objectives is None else objectives(task)[1]


def learnt_scores(unit: Unit, result: CompileResult, train: SplitScore | None) -> tuple[SplitScore, ...]:
    """Return the scores on training and validation examples; nothing where no candidate was evaluated."""
    if result.score is None:
        return ()
    validation = _validation(unit, result)
    if unit.valset is not None:
        return train or SplitScore("train"), validation
    whole = result.validated_on == len(unit.trainset)
    shared = "the training examples, their own demos left out" if whole else "a part of the training examples"
    same = replace(validation, split="train") if whole else SplitScore("train")
    return same, replace(validation, note=shared)


def _validation(unit: Unit, result: CompileResult) -> SplitScore:
    score, n = result.score or 0.0, result.validated_on
    examples: Sequence[Example] = unit.trainset if unit.valset is None else unit.valset
    if result.scores and len(result.scores) == len(examples):
        found = score_interval(result.scores, [example.weight for example in examples])
    else:
        found = wilson(score * n, n)  # supposes the largest spread that there can be
    note = "selected on these cases" if unit.selected_on_cases else ""
    return SplitScore("validation", score, n, found.low, found.high, note)


# --- test -----------------------------------------------------------------------------------------------


def splits(outcome: CompileOutcome, found: UnitResult | None) -> tuple[SplitScore, ...]:
    """Return the scores on training, validation and test examples, in this order; nothing where the compile
    evaluated nothing. ``found``: what the run said of the unit's cases."""
    return (*outcome.learnt, _test(outcome, found)) if outcome.learnt else ()


def _test(outcome: CompileOutcome, found: UnitResult | None) -> SplitScore:
    own = getattr(outcome.teleprompter, "own_metric", None)
    if own is not None and own() is not None:
        return SplitScore("test", note="the teleprompter has a metric of its own")
    weights = {m.name: m.weight for m in outcome.prepared.unit.metrics if m.optimize}
    metrics = [] if found is None else [m for m in found.metrics if m.info.name in weights]
    if not metrics or not all(metric.complete for metric in metrics):
        return SplitScore("test", note="not all cases ran")
    rows: dict[str, list[tuple[float, CaseOutcome]]] = {}
    for metric in metrics:
        for one in metric.outcomes:
            rows.setdefault(one.case, []).append((weights[metric.info.name], one))
    return _scored(
        "test", [_of_case(row) for row in rows.values()], [row[0][1].weight for row in rows.values()]
    )


def _of_case(row: Sequence[tuple[float, CaseOutcome]]) -> float:
    """Return what the compile's objective says of a case: the weighted mean of its metrics (and rollouts)."""
    pairs = [(weight, one.value) for weight, one in row if one.value is not None]
    total = math.fsum(weight for weight, _ in pairs)
    return math.fsum(weight * value for weight, value in pairs) / total if total else 0.0


def misfit(scores: Sequence[SplitScore]) -> str | None:
    """Return a warning where validation and test differ by more than their intervals, else None."""
    of = {score.split: score for score in scores if score.score is not None}
    if not {"validation", "test"} <= of.keys():
        return None
    validation, test = of["validation"], of["test"]
    if validation.low <= test.high and test.low <= validation.high:
        return None
    higher = (validation.score or 0.0) > (test.score or 0.0)
    why = (
        "the prompts may be fitted to the validation examples"
        if higher
        else "the validation examples may be harder than the cases"
    )
    return f"{_told(validation)} and {_told(test)} differ by more than their intervals: {why}"


def _told(score: SplitScore) -> str:
    return f"{score.split} {score.score:.3f} ({score.low:.2f}-{score.high:.2f}, n {score.n})"
