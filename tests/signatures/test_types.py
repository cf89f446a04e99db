# ruff: noqa: UP006, UP007, UP042, UP045 - both spellings of a type are to be understood
"""Types: what the LM is told, the JSON schema, tolerant conversion, plain form."""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
import math
import typing
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Literal, NamedTuple, NewType, NotRequired, Optional, Union

import annotated_types
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typing_extensions import TypedDict

from pytest_lmprog.canonical import canonical_json, plain
from pytest_lmprog.errors import CanonicalError, SignatureError
from pytest_lmprog.signatures import Field, InputField, Signature
from pytest_lmprog.signatures.types import kind_of


class Team(enum.Enum):
    BILLING = "billing dept"
    BUG = "bug"


class Number(enum.IntEnum):
    ONE = 1
    TWO = 2


class Odd(enum.Enum):
    LEFT = (1, 2)
    RIGHT = (3, 4)


class Label(str, enum.Enum):
    A = "a"
    B = "b"


@dataclasses.dataclass
class Point:
    x: int
    y: float = 0.5
    tags: list[str] = dataclasses.field(default_factory=list)


class Person(pydantic.BaseModel):
    title: str
    age: int = pydantic.Field(ge=0, description="in years")
    home: Optional[Point] = None


class Tree(pydantic.BaseModel):
    value: int
    parts: list[Tree] = []


class Movie(TypedDict):
    title: str
    year: NotRequired[int]


class Pair(NamedTuple):
    a: int
    b: str = "x"


class Cat(pydantic.BaseModel):
    kind: Literal["cat"]
    lives: int


class Dog(pydantic.BaseModel):
    kind: Literal["dog"]
    name: str


UserId = NewType("UserId", int)


def field(annotation: Any, **options: Any) -> Field:
    return Field(name="it", role="output", annotation=annotation, **options)


TEXTS: list[tuple[Any, str]] = [
    (str, "str"),
    (int, "int"),
    (float, "float"),
    (bool, "bool"),
    (None, "None"),
    (Any, "Any"),
    (object, "Any"),
    (list, "list[Any]"),
    (dict, "dict[str, Any]"),
    (list[str], "list[str]"),
    (Sequence[int], "list[int]"),
    (typing.List[int], "list[int]"),
    (typing.List, "list[Any]"),
    (set[str], "set[str]"),
    (frozenset[int], "frozenset[int]"),
    (tuple[int, str], "tuple[int, str]"),
    (tuple[int, ...], "tuple[int, ...]"),
    (dict[str, list[int]], "dict[str, list[int]]"),
    (Mapping[str, int], "dict[str, int]"),
    (Optional[int], "int | None"),
    (Union[int, str, None], "int | str | None"),
    (int | None, "int | None"),
    (Literal["a", "b"], "Literal['a', 'b']"),
    (Literal[1, True, None, "x"], "Literal[1, True, None, 'x']"),
    (Literal[Team.BUG], "Literal[Team.BUG]"),
    (Team, "Team (one of 'billing dept', 'bug')"),
    (Number, "Number (one of 1, 2)"),
    (Odd, "Odd (one of 'LEFT', 'RIGHT')"),
    (Label, "Label (one of 'a', 'b')"),
    (Point, "Point {x: int, y?: float, tags?: list[str]}"),
    (
        Person,
        "Person {title: str, age: int (>= 0), home?: Point {x: int, y?: float, tags?: list[str]} | None}",
    ),
    (Tree, "Tree {value: int, parts?: list[Tree]}"),
    (Movie, "Movie {title: str, year?: int}"),
    (Pair, "Pair {a: int, b?: str}"),
    (UserId, "int"),
    (datetime.date, "date"),
    (decimal.Decimal, "Decimal"),
    (uuid.UUID, "UUID"),
    (Annotated[int, pydantic.Field(ge=0, le=10)], "int (>= 0, <= 10)"),
    (Annotated[int, annotated_types.Gt(0), annotated_types.MultipleOf(5)], "int (> 0, a multiple of 5)"),
    (Annotated[float, annotated_types.Interval(ge=0, lt=1)], "float (>= 0, < 1)"),
    (
        Annotated[str, pydantic.Field(pattern="^a+$", min_length=1)],
        "str (matches '^a+$', at least 1 character)",
    ),
    (Annotated[str, pydantic.StringConstraints(max_length=5)], "str (at most 5 characters)"),
    (Annotated[list[str], pydantic.Field(min_length=2)], "list[str] (at least 2 items)"),
    (list[Annotated[int, pydantic.Field(ge=1)]], "list[int (>= 1)]"),
    (Annotated[str, "only words"], "str"),
]


