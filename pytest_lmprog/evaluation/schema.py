"""Whether a value fits a JSON Schema, by ``jsonschema``; a keyword that it would pass over is refused."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from functools import cache, lru_cache
from typing import Any

from pytest_lmprog.canonical import canonical_json, plain
from pytest_lmprog.errors import CanonicalError, UsageError

__all__ = ["json_schema_errors", "json_schema_valid"]

_LATEST = "https://json-schema.org/draft/2020-12/schema"

# The metaschema, which lets any other keyword pass, extended in its own way (``$dynamicAnchor``) to allow
# none: a check with a misspelt keyword could not fail.
_STRICT = {
    "$schema": _LATEST,
    "$id": "lmprog:strict",
    "$dynamicAnchor": "meta",
    "$ref": _LATEST,
    "properties": {
        "discriminator": True,  # of OpenAPI: pydantic writes it
        "dependencies": {"not": {}},  # of draft 7: passed over in this one
    },
    "patternProperties": {"^x-": True},
    "unevaluatedProperties": False,
}


def json_schema_valid(value: Any, schema: Mapping[str, Any] | bool) -> bool:
    """Return whether ``value`` fits ``schema``. Text is parsed as JSON first, and fits nothing if it is none;
    other values (dicts, dataclasses, pydantic models) are taken as the JSON they stand for.

    The schema is of draft 2020-12, unless its ``$schema`` names another; ``format`` is not checked. Raises
    UsageError for one that is none, that has an unknown keyword (``x-...`` may be), or that refers to
    another document."""
    return not json_schema_errors(value, schema)


def json_schema_errors(value: Any, schema: Mapping[str, Any] | bool) -> list[str]:
    """Return what is wrong with ``value``, a line each with the path; empty where it fits. See
    ``json_schema_valid``."""
    validator = _validator(schema)
    try:
        data = json.loads(value, parse_constant=_refuse) if isinstance(value, str) else plain(value)
    except (ValueError, RecursionError, CanonicalError) as error:
        return [f"$: not JSON: {error}"]
    try:
        return _found(validator, data)
    except RecursionError:
        _check_ends(validator)
        return ["$: nested too deeply to be checked"]


def _refuse(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _validator(schema: Any) -> Any:
    """Return what validates by ``schema``, which is checked."""
    if not isinstance(schema, Mapping | bool):
        raise UsageError(f"schema must be an object or a boolean, not {type(schema).__name__}")
    try:
        text = canonical_json(schema)
    except CanonicalError as error:
        raise UsageError(f"the schema is not JSON: {error}") from None
    return _validator_by(text)


@lru_cache(maxsize=64)
def _validator_by(text: bytes) -> Any:
    from jsonschema import Draft202012Validator
    from jsonschema.validators import validator_for
    from jsonschema_specifications import REGISTRY

    try:
        schema = json.loads(text)
        kind = validator_for(schema, default=Draft202012Validator)
        checker = _strict() if kind is Draft202012Validator else kind(kind.META_SCHEMA, registry=REGISTRY)
        errors = list(checker.iter_errors(schema))
    except RecursionError:
        raise UsageError("the schema is nested too deeply") from None
    if errors:
        raise _refused(errors)
    return kind(schema, registry=REGISTRY)  # nothing but the drafts: it would fetch what is referred to


@cache
def _strict() -> Any:
    from jsonschema import Draft202012Validator
    from jsonschema_specifications import REGISTRY

    formats = Draft202012Validator.FORMAT_CHECKER  # of the metaschema: patterns are regular expressions
    return Draft202012Validator(_STRICT, registry=REGISTRY, format_checker=formats)


def _refused(errors: Iterable[Any]) -> UsageError:
    from jsonschema.exceptions import best_match

    listed = list(errors)
    deepest = max(len(error.absolute_path) for error in listed)  # what lies around it fails for its sake
    error = best_match(error for error in listed if len(error.absolute_path) == deepest)
    place = _path("schema", error.absolute_path)
    if error.validator == "unevaluatedProperties":
        return UsageError(f"{place} has a keyword that JSON Schema does not have: {error.message:.200}")
    if error.validator == "not":
        return UsageError(f"{place} is a keyword of older drafts", hint="name the draft: {'$schema': ...}")
    return UsageError(f"{place}: {error.message:.200}")


def _found(validator: Any, data: Any) -> list[str]:
    from referencing.exceptions import Unresolvable

    try:
        return [f"{_path('$', e.absolute_path)}: {e.message:.300}" for e in validator.iter_errors(data)]
    except Unresolvable as error:
        raise UsageError(
            f"the schema's $ref {error.ref!r} points to nothing",
            hint="a schema may refer to its own parts only, '#/$defs/...'",
        ) from None


def _check_ends(validator: Any) -> None:
    """Raise UsageError where not even the simplest value comes to an end."""
    try:
        _found(validator, None)
    except RecursionError:
        raise UsageError("the schema refers to itself without end") from None


def _path(root: str, parts: Iterable[str | int]) -> str:
    return root + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in parts)
