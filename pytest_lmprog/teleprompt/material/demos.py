"""Demos: made from labeled rows and from traces, put into programs, and taken out again. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from random import Random
from typing import Any

from pytest_lmprog.errors import CanonicalError
from pytest_lmprog.programs import Example, Module, Predict, PredictorCall, Trace
from pytest_lmprog.programs.example import own_copy
from pytest_lmprog.programs.nearest import inputs_text
from pytest_lmprog.programs.retry import demo_fields
from pytest_lmprog.signatures import Signature
from pytest_lmprog.teleprompt.engine.seeds import seeded

__all__ = [
    "Demos",
    "comes_from",
    "has_demos",
    "labeled_demos",
    "labeled_program",
    "last_demos",
    "traced_demos",
    "with_demos",
    "without_example",
]

Demos = Mapping[str, Sequence[Example]]
"""Demos by predictor name."""


def has_demos(program: Module) -> bool:
    """Return whether any predictor that can be taught has a demo: such a program counts as compiled."""
    return any(predictor.demos for predictor in program.predictors() if not predictor.is_frozen)


def with_demos(program: Module, demos: Demos) -> Module:
    """Return a copy of ``program`` in which each predictor has its entry of ``demos`` (none: no demos).
    Frozen predictors keep theirs."""
    return program.with_predictors(lambda name, p: p if p.is_frozen else p.with_demos(demos.get(name, ())))


def labeled_demos(examples: Sequence[Example], signature: type[Signature]) -> list[Example]:
    """Return the demos that labeled rows give for ``signature``: only its fields, in its order.

    A row without an input or without an output of the signature (a label for another predictor's
    output) shows nothing and is left out, as DSPy's adapters leave it out of the prompt."""
    return [demo for example in examples if (demo := _labeled_demo(example, signature)) is not None]


def _labeled_demo(example: Example, signature: type[Signature]) -> Example | None:
    shown = [name for name in signature.output_fields if name in example]
    if not shown or not any(name in example for name in signature.input_fields):
        return None
    return _demo(example, example, signature)


def _demo(values: Mapping[str, Any], origin: Example, signature: type[Signature]) -> Example:
    names = (*signature.input_fields, *signature.output_fields)
    return _marked({name: own_copy(values[name]) for name in names if name in values}, origin)


def _marked(fields: Mapping[str, Any], origin: Example) -> Example:
    mark = _origin_id(origin)
    return Example(fields) if mark is None else Example(fields, id=mark)


def _origin_id(example: Example) -> str | None:
    """The id that tells which row a demo came from; rows whose inputs have no canonical form have none."""
    try:
        return example.id
    except CanonicalError:
        return None


def labeled_program(
    program: Module, trainset: Sequence[Example], k: int, *, seed: int = 0, sample: bool = True
) -> Module:
    """Return ``program`` with ``k`` labeled demos a predictor, drawn for each in turn (or the first k).

    After DSPy's LabeledFewShot (arXiv:2310.03714, appendix): one generator for all predictors."""
    rng = seeded(seed, 0)
    size = min(k, len(trainset))
    demos: dict[str, list[Example]] = {}
    for name, predictor in program.named_predictors():
        rows = rng.sample(trainset, size) if sample else trainset[:size]
        demos[name] = labeled_demos(rows, predictor.signature)
    return with_demos(program, demos)


def traced_demos(
    trace: Trace, origin: Example, student: Mapping[str, Predict], *, seed: int, rollout: int
) -> dict[str, Example]:
    """Return one demo a predictor from a run that succeeded, with the fields of the student's signature.

    Of several calls of one predictor the last is taken with probability 1/2, else a random earlier one.
    The draw depends on seed, rollout, example and name alone. Calls of predictors without a name, calls
    whose answer did not parse, and those that a check (or another attempt) rejected are passed over. A call
    that mended a rejected output is a counterexample: its demo has the past output and the message too."""
    calls = _usable(trace, student)
    mark = _origin_id(origin) or ""
    return {
        name: _call_demo(_chosen(of_name, seeded(seed, rollout, mark, name)), origin, student[name].signature)
        for name, of_name in calls.items()
    }


def last_demos(trace: Trace, origin: Example, student: Mapping[str, Predict]) -> dict[str, Example]:
    """Return what ``traced_demos`` does, but always from the last call of each predictor."""
    calls = _usable(trace, student)
    return {name: _call_demo(of_name[-1], origin, student[name].signature) for name, of_name in calls.items()}


def _usable(trace: Trace, student: Mapping[str, Predict]) -> dict[str, list[PredictorCall]]:
    """Return the calls that may be shown, by the name of the predictor."""
    calls: dict[str, list[PredictorCall]] = {}
    for call in trace:
        if call.name in student and call.outputs is not None and call.rejected is None:
            calls.setdefault(call.name, []).append(call)
    return calls


def _chosen(calls: Sequence[PredictorCall], rng: Random) -> PredictorCall:
    if len(calls) == 1:
        return calls[0]
    return rng.choice(calls[:-1]) if rng.random() < 0.5 else calls[-1]


def _call_demo(call: PredictorCall, origin: Example, signature: type[Signature]) -> Example:
    values = {**call.inputs, **(call.outputs or {})}
    names = demo_fields(signature, values)
    fields = {name: own_copy(values[name]) for name in names if name in values}
    return _marked(fields, origin)


def without_example(program: Module, example: Example) -> Module:
    """Return ``program`` without the demos that come from ``example`` or hold its inputs (the program
    itself where there is none): whoever is examined must not have the answer on the desk."""
    predictors = program.predictors()
    choosing = any(predictor.nearest is not None for predictor in predictors)
    text = inputs_text(example.inputs()) if choosing and example.input_names else None

    def own(predictor: Predict, number: int, demo: Mapping[str, Any]) -> bool:
        # The demo of a predictor within the program may not have the program's inputs: its key has.
        key = None if predictor.nearest is None else predictor.nearest.key_of(number)
        return comes_from(demo, example) or (key is not None and key == text)

    if not any(own(p, number, demo) for p in predictors for number, demo in enumerate(p.demos)):
        return program
    return program.with_predictors(lambda _, p: p.without_demos(partial(own, p)))


def comes_from(demo: Mapping[str, Any], example: Example) -> bool:
    """Return whether the demo was made from ``example`` or holds its inputs."""
    if isinstance(demo, Example) and demo.has_given_id and demo.id == _origin_id(example):
        return True
    names = example.input_names
    return bool(names) and all(name in demo and demo[name] == example[name] for name in names or ())
