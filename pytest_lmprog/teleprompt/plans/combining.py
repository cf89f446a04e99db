"""Combining: the best candidates of a strategy as one program, as a plan."""

from __future__ import annotations

from dataclasses import replace

from pytest_lmprog.errors import BudgetExceededError
from pytest_lmprog.evaluation.scores import CaseResult, mean
from pytest_lmprog.programs.ensemble import EnsembledProgram
from pytest_lmprog.teleprompt.base import Candidate, CompileResult, Spent
from pytest_lmprog.teleprompt.engine.desk import Plan
from pytest_lmprog.teleprompt.engine.gathering import scored
from pytest_lmprog.teleprompt.engine.nested import substudy
from pytest_lmprog.teleprompt.engine.shortfalls import shortfalls
from pytest_lmprog.teleprompt.engine.standing import checked_weights
from pytest_lmprog.teleprompt.engine.study import Study
from pytest_lmprog.teleprompt.ensemble import Ensemble

__all__ = ["combined"]

_Judged = tuple[Candidate, tuple[float, ...], tuple[str, ...]]


def combined(settings: Ensemble, study: Study) -> Plan[CompileResult]:
    """Run the inner strategy without early dropping and return the ensemble of its best candidates.

    The ensemble is the winner: it is evaluated, if its members were, by answers that are known already. A
    note says where its best member alone scored more."""
    sub = substudy(study, settings.inner, study.task, note=study.note, drop=False)
    inner = yield from settings.inner.plan(sub)
    members = _best(study, inner, settings.members)
    program = EnsembledProgram([c.program.copy() for c in members], settings.reduce_fn)
    made = Candidate(
        1 + max(c.index for c in inner.candidates),
        f"ensemble of {len(members)}",
        program,
        None,
        study.characters(program),
        tuple(c.index for c in members),
    )
    result = CompileResult(program, (*inner.candidates, made), len(inner.candidates), stopped=inner.stopped)
    notes = (*_short(settings, members), *inner.notes)
    if inner.stopped == "budget" or inner.score is None:
        study.desk.expect(-len(study.task.validation))
        study.note(made)
        return replace(result, notes=notes)
    try:
        judged, scores, failed = yield from _judged(study, made, settings.run_calls(study.task))
    except BudgetExceededError:
        return replace(
            result, stopped="budget", notes=(*notes, "the budget was spent before it was evaluated")
        )
    told = (*_worse(judged, members[0]), *failed)
    return replace(
        result,
        candidates=(*inner.candidates, judged),
        score=judged.score,
        validated_on=len(scores),
        scores=scores,
        notes=tuple(dict.fromkeys([*told, *notes])),
    )


def _best(study: Study, result: CompileResult, size: int) -> list[Candidate]:
    """Return the candidates that were evaluated fully, the best first, equal prompts once; where none was,
    the inner strategy's own winner."""
    known = [(-c.score, c.characters, c.index, c) for c in result.candidates if c.score is not None]
    ranked = [c for *_, c in sorted(known, key=lambda one: one[:3])] or [result.candidates[result.winner]]
    found: dict[tuple[object, ...], Candidate] = {}
    for candidate in ranked:
        lms = [id(predictor.lm) for predictor in candidate.program.predictors()]
        found.setdefault((*study.prompts(candidate.program), *lms), candidate)
    return list(found.values())[:size]


def _judged(study: Study, made: Candidate, calls: int) -> Plan[_Judged]:
    """Evaluate the ensemble; return it with its score, that of each example, and what fell short."""
    task = replace(study.task, student=made.program, max_calls=calls)
    sub = replace(study, task=task)
    results: list[CaseResult] = yield from scored(sub, made.program, task.validation)
    spent = Spent()
    for result in results:
        spent = spent.plus(result.trace)
    scores = tuple(study.ranking.score(result) for result in results)
    score = mean(scores, checked_weights(task.validation))
    judged = replace(made, score=score, spent=spent)
    study.note(judged)
    study.desk.best(score, judged.label)
    errors = [result.error for result in results]
    failures = {place: error.message for place, error in enumerate(errors) if error is not None}
    return judged, scores, shortfalls(failures, len(results), None)


def _short(settings: Ensemble, members: list[Candidate]) -> tuple[str, ...]:
    if len(members) == settings.members:
        return ()
    return (f"{len(members)} of {settings.members} members: no more candidates with prompts of their own",)


def _worse(judged: Candidate, best: Candidate) -> tuple[str, ...]:
    if judged.score is None or best.score is None or judged.score >= best.score:
        return ()
    return (f"the ensemble scored {judged.score:.3g}, its best member alone {best.score:.3g}",)