@pytest.mark.parametrize(("annotation", "text"), TEXTS, ids=[t for _, t in TEXTS])
def test_the_text_of_a_type(annotation: Any, text: str) -> None:
    assert field(annotation).type_text == text


def test_constraints_of_the_field_count_too() -> None:
    class Rated(Signature):
        stars: int = InputField(ge=1, le=5)

    stars = Rated.fields["stars"]
    assert stars.type_text == "int (>= 1, <= 5)"
    assert stars.schema() == {"type": "integer", "minimum": 1, "maximum": 5}
    assert stars.validate("4") == 4
    with pytest.raises(ValueError, match="less than or equal to 5"):
        stars.validate(6)


def closed(**properties: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


POINT = closed(
    x={"type": "integer"}, y={"type": "number"}, tags={"type": "array", "items": {"type": "string"}}
)
SCHEMAS: list[tuple[Any, Any]] = [
    (str, {"type": "string"}),
    (Any, {}),
    (Optional[int], {"anyOf": [{"type": "integer"}, {"type": "null"}]}),
    (Literal["a", "b"], {"type": "string", "enum": ["a", "b"]}),
    (Literal[1, "a"], {"enum": [1, "a"]}),
    (Team, {"type": "string", "enum": ["billing dept", "bug"]}),
    (Odd, {"type": "string", "enum": ["LEFT", "RIGHT"]}),
    (Label, {"type": "string", "enum": ["a", "b"]}),
    (dict[str, int], {"type": "object", "additionalProperties": {"type": "integer"}}),
    (
        tuple[int, str],
        {
            "type": "array",
            "prefixItems": [{"type": "integer"}, {"type": "string"}],
            "minItems": 2,
            "maxItems": 2,
        },
    ),
    (Point, POINT),
    (
        Person,
        closed(
            title={"type": "string"},
            age={"type": "integer", "minimum": 0, "description": "in years"},
            home={"anyOf": [POINT, {"type": "null"}]},
        ),
    ),
    (Movie, closed(title={"type": "string"}, year={"type": "integer"})),
    (
        Annotated[str, pydantic.Field(pattern="^a$", max_length=3)],
        {"type": "string", "pattern": "^a$", "maxLength": 3},
    ),
    (
        Annotated[list[int], pydantic.Field(min_length=1)],
        {"type": "array", "items": {"type": "integer"}, "minItems": 1},
    ),
    (
        Annotated[dict[str, int], pydantic.Field(max_length=1)],
        {"type": "object", "additionalProperties": {"type": "integer"}, "maxProperties": 1},
    ),
    (
        Annotated[Optional[int], pydantic.Field(ge=0)],
        {"anyOf": [{"type": "integer", "minimum": 0}, {"type": "null"}]},
    ),
    (datetime.date, {"type": "string", "format": "date"}),
]


@pytest.mark.parametrize(("annotation", "schema"), SCHEMAS)
def test_the_schema_of_a_type(annotation: Any, schema: Any) -> None:
    assert field(annotation).schema() == schema


def test_tagged_unions_in_models_are_plain_alternatives() -> None:
    class Owner(pydantic.BaseModel):
        pet: Annotated[Cat | Dog, pydantic.Field(discriminator="kind")]

    pet = field(Owner).schema()["properties"]["pet"]
    assert list(pet) == ["anyOf"]
    assert pet["anyOf"][0]["properties"]["kind"] == {"type": "string", "enum": ["cat"]}


def test_a_schema_is_a_new_object_each_time() -> None:
    person = field(Person)
    person.schema()["properties"].clear()
    assert person.schema()["properties"]


def test_recursive_types_keep_their_definition() -> None:
    schema = field(Tree).schema()
    tree = closed(value={"type": "integer"}, parts={"type": "array", "items": {"$ref": "#/$defs/Tree"}})
    assert schema == {"$ref": "#/$defs/Tree", "$defs": {"Tree": tree}}
    assert field(Tree).validate({"value": 1, "parts": [{"value": 2}]}).parts[0].value == 2


GOOD: list[tuple[Any, Any, Any]] = [
    (str, "x", "x"),
    (str, 42, "42"),
    (str, 1.5, "1.5"),
    (str, True, "true"),
    (str, Label.A, "a"),
    (int, 3, 3),
    (int, 3.0, 3),
    (int, "42", 42),
    (int, " -7 ", -7),
    (int, "1,234", 1234),
    (int, "12,345,678", 12345678),
    (int, "3.0", 3),
    (int, "`5`.", 5),
    (int, "**5**", 5),
    (int, '"5"', 5),
    (float, 1, 1.0),
    (float, "0.5", 0.5),
    (float, ".5", 0.5),
    (float, "1e3", 1000.0),
    (float, "1,234.5", 1234.5),
    (float, "1,234,567", 1234567.0),
    (float, "5.", 5.0),
    (bool, "True", True),
    (bool, "yes", True),
    (bool, "No.", False),
    (bool, "`false`", False),
    (bool, 1, True),
    (bool, 0, False),
    (bool, "'Yes.'", True),
    (None, "null", None),
    (None, "None", None),
    (Literal["yes", "no"], "Yes", "yes"),
    (Literal["yes", "no"], ' "no". ', "no"),
    (Literal["a.", "b"], "a.", "a."),
    (Literal["a.", "b"], "b.", "b"),
    (Literal["A", "a"], "a", "a"),
    (Literal[1, 2], "2", 2),
    (Literal[1, 2], 1, 1),
    (Literal[True, "maybe"], "true", True),
    (Literal[None, "x"], None, None),
    (Literal[Team.BUG], "bug", Team.BUG),
    (Team, Team.BUG, Team.BUG),
    (Team, "billing dept", Team.BILLING),
    (Team, "BILLING", Team.BILLING),
    (Team, "Bug", Team.BUG),
    (Team, "Team.BUG", Team.BUG),
    (Number, 1, Number.ONE),
    (Number, "2", Number.TWO),
    (Number, "two", Number.TWO),
    (Odd, "left", Odd.LEFT),
    (Label, "A", Label.A),
    (list[int], ["1", 2], [1, 2]),
    (list[int], (1, 2), [1, 2]),
    (list[Team], ["BUG", "billing dept"], [Team.BUG, Team.BILLING]),
    (set[str], ["a", "a"], {"a"}),
    (tuple[int, str], [1, "a"], (1, "a")),
    (tuple[int, ...], ["1"], (1,)),
    (dict[str, int], {"a": "1"}, {"a": 1}),
    (dict[int, str], {"1": "a"}, {1: "a"}),
    (dict[Team, int], {"bug": 1}, {Team.BUG: 1}),
    (Optional[int], None, None),
    (Optional[int], "null", None),
    (Optional[int], "5", 5),
    (Optional[str], "x", "x"),
    (Optional[str], None, None),
    (str | float, 5, 5.0),
    (int | str, "5", "5"),
    (float | int, 5, 5),
    (bool | int, True, True),
    (Any, {"a": [1]}, {"a": [1]}),
    (Point, {"x": "3"}, Point(3)),
    (Point, Point(1, 2.0), Point(1, 2.0)),
    (Person, {"title": "t", "age": 3}, Person(title="t", age=3)),
    (Movie, {"title": "t"}, {"title": "t"}),
    (Pair, [1, "b"], Pair(1, "b")),
    (datetime.date, "2024-02-29", datetime.date(2024, 2, 29)),
    (Cat | Dog, {"kind": "dog", "name": "Rex"}, Dog(kind="dog", name="Rex")),
    (Cat | Dog | None, None, None),
    (Cat | str, "miau", "miau"),
    (
        Annotated[Cat | Dog, pydantic.Field(discriminator="kind")],
        {"kind": "cat", "lives": 9},
        Cat(kind="cat", lives=9),
    ),
    (Annotated[int, pydantic.Field(ge=0)], "1,000", 1000),
    (Annotated[Optional[int], pydantic.Field(ge=0)], None, None),
    (Annotated[str, pydantic.StringConstraints(to_lower=True)], "ABC", "abc"),
    (Annotated[int, pydantic.AfterValidator(lambda v: v + 1)], 1, 2),
    (list[Annotated[int, pydantic.Field(ge=1)]], ["3"], [3]),
]


@pytest.mark.parametrize(("annotation", "value", "expected"), GOOD)
def test_what_is_plainly_meant_is_taken(annotation: Any, value: Any, expected: Any) -> None:
    got = field(annotation).validate(value)
    assert got == expected
    assert type(got) is type(expected)


BAD: list[tuple[Any, Any, str]] = [
    (str, None, "not text"),
    (str, ["a"], "not text"),
    (str, {"a": 1}, "not text"),
    (int, "1.5", "not an integer"),
    (int, 1.5, "not an integer"),
    (int, True, "not an integer"),
    (int, "1,23", "not an integer"),
    (int, "five", "not an integer"),
    (int, "", "not an integer"),
    (int, "9" * 5000, "not an integer"),
    (int, "٣", "not an integer"),
    (int, math.inf, "not an integer"),
    (float, "1,234", "not a number"),
    (float, "50%", "not a number"),
    (float, math.nan, "not a finite number"),
    (float, "nan", "not a number"),
    (float, "1e999", "not a finite number"),
    (float, 10**400, "not a finite number"),
    (float, True, "not a number"),
    (bool, "maybe", "not true or false"),
    (bool, 2, "not true or false"),
    (bool, 1.0, "not true or false"),
    (bool, "", "not true or false"),
    (None, "x", "not null"),
    (Literal["yes", "no"], "not", "not one of 'yes', 'no'"),
    (Literal["A", "a "], "A ,", "not one of"),
    (Literal["Ab", "aB"], "ab", "not one of"),
    (Literal["1", "2"], 1, "not one of"),
    (Literal[1, 2], True, "not one of"),
    (Literal["yes"], ["yes"], "not one of"),
    (Team, "sales", "not one of 'billing dept', 'bug'"),
    (Team, None, "not one of"),
    (list[int], "1, 2", "not a list"),
    (list[int], [1, "x"], "item 2: 'x' is not an integer"),
    (list[list[int]], [[1], ["x"]], "item 2: item 1: 'x'"),
    (tuple[int, str], [1], "1 items, not 2"),
    (tuple[int, str], "ab", "not a list"),
    (tuple[int, str], ["x", "y"], "item 1: 'x'"),
    (dict[str, int], {"a": "x"}, "'a': 'x' is not an integer"),
    (dict[str, int], [1], "not an object"),
    (Optional[int], "x", "'x' is not int | None"),
    (Point, {"y": 1}, "x: Field required"),
    (Point, "x", "Input should be"),
    (Person, {"title": "t", "age": -1}, "age: Input should be greater than or equal to 0"),
    (Cat | Dog, {"kind": "cow"}, "Input should be"),
    (datetime.date, "yesterday", "Input should be"),
    (Annotated[int, pydantic.Field(ge=0)], -1, "greater than or equal to 0"),
    (Annotated[int, pydantic.Field(ge=0)], "x", "not an integer"),
    (Annotated[list[int], pydantic.Field(min_length=1)], [], "at least 1 item"),
    (Annotated[str, pydantic.Field(pattern="^a$")], "b", "match pattern"),
    (Annotated[str, pydantic.Field(pattern="^a$")], None, "not text"),
]


@pytest.mark.parametrize(("annotation", "value", "words"), BAD)
def test_what_does_not_fit_is_refused_with_the_reason(annotation: Any, value: Any, words: str) -> None:
    with pytest.raises(ValueError) as caught:
        field(annotation).validate(value)
    assert words in str(caught.value)
    assert len(str(caught.value)) < 400


class Plain:
    pass


@pytest.mark.parametrize(
    "annotation",
    [
        Plain,
        list[Plain],
        Plain | None,
        Callable[[int], int],
        typing.TypeVar("T"),
        3,
        ...,
        Literal[b"x"],
        dict[tuple[int, int], str],
        enum.Enum("Empty", []),
        Annotated[int, pydantic.Field(pattern="x")],
        type,
        type[int],
        lambda: 3,
        math,
    ],
)
def test_types_without_json_form_are_refused(annotation: Any) -> None:
    with pytest.raises(SignatureError):
        field(annotation).type_text


def test_a_dataclass_with_an_unusable_member_names_it() -> None:
    @dataclasses.dataclass
    class Holder:
        inner: Plain

    Holder.__annotations__ = {"inner": Plain}
    with pytest.raises(SignatureError, match=r"Holder\.inner.*Plain"):
        kind_of(Holder)


PLAIN: list[tuple[Any, Any, Any]] = [
    (str, ["a", "b"], ["a", "b"]),
    (float, 3.0, 3),
    (Team, Team.BUG, "bug"),
    (Team, "BILLING", "billing dept"),
    (Odd, Odd.LEFT, "LEFT"),
    (Label, Label.A, "a"),
    (list[Team], [Team.BUG], ["bug"]),
    (set[int], {3, 1, 2}, [1, 2, 3]),
    (tuple[int, str], (1, "a"), [1, "a"]),
    (dict[int, str], {2: "b", 10: "a"}, {"10": "a", "2": "b"}),
    (dict[Team, int], {Team.BUG: 1}, {"bug": 1}),
    (Any, {"b": 1, "a": {"d": 1, "c": 2}}, {"a": {"c": 2, "d": 1}, "b": 1}),
    (Optional[Team], None, None),
    (Optional[Team], Team.BUG, "bug"),
    (Person, Person(title="t", age=1), {"title": "t", "age": 1, "home": None}),
    (Point, {"x": 1}, {"x": 1, "y": 0.5, "tags": []}),
    (datetime.date, datetime.date(2024, 1, 2), "2024-01-02"),
    (decimal.Decimal, decimal.Decimal("1.10"), "1.10"),
    (Annotated[int, pydantic.Field(ge=0)], 3, 3),
]


@pytest.mark.parametrize(("annotation", "value", "expected"), PLAIN)
def test_plain_form(annotation: Any, value: Any, expected: Any) -> None:
    got = field(annotation).to_plain(value)
    assert got == expected
    if isinstance(expected, dict):
        assert list(got) == list(expected)
    assert plain(got) == got


def test_a_value_without_plain_form_is_a_value_error() -> None:
    for annotation, value in [
        (str, object()),
        (Any, {1: 2}),
        (list[int], 3),
        (dict[str, int], 3),
        (Any, math.nan),
        (Team, "nope"),
        (Point, Plain()),
        (tuple[int], [1, 2]),
        (int | None, "x"),
    ]:
        with pytest.raises(ValueError):
            field(annotation).to_plain(value)


def test_inputs_take_whatever_can_be_shown() -> None:
    assert field(str).accept(["a"]) == ["a"]
    assert field(str).accept(None) is None
    assert field(str).accept(3) == 3
    assert field(int).accept("3") == 3
    assert field(Optional[str]).accept("x") == "x"
    with pytest.raises(ValueError):
        field(str).accept(object())
    with pytest.raises(ValueError):
        field(int).accept("x")


plain_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**6), 10**6) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)
annotations = st.sampled_from([a for a, _ in TEXTS])


@given(annotations, plain_values)
def test_conversion_never_fails_otherwise_and_its_plain_form_reads_back(annotation: Any, value: Any) -> None:
    it = field(annotation)
    try:
        got = it.validate(value)
    except ValueError:
        return
    shown = it.to_plain(got)
    canonical_json(shown)
    assert it.validate(shown) == got


def test_canonical_errors_do_not_escape() -> None:
    assert not issubclass(CanonicalError, ValueError)
    with pytest.raises(ValueError):
        field(str).to_plain("\ud800")
