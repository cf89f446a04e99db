"""Malformed answers: each ends in a typed value or in a ParseError that shows it, in time."""

from __future__ import annotations

import enum
import json
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Annotated, Any

import pytest
from pydantic import BaseModel, Field

import pytest_lmprog as lmp
from pytest_lmprog.adapters.base import Adapter
from pytest_lmprog.errors import ParseError
from pytest_lmprog.signatures import Signature
from tests.support.server import example_of_schema

SEED = 20261121
ANSWERS = 5000
SECONDS = 2.0
"""The most that one answer may take; a shared machine may stall for a while."""


class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"


@dataclass
class Place:
    city: str
    floor: int = 0


class Item(BaseModel):
    name: str
    price: Annotated[float, Field(ge=0)]
    parts: list[Item] = []


SIGNATURES: list[type[Signature]] = [
    lmp.Signature("q -> answer"),
    lmp.Signature("q -> reasoning, answer: int"),
    lmp.Signature("q -> a: float, b: bool, c: Optional[str]"),
    lmp.Signature("q -> label: Literal['yes', 'no', 'other'], why"),
    lmp.Signature("q -> names: list[str], counts: dict[str, int]"),
    lmp.Signature("q -> color: Color, place: Place", custom_types={"Color": Color, "Place": Place}),
    lmp.Signature("q -> item: Item", custom_types={"Item": Item}),
    lmp.Signature("q -> pair: tuple[int, str], union: Union[int, list[int]]"),
    lmp.Signature("q -> anything: Any, calls: lmp.ToolCalls"),
    lmp.Signature(
        {
            "q": lmp.InputField(),
            "code": (Annotated[str, Field(pattern=r"^([A-Z]+)+[0-9]{2}$", max_length=40)], lmp.OutputField()),
            "rank": (int, lmp.OutputField(ge=1, le=5)),
        }
    ),
]
ADAPTERS: list[Adapter] = [lmp.JSONAdapter(), lmp.ChatAdapter(), lmp.XMLAdapter()]
"""TwoStepAdapter reads answers as JSONAdapter does."""

VALUES: list[Any] = [
    "Paris",
    "",
    " ",
    "42",
    42,
    -1,
    1e400,
    float("nan"),
    10**30,
    True,
    None,
    [],
    ["a", 1],
    {},
    {"city": "Rome", "floor": "2"},
    {"name": "x", "price": -1, "parts": [{"name": "y"}]},
    "red",
    "YES.",
    "**no**",
    [1, "x"],
    "1,234",
    [{"name": "f", "args": {}}, {"name": 3}],
    "سلام دنیا",
    "答案是四十二",
    "Ответ: 42",
    "٤٢",
    "🙂" * 5,
    "\ud83d",
    "a\x00b\x1b[0m\u202e",
    "AB12",
    "<think>no</think>",
    "</answer>",
    "[[ ## answer ## ]]",
    "\\",
    "\\u12",
    '"',
    "```",
]


def _json(values: dict[str, Any]) -> str:
    return json.dumps(values, ensure_ascii=len(values) % 2 == 0)


def _chat(values: dict[str, Any]) -> str:
    parts = [f"[[ ## {n} ## ]]\n{v if isinstance(v, str) else json.dumps(v)}" for n, v in values.items()]
    return "\n\n".join([*parts, "[[ ## completed ## ]]"])


def _xml(values: dict[str, Any]) -> str:
    return "\n".join(
        f"<{n}>\n{v if isinstance(v, str) else json.dumps(v)}\n</{n}>" for n, v in values.items()
    )


def _yaml(values: dict[str, Any]) -> str:
    return "\n".join(f"{n}: {v}" for n, v in values.items())


def _python(values: dict[str, Any]) -> str:
    return repr(values)


Damage = Callable[[random.Random, str], str]


def _cut(rng: random.Random, text: str) -> str:
    return text[: rng.randrange(len(text) + 1)]


def _fences(rng: random.Random, text: str) -> str:
    inner = f"```json\n{text}\n```"
    for _ in range(rng.randrange(3)):
        inner = f"{rng.choice(['```', '~~~', '````'])}{rng.choice(['', 'xml', 'markdown'])}\n{inner}\n```"
    return inner


def _words(rng: random.Random, text: str) -> str:
    said = rng.choice(["Sure! Here it is:", "Voici la réponse :", "次の通りです。", "{not} [it]:", "<answer"])
    return f"{said}\n{text}\n{rng.choice(['', 'Hope that helps!', '}', ']]>'])}"


def _noise(rng: random.Random, text: str) -> str:
    letters = list(text)
    for _ in range(rng.randrange(1, 9)):
        at = rng.randrange(len(letters) + 1)
        letters[at : at + rng.randrange(3)] = rng.choice("{}[]\"'\\,:<>/#`&;\n\x00é漢\u202e \ud800")
    return "".join(letters)


