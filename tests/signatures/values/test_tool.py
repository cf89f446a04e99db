"""Tool: from a typed function to a definition, and calls with checked arguments."""

from __future__ import annotations

import asyncio
import copy
import functools
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import pytest

import pytest_lmprog as lmp
from pytest_lmprog.errors import InputError, SignatureError, UsageError


@dataclass
class Place:
    city: str
    floor: int = 0


def weather(
    city: str,
    days: Annotated[int, "how many days ahead"] = 1,
    unit: Literal["C", "F"] = "C",
) -> str:
    """Tell the weather.

    Of any city."""
    return f"{city} {days} {unit} {type(days).__name__}"


async def later(place: Place, *tags: str) -> str:
    return place.city


async def visit(place: Place) -> Place:
    await asyncio.sleep(0)
    return place


def test_the_definition_says_name_words_and_types() -> None:
    tool = lmp.Tool(weather)
    assert tool.definition() == {
        "type": "function",
        "function": {
            "name": "weather",
            "description": "Tell the weather.\n\nOf any city.",
            "parameters": {
                "type": "object",
                "properties": {
                    "city": {"type": "string"},
                    "days": {"type": "integer", "description": "how many days ahead", "default": 1},
                    "unit": {"type": "string", "enum": ["C", "F"], "default": "C"},
                },
                "required": ["city"],
                "additionalProperties": False,
            },
        },
    }
    assert tool.format_as_litellm_function_call() == tool.definition()
    assert tool.args["city"] == {"type": "string"}
    assert tool.arg_types["days"] == Annotated[int, "how many days ahead"]


def test_what_is_given_beats_what_the_function_says() -> None:
    tool = lmp.Tool(weather, name="w", desc="Rain?", arg_desc={"city": "a city"})
    assert (tool.name, tool.desc, tool.args["city"]["description"]) == ("w", "Rain?", "a city")
    assert lmp.Tool(tool).name == "w"
    only = lmp.Tool(weather, args={"city": {"type": "string"}})
    assert only.parameters["properties"] == {"city": {"type": "string"}}


def test_arguments_are_checked_and_converted() -> None:
    tool = lmp.Tool(weather)
    assert tool(city="Oslo", days="3") == "Oslo 3 C int"
    assert tool(city="Oslo") == "Oslo 1 C int"
    with pytest.raises(InputError, match="the tool 'weather': the argument 'days' does not fit: 'many'"):
        tool(city="Oslo", days="many")
    with pytest.raises(ValueError, match="has no argument 'town'; its arguments are: city, days, unit"):
        tool(town="Oslo")
    with pytest.raises(ValueError, match="lacks its argument 'city'"):
        tool()


def test_models_and_coroutines() -> None:
    tool = lmp.Tool(visit)
    assert tool(place={"city": "Rome"}) == Place("Rome")
    assert asyncio.run(tool.acall(place={"city": "Rome", "floor": 2})) == Place("Rome", 2)
    assert asyncio.run(lmp.Tool(weather).acall(city="Rome")) == "Rome 1 C int"

    async def inside() -> Any:
        return tool(place={"city": "Rome"})

    assert asyncio.run(inside()) == Place("Rome")


def test_objects_methods_and_partials() -> None:
    class Search:
        """Find things."""

        def __call__(self, query: str, k: int = 3) -> list[str]:
            return [query] * k

        def near(self, query: str) -> str:
            """Find near things."""
            return query

    tool = lmp.Tool(Search())
    assert (tool.name, tool.desc) == ("Search", "Find things.")
    assert tool(query="a", k="2") == ["a", "a"]
    assert lmp.Tool(Search().near).desc == "Find near things."
    half = lmp.Tool(functools.partial(weather, unit="F"), name="half")
    assert half(city="Oslo", days="2") == "Oslo 2 F int"


def test_extra_arguments_where_the_function_takes_them() -> None:
    def loose(a: int, **rest: Any) -> dict[str, Any]:
        return {"a": a, **rest}

    tool = lmp.Tool(loose)
    assert tool(a="1", b=2) == {"a": 1, "b": 2}
    assert "additionalProperties" not in tool.parameters


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (later, "the argument 'tags' cannot be given by name"),
        (3, "a tool is made of a function, not of 3"),
    ],
)
def test_what_is_no_tool(function: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        lmp.Tool(function)


def test_an_argument_without_a_json_form() -> None:
    def odd(where: type[int]) -> None: ...

    with pytest.raises(SignatureError, match="the tool 'odd', argument 'where'"):
        lmp.Tool(odd)


def test_a_tool_is_a_value() -> None:
    tool = lmp.Tool(weather)
    assert tool == lmp.Tool(weather)
    assert tool != lmp.Tool(weather, name="other")
    assert copy.deepcopy(tool) is tool
    assert repr(tool) == "Tool(weather(city, days, unit))"
    with pytest.raises(AttributeError, match="does not change"):
        tool.name = "x"  # type: ignore[misc]


def test_tools_as_inputs_of_a_signature() -> None:
    signature = lmp.Signature("question, tools: list[lmp.Tool] -> answer")
    field = signature.input_fields["tools"]
    assert field.type_text == "list[Tool]"
    (tool,) = field.accept([weather])
    assert tool == lmp.Tool(weather)
    plain = field.to_plain([weather])
    again = field.accept(plain)[0]
    assert again.to_plain() == tool.to_plain()
    with pytest.raises(UsageError, match="read from data"):
        again(city="Oslo")
