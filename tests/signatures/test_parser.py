"""The short form: what it means, and that every mistake is shown at its column."""

from __future__ import annotations

import dataclasses
import enum
import re
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_lmprog.errors import SignatureError
from pytest_lmprog.signatures import Signature
from pytest_lmprog.signatures.parser import parse_fields
from pytest_lmprog.signatures.resolve import CallerNames


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


@dataclasses.dataclass
class Point:
    x: int
    y: int


def parts(text: str) -> list[tuple[str, str, str]]:
    return [(f.name, f.role, f.type_text) for f in Signature(text).fields.values()]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a -> b", [("a", "input", "str"), ("b", "output", "str")]),
        ("a,b->c", [("a", "input", "str"), ("b", "input", "str"), ("c", "output", "str")]),
        (
            "context: list[str], question -> answer: Literal['yes', 'no']",
            [
                ("context", "input", "list[str]"),
                ("question", "input", "str"),
                ("answer", "output", "Literal['yes', 'no']"),
            ],
        ),
        (
            "\n  a : int ,\n\tb\n ->\n c: float \n",
            [("a", "input", "int"), ("b", "input", "str"), ("c", "output", "float")],
        ),
        (
            "a -> b: Literal['x -> y', 'p, q', \"it's\"]",
            [("a", "input", "str"), ("b", "output", "Literal['x -> y', 'p, q', \"it's\"]")],
        ),
        ("a -> b: Optional[int]", [("a", "input", "str"), ("b", "output", "int | None")]),
        ("a -> b: int | None", [("a", "input", "str"), ("b", "output", "int | None")]),
        ("a -> b: dict[str, list[int]]", [("a", "input", "str"), ("b", "output", "dict[str, list[int]]")]),
        ("a -> b: tuple[int, ...]", [("a", "input", "str"), ("b", "output", "tuple[int, ...]")]),
        ("a -> b: List[Dict[str, Any]]", [("a", "input", "str"), ("b", "output", "list[dict[str, Any]]")]),
        ("a -> b: Literal[-1, 0, 1]", [("a", "input", "str"), ("b", "output", "Literal[-1, 0, 1]")]),
        ("a -> b: enum.Enum | str", None),
        ("a -> b: Colour", [("a", "input", "str"), ("b", "output", "Colour (one of 'red', 'blue')")]),
        ("a -> b: Point", [("a", "input", "str"), ("b", "output", "Point {x: int, y: int}")]),
        ("größe -> ответ", [("größe", "input", "str"), ("ответ", "output", "str")]),
    ],
)
def test_reads_names_roles_and_types(text: str, expected: object) -> None:
    if expected is None:
        with pytest.raises(SignatureError):
            Signature(text)
    else:
        assert parts(text) == expected


