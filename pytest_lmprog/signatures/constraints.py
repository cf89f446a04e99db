"""Constraints of ``Annotated`` types and of fields, in words and as JSON schema keywords."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from pytest_lmprog.canonical import plain
from pytest_lmprog.errors import CanonicalError

__all__ = ["CONSTRAINTS", "constrained_schema", "description_of", "limits_of", "misfitting", "words"]

CONSTRAINTS = ("gt", "ge", "lt", "le", "multiple_of", "min_length", "max_length", "pattern")
"""What a field can be constrained by: pydantic's names."""

_WORDS = {
    "gt": "> {}",
    "ge": ">= {}",
    "lt": "< {}",
    "le": "<= {}",
    "multiple_of": "a multiple of {}",
    "pattern": "matches {}",
}
_NUMBER_KEYS = {
    "gt": "exclusiveMinimum",
    "ge": "minimum",
    "lt": "exclusiveMaximum",
    "le": "maximum",
    "multiple_of": "multipleOf",
}


def limits_of(metadata: Iterable[Any]) -> dict[str, Any]:
    """Return the constraints found in the metadata of an ``Annotated`` type (annotated_types',
    pydantic's Field and StringConstraints), by pydantic's names; the last one wins."""
    found: dict[str, Any] = {}
    for item in metadata:
        found.update(limits_of(_nested(item)))
        for name in CONSTRAINTS:
            value = None if isinstance(item, str) else getattr(item, name, None)
            if value is not None and not callable(value):
                found[name] = value.pattern if isinstance(value, re.Pattern) else value
    return {name: found[name] for name in CONSTRAINTS if name in found}


def _nested(item: Any) -> list[Any]:
    nested = getattr(item, "metadata", None)
    return nested if isinstance(nested, list) else []


def description_of(metadata: Iterable[Any]) -> str | None:
    """Return the description in the metadata: a text, or that of pydantic's Field."""
    found: str | None = None
    for item in metadata:
        text = item if isinstance(item, str) else getattr(item, "description", None)
        text = text if text is not None else getattr(item, "documentation", None)
        found = text if isinstance(text, str) else found
    return found


def words(limits: Mapping[str, Any], *, items: bool) -> str:
    """Return the constraints in words (``>= 0, <= 10``); lengths are of items or of characters."""
    said = [_WORDS[name].format(_shown(name, value)) for name, value in limits.items() if name in _WORDS]
    unit = "item" if items else "character"
    for name, least in (("min_length", "at least"), ("max_length", "at most")):
        count = limits.get(name)
        if count is not None:
            said.append(f"{least} {count} {unit}{'' if count == 1 else 's'}")
    return ", ".join(said)


def _shown(name: str, value: Any) -> str:
    return repr(value) if name == "pattern" else str(value)


def misfitting(limits: Mapping[str, Any], schema: Mapping[str, Any]) -> str | None:
    """Return the first constraint that has no meaning for values of ``schema``, or None."""
    parts = schema.get("anyOf", [schema])
    for name in limits:
        if all("type" in part and _keyword(name, part["type"]) is None for part in parts):
            return name
    return None


def constrained_schema(limits: Mapping[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    """Return ``schema`` with the keywords for ``limits``; of alternatives, those that can have them."""
    if "anyOf" in schema:
        return {**schema, "anyOf": [constrained_schema(limits, part) for part in schema["anyOf"]]}
    keywords: dict[str, Any] = {}
    for name, value in limits.items():
        key = _keyword(name, schema.get("type"))
        if key is None:
            continue
        try:
            keywords[key] = plain(value)
        except CanonicalError:
            continue  # a date or a Decimal: told in words and validated
    return {**schema, **keywords}


def _keyword(name: str, schema_type: Any) -> str | None:
    if name in _NUMBER_KEYS:
        return _NUMBER_KEYS[name] if schema_type in ("integer", "number") else None
    if name == "pattern":
        return "pattern" if schema_type == "string" else None
    end = {"string": "Length", "array": "Items", "object": "Properties"}.get(schema_type)
    return None if end is None else f"{name[:3]}{end}"
