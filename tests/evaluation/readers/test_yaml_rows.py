"""YAML: what is typed, what stays text, where rows start, what is refused."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from pytest_lmprog.errors import DataError
from pytest_lmprog.evaluation.readers.yaml_rows import loader_on, read_yaml

PURE = loader_on(yaml.SafeLoader)


def rows(text: str) -> list[tuple[int, Any]]:
    """Read with both parsers; they must agree."""
    table = read_yaml(text, "a.yaml")
    assert read_yaml(text, "a.yaml", loader=PURE) == table
    return table.rows


def fails(text: str) -> DataError:
    with pytest.raises(DataError) as pure:
        read_yaml(text, "a.yaml", loader=PURE)
    with pytest.raises(DataError) as caught:
        read_yaml(text, "a.yaml")
    assert (pure.value.path, pure.value.line) == (caught.value.path, caught.value.line)
    return caught.value


@pytest.mark.parametrize(
    "text",
    [
        "no",
        "yes",
        "on",
        "off",
        "y",
        "N",
        "No",
        "2024-01-31",
        "2024-01-31 10:00:00",
        "1:30",
        "190:20:30",
        "007",
        "0o17",
        "0x1f",
        "0b11",
        "1_000",
        "+49",
        "+1.5",
        "1.2.3",
        "1,5",
        "=",
        "tRUE",
        "nULL",
        "--",
        "1e",
        "-",
        "e5",
        "_",
        "12e03e",
    ],
)
def test_what_only_yaml_1_1_would_type_stays_text(text: str) -> None:
    if text == "-":
        text = '"-"'
    assert rows(f"- a: {text}") == [(1, {"a": text.strip('"')})]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("true", True),
        ("True", True),
        ("FALSE", False),
        ("null", None),
        ("~", None),
        ("", None),
        ("Null", None),
        ("0", 0),
        ("-0", 0),
        ("12", 12),
        ("-7", -7),
        ("1.50", 1.5),
        ("5.", 5.0),
        (".5", 0.5),
        ("-.5", -0.5),
        ("1e3", 1000.0),
        ("-2.5E-3", -0.0025),
        ("'12'", "12"),
        ('"true"', "true"),
        ("!!str 12", "12"),
        ("!!int '3'", 3),
        ("!!float '3'", 3.0),
        ("!!bool 'true'", True),
    ],
)
def test_what_is_typed(text: str, value: Any) -> None:
    ((_, row),) = rows(f"- a: {text}")
    assert row == {"a": value}
    assert type(row["a"]) is type(value)


def test_lines_are_where_rows_start() -> None:
    text = "# head\n\n- a: 1\n  b: 2\n\n-\n  a: |\n    x\n\n    y\n- {a: 3}\n"
    assert [line for line, _ in rows(text)] == [3, 7, 11]


def test_a_mapping_with_inputs_and_examples() -> None:
    table = read_yaml("inputs: [ticket]\nexamples:\n  - ticket: a\n    team: b\n", "a.yaml")
    assert table.inputs == ("ticket",)
    assert table.rows == [(3, {"ticket": "a", "team": "b"})]
    assert read_yaml("inputs: ticket\nexamples: [{ticket: a}]", "a.yaml").inputs == ("ticket",)


def test_aliases_and_merge_keys() -> None:
    text = "- &one {a: 1, tags: [x]}\n- <<: *one\n  b: 2\n  a: 3\n- <<: [{c: 1, d: 1}, {c: 2, e: 2}]\n"
    assert [row for _, row in rows(text)] == [
        {"a": 1, "tags": ["x"]},
        {"a": 3, "tags": ["x"], "b": 2},
        {"c": 1, "d": 1, "e": 2},
    ]


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("- a: 1\n- b: [1, 2\n- c: 3\n", 3, "malformed YAML"),
        ("- a: 1\n  b: x: y\n", 2, "malformed YAML: mapping values are not allowed"),
        ("- a: 1\n-\tb\n  - c\n", None, "malformed YAML"),
        ("- a: @x\n", 1, "cannot start any token"),
        ("- a: 'open\n", None, "malformed YAML"),
        ("- a: 1\n  b: 2\n  a: 3\n", 3, "the key 'a' is given twice (first in line 1)"),
        ("- a: {b: 1, b: 2}\n", 1, "the key 'b' is given twice"),
        ("- a: 1\n- 1: b\n", 2, "field names must be text, not 1"),
        ("- true: b\n", 1, "field names must be text, not true"),
        ("- a:\n    2: b\n", 2, "field names must be text, not 2"),
        ("- ? [a, b]\n  : c\n", 1, "field names must be text, not a collection"),
        ("- a: .nan\n", 1, ".nan is not JSON"),
        ("- a: 1\n- a: -.inf\n", 2, "-.inf is not JSON"),
        ("- a: 1e999\n", 1, "the number 1e999 is too large"),
        ("- a: " + "9" * 5000, 1, "is no number that can be kept"),
        ("- a: !!int x\n", 1, "is no number that can be kept"),
        ("- a: !!bool maybe\n", 1, "neither true nor false"),
        ("- a: !!python/object/apply:os.system [ls]\n", 1, "the tag !!python/object/apply:os.system is not"),
        ("- a: !mine x\n", 1, "the tag !mine is not allowed"),
        ("- a: !!timestamp 2024-01-01\n", 1, "the tag !!timestamp is not allowed"),
        ("- a: !!set {x, y}\n", 1, "the tag !!set is not allowed"),
        ("- a: 1\n---\n- b: 2\n", 2, "a second document starts here"),
        ("- &a [*a]\n", 1, "an alias contains itself"),
        ("- a: *nowhere\n", 1, "malformed YAML: found undefined alias"),
        ("- <<: 3\n", 1, "'<<' merges mappings only"),
        ("just text\n", 1, "the top level is 'just text', not a list of rows"),
        ("# x\n12\n", 2, "the top level is '12', not a list of rows"),
        ("inputs: [a]\n", 1, "a mapping without 'examples'"),
        ("examples: 3\n", 1, "'examples' is '3', not a list of rows"),
        ("examples:\n", 1, "'examples' is empty, not a list of rows"),
        ("examples:\n  a: 1\n", 1, "'examples' is a mapping, not a list"),
        ("inputs: [a]\nexample: []\n", 2, "unknown key 'example' at the top level"),
        ("refund-1: {ticket: a}\n", 1, "unknown key 'refund-1' at the top level"),
        ("examples: [{a: 1}]\nexamples: []\n", 2, "the key 'examples' is given twice"),
        ("inputs: []\nexamples: [{a: 1}]\n", 1, "'inputs' must be a list of field names"),
        ("inputs: [1]\nexamples: [{a: 1}]\n", 1, "'inputs' must be a list of field names"),
        ("inputs: [a, a]\nexamples: [{a: 1}]\n", 1, "'inputs' names a field twice"),
        ("- a: 1\n- a: \x01\n", 2, "malformed YAML"),
        ("inputs: [a, id]\nexamples: [{a: 1}]\n", 1, "'inputs' names 'id', which describes a row"),
    ],
)
def test_what_is_refused_says_where(text: str, line: int | None, said: str) -> None:
    error = fails(text)
    assert said in error.message
    assert error.message.startswith("a.yaml:")
    assert error.line is not None
    assert line is None or error.line == line


def test_an_open_bracket_is_named_where_it_opens() -> None:
    assert fails("- id: a\n  b: [1\n- id: c\n").message.endswith("a flow sequence that starts in line 2")
    assert "that starts in line" not in fails("- a: @x\n").message


def test_a_near_key_is_suggested() -> None:
    assert fails("example: []\n").hint == "did you mean 'examples'?"
    assert "list of rows, or {inputs" in str(fails("data: []\n").hint)


def test_exponential_aliases_are_refused() -> None:
    text = "- &a0 {x: [1,1,1,1,1,1,1,1,1,1]}\n"
    for level in range(1, 9):
        text += f"- &a{level} {{x: [{','.join([f'*a{level - 1}'] * 10)}]}}\n"
    assert "aliases make more than" in fails(text).message


def test_deep_nesting_is_one_line() -> None:
    assert "nested too deeply" in fails("- " + "[" * 5000 + "]" * 5000).message


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**20), 10**20)
    | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip


NUMBER = re.compile(r"-?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")


def unlike_numbers(value: Any) -> Any:
    """Keep away from text that PyYAML writes bare although it is a number in YAML 1.2 (``1e3``, ``-.5``)."""
    if isinstance(value, str):
        return f"x{value}" if NUMBER.fullmatch(value) or value == "<<" else value
    if isinstance(value, list):
        return [unlike_numbers(one) for one in value]
    if isinstance(value, dict):
        return {unlike_numbers(key): unlike_numbers(one) for key, one in value.items()}
    return value


@given(
    st.lists(
        st.dictionaries(st.text(min_size=1, max_size=6), json_values, max_size=4), min_size=1, max_size=4
    )
)
def test_what_pyyaml_writes_comes_back(data: list[dict[str, Any]]) -> None:
    data = unlike_numbers(data)
    text = yaml.safe_dump(data, sort_keys=False)
    table = read_yaml(text, "a.yaml")
    assert [row for _, row in table.rows] == data
    assert read_yaml(text, "a.yaml", loader=PURE) == table