@pytest.mark.parametrize(
    ("text", "column", "words"),
    [
        ("", 1, "it is empty"),
        ("   ", 1, "it is empty"),
        ("question", 9, "'->' is missing"),
        ("question => answer", 19, "'->' is missing"),
        ("a - b", 6, "'->' is missing"),
        ("a -> b -> c", 8, "a second '->'"),
        ("-> b", 1, "no input field"),
        ("  -> b", 3, "no input field"),
        ("a ->", 5, "no output field"),
        ("a -> ", 5, "no output field"),
        ("a, -> b", 2, "trailing comma"),
        ("a -> b,", 7, "trailing comma"),
        (",a -> b", 1, "missing before this comma"),
        ("a,,b -> c", 3, "missing before this comma"),
        ("a, a -> b", 4, "there twice"),
        ("a -> a", 6, "there twice"),
        ("a -> b, c, b", 12, "there twice"),
        ("a=1 -> b", 2, "default"),
        ("a: int = 1 -> b", 8, "default"),
        ("a -> b: str = 'x'", 13, "default"),
        ("*a -> b", 1, "'*'"),
        ("**a -> b", 1, "'*'"),
        ("a -> *b", 6, "'*'"),
        ("* -> b", 1, "'*'"),
        ("1a -> b", 1, "not a field name"),
        ("a b -> c", 2, "not a field name"),
        ("a-b -> c", 2, "not a field name"),
        ("a.b -> c", 2, "not a field name"),
        ("class -> b", 1, "keyword"),
        ("a -> None", 6, "keyword"),
        ("_a -> b", 1, "reserved"),
        ("__class__ -> b", 1, "reserved"),
        ("id -> b", 1, "reserved"),
        ("a -> tags", 6, "reserved"),
        ("a -> items", 6, "reserved"),
        ("a: -> b", 4, "type is missing"),
        ("a -> b:", 7, "type is missing"),
        (": int -> b", 1, "name is missing"),
        ("a: int: str -> b", 7, "second ':'"),
        ("a: list[str -> b", 8, "']' is missing"),
        ("a: list]str[ -> b", 8, "closes nothing"),
        ("a: list[(str] -> b", 13, "closes nothing"),
        ("a: 'x -> b", 4, "quote is not closed"),
        ("a: Nope -> b", 4, "'Nope' is not known"),
        ("a: list[Nope] -> b", 9, "'Nope' is not known"),
        ("a -> b: dict[str, list[Nope]]", 24, "'Nope' is not known"),
        ("a -> ü: list[Nope]", 14, "'Nope' is not known"),
        ("a: enum.Nope -> b", 4, "there is no 'enum.Nope'"),
        ("a: foo() -> b", 4, "not a type"),
        ("a: int() -> b", 4, "not a type"),
        ("a: 3 -> b", 4, "not a type"),
        ("a: 'int' -> b", 4, "is a text, not a type"),
        ("a: int int -> b", 8, "not a type"),
        ("a: lambda x -> b", 4, "not a type"),
        ("a: int[str] -> b", 4, "not a type"),
        ("a: re -> b", 4, "not a type"),
        ("a: [str] -> b", 4, "not a type"),
        ("a: object.__subclasses__ -> b", 4, "not a type"),
        ("a: (int, str) -> b", 4, "not a type"),
        ("a -> b: dict[list[str], int]", 9, "no JSON form"),
        ("a -> b: Literal[1.5]", 9, "not a type|no JSON form"),
    ],
)
def test_a_mistake_is_shown_at_its_column(text: str, column: int, words: str) -> None:
    with pytest.raises(SignatureError) as caught:
        Signature(text)
    message = str(caught.value)
    lines = message.splitlines()
    assert re.search(words, message), message
    assert f"column {column}:" in lines[0]
    assert lines[2].index("^") - 4 == column - 1
    assert lines[1][4:] == "".join(" " if c.isspace() else c for c in text)


def test_a_long_text_is_shown_around_the_mistake() -> None:
    text = ", ".join(f"field_{n}" for n in range(200)) + ", 1x -> answer"
    with pytest.raises(SignatureError) as caught:
        Signature(text)
    shown, caret = str(caught.value).splitlines()[1:3]
    assert len(shown) < 250
    assert shown[caret.index("^") :].startswith("1x ->")


def test_types_of_the_caller_are_found() -> None:
    class Local(enum.Enum):
        A = 1

    def inner() -> object:
        return Signature("a -> b: Local").output_fields["b"].annotation

    assert Signature("a -> b: list[Local]").output_fields["b"].annotation == list[Local]
    assert inner() is Local


def test_custom_types_come_first() -> None:
    signature = Signature("a -> b: Thing", custom_types={"Thing": Colour})
    assert signature.output_fields["b"].annotation is Colour


def test_a_builtin_is_never_hidden_by_a_variable() -> None:
    list = str = None
    assert Signature("a -> b: list[str]").output_fields["b"].type_text == "list[str]"
    del list, str


def test_typing_names_need_no_import() -> None:
    annotation = Signature("a -> b: Optional[Literal['x']]").output_fields["b"].annotation
    assert annotation == Literal["x"] | None


names = st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True).filter(
    lambda n: not re.fullmatch(r"id|split|weight|tags|completions|copy|get|items|keys|of|values", n)
)
types = st.sampled_from(["str", "int", "list[str]", "Literal['->', ',']", "dict[str, int]", "int | None"])


@given(
    st.lists(st.tuples(names, types), min_size=2, max_size=6, unique_by=lambda f: f[0]),
    st.integers(1, 5),
    st.sampled_from(["", " ", "\n", "  \t"]),
)
def test_the_text_form_reads_back(fields: list[tuple[str, str]], cut: int, space: str) -> None:
    import keyword

    fields = [(f"x{n}" if keyword.iskeyword(n) else n, t) for n, t in fields]
    cut = min(cut, len(fields) - 1)
    sides = [
        f"{space},{space}".join(f"{n}{space}:{space}{t}" for n, t in side)
        for side in (fields[:cut], fields[cut:])
    ]
    signature = Signature(f"{space}->{space}".join(sides))
    assert [(f.name, f.type_text) for f in signature.fields.values()] == fields
    again = Signature(signature.text)
    assert again.equals(signature)


@given(st.text(alphabet="ab,:->[]()'\"=* \n1|.\\{}\x00ü", max_size=40))
def test_any_text_is_a_signature_or_a_signature_error(text: str) -> None:
    try:
        fields = parse_fields(text, CallerNames())
    except SignatureError:
        return
    assert {f.role for f in fields} == {"input", "output"}
