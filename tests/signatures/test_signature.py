"""Signatures as classes: definition, what they say, edits, inheritance, immutability."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
from typing import Annotated, ClassVar, Literal

import pydantic
import pytest

from pytest_lmprog.errors import SignatureError
from pytest_lmprog.signatures import MISSING, Field, InputField, OutputField, Signature, ensure_signature


class Triage(Signature):
    """Decide which team
    should handle it.

        Indented.
    """

    ticket: str = InputField(desc="as received", prefix="Ticket:")
    team: Literal["billing", "bug"] = OutputField()
    sure: float = OutputField(ge=0, le=1)


class Outer:
    class Nested(Signature):
        a = InputField()
        b = OutputField()


def test_a_class_says_what_it_was_given() -> None:
    assert Triage.name == "Triage"
    assert Triage.instructions == "Decide which team\nshould handle it.\n\n    Indented."
    assert list(Triage.fields) == ["ticket", "team", "sure"]
    assert list(Triage.input_fields) == ["ticket"]
    assert list(Triage.output_fields) == ["team", "sure"]
    assert Triage.text == "ticket -> team: Literal['billing', 'bug'], sure: float (>= 0, <= 1)"
    assert Triage.signature == Triage.text
    assert repr(Triage) == f"Triage({Triage.text})"
    ticket = Triage.fields["ticket"]
    assert (ticket.name, ticket.role, ticket.annotation) == ("ticket", "input", str)
    assert (ticket.desc, ticket.prefix, ticket.default) == ("as received", "Ticket:", MISSING)


def test_spec_is_plain_data() -> None:
    assert Triage.spec() == {
        "name": "Triage",
        "instructions": Triage.instructions,
        "fields": [
            {
                "name": "ticket",
                "role": "input",
                "type": "str",
                "desc": "as received",
                "prefix": "Ticket:",
                "schema": {"type": "string"},
            },
            {
                "name": "team",
                "role": "output",
                "type": "Literal['billing', 'bug']",
                "schema": {"type": "string", "enum": ["billing", "bug"]},
            },
            {
                "name": "sure",
                "role": "output",
                "type": "float (>= 0, <= 1)",
                "schema": {"type": "number", "minimum": 0, "maximum": 1},
            },
        ],
    }


def test_unannotated_fields_are_text_and_keep_their_place() -> None:
    class Mixed(Signature):
        first = InputField()
        second: int = OutputField()
        third = OutputField()
        fourth: str = InputField()

    assert [(f.name, f.role, f.type_text) for f in Mixed.fields.values()] == [
        ("first", "input", "str"),
        ("second", "output", "int"),
        ("third", "output", "str"),
        ("fourth", "input", "str"),
    ]


def test_instructions_are_made_up_where_there_are_none() -> None:
    assert Signature("a, b -> c").instructions == "Given the fields `a`, `b`, produce the fields `c`."
    assert Outer.Nested.instructions == "Given the fields `a`, produce the fields `b`."
    assert Signature("a -> b", "Do it.").instructions == "Do it."
    assert Signature("a -> b", "  ").instructions.startswith("Given the fields")

    class Joke(Signature):
        joke = OutputField()

    assert Joke.instructions == "Produce the fields `joke`."
    edited = Signature("a -> b").append("c", OutputField())
    assert edited.instructions == "Given the fields `a`, produce the fields `b`, `c`."


def test_field_names_do_not_collide_with_what_signatures_have() -> None:
    class Odd(Signature):
        name: str = InputField()
        text: str = InputField()
        fields: list[str] = OutputField()
        instructions = OutputField()

    assert Odd.name == "Odd"
    assert list(Odd.fields) == ["name", "text", "fields", "instructions"]
    assert Odd.text == "name, text -> fields: list[str], instructions"


def test_inheritance_extends_and_overrides() -> None:
    class More(Triage):
        team: Literal["billing", "bug", "sales"] = OutputField()
        note = OutputField()

    assert list(More.fields) == ["ticket", "team", "sure", "note"]
    assert "sales" in More.fields["team"].type_text
    assert More.instructions == Triage.instructions
    assert list(Triage.fields) == ["ticket", "team", "sure"]

    class Other(More):
        """Another task."""

    assert Other.instructions == "Another task."
    assert list(Other.fields) == list(More.fields)


def test_what_is_not_a_field_may_be_in_the_body() -> None:
    class Helped(Signature):
        """Doc."""

        LIMIT: ClassVar[int] = 3
        _private = 1

        class Inner:
            pass

        a: str = InputField()
        b: str = OutputField()

        @staticmethod
        def helper() -> int:
            return 7

    assert list(Helped.fields) == ["a", "b"]
    assert (Helped.LIMIT, Helped._private, Helped.helper()) == (3, 1, 7)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"__annotations__": {"a": int}}, "neither an input nor an output"),
        ({"__annotations__": {"a": int}, "a": 3}, "neither an input nor an output"),
        ({"a": 3}, "neither an input nor an output"),
        ({"a": pydantic.Field(ge=0), "__annotations__": {"a": int}}, "neither an input nor an output"),
        ({"tags": InputField()}, "reserved"),
        ({"_a": InputField()}, "reserved"),
        ({"keys": OutputField()}, "reserved"),
        ({"a": InputField(), "__annotations__": {"a": "Nope"}}, r"Body\.a: .*Nope.*cannot be resolved"),
        ({"a": InputField(), "__annotations__": {"a": "list["}}, "not a type"),
        ({"a": InputField(), "__annotations__": {"a": 3}}, "not a type"),
        ({"a": InputField(), "__annotations__": {"a": object().__class__.__init__}}, "not a type"),
        ({"a": InputField(ge=0), "__annotations__": {"a": list[str]}}, r"Body\.a"),
        ({"a": InputField(pattern="("), "__annotations__": {"a": str}}, r"Body\.a"),
    ],
)
def test_a_body_that_is_none_of_a_signature(body: dict[str, object], words: str) -> None:
    with pytest.raises(SignatureError, match=words):
        type(Signature)("Body", (Signature,), {"__module__": __name__, **body})


def test_unknown_field_options_are_errors() -> None:
    with pytest.raises(SignatureError, match="has no option 'descr'"):
        InputField(descr="x")
    with pytest.raises(SignatureError, match="desc must be a text"):
        OutputField(desc=3)


def test_a_field_that_hides_its_type_is_explained() -> None:
    code = """
