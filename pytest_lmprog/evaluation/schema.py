"""A validator for the common part of JSON Schema (draft 2020-12); what it does not know, it refuses."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from typing import Any

from pytest_lmprog.canonical import canonical_json, plain
from pytest_lmprog.errors import CanonicalError, UsageError

__all__ = ["SUPPORTED_KEYWORDS", "json_schema_errors", "json_schema_valid"]

_DESCRIPTIVE = ("$schema", "$id", "$comment", "title", "description", "default", "examples", "deprecated")
_ANNOTATIONS = frozenset(
    (*_DESCRIPTIVE, "$defs", "definitions", "format", "readOnly", "writeOnly", "discriminator")
)
_PARTNERS = frozenset(("then", "else", "minContains", "maxContains"))

_Check = Callable[["_Validator", Any, Any, Mapping[str, Any], str], None]


def json_schema_valid(value: Any, schema: Mapping[str, Any] | bool) -> bool:
    """Return whether ``value`` fits ``schema``. Text is parsed as JSON first, and fits nothing if it is none;
    other values (dicts, dataclasses, pydantic models) are taken as the JSON they stand for.

    Raises UsageError for a schema with a keyword beyond ``SUPPORTED_KEYWORDS``; ``format`` is not checked."""
    return not json_schema_errors(value, schema)


def json_schema_errors(value: Any, schema: Mapping[str, Any] | bool) -> list[str]:
    """Return what is wrong with ``value``, a line each with the path; empty where it fits. See
    ``json_schema_valid``."""
    _check_schema(schema, "schema", 0)
    try:
        data = json.loads(value, parse_constant=_refuse) if isinstance(value, str) else plain(value)
    except (ValueError, RecursionError, CanonicalError) as error:
        return [f"$: not JSON: {error}"]
    validator = _Validator(schema)
    validator.check(data, schema, "$")
    return validator.errors


def _refuse(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _check_schema(schema: Any, path: str, depth: int) -> None:
    if isinstance(schema, bool):
        return
    if not isinstance(schema, Mapping):
        raise UsageError(f"{path} must be an object or a boolean, not {type(schema).__name__}")
    if depth > 60:
        raise UsageError(f"{path} is nested too deeply")
    for key, value in schema.items():
        if key not in SUPPORTED_KEYWORDS:
            raise UsageError(
                f"{path} has the keyword {key!r}, which is not supported",
                hint=f"supported are: {', '.join(sorted(SUPPORTED_KEYWORDS))}",
            )
        _check_keyword(key, value, f"{path}.{key}", depth + 1)


def _check_keyword(key: str, value: Any, path: str, depth: int) -> None:
    if key in _MAPS:
        for name, part in _expect(value, Mapping, path).items():
            _check_schema(part, f"{path}.{name}", depth)
    elif key in _LISTS:
        for index, part in enumerate(_expect(value, list, path)):
            _check_schema(part, f"{path}[{index}]", depth)
    elif key in _SINGLE:
        _check_schema(value, path, depth)
    elif key == "type":
        _check_types(value, path)
    elif key == "pattern":
        _compiled(_expect(value, str, path), path)
    elif key in _VALUES:
        _expect(value, _VALUES[key], path)
    if key == "multipleOf" and value <= 0:
        raise UsageError(f"{path} must be above 0, not {value!r}")


def _expect(value: Any, kind: Any, path: str) -> Any:
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise UsageError(f"{path} has a value of the wrong type: {value!r:.60}")
    return value


def _check_types(value: Any, path: str) -> None:
    names = value if isinstance(value, list) else [value]
    for name in names:
        if not isinstance(name, str) or name not in _TYPES:
            raise UsageError(f"{path}: {name!r} is no type; there are: {', '.join(sorted(_TYPES))}")


def _compiled(pattern: str, path: str) -> re.Pattern[str]:
    try:
        return re.compile(pattern)
    except re.error as error:
        raise UsageError(f"{path}: {pattern!r} is not a regular expression: {error}") from None


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


_TYPES: dict[str, Callable[[Any], bool]] = {
    "array": lambda v: isinstance(v, list),
    "boolean": lambda v: isinstance(v, bool),
    "integer": lambda v: _is_number(v) and (isinstance(v, int) or v.is_integer()),
    "null": lambda v: v is None,
    "number": _is_number,
    "object": lambda v: isinstance(v, dict),
    "string": lambda v: isinstance(v, str),
}


def _same(left: Any, right: Any) -> bool:
    return canonical_json(left) == canonical_json(right)


class _Validator:
    """One validation: collects errors; ``$ref`` is looked up in the root schema."""

    def __init__(self, root: Mapping[str, Any] | bool) -> None:
        self.root = root
        self.errors: list[str] = []
        self._refs: list[tuple[str, str]] = []

    def fail(self, path: str, problem: str) -> None:
        self.errors.append(f"{path}: {problem}")

    def check(self, value: Any, schema: Any, path: str) -> None:
        if schema is True:
            return
        if schema is False:
            self.fail(path, "nothing is allowed here")
            return
        for key, wanted in schema.items():
            if (check := _CHECKS.get(key)) is not None:
                check(self, value, wanted, schema, path)

    def fits(self, value: Any, schema: Any, path: str) -> bool:
        """Return whether ``value`` fits, without taking note of errors."""
        kept, self.errors = self.errors, []
        try:
            self.check(value, schema, path)
            return not self.errors
        finally:
            self.errors = kept

    def follow(self, value: Any, reference: str, path: str) -> None:
        step = (reference, path)
        if step in self._refs:
            raise UsageError(f"the schema's {reference!r} refers to itself without end")
        self._refs.append(step)
        self.check(value, _resolve(self.root, reference), path)
        self._refs.pop()


def _resolve(root: Any, reference: Any) -> Any:
    if not isinstance(reference, str) or not (reference == "#" or reference.startswith("#/")):
        raise UsageError(f"$ref {reference!r}: only references within the schema (#/...) are supported")
    node = root
    for part in reference.split("/")[1:]:
        part = part.replace("~1", "/").replace("~0", "~")
        if not isinstance(node, Mapping) or part not in node:
            raise UsageError(f"$ref {reference!r} points to nothing in the schema")
        node = node[part]
    return node


def _type(v: _Validator, value: Any, wanted: Any, _: Any, path: str) -> None:
    names = wanted if isinstance(wanted, list) else [wanted]
    if not any(_TYPES[name](value) for name in names):
        v.fail(path, f"{value!r:.60} is not of type {' or '.join(names)}")


def _enum(v: _Validator, value: Any, wanted: Any, _: Any, path: str) -> None:
    if not any(_same(value, one) for one in wanted):
        v.fail(path, f"{value!r:.60} is not one of {wanted!r:.200}")


def _const(v: _Validator, value: Any, wanted: Any, _: Any, path: str) -> None:
    if not _same(value, wanted):
        v.fail(path, f"{value!r:.60} is not {wanted!r:.60}")


def _number_check(holds: Callable[[Any, Any], bool], words: str) -> _Check:
    def check(v: _Validator, value: Any, wanted: Any, _: Any, path: str) -> None:
        if _is_number(value) and not holds(value, wanted):
            v.fail(path, f"{value!r} is not {words} {wanted!r}")

    return check


def _multiple(value: Any, of: Any) -> bool:
    if isinstance(value, int) and isinstance(of, int):
        return value % of == 0
    quotient = value / of
    return math.isfinite(quotient) and math.isclose(quotient, round(quotient), rel_tol=1e-12, abs_tol=1e-12)


def _size_check(kind: type, holds: Callable[[int, int], bool], words: str) -> _Check:
    def check(v: _Validator, value: Any, wanted: Any, _: Any, path: str) -> None:
        if isinstance(value, kind) and not holds(len(value), wanted):  # type: ignore[arg-type]
            v.fail(path, f"its length {len(value)} is not {words} {wanted}")  # type: ignore[arg-type]

    return check


def _pattern(v: _Validator, value: Any, wanted: Any, _: Any, path: str) -> None:
    if isinstance(value, str) and re.search(wanted, value) is None:
        v.fail(path, f"{value!r:.60} does not match {wanted!r}")


def _properties(v: _Validator, value: Any, wanted: Any, _: Any, path: str) -> None:
    if isinstance(value, dict):
        for name, schema in wanted.items():
            if name in value:
                v.check(value[name], schema, f"{path}.{name}")


def _pattern_properties(v: _Validator, value: Any, wanted: Any, _: Any, path: str) -> None:
    if isinstance(value, dict):
        for pattern, schema in wanted.items():
            for name in value:
                if _compiled(pattern, path).search(name):
                    v.check(value[name], schema, f"{path}.{name}")


def _additional(v: _Validator, value: Any, wanted: Any, schema: Mapping[str, Any], path: str) -> None:
    if not isinstance(value, dict):
        return
    patterns = [_compiled(p, path) for p in schema.get("patternProperties", {})]
    for name in value:
        if name in schema.get("properties", {}) or any(p.search(name) for p in patterns):
            continue
        if wanted is False:
            v.fail(path, f"the property {name!r} is not allowed")
        else:
            v.check(value[name], wanted, f"{path}.{name}")


def _property_names(v: _Validator, value: Any, wanted: Any, _: Any, path: str) -> None:
    if isinstance(value, dict):
        for name in value:
            v.check(name, wanted, f"{path}.{name}")


def _required(v: _Validator, value: Any, wanted: Any, _: Any, path: str) -> None:
    if isinstance(value, dict):
        for name in wanted:
            if name not in value:
                v.fail(path, f"the property {name!r} is missing")


def _dependent_required(v: _Validator, value: Any, wanted: Any, _: Any, path: str) -> None:
    if isinstance(value, dict):
        for name, needed in wanted.items():
            if name in value:
                _required(v, value, needed, _, path)


def _items(v: _Validator, value: Any, wanted: Any, schema: Mapping[str, Any], path: str) -> None:
    if isinstance(value, list):
        for index in range(len(schema.get("prefixItems", ())), len(value)):
            v.check(value[index], wanted, f"{path}[{index}]")


def _prefix_items(v: _Validator, value: Any, wanted: Any, _: Any, path: str) -> None:
    if isinstance(value, list):
        for index, (item, schema) in enumerate(zip(value, wanted, strict=False)):
            v.check(item, schema, f"{path}[{index}]")


def _contains(v: _Validator, value: Any, wanted: Any, schema: Mapping[str, Any], path: str) -> None:
    if not isinstance(value, list):
        return
    found = sum(v.fits(item, wanted, f"{path}[{i}]") for i, item in enumerate(value))
    low, high = schema.get("minContains", 1), schema.get("maxContains", len(value))
    if not low <= found <= high:
        v.fail(path, f"{found} items fit 'contains'")


def _unique(v: _Validator, value: Any, wanted: Any, _: Any, path: str) -> None:
    if wanted and isinstance(value, list) and len({canonical_json(item) for item in value}) < len(value):
        v.fail(path, "its items are not unique")


def _all_of(v: _Validator, value: Any, wanted: Any, _: Any, path: str) -> None:
    for schema in wanted:
        v.check(value, schema, path)


def _any_of(v: _Validator, value: Any, wanted: Any, _: Any, path: str) -> None:
    if not any(v.fits(value, schema, path) for schema in wanted):
        v.fail(path, f"{value!r:.60} fits none of 'anyOf'")


def _one_of(v: _Validator, value: Any, wanted: Any, _: Any, path: str) -> None:
    if (found := sum(v.fits(value, schema, path) for schema in wanted)) != 1:
        v.fail(path, f"{value!r:.60} fits {found} of 'oneOf', not one")


def _not(v: _Validator, value: Any, wanted: Any, _: Any, path: str) -> None:
    if v.fits(value, wanted, path):
        v.fail(path, f"{value!r:.60} fits 'not'")


def _if(v: _Validator, value: Any, wanted: Any, schema: Mapping[str, Any], path: str) -> None:
    v.check(value, schema.get("then" if v.fits(value, wanted, path) else "else", True), path)


def _ref(v: _Validator, value: Any, wanted: Any, _: Any, path: str) -> None:
    v.follow(value, wanted, path)


_CHECKS: dict[str, _Check] = {
    "$ref": _ref,
    "type": _type,
    "enum": _enum,
    "const": _const,
    "minimum": _number_check(lambda a, b: bool(a >= b), "at least"),
    "maximum": _number_check(lambda a, b: bool(a <= b), "at most"),
    "exclusiveMinimum": _number_check(lambda a, b: bool(a > b), "above"),
    "exclusiveMaximum": _number_check(lambda a, b: bool(a < b), "below"),
    "multipleOf": _number_check(_multiple, "a multiple of"),
    "minLength": _size_check(str, lambda a, b: a >= b, "at least"),
    "maxLength": _size_check(str, lambda a, b: a <= b, "at most"),
    "minItems": _size_check(list, lambda a, b: a >= b, "at least"),
    "maxItems": _size_check(list, lambda a, b: a <= b, "at most"),
    "minProperties": _size_check(dict, lambda a, b: a >= b, "at least"),
    "maxProperties": _size_check(dict, lambda a, b: a <= b, "at most"),
    "pattern": _pattern,
    "properties": _properties,
    "patternProperties": _pattern_properties,
    "additionalProperties": _additional,
    "propertyNames": _property_names,
    "required": _required,
    "dependentRequired": _dependent_required,
    "items": _items,
    "prefixItems": _prefix_items,
    "contains": _contains,
    "uniqueItems": _unique,
    "allOf": _all_of,
    "anyOf": _any_of,
    "oneOf": _one_of,
    "not": _not,
    "if": _if,
}
SUPPORTED_KEYWORDS = frozenset(_CHECKS) | _ANNOTATIONS | _PARTNERS
"""The keywords that a schema may have. ``format``, ``default`` and the like are annotations: not checked."""

_MAPS = frozenset(("properties", "patternProperties", "$defs", "definitions"))
_LISTS = frozenset(("allOf", "anyOf", "oneOf", "prefixItems"))
_SINGLE = frozenset(
    ("items", "contains", "not", "if", "then", "else", "additionalProperties", "propertyNames")
)
_NUMERIC = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf")
_SIZES = tuple(
    f"{edge}{what}" for edge in ("min", "max") for what in ("Length", "Items", "Properties", "Contains")
)
_VALUES: dict[str, Any] = {
    **dict.fromkeys(_NUMERIC, int | float),
    **dict.fromkeys(_SIZES, int),
    "enum": list,
    "required": list,
    "dependentRequired": Mapping,
    "uniqueItems": bool,
}
