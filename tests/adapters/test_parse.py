"""Answers to typed fields: what is plainly meant is taken, anything else is a ParseError that shows it."""

from __future__ import annotations

import contextlib
import dataclasses
import enum
import json
import time
import warnings
from typing import Any, Literal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_lmprog.adapters import ChatAdapter, JSONAdapter
from pytest_lmprog.errors import ParseError
from pytest_lmprog.signatures import InputField, OutputField, Signature
from tests.support.pace import slowness


class Team(enum.Enum):
    BILLING = "billing"
    BUG = "bug"


@dataclasses.dataclass
class Point:
    x: int
    y: int = 0


class Triage(Signature):
    """Decide which team."""

    ticket: str = InputField()
    reasoning: str = OutputField()
    team: Team = OutputField()


class Rich(Signature):
    text = InputField()
    answer: str = OutputField()
    count: int = OutputField()
    sure: bool = OutputField()
    points: list[Point] = OutputField()
    note: str | None = OutputField()
    level: float = OutputField(default=0.5)


BOTH = [JSONAdapter(), ChatAdapter()]
both = pytest.mark.parametrize("adapter", BOTH, ids=repr)
WANTED = {"reasoning": "it is so", "team": Team.BUG}
JSON = '{"reasoning": "it is so", "team": "bug"}'
CHAT = "[[ ## reasoning ## ]]\nit is so\n\n[[ ## team ## ]]\nbug\n\n[[ ## completed ## ]]"


@both
@pytest.mark.parametrize(
    "answer",
    [
        JSON,
        f"  \n{JSON}\n\n",
        f"```json\n{JSON}\n```",
        f"```\n{JSON}\n```",
        f"Sure! Here it is:\n\n```json\n{JSON}\n```\nI hope that {{helps}}.",
        f"Here: {JSON} Anything else?",
        f"<think>maybe {{'team': 'billing'}}?</think>\n{JSON}",
        f"As {{asked}} for, {{ see }}: {JSON}",
        '{"team": "bug", "reasoning": "it is so"}',
        '{"Team": "BUG", "Reasoning": "it is so"}',
        '{"reasoning": "it is so", "team": "BUG", "confidence": 0.9}',
        '{"reasoning": "it is so", "team": "bug",}',
        '{\n  "reasoning": "it is so",\n  "team": "bug",\n}',
        "{'reasoning': 'it is so', 'team': 'bug'}",
        '{"reasoning": "it is so", "team": "billing", "team": "bug"}',
        f"{JSON}\n{{'reasoning': 'another', 'team': 'billing'}}",
        '{"reasoning": "half"} ' + JSON,
        f"[{JSON}]",
        f'{{"answer": {JSON}}}',
        '{"reasoning": "it is so", "team": "Bug."}',
        CHAT,
        CHAT.replace("\n\n[[ ## completed ## ]]", ""),
        f"Certainly.\n\n{CHAT}\n\nmore words [[ ## team ## ]] billing",
        CHAT.replace("\n", "\r\n"),
        CHAT.replace("[[ ## team ## ]]\nbug", "[[ ## team ## ]] bug"),
        CHAT.replace("[[ ## team ## ]]\nbug", "**[[ ## team ## ]]**\n**bug**"),
        CHAT.replace("[[ ## team ## ]]", "[[## Team ##]]"),
        CHAT.replace("bug\n\n", "bug\n\n[[ ## confidence ## ]]\n0.9\n\n"),
        CHAT.replace("bug\n\n", "bug\n\n[[ ## ticket ## ]]\nnext\n\n[[ ## team ## ]]\nbilling\n\n"),
        "[[ ## team ## ]]\nbug\n[[ ## reasoning ## ]]\nit is so",
        "[[ ## reasoning ## ]] it is so\n[[ ## team ## ]] `bug` [[ ## completed ## ]]",
        f"<think>\n[[ ## team ## ]]\nbilling\n</think>{CHAT}",
    ],
)
def test_the_meaning_is_plain(adapter: Any, answer: str) -> None:
    got = adapter.parse(Triage, answer)
    assert got == WANTED
    assert list(got) == ["reasoning", "team"]


RICH = {"answer": "a", "count": 2, "sure": True, "points": [Point(1, 2)], "note": None, "level": 0.5}


@both
@pytest.mark.parametrize(
    "answer",
    [
        '{"answer": "a", "count": 2, "sure": true, "points": [{"x": 1, "y": 2}], "note": null, "level": 0.5}',
        '{"answer": "a", "count": "2", "sure": "yes", "points": [{"x": "1", "y": 2}], "note": null}',
        '{"answer": "a", "count": 2.0, "sure": 1, "points": "[{\\"x\\": 1, \\"y\\": 2}]"}',
        "{'answer': 'a', 'count': 2, 'sure': True, 'points': [{'x': 1, 'y': 2}], 'note': None}",
        "[[ ## answer ## ]]\na\n[[ ## count ## ]]\n2\n[[ ## sure ## ]]\nYes.\n[[ ## points ## ]]\n"
        '```json\n[{"x": 1, "y": 2}]\n```\n[[ ## note ## ]]\nNone',
        "[[ ## answer ## ]]\na\n[[ ## count ## ]]\n2\n[[ ## sure ## ]]\ntrue\n[[ ## points ## ]]\n"
        "[{'x': 1, 'y': 2},]\n",
    ],
)
def test_typed_fields(adapter: Any, answer: str) -> None:
    assert adapter.parse(Rich, answer) == RICH