import datetime
from datetime import date
from pytest_lmprog.signatures import *
class Plan(Signature):
    when: str = InputField()
    date: date = OutputField()
"""
    with pytest.raises(SignatureError, match="hides the type of the same name"):
        exec(compile(code, "x", "exec", dont_inherit=True), {"__name__": "plan"})


def test_description_is_taken_from_the_annotation() -> None:
    class Described(Signature):
        a: Annotated[str, "what is asked"] = InputField()
        b: Annotated[int, pydantic.Field(description="how many", ge=0)] = OutputField()
        c: Annotated[str, "outside"] = OutputField(desc="inside")
        d: str = OutputField(description="by pydantic's name")

    assert [f.desc for f in Described.fields.values()] == [
        "what is asked",
        "how many",
        "inside",
        "by pydantic's name",
    ]
    assert [f.type_text for f in Described.fields.values()] == ["str", "int (>= 0)", "str", "str"]


def test_local_types_resolve_under_future_annotations() -> None:
    import enum

    class Level(enum.Enum):
        LOW = "low"

    def inner() -> type[Signature]:
        class Rate(Signature):
            text: str = InputField()
            level: list[Level] = OutputField()
            date: Literal["x"] = OutputField()

        return Rate

    assert inner().fields["level"].annotation == list[Level]


def test_types_nested_in_the_body_resolve() -> None:
    class Rate(Signature):
        class Level(pydantic.BaseModel):
            value: int

        text: str = InputField()
        level: Level = OutputField()

    assert Rate.fields["level"].type_text == "Level {value: int}"


def test_signatures_do_not_change() -> None:
    for change in ("instructions", "fields", "anything", "_body"):
        with pytest.raises(AttributeError, match="immutable"):
            setattr(Triage, change, None)
        with pytest.raises(AttributeError, match="immutable"):
            delattr(Triage, change)
    with pytest.raises(TypeError):
        Triage.fields["x"] = Field()  # type: ignore[index]
    with pytest.raises(AttributeError):
        Triage.fields["ticket"].desc = "x"  # type: ignore[misc]


def test_a_signature_is_not_called() -> None:
    with pytest.raises(SignatureError, match="pass Triage itself"):
        Triage(ticket="x")  # type: ignore[call-arg]
    with pytest.raises(SignatureError, match="made from a text"):
        Signature(3)
    with pytest.raises(SignatureError, match="instructions must be a text"):
        Signature("a -> b", 3)


def test_from_a_mapping() -> None:
    made = Signature({"q": InputField(), "a": (int, OutputField(desc="n"))}, "Do.")
    assert made.text == "q -> a: int"
    assert made.fields["a"].desc == "n"
    with pytest.raises(SignatureError, match="must be an InputField"):
        Signature({"q": "str"})


class TestEdits:
    def test_instructions(self) -> None:
        new = Triage.with_instructions("Other.")
        assert new.instructions == "Other."
        assert new.fields == Triage.fields
        assert new.name == "Triage"
        assert Triage.instructions.startswith("Decide")
        with pytest.raises(SignatureError):
            Triage.with_instructions(None)  # type: ignore[arg-type]
        assert Triage.with_instructions("").instructions == ""

    def test_field(self) -> None:
        new = Triage.with_field("team", desc="who", prefix="Team:")
        assert (new.fields["team"].desc, new.fields["team"].prefix) == ("who", "Team:")
        assert Triage.fields["team"].desc is None
        assert new.instructions == Triage.instructions
        assert Triage.with_field("team", annotation=int).fields["team"].type_text == "int"
        assert Triage.with_updated_fields("team", type_=bool, desc="d").fields["team"].type_text == "bool"
        with pytest.raises(SignatureError, match="no field 'nope'; its fields are: ticket, team, sure"):
            Triage.with_field("nope", desc="x")
        with pytest.raises(SignatureError, match="cannot change 'name'"):
            Triage.with_field("team", name="x")

    def test_adding(self) -> None:
        reason = Field(name="reason", role="output", annotation=str)
        assert list(Triage.prepend_field(reason).fields) == ["ticket", "reason", "team", "sure"]
        assert list(Triage.append_field(reason).fields) == ["ticket", "team", "sure", "reason"]
        assert list(Triage.insert_field(1, reason).fields) == ["ticket", "team", "reason", "sure"]
        assert list(Triage.insert_field(-1, reason).fields) == ["ticket", "team", "sure", "reason"]
        assert list(Triage.append("extra", InputField(), int).fields) == ["ticket", "extra", "team", "sure"]
        assert list(Triage.prepend("extra", InputField()).fields) == ["extra", "ticket", "team", "sure"]
        assert list(Triage.insert(2, "x", OutputField(), float).output_fields) == ["team", "sure", "x"]
        with pytest.raises(SignatureError, match="already"):
            Triage.append("team", OutputField())
        with pytest.raises(SignatureError, match="no place 7"):
            Triage.insert_field(7, reason)
        with pytest.raises(SignatureError, match="reserved"):
            Triage.append("keys", OutputField())
        with pytest.raises(SignatureError, match="must be an InputField"):
            Triage.append("x", str)

    def test_the_first_field_of_a_role(self) -> None:
        class Joke(Signature):
            joke = OutputField()

        assert list(Joke.append("topic", InputField()).fields) == ["topic", "joke"]

    def test_deleting_and_order(self) -> None:
        assert list(Triage.delete("sure").fields) == ["ticket", "team"]
        assert list(Triage.delete_field("ticket").fields) == ["team", "sure"]
        assert list(Triage.with_order(["sure", "ticket", "team"]).output_fields) == ["sure", "team"]
        with pytest.raises(SignatureError):
            Triage.delete("nope")
        with pytest.raises(SignatureError, match="each field once"):
            Triage.with_order(["sure"])

    def test_name(self) -> None:
        assert Triage.with_name("Other").name == "Other"
        assert Triage.with_name("Other").equals(Triage)


def test_equality_is_by_what_is_said() -> None:
    assert Signature("a -> b: int").equals(Signature("a -> b: int"))
    assert not Signature("a -> b: int").equals(Signature("a -> b: str"))
    assert not Signature("a -> b").equals(Signature("a -> b", "Do."))
    assert not Signature("a -> b").equals("a -> b")
    assert Triage.equals(Triage.with_field("team", desc=None))


def test_ensure_signature() -> None:
    assert ensure_signature(Triage) is Triage
    assert ensure_signature("a -> b").text == "a -> b"
    assert ensure_signature(Triage, "Do.").instructions == "Do."
    assert ensure_signature("a -> b", "Do.").instructions == "Do."

    class NoOutput(Signature):
        a = InputField()

    with pytest.raises(SignatureError, match="no output field"):
        ensure_signature(NoOutput)
    with pytest.raises(SignatureError, match="made from a text"):
        ensure_signature(None)


def test_signatures_are_pickled_and_copied() -> None:
    assert pickle.loads(pickle.dumps(Triage)) is Triage
    assert pickle.loads(pickle.dumps(Outer.Nested)) is Outer.Nested
    assert copy.deepcopy(Triage) is Triage
    made = Triage.append("note", OutputField(desc="n"), list[int])
    again = pickle.loads(pickle.dumps(made))
    assert again.equals(made)
    assert again.name == "Triage"
    assert pickle.loads(pickle.dumps(Signature("a -> b"))).text == "a -> b"


def test_plain_signatures_do_without_pydantic() -> None:
    code = """
import sys, enum
from typing import Literal, Optional
from pytest_lmprog.signatures import *
class Kind(enum.Enum):
    A = "a"
class S(Signature):
    a: list[str] = InputField()
    b: Literal["x", "y"] = OutputField()
    c: Optional[int] = OutputField()
    d: dict[str, Kind] = OutputField(desc="d")
S.spec()
S.fields["d"].validate({"k": "A"})
assert "pydantic" not in sys.modules
assert "asyncio" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
