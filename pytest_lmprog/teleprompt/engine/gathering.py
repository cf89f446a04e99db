"""Gathering: plans that hand in many runs at a time and return their results in order."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pytest_lmprog.evaluation.scores import CaseResult
from pytest_lmprog.programs import Example, Module
from pytest_lmprog.teleprompt.engine.desk import Job, Plan, Rank
from pytest_lmprog.teleprompt.engine.study import Study
from pytest_lmprog.teleprompt.material.demos import without_example

__all__ = ["gathered", "scored"]


def gathered(study: Study, jobs: Iterable[Job], *, rank: Rank = (0,)) -> Plan[list[CaseResult]]:
    """Run ``jobs`` side by side and return their results in the order given.

    For ``yield from`` in a plan that waits for nothing else meanwhile."""
    tickets = [study.desk.submit((*rank, place), job) for place, job in enumerate(jobs)]
    for _ in tickets:
        yield
    return [ticket.value() for ticket in tickets]


def scored(
    study: Study,
    program: Module,
    examples: Sequence[Example],
    *,
    phase: str = "evaluate",
    rank: Rank = (0,),
    rollout: int = 0,
) -> Plan[list[CaseResult]]:
    """Run ``program`` on ``examples``, scored, and return the results in their order.

    No example's own demo is in the prompt that it is scored with."""
    jobs = [
        study.student_job(without_example(program, example), example, phase, rollout=rollout)
        for example in examples
    ]
    return (yield from gathered(study, jobs, rank=rank))