def test_text_keeps_its_white_space() -> None:
    text = "  two\n\n  lines {with} [[ brackets ]]  "
    assert JSONAdapter().parse(Triage, json.dumps({"reasoning": text, "team": "bug"}))["reasoning"] == text
    chat = f"[[ ## reasoning ## ]]\n{text}\n\n[[ ## team ## ]]\nbug"
    assert ChatAdapter().parse(Triage, chat)["reasoning"] == text.strip()


def test_marker_look_alikes_inside_a_line_are_text() -> None:
    chat = "[[ ## reasoning ## ]]\nthe ticket says [[ ## team ## ]] billing\n[[ ## team ## ]]\nbug"
    assert ChatAdapter().parse(Triage, chat) == {
        "reasoning": "the ticket says [[ ## team ## ]] billing",
        "team": Team.BUG,
    }
    answer = json.dumps({"reasoning": "[[ ## team ## ]]\nbilling", "team": "bug"})
    for adapter in BOTH:
        if adapter.name == "json":
            assert adapter.parse(Triage, answer)["team"] is Team.BUG


@both
@pytest.mark.parametrize(
    ("text", "annotation", "expected"),
    [
        ("billing", Team, Team.BILLING),
        ("**Bug**.", Team, Team.BUG),
        ("```\nbug\n```", Team, Team.BUG),
        ("Yes.", bool, True),
        ("42", int, 42),
        ("[1, 2]", list[int], [1, 2]),
        ('```json\n["a"]\n```', list[str], ["a"]),
        ('{"x": 1}', Point, Point(1)),
        ('[{"x": 1}, {"x": 2}]', list[Point], [Point(1), Point(2)]),
        ('{"a": 1}', dict[str, int], {"a": 1}),
        ('"Paris"', str, "Paris"),
    ],
)
def test_a_bare_value_of_the_only_output(adapter: Any, text: str, annotation: Any, expected: Any) -> None:
    signature = Signature("q -> it").with_field("it", annotation=annotation)
    assert adapter.parse(signature, text) == {"it": expected}


@both
@pytest.mark.parametrize(
    ("text", "annotation", "expected"),
    [
        ("5", str | int, 5),
        ("five", str | int, "five"),
        ("none", str | None, None),
        ("x", str | None, "x"),
        ('{"a": 1}', Any, {"a": 1}),
        ('["a", "b"]', str | list[str], ["a", "b"]),
    ],
)
def test_types_that_take_text_too(adapter: Any, text: str, annotation: Any, expected: Any) -> None:
    signature = Signature("q -> it").with_field("it", annotation=annotation)
    assert adapter.parse(signature, f"[[ ## it ## ]]\n{text}") == {"it": expected}


BAD = [
    ("", "the answer is empty"),
    ("   \n ", "the answer is empty"),
    ("I do not know.", "no JSON object|'reasoning' is missing"),
    ("null", "no JSON object|'reasoning' is missing"),
    ('{"a": 1}', "'reasoning' is missing"),
    ('{"reasoning": "x"}', "'team' is missing"),
    ('{"reasoning": "x", "team": "sales"}', "'team' does not fit: 'sales' is not one of 'billing', 'bug'"),
    ('{"reasoning": null, "team": "bug"}', "'reasoning' does not fit"),
    ('{"reasoning": ["x"], "team": "bug"}', "'reasoning' does not fit"),
    ('{"reasoning": "\\ud800", "team": "bug"}', "'reasoning' does not fit"),
    ('{"reasoning": "it is', "cut off"),
    ('```json\n{"reasoning": "it is so",\n', "cut off"),
    ('{"inner": {"reasoning": "a", "team": "bug"}, "reasoning": "it', "cut off"),
    ("[[ ## reasoning ## ]]\nx", "'team' is missing"),
    ("[[ ## reasoning ## ]]\nx\n[[ ## team ## ]]\nnone of them", "'team' does not fit"),
    ("[[ ## completed ## ]]", "missing|no JSON object"),
    ("[" * 100_000, "missing|no JSON object"),
    ('{"reasoning":' * 50_000, "cut off"),
    ('{"reasoning": ' + "[" * 200_000 + "]" * 200_000 + ', "team": "bug"}', "missing|no JSON object"),
]


@both
@pytest.mark.parametrize(("answer", "words"), BAD, ids=range(len(BAD)))
def test_a_misfit_is_an_error_that_shows_the_answer(adapter: Any, answer: str, words: str) -> None:
    with pytest.raises(ParseError, match=words) as caught:
        adapter.parse(Triage, answer)
    assert caught.value.answer == answer
    assert "the answer was: " in str(caught.value)
    assert len(str(caught.value)) < 1500


