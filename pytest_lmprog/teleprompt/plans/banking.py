"""Banking: a demo of every training example, for calls to choose from, as a plan."""

from __future__ import annotations

from collections.abc import Mapping

from pytest_lmprog.programs import Example, Module, Predict
from pytest_lmprog.programs.nearest import Bank, Nearest, inputs_text, mark_root
from pytest_lmprog.programs.vectorizers import checked_vectorizer
from pytest_lmprog.teleprompt.base import Candidate, CompileResult, StopReason
from pytest_lmprog.teleprompt.engine.desk import Plan
from pytest_lmprog.teleprompt.engine.study import Study
from pytest_lmprog.teleprompt.knn_few_shot import KNNFewShot
from pytest_lmprog.teleprompt.material.bootstrapping import Demonstration, bootstrap
from pytest_lmprog.teleprompt.material.demos import labeled_demos

__all__ = ["banked"]


def banked(settings: KNNFewShot, study: Study) -> Plan[CompileResult]:
    """Bootstrap every training example, and return the program that chooses among their demos."""
    trainset = study.task.trainset
    wanted = len(trainset) if settings.max_bootstrapped_demos else 0
    found = yield from bootstrap(study, settings.bootstrapper().spec(trainset, wanted))
    program = _program(settings, study, found.kept)
    candidate = Candidate(0, f"the {settings.shown} nearest", program, None, study.characters(program))
    study.note(candidate)
    stopped: StopReason = "done" if found.whole else "budget"
    notes = (*_few(settings, len(trainset)), *found.notes)
    return CompileResult(program, (candidate,), 0, stopped=stopped, notes=notes)


def _few(settings: KNNFewShot, rows: int) -> tuple[str, ...]:
    if rows >= settings.shown:
        return ()
    return (f"k is {settings.shown} and the trainset has {rows}: each call is shown all of it",)


def _program(settings: KNNFewShot, study: Study, kept: Mapping[int, Demonstration]) -> Module:
    embedder = checked_vectorizer(settings.vectorizer)

    def edit(name: str, predictor: Predict) -> Predict:
        if predictor.is_frozen:
            return predictor
        demos = _demos(settings, study, kept, name, predictor)
        keys = [inputs_text(study.task.trainset[position].inputs()) for position in demos]
        nearest = Nearest(settings.shown, Bank(keys, embedder), tuple(range(len(keys))))
        return predictor.choosing(demos.values(), nearest if demos else None)

    program = study.task.student.with_predictors(edit)
    mark_root(program)
    return program


def _demos(
    settings: KNNFewShot,
    study: Study,
    kept: Mapping[int, Demonstration],
    name: str,
    predictor: Predict,
) -> dict[int, Example]:
    """Return the demo of each example, by its place: of the run that passed, else of the labeled row."""
    demos: dict[int, Example] = {}
    for position, example in enumerate(study.task.trainset):
        if name in kept.get(position, {}):
            demos[position] = kept[position][name]
        elif settings.max_labeled_demos:
            demos.update((position, demo) for demo in labeled_demos([example], predictor.signature))
    return demos
