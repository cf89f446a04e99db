"""What a predictor is called with: by position, by name or as one mapping, checked and converted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pytest_lmprog.errors import InputError, UsageError
from pytest_lmprog.signatures import Signature

if TYPE_CHECKING:
    from pytest_lmprog.programs.predict import Predict

__all__ = ["checked_inputs", "inputs_by_name", "taken"]


def taken(
    signature: type[Signature], args: tuple[Any, ...], given: dict[str, Any]
) -> tuple[dict[str, Any], Mapping[str, Any]]:
    """Return the inputs by name and the parameters of this call."""
    config: Mapping[str, Any] = {}
    if "config" in given and "config" not in signature.input_fields:
        config = given.pop("config") or {}
    if args:
        given = {**_positional(signature, args), **given}
    return given, config


def inputs_by_name(
    signature: type[Signature], args: tuple[Any, ...], given: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the inputs that a module with ``signature`` was called with, by name."""
    return {**_positional(signature, args), **given} if args else dict(given)


def _positional(signature: type[Signature], args: tuple[Any, ...]) -> dict[str, Any]:
    names = signature.input_fields
    if len(args) == 1 and isinstance(args[0], Mapping) and any(name in args[0] for name in names):
        return {name: args[0][name] for name in names if name in args[0]}
    if len(args) > len(names):
        raise UsageError(f"{len(args)} inputs were given; {signature!r} has {len(names)}")
    return dict(zip(names, args, strict=False))


def checked_inputs(predictor: Predict, given: dict[str, Any]) -> dict[str, Any]:
    """Return the inputs, checked and converted, in the signature's order."""
    inputs: dict[str, Any] = {}
    fields = predictor.signature.input_fields
    for name, field in fields.items():
        if name in given:
            value = given[name]
        elif field.has_default:
            value = field.default
        else:
            raise _misfit(predictor, f"lacks the input {name!r}")
        try:
            inputs[name] = field.accept(value)
        except ValueError as error:
            raise InputError(f"{predictor!r}: the input {name!r} does not fit: {error}") from None
    if len(given) > len(inputs) or not given.keys() <= inputs.keys():
        unknown = next(name for name in given if name not in inputs)
        raise _misfit(predictor, f"has no input {unknown!r}")
    return inputs


def _misfit(predictor: Predict, problem: str) -> UsageError:
    expected = ", ".join(predictor.signature.input_fields) or "none"
    return UsageError(f"{predictor!r} {problem}; its inputs are: {expected}")