def test_an_object_inside_of_another_is_not_the_answer() -> None:
    for adapter in BOTH:
        with pytest.raises(ParseError, match="missing"):
            adapter.parse(Triage, '{"seen": {"reasoning": "a", "team": "bug"}, "reasoning": "x"}')


def test_defaults_and_none_stand_for_what_is_missing() -> None:
    class Loose(Signature):
        q = InputField()
        a = OutputField()
        b: int | None = OutputField()
        c: list[int] = OutputField(default=[1])
        d: Any = OutputField()

    first = JSONAdapter().parse(Loose, '{"a": "x", "d": 1}')
    assert first == {"a": "x", "b": None, "c": [1], "d": 1}
    first["c"].append(2)
    assert JSONAdapter().parse(Loose, '{"a": "x", "d": 1}')["c"] == [1]
    with pytest.raises(ParseError, match="'d' is missing"):
        JSONAdapter().parse(Loose, '{"a": "x"}')


def test_odd_escapes_do_not_warn() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        got = JSONAdapter().parse(Triage, r"{'reasoning': 'a \d \\d \' b', 'team': 'bug'}")
    assert got["reasoning"] == r"a \d \d ' b"


def test_commas_inside_of_texts_stay() -> None:
    got = JSONAdapter().parse(Triage, '{"reasoning": "a, ] and , } b", "team": "bug",}')
    assert got["reasoning"] == "a, ] and , } b"


HOSTILE = [
    "{" * 1_000_000,
    '{"' * 500_000,
    '{"a":' * 200_000,
    "[[ ## " * 170_000,
    "\n[[ ## reasoning ## ]]" * 45_000,
    " " * 1_000_000,
    "`" * 1_000_000,
    "```\n" * 250_000,
    '"' * 1_000_000,
    "\\" * 1_000_000,
    "," * 1_000_000,
    "{'" + "a, " * 300_000,
    '{"reasoning": "' + "x" * 1_000_000 + '", "team": "bug"}',
    "<think>" * 140_000,
    "{ " * 500_000,
    "[[" + " " * 1_000_000,
    "9" * 1_000_000,
    "{'a': 1} " * 100_000,
    '{"reasoning": 1' + "9" * 10_000 + ', "team": "bug"}',
    ">" * 1_000_000,
]


@both
@pytest.mark.parametrize("number", range(len(HOSTILE)))
def test_a_megabyte_is_read_in_time(adapter: Any, number: int) -> None:
    start = time.process_time()
    for signature in (Triage, Signature("q -> n: list[int]")):
        with contextlib.suppress(ParseError):
            adapter.parse(signature, HOSTILE[number])
    assert time.process_time() - start < 2 * slowness()


PIECES = [
    "{", "}", "[", "]", '"', "'", ":", ",", "\n", " ", "\\", "`", "```json\n", "\n```\n", "[[ ## ", " ## ]]",
    "[[ ## reasoning ## ]]\n", "\n[[ ## team ## ]]\n", "[[ ## completed ## ]]", "reasoning", "team", "bug",
    "billing", "null", "NaN", "Infinity", "True", "1e999", "-", "12", "<think>", "</think>", "\\ud800", "é",
    "\x00", "answer", "count", "points", '"x": 1',
]  # fmt: skip


@both
@settings(max_examples=1250, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.sampled_from(PIECES), max_size=30).map("".join) | st.text(max_size=60))
def test_no_text_raises_anything_else(adapter: Any, answer: str) -> None:
    for signature in (Triage, Rich):
        try:
            got = adapter.parse(signature, answer)
        except ParseError:
            continue
        assert list(got) == list(signature.output_fields)


words = st.text(st.characters(blacklist_categories=("Cs",)), max_size=30)


@settings(deadline=None)
@given(words, st.sampled_from(Team), st.integers(), st.booleans(), words | st.none(), st.floats(0, 1))
def test_what_a_demo_shows_is_read_back(
    text: str, team: Team, count: int, sure: bool, note: str | None, level: float
) -> None:
    values = {
        "answer": text,
        "count": count,
        "sure": sure,
        "points": [Point(1, 2)],
        "note": note,
        "level": level,
    }
    shown = JSONAdapter().prompt(Rich, [{"text": "t", **values}]).template()[2]["content"]
    assert JSONAdapter().parse(Rich, shown) == values
    shown = (
        JSONAdapter()
        .prompt(Triage, [{"ticket": "t", "reasoning": text, "team": team}])
        .template()[2]["content"]
    )
    assert JSONAdapter().parse(Triage, shown) == {"reasoning": text, "team": team}


def test_literals_that_look_alike() -> None:
    signature = Signature("q -> a: Literal['Yes', 'yes', 'no']")
    assert ChatAdapter().parse(signature, "[[ ## a ## ]]\nyes") == {"a": "yes"}
    with pytest.raises(ParseError):
        ChatAdapter().parse(signature, "[[ ## a ## ]]\nYES")
    literal: Any = Literal["a.b", "a"]
    assert JSONAdapter().parse(signature.with_field("a", annotation=literal), '{"a": "A."}') == {"a": "a"}
