"""JSON schemas in one normal form: the same for every pydantic version, and strict where that is possible."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["hoisted", "is_strict", "normalised"]

_DROPPED = frozenset(
    {"title", "default", "$defs", "examples", "deprecated", "readOnly", "writeOnly", "discriminator"}
)
_MAPS = ("properties", "patternProperties")
_LOOSE = ("prefixItems", "minLength", "maxLength", "minProperties", "maxProperties", "patternProperties")


def normalised(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``schema`` without titles and defaults, its definitions put in place of the references
    (those of recursive types stay), every property required and nothing beside them allowed."""
    defs = schema.get("$defs", {})
    recursive = {name for name in defs if _reaches(name, defs)}
    result: dict[str, Any] = _normal(schema, defs, recursive)
    if recursive:
        result["$defs"] = {name: _normal(defs[name], defs, recursive) for name in sorted(recursive)}
    return result


def _references(schema: Any) -> set[str]:
    if isinstance(schema, Mapping):
        own = {str(schema["$ref"]).rpartition("/")[2]} if isinstance(schema.get("$ref"), str) else set()
        return own.union(*(_references(v) for v in schema.values()))
    if isinstance(schema, list):
        return set().union(*map(_references, schema))
    return set()


def _reaches(name: str, defs: Mapping[str, Any]) -> bool:
    seen: set[str] = set()
    todo = _references(defs[name])
    while todo:
        step = todo.pop()
        if step == name:
            return True
        if step not in seen and step in defs:
            seen.add(step)
            todo |= _references(defs[step])
    return False


def _normal(schema: Any, defs: Mapping[str, Any], recursive: set[str]) -> Any:
    if isinstance(schema, list):
        return [_normal(v, defs, recursive) for v in schema]
    if not isinstance(schema, Mapping):
        return schema
    name = str(schema.get("$ref", "")).rpartition("/")[2]
    if name in defs and name not in recursive:
        schema = {**defs[name], **{k: v for k, v in schema.items() if k != "$ref"}}
    result: dict[str, Any] = {}
    for key, value in schema.items():
        if key in _MAPS:
            result[key] = {k: _normal(v, defs, recursive) for k, v in value.items()}
        elif key not in _DROPPED:
            name = "anyOf" if key == "oneOf" else key  # the members of a tagged union exclude each other
            result[name] = _normal(value, defs, recursive) if key not in ("enum", "const") else value
    return _closed(result)


def _closed(schema: dict[str, Any]) -> dict[str, Any]:
    if "properties" in schema:
        schema["required"] = list(schema["properties"])
        schema["additionalProperties"] = False
    if "const" in schema and "enum" not in schema:
        schema["enum"] = [schema.pop("const")]
    return schema


def hoisted(schema: dict[str, Any]) -> dict[str, Any]:
    """Return ``schema`` with the definitions that stand inside of it moved to its top, where references
    look for them. Two different ones of one name are kept apart by a number."""
    definitions: dict[str, Any] = {}
    result: dict[str, Any] = _hoist(schema, {}, definitions)
    return {**result, "$defs": definitions} if definitions else result


def _hoist(part: Any, names: Mapping[str, str], definitions: dict[str, Any]) -> Any:
    if isinstance(part, list):
        return [_hoist(item, names, definitions) for item in part]
    if not isinstance(part, Mapping):
        return part
    if "$defs" in part:
        names = {**names, **_named_apart(part["$defs"], definitions)}
        for name, definition in part["$defs"].items():
            definitions.setdefault(names[name], _hoist(definition, names, definitions))
    result = {key: _hoist(value, names, definitions) for key, value in part.items() if key != "$defs"}
    name = str(part.get("$ref", "")).rpartition("/")[2]
    return {**result, "$ref": f"#/$defs/{names[name]}"} if name in names else result


def _named_apart(own: Mapping[str, Any], taken: Mapping[str, Any]) -> dict[str, str]:
    found = {}
    for name, definition in own.items():
        new, number = name, 2
        while new in taken and taken[new] != definition:
            new, number = f"{name}_{number}", number + 1
        found[name] = new
    return found


def is_strict(schema: Any) -> bool:
    """Return whether endpoints with a strict mode (OpenAI's) take ``schema`` in it: every object is
    closed, every part has a type, and no keyword is used that they refuse."""
    if isinstance(schema, list):
        return all(map(is_strict, schema))
    if not isinstance(schema, Mapping):
        return True
    if any(key in schema for key in _LOOSE) or not schema.keys() & {"type", "anyOf", "$ref"}:
        return False
    if schema.get("type") == "object" and schema.get("additionalProperties") is not False:
        return False
    parts = [*schema.get("properties", {}).values(), *schema.get("$defs", {}).values()]
    parts += [schema[key] for key in ("items", "anyOf") if key in schema]
    return all(map(is_strict, parts))
