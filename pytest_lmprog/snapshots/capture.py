"""A program's predictors as they stand, in the form of a snapshot."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_lmprog.snapshots.artifact import FieldSnapshot

if TYPE_CHECKING:
    from pytest_lmprog.programs import Predict

__all__ = ["fields_of"]


def fields_of(predictor: Predict) -> tuple[FieldSnapshot, ...]:
    """Return the fields of the predictor's signature, in order."""
    return tuple(
        FieldSnapshot(name, field.role, field.type_text, field.desc, field.prefix)
        for name, field in predictor.signature.fields.items()
    )
