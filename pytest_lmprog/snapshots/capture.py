"""A program's predictors as they stand, in the form of a snapshot."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_lmprog.snapshots.artifact import FieldSnapshot, PredictorSnapshot

if TYPE_CHECKING:
    from pytest_lmprog.adapters import Adapter
    from pytest_lmprog.programs import Module, Predict

__all__ = ["capture", "fields_of"]


def fields_of(predictor: Predict) -> tuple[FieldSnapshot, ...]:
    """Return the fields of the predictor's signature, in order."""
    return tuple(
        FieldSnapshot(name, field.role, field.type_text, field.desc, field.prefix)
        for name, field in predictor.signature.fields.items()
    )


def capture(program: Module, adapter: Adapter) -> dict[str, PredictorSnapshot]:
    """Return the predictors of ``program`` by name, their prompts rendered by ``adapter`` (or by their own).

    Raises SnapshotError for a demo that has no plain form."""
    from pytest_lmprog.programs.state import dump_state

    state = dump_state(program)["predictors"]
    return {
        name: PredictorSnapshot(
            instructions=state[name]["instructions"],
            fields=fields_of(predictor),
            demos=tuple(state[name]["demos"]),
            messages=_messages(predictor, adapter),
            adapter=_own_adapter(predictor, adapter),
        )
        for name, predictor in program.named_predictors()
    }


def _messages(predictor: Predict, adapter: Adapter) -> tuple[dict[str, object], ...]:
    prompt = (predictor.adapter or adapter).prompt(predictor.signature, predictor.demos)
    return tuple(dict(message) for message in prompt.template())


def _own_adapter(predictor: Predict, adapter: Adapter) -> str | None:
    own = predictor.adapter
    return None if own is None or own.name == adapter.name else own.name
