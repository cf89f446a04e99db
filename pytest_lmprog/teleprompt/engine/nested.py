"""Nested strategies: a strategy that runs others as parts of its own plan."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from pytest_lmprog.teleprompt.base import Candidate, CompileTask
from pytest_lmprog.teleprompt.engine.study import Study
from pytest_lmprog.teleprompt.strategy import TeleprompterBase

__all__ = ["moved", "same_ranking", "substudy"]


def substudy(
    study: Study,
    inner: TeleprompterBase,
    task: CompileTask,
    *,
    note: Callable[[Candidate], None],
    drop: bool = True,
) -> Study:
    """Return the study in which ``inner`` compiles ``task``, for ``yield from inner.plan(...)``: on the same
    desk, with the metrics of the outer study where ``inner`` has none of its own.

    Raises UsageError where ``inner`` cannot compile the task.

    Parameters
    ----------
    note: is told of the candidates of ``inner``, under its own indices.
    drop: False where the scores of losers are needed.
    """
    inner.check(task)
    teaching, ranking = study.teaching, study.ranking
    if inner.own_metric() is not None:
        teaching, ranking = inner.objectives(task)
    return replace(study, task=task, teaching=teaching, ranking=ranking, note=note, drop=drop and study.drop)


def same_ranking(outer: TeleprompterBase, inner: TeleprompterBase) -> bool:
    """Return whether both rank by the same metric, so that a score of one is a score of the other."""
    own = inner.own_metric()
    return own is None or own is outer.own_metric()


def moved(
    candidate: Candidate, first: int, *, origin: int | None = None, chain: str | None = None
) -> Candidate:
    """Return the candidate of an inner strategy as one of the outer's.

    Parameters
    ----------
    first: the index that the inner strategy's first candidate has in the outer.
    origin: the candidate whose program the inner strategy was given: the parent of those without one.
    chain: what precedes its label.
    """
    parents = tuple(first + parent for parent in candidate.parents)
    return replace(
        candidate,
        index=first + candidate.index,
        label=candidate.label if chain is None else f"{chain}: {candidate.label}",
        parents=parents or (() if origin is None else (origin,)),
    )
