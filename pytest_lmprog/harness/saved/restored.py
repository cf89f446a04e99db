"""From saved data back to a program's run: typed predictions, the trace, the program's errors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pytest_lmprog.errors import UsageError
from pytest_lmprog.harness.saved.cases import SavedCall, SavedCase
from pytest_lmprog.harness.saved.saver import REPR, pointer
from pytest_lmprog.lm.types import LMResponse, Usage
from pytest_lmprog.programs import Module, Predict, Prediction, Run, Trace
from pytest_lmprog.programs.run import ProgramError
from pytest_lmprog.programs.trace import PredictorCall
from pytest_lmprog.signatures.fields import Field

__all__ = ["Shown", "restored_run"]


class Shown:
    """A value that had no JSON form when the run was saved: only its repr is known."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return self._text

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Shown) and self._text == other._text

    def __hash__(self) -> int:
        return hash(self._text)


def restored_run(saved: SavedCase, program: Module) -> Run:
    """Return the run that ``saved`` tells of. ``program`` knows the types of its predictors' fields.

    Values that came from a predictor have the type of its field (enum, model, dataclass); others are plain
    JSON data. Raises UsageError, naming the field, where an output no longer fits the signature."""
    predictors = dict(program.named_predictors())
    calls = [_call(call, predictors.get(call.predictor)) for call in saved.calls]
    trace = Trace(calls=calls)
    if saved.error is not None:
        return Run(None, trace, ProgramError(saved.error.message, kind=saved.error.kind))
    rejudged = getattr(type(program), "rejudged", None)  # a judge's votes mean what they mean to it now
    judgement = None if rejudged is None else rejudged(program, trace)
    return Run(_prediction(saved, calls) if judgement is None else judgement, trace)


def _call(saved: SavedCall, predictor: Predict | None) -> PredictorCall:
    signature = None if predictor is None else predictor.signature
    inputs = _inputs(saved.inputs, {} if signature is None else signature.input_fields)
    outputs = None
    if saved.outputs is not None:
        fields = {} if signature is None else signature.output_fields
        outputs = Prediction.of(_outputs(saved.outputs, fields, saved.predictor), inputs)
    usage = None if saved.usage is None else Usage(*saved.usage)
    source: Any = saved.source
    response = LMResponse(
        saved.answer,
        saved.finish_reason,
        usage,
        saved.cost,
        saved.latency,
        saved.reasoning,
        source=source,
    )
    owner: Any = predictor  # None for one that is no attribute of the program
    return PredictorCall(
        saved.predictor,
        owner,
        inputs,
        outputs,
        saved.messages,
        response,
        saved.adapter,
        saved.rollout,
        saved.error,
    )


def _inputs(saved: Mapping[str, Any], fields: Mapping[str, Field]) -> dict[str, Any]:
    inputs = {}
    for name, value in saved.items():
        field = fields.get(name)
        try:
            inputs[name] = _plain(value) if field is None else field.accept(value)
        except ValueError:
            inputs[name] = _plain(value)
    return inputs


def _outputs(saved: Mapping[str, Any], fields: Mapping[str, Field], predictor: str) -> dict[str, Any]:
    return {name: _typed(value, fields.get(name), predictor) for name, value in saved.items()}


def _typed(value: Any, field: Field | None, predictor: str) -> Any:
    if field is None:
        return _plain(value)
    try:
        return field.validate(value)
    except ValueError as error:
        raise UsageError(
            f"the saved output {predictor}.{field.name} no longer fits its signature: {error}",
            hint="the program has changed since the run; pytest makes a new one",
        ) from None


def _plain(value: Any) -> Any:
    if type(value) is dict:
        if len(value) == 1 and type(value.get(REPR)) is str:
            return Shown(value[REPR])
        return {name: _plain(part) for name, part in value.items()}
    return [_plain(part) for part in value] if type(value) is list else value


def _prediction(saved: SavedCase, calls: list[PredictorCall]) -> Prediction:
    made_by = calls[saved.made_by] if saved.made_by is not None and saved.made_by < len(calls) else None
    values = _with_origins(saved.prediction or {}, (), saved.origins, calls)
    samples = [Prediction.of(_sample(s, made_by), _inputs_of(made_by)) for s in saved.completions]
    return Prediction.of(values, _inputs_of(made_by), samples)


def _inputs_of(call: PredictorCall | None) -> Mapping[str, Any]:
    return {} if call is None else call.inputs


def _sample(saved: Mapping[str, Any], call: PredictorCall | None) -> dict[str, Any]:
    if call is None or call.predictor is None:
        return {name: _plain(value) for name, value in saved.items()}
    return _outputs(saved, call.predictor.signature.output_fields, call.name)


def _with_origins(
    value: Any,
    path: tuple[str | int, ...],
    origins: Mapping[str, tuple[int, str]],
    calls: list[PredictorCall],
) -> Any:
    origin = origins.get(pointer(*path)) if origins else None
    if origin is not None:
        outputs = calls[origin[0]].outputs
        if outputs is not None:
            return outputs if not origin[1] else outputs[origin[1]]
    if not origins or type(value) not in (dict, list):
        return _plain(value)
    if type(value) is list:
        return [_with_origins(part, (*path, n), origins, calls) for n, part in enumerate(value)]
    if len(value) == 1 and REPR in value:
        return _plain(value)
    return {name: _with_origins(part, (*path, name), origins, calls) for name, part in value.items()}