def _twice(rng: random.Random, text: str) -> str:
    return text + rng.choice(["", "\n", "\n\n---\n"]) + text


def _thoughts(rng: random.Random, text: str) -> str:
    return rng.choice(["<think>", "<THINK>\n", ""]) + text + rng.choice(["</think>", ""]) + text


def _huge(rng: random.Random, text: str) -> str:
    filling = rng.choice(
        ["{", "[", '{"a":', "<answer>", "<", "\\", '"', "[[ ## ", "`", "```\n", "A", "\n", " ", "1"]
    )
    block = filling * (rng.choice([2_000, 20_000, 120_000]) // len(filling))
    return rng.choice([block + text, text + block, text[: len(text) // 2] + block + text[len(text) // 2 :]])


DAMAGES: list[Damage] = [_cut, _fences, _words, _noise, _noise, _twice, _thoughts]


def _value(signature: type[Signature], name: str, rng: random.Random) -> Any:
    """Return a value that fits the field, mostly; else any."""
    field = signature.output_fields.get(name)
    if field is None or rng.random() < 0.3:
        return rng.choice(VALUES)
    item = {"name": "x", "price": 2, "parts": [{"name": "y", "price": 0, "parts": []}]}
    fixed: dict[str, Any] = {"code": "AB12", "item": item}
    return fixed[name] if name in fixed else example_of_schema(field.schema(), rng)


def _answers(signature: type[Signature], rng: random.Random) -> Iterator[str]:
    while True:
        names = list(signature.output_fields)
        if rng.random() < 0.2:
            rng.shuffle(names)
            names = names[: rng.randrange(len(names) + 1)] + rng.choice([[], ["unknown"], ["ANSWER"]])
        values = {name: _value(signature, name, rng) for name in names}
        text = rng.choice([_json, _chat, _xml, _yaml, _python])(values)
        for _ in range(rng.randrange(4)):
            text = rng.choice(DAMAGES)(rng, text)
        yield _huge(rng, text) if rng.random() < 0.03 else text


def test_every_malformed_answer_ends_in_a_value_or_a_parse_error() -> None:
    rng = random.Random(SEED)
    streams = {id(signature): _answers(signature, rng) for signature in SIGNATURES}
    parsed = failed = 0
    slowest = (0.0, "")
    for number in range(ANSWERS):
        signature = SIGNATURES[number % len(SIGNATURES)]
        answer = next(streams[id(signature)])
        for adapter in ADAPTERS:
            began = time.perf_counter()
            try:
                outputs = adapter.parse(signature, answer)
            except ParseError as error:
                failed += 1
                _check_error(error, answer)
            else:
                parsed += 1
                _check(signature, outputs)
            slowest = max(slowest, (time.perf_counter() - began, answer[:200]))
    assert slowest[0] < SECONDS, slowest
    assert parsed > ANSWERS / 4
    assert failed > ANSWERS / 4


def _check_error(error: ParseError, answer: str) -> None:
    assert error.answer == answer
    assert error.reason
    assert "the answer was:" in str(error)
    assert len(str(error)) < 3000


def _check(signature: type[Signature], outputs: dict[str, Any]) -> None:
    assert list(outputs) == list(signature.output_fields)
    for name, field in signature.output_fields.items():
        value = outputs[name]
        if value is None and field.is_optional:
            continue
        assert field.validate(value) == value or value != value
        json.dumps(field.to_plain(value)).encode("utf-8")


@pytest.mark.parametrize("adapter", ADAPTERS, ids=lambda a: a.name)
@pytest.mark.parametrize(
    "answer",
    [
        "{" * 100_000,
        "[" * 100_000 + "]" * 100_000,
        '{"item": ' * 20_000 + "1" + "}" * 20_000,
        '{"a": "' + "\\" * 100_001,
        "<item>" * 20_000,
        "<item>" * 5_000 + "</item>" * 5_000,
        "[[ ## item ## ]]" * 10_000,
        "[[ ## " * 20_000,
        "```\n" * 30_000,
        "<think>" * 20_000,
        '{"code": "' + "A" * 100_000 + '", "rank": 3}',
        " \n\t" * 60_000,
        "9" * 200_000,
        "1e" + "9" * 100_000,
        "(" * 50_000,
        "-" * 100_000,
        '{"item": {"name": "x", "price": 1, "parts": ' + '[{"name": "x", "price": 1, "parts": ' * 3000,
    ],
    ids=lambda text: text[:12],
)
def test_hostile_answers_take_no_time(adapter: Adapter, answer: str) -> None:
    for signature in (SIGNATURES[6], SIGNATURES[9], SIGNATURES[8]):
        began = time.perf_counter()
        try:
            adapter.parse(signature, answer)
        except ParseError as error:
            _check_error(error, answer)
        assert time.perf_counter() - began < SECONDS
