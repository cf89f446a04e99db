"""Values against JSON Schemas: what counts as a value, what is said of it, and which schemas are refused."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from pydantic import BaseModel

from pytest_lmprog.errors import UsageError
from pytest_lmprog.evaluation.schema import json_schema_errors, json_schema_valid

PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string", "minLength": 1}, "age": {"type": "integer", "minimum": 0}},
    "required": ["name"],
    "additionalProperties": False,
}


@pytest.mark.parametrize(
    ("schema", "fits", "fails"),
    [
        ({"type": "integer"}, [1, 1.0, "7"], [1.5, True, '"7"', None]),
        ({"type": ["number", "null"]}, [1.5, None, "null"], [True, '"x"', []]),
        ({"enum": ["a", 1, None]}, ['"a"', 1, 1.0, None], ['"b"', True]),
        ({"minLength": 2, "maxLength": 3}, ['"ab"', '"😀😀"', 1], ['"a"', '"abcd"']),
        (PERSON, [{"name": "A", "age": 3}, '{"name": "A"}'],
         [{"age": 3}, {"name": ""}, {"name": "A", "x": 1}]),
        ({"prefixItems": [{"type": "string"}], "items": False}, [["a"], []], [[1], ["a", 1]]),
        ({"unevaluatedItems": False, "prefixItems": [True]}, [[1]], [[1, 2]]),
        ({"if": {"minimum": 10}, "then": {"multipleOf": 10}, "else": {"multipleOf": 3}}, [20, 6], [11, 5]),
        (True, [1, "{}"], []),
        (False, [], [1]),
        ({}, [1, [], "null"], []),
    ],
)  # fmt: skip
def test_values(schema: Any, fits: list[Any], fails: list[Any]) -> None:
    for value in fits:
        assert json_schema_errors(value, schema) == []
    for value in fails:
        assert not json_schema_valid(value, schema)


def test_a_schema_may_name_an_older_draft() -> None:
    schema = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "items": [{"type": "integer"}, {"const": 2}],
    }
    assert json_schema_valid([1, 2, 3], schema)
    assert not json_schema_valid([1, 3], schema)
    with pytest.raises(UsageError, match=r"schema\.items"):
        json_schema_valid(1, {"items": schema["items"]})


@pytest.mark.parametrize("text", ["", "{", "{'a': 1}", "NaN", "[1,]", "hello", "[" * 100_000])
def test_text_that_is_no_json_fits_nothing(text: str) -> None:
    assert json_schema_errors(text, True)[0].startswith("$: not JSON")
    assert json_schema_valid(text, {}) is False


def test_errors_say_where() -> None:
    schema = {"properties": {"people": {"type": "array", "items": PERSON}}}
    value = {"people": [{"name": "A"}, {"age": -1, "x": 0}]}
    assert json_schema_errors(value, schema) == [
        "$.people[1]: Additional properties are not allowed ('x' was unexpected)",
        "$.people[1].age: -1 is less than the minimum of 0",
        "$.people[1]: 'name' is a required property",
    ]


def test_objects_are_taken_as_the_json_they_stand_for() -> None:
    @dataclass
    class Row:
        name: str

    class Model(BaseModel):
        name: str

    assert json_schema_valid(Row("A"), PERSON)
    assert json_schema_valid(Model(name="A"), Model.model_json_schema())
    assert not json_schema_valid(Row(""), PERSON)
    assert not json_schema_valid(object(), {})


def test_references_and_recursion() -> None:
    node = {"type": "object", "properties": {"next": {"$ref": "#/$defs/node"}}, "required": ["v"]}
    schema = {"$defs": {"node": {"anyOf": [node, {"type": "null"}]}}, "$ref": "#/$defs/node"}
    assert json_schema_valid({"v": 1, "next": {"v": 2, "next": {"v": 3, "next": None}}}, schema)
    assert not json_schema_valid({"v": 1, "next": {"v": 2, "next": {"next": None}}}, schema)
    assert json_schema_valid([[], [[]]], {"type": "array", "items": {"$ref": "#"}})
    odd = {"definitions": {"a/b~c": {"const": 1}}, "$ref": "#/definitions/a~1b~0c"}
    assert json_schema_valid(1, odd)


def test_a_value_that_is_nested_too_deeply_does_not_fit() -> None:
    assert json_schema_errors("[" * 400 + "]" * 400, {"items": {"$ref": "#"}}) == [
        "$: nested too deeply to be checked"
    ]


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        ({"minimun": 3}, r"schema has a keyword that JSON Schema does not have: .*'minimun'"),
        ({"properties": {"a": {"items": {"minimun": 1}}}}, r"schema\.properties\.a\.items has a keyword"),
        ({"anyOf": [{"dependencies": {}}]}, r"schema\.anyOf\[0\]\.dependencies is a keyword of older drafts"),
        ({"type": "strin"}, r"schema\.type: 'strin' is not"),
        ({"type": ["string", 3]}, r"schema\.type\[1\]: 3 is not one of"),
        ({"minLength": "3"}, r"schema\.minLength: '3' is not of type 'integer'"),
        ({"minimum": True}, "True is not of type 'number'"),
        ({"required": "name"}, "'name' is not of type 'array'"),
        ({"properties": []}, "not of type 'object'"),
        ({"items": [1]}, "not of type 'object', 'boolean'"),
        ({"multipleOf": 0}, r"schema\.multipleOf: 0 is less than or equal to"),
        ({"pattern": "("}, "is not a 'regex'"),
        ({"$ref": "other.json"}, "'other.json' points to nothing"),
        ({"$ref": "http://localhost:9/x.json"}, "points to nothing"),
        ({"$ref": "#/$defs/none"}, "points to nothing"),
        ({"$ref": "#"}, "refers to itself without end"),
        ({"const": object()}, "the schema is not JSON"),
        ("text", "must be an object"),
    ],
)
def test_bad_schemas_are_the_users_mistake(schema: Any, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        json_schema_valid(1, schema)


def test_annotations_are_not_checked() -> None:
    schema = {"type": "string", "format": "date", "title": "x", "default": 3, "x-mine": 1}
    assert json_schema_valid('"no date"', {**schema, "discriminator": {"propertyName": "kind"}})
