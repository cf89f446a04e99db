"""A program's predictors as they stand, in the form of a snapshot."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pytest_lmprog.lm.shortening import shortened
from pytest_lmprog.snapshots.artifact import (
    EnsembleInfo,
    FieldSnapshot,
    FinetunedModel,
    NearestSnapshot,
    PredictorSnapshot,
)

if TYPE_CHECKING:
    from pytest_lmprog.adapters import Adapter
    from pytest_lmprog.programs import Module, Predict

__all__ = ["capture", "ensemble_of", "fields_of"]


def fields_of(predictor: Predict) -> tuple[FieldSnapshot, ...]:
    """Return the fields of the predictor's signature, in order."""
    return tuple(
        FieldSnapshot(name, field.role, field.type_text, field.desc, field.prefix)
        for name, field in predictor.signature.fields.items()
    )


def capture(program: Module, adapter: Adapter, *, tools: bool = False) -> dict[str, PredictorSnapshot]:
    """Return the predictors of ``program`` by name, their prompts rendered by ``adapter`` (or by their own);
    with ``tools`` as a model with native tool calls is sent them.

    Raises SnapshotError for a demo that has no plain form."""
    from pytest_lmprog.programs.state import dump_state

    state = dump_state(program)["predictors"]
    return {
        name: PredictorSnapshot(
            instructions=state[name]["instructions"],
            fields=fields_of(predictor),
            demos=tuple(state[name]["demos"]),
            messages=_messages(predictor, adapter, tools),
            adapter=_own_adapter(predictor, adapter),
            frozen=predictor.is_frozen,
            nearest=_nearest(state[name].get("nearest")),
            finetuned=FinetunedModel(**state[name]["lm"]) if "lm" in state[name] else None,
        )
        for name, predictor in program.named_predictors()
    }


def _nearest(state: Mapping[str, Any] | None) -> NearestSnapshot | None:
    return None if state is None else NearestSnapshot(state["k"], state["vectorizer"], tuple(state["keys"]))


def ensemble_of(program: Module, written: Module) -> EnsembleInfo | None:
    """Return how ``program`` is made of several of ``written``; None where it is one, or written as it is."""
    if type(program) is type(written) or not hasattr(program, "takes_inputs_of"):
        return None
    from pytest_lmprog.programs.ensemble import EnsembledProgram, function_name

    if not isinstance(program, EnsembledProgram):
        return None
    return EnsembleInfo(len(program.programs), function_name(program.reduce_fn))


def _messages(predictor: Predict, adapter: Adapter, tools: bool) -> tuple[dict[str, object], ...]:
    from pytest_lmprog.adapters.exchange import prompt_as_sent

    prompt = prompt_as_sent(
        predictor.adapter or adapter, predictor.signature, predictor.shown_demos, tools=tools
    )
    return tuple(_shown(message) for message in prompt.template())


def _shown(message: Mapping[str, Any]) -> dict[str, object]:
    """Return a message as people are shown it: without the content of pictures, which the demos have."""
    content = message["content"]
    return dict(message) if isinstance(content, str) else {**message, "content": _short(content)}


def _short(value: Any) -> Any:
    if isinstance(value, str):
        return shortened(value)
    if isinstance(value, Mapping):
        return {name: _short(part) for name, part in value.items()}
    return [_short(part) for part in value] if isinstance(value, list) else value


def _own_adapter(predictor: Predict, adapter: Adapter) -> str | None:
    own = predictor.adapter
    return None if own is None or own.name == adapter.name else own.name
