"""The JSON Schema validator: each keyword, what it refuses, and agreement with the reference validator."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from pytest_lmprog.errors import UsageError
from pytest_lmprog.evaluation.schema import SUPPORTED_KEYWORDS, json_schema_errors, json_schema_valid

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
        ({"type": "boolean"}, [True, "false"], [0, '"true"']),
        ({"enum": ["a", 1, None]}, ['"a"', 1, 1.0, None], ['"b"', True]),
        ({"const": {"a": [1]}}, [{"a": [1]}], [{"a": [1, 1]}, {"a": [True]}]),
        ({"minimum": 1, "maximum": 3}, [1, 3, '"text"'], [0, 4, 0.99]),
        ({"exclusiveMinimum": 1, "exclusiveMaximum": 3}, [2], [1, 3]),
        ({"multipleOf": 0.1}, [0.3, 1, 0], [0.35]),
        ({"multipleOf": 3}, [9, 9.0], [10]),
        ({"minLength": 2, "maxLength": 3}, ['"ab"', '"😀😀"', 1], ['"a"', '"abcd"']),
        ({"pattern": "^a+$"}, ['"aa"', 3], ['"ab"']),
        ({"minItems": 1, "maxItems": 2, "uniqueItems": True}, [[1], [1, True]], [[], [1, 2, 3], [1, 1.0]]),
        ({"items": {"type": "string"}}, [["a"], []], [["a", 1]]),
        ({"prefixItems": [{"type": "string"}], "items": False}, [["a"], []], [[1], ["a", 1]]),
        ({"contains": {"const": 1}, "maxContains": 2}, [[1, 2], [1, 1]], [[], [2], [1, 1, 1]]),
        ({"contains": {"const": 1}, "minContains": 0}, [[]], []),
        (PERSON, [{"name": "A", "age": 3}, '{"name": "A"}'],
         [{"age": 3}, {"name": ""}, {"name": "A", "x": 1}]),
        ({"additionalProperties": {"type": "integer"}, "properties": {"a": True}}, [{"a": "x", "b": 1}],
         [{"b": "x"}]),
        ({"patternProperties": {"^n_": {"type": "number"}}, "additionalProperties": False}, [{"n_1": 1}],
         [{"n_1": "x"}, {"m": 1}]),
        ({"propertyNames": {"maxLength": 2}}, [{"ab": 1}], [{"abc": 1}]),
        ({"minProperties": 1, "maxProperties": 1}, [{"a": 1}], [{}, {"a": 1, "b": 2}]),
        ({"dependentRequired": {"a": ["b"]}}, [{"b": 1}, {"a": 1, "b": 1}], [{"a": 1}]),
        ({"allOf": [{"minimum": 1}, {"maximum": 3}]}, [2], [0, 4]),
        ({"anyOf": [{"type": "string"}, {"minimum": 5}]}, ['"x"', 5], [4]),
        ({"oneOf": [{"multipleOf": 2}, {"multipleOf": 3}]}, [2, 3], [6, 1]),
        ({"not": {"type": "string"}}, [1], ['"x"']),
        ({"if": {"minimum": 10}, "then": {"multipleOf": 10}, "else": {"multipleOf": 3}}, [20, 6], [11, 5]),
        ({"if": {"minimum": 10}, "then": {"multipleOf": 10}}, [20, 5], [11]),
        (True, [1, "{}"], []),
        (False, [], [1]),
        ({}, [1, [], "null"], []),
    ],
)  # fmt: skip
def test_keywords(schema: Any, fits: list[Any], fails: list[Any]) -> None:
    for value in fits:
        assert json_schema_errors(value, schema) == []
    for value in fails:
        assert not json_schema_valid(value, schema)


@pytest.mark.parametrize("text", ["", "{", "{'a': 1}", "NaN", "[1,]", "hello", "[" * 100_000])
def test_text_that_is_no_json_fits_nothing(text: str) -> None:
    assert json_schema_errors(text, True)[0].startswith("$: not JSON")
    assert json_schema_valid(text, {}) is False


def test_errors_say_where() -> None:
    schema = {"properties": {"people": {"type": "array", "items": PERSON}}}
    value = {"people": [{"name": "A"}, {"age": -1, "x": 0}]}
    assert json_schema_errors(value, schema) == [
        "$.people[1].age: -1 is not at least 0",
        "$.people[1]: the property 'name' is missing",
        "$.people[1]: the property 'x' is not allowed",
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


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        ({"minimun": 3}, "the keyword 'minimun', which is not supported"),
        ({"properties": {"a": {"items": {"unevaluatedItems": False}}}}, r"schema\.properties\.a\.items has"),
        ({"anyOf": [{"dependencies": {}}]}, r"schema\.anyOf\[0\] has the keyword 'dependencies'"),
        ({"type": "strin"}, "'strin' is no type"),
        ({"type": ["string", 3]}, "3 is no type"),
        ({"minLength": "3"}, r"schema\.minLength has a value of the wrong type"),
        ({"minimum": True}, "wrong type"),
        ({"required": "name"}, "wrong type"),
        ({"properties": []}, "wrong type"),
        ({"anyOf": {}}, "wrong type"),
        ({"items": [1]}, "must be an object or a boolean"),
        ({"multipleOf": 0}, "must be above 0"),
        ({"pattern": "("}, "not a regular expression"),
        ({"$ref": "other.json"}, "only references within the schema"),
        ({"$ref": "#/$defs/none"}, "points to nothing"),
        ({"$ref": "#"}, "refers to itself without end"),
        ("text", "must be an object"),
    ],
)
def test_bad_schemas_are_the_users_mistake(schema: Any, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        json_schema_valid(1, schema)


def test_format_is_an_annotation() -> None:
    assert "format" in SUPPORTED_KEYWORDS
    assert json_schema_valid('"no date"', {"type": "string", "format": "date", "title": "x", "default": 3})


values = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 6) | st.sampled_from([0.5, 1.0, "", "a", "ab", "abc"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=5,
)
small = st.integers(0, 3)
leaves = st.one_of(
    st.booleans(),
    st.builds(
        lambda t: {"type": t}, st.sampled_from(["string", "integer", "number", "array", "object", "null"])
    ),
    st.builds(lambda a, b: {"minimum": a, "exclusiveMaximum": b}, small, small),
    st.builds(lambda a: {"minLength": a, "minItems": a, "maxProperties": a}, small),
    st.builds(lambda v: {"const": v}, values),
    st.builds(lambda v: {"enum": v}, st.lists(values, min_size=1, max_size=3)),
    st.just({"uniqueItems": True}),
    st.just({"pattern": "^a"}),
)
schemas = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.builds(lambda k, s: {k: s},
                  st.sampled_from(["items", "not", "contains", "additionalProperties"]), inner),
        st.builds(lambda k, s: {k: s},
                  st.sampled_from(["anyOf", "allOf", "oneOf"]), st.lists(inner, min_size=1, max_size=3)),
        st.builds(lambda p, a: {"properties": p, "additionalProperties": a, "required": sorted(p)[:1]},
                  st.dictionaries(st.sampled_from("abc"), inner, max_size=2), inner),
        st.builds(lambda a, b, c: {"if": a, "then": b, "else": c}, inner, inner, inner),
    ),
    max_leaves=5,
)  # fmt: skip


@settings(max_examples=300)
@given(values, schemas)
def test_agrees_with_the_reference_validator(value: Any, schema: Any) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    expected = jsonschema.Draft202012Validator(schema).is_valid(value)
    assert json_schema_valid([value], {"items": schema, "type": "array"}) == expected
