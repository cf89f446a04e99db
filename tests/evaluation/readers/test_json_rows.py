"""JSON and JSON Lines: rows with their lines, and errors with line and column."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_lmprog.errors import DataError
from pytest_lmprog.evaluation.readers.json_rows import read_json, read_jsonl
from tests.evaluation.readers.test_yaml_rows import json_values


def fails(read: Any, text: str) -> DataError:
    with pytest.raises(DataError) as caught:
        read(text, "a.json")
    return caught.value


def test_rows_of_an_array_have_the_line_they_start_on() -> None:
    text = '\n[\n {"a": 1,\n  "b": "x\\ny"}, {"a": 2},\n\n {"a": 3}\n]\n'
    table = read_json(text, "a.json")
    assert table.rows == [(3, {"a": 1, "b": "x\ny"}), (4, {"a": 2}), (6, {"a": 3})]
    assert table.inputs is None


def test_an_object_with_inputs_and_examples_in_either_order() -> None:
    for text in ('{"inputs": ["a"],\n "examples": [{"a": 1}]}', '{"examples":\n[{"a": 1}], "inputs": ["a"]}'):
        table = read_json(text, "a.json")
        assert (table.rows, table.inputs) == ([(2, {"a": 1})], ("a",))


def test_lines_of_jsonl_skip_blank_ones_and_take_crlf() -> None:
    table = read_jsonl('{"a": 1}\r\n\r\n  {"a": "\u2028\x85"}  \r\n', "a.jsonl")
    assert table.rows == [(1, {"a": 1}), (3, {"a": "\u2028\x85"})]


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ('[{"a": 1},\n {"a" 2}]', 2, "malformed JSON: Expecting ':' delimiter (column 7)"),
        ('[{"a": 1},\n]', 2, "malformed JSON: a ',' before ']' (column 1)"),
        ('[{"a": 1}\n {"a": 2}]', 2, "malformed JSON: expecting ',' or ']' (column 2)"),
        ('[{"a": 1},\n', 2, "Expecting value"),
        ('[{"a": 1}\n', 2, "but the file ends"),
        ("{'a': 1}", 1, "expecting a property name in double quotes (column 2)"),
        ('{"examples" [1]}', 1, "expecting ':'"),
        ('{"examples": [], }', 1, "a ',' before '}'"),
        ('[{"a": 1}]\n[{"a": 2}]', 2, "extra data after the end"),
        ('{"a": 1}', 1, "unknown key 'a' at the top level"),
        ('{"inputs": ["a"]}', 1, "an object without 'examples'"),
        ('{"examples": {"a": 1}}', 1, "'examples' is an object, not a list of rows"),
        ('{"examples": null}', 1, "'examples' is null, not a list of rows"),
        ('{\n"examples": [],\n"examples": []}', 3, "the key 'examples' is given twice"),
        ('{"inputs": "", "examples": []}', 1, "'inputs' must be a list of field names"),
        ('\n"text"', 2, "the top level is text, not a list of rows"),
        ("12", 1, "the top level is 12, not a list of rows"),
        ("hello", 1, "malformed JSON: Expecting value (column 1)"),
        ('[{"a": 1},\n{"a": NaN}]', 2, "NaN is not JSON"),
        ('[{"a": -Infinity}]', 1, "-Infinity is not JSON"),
        ('[{"a": 1e999}]', 1, "the number 1e999 is too large"),
        ('[{"a": ' + "9" * 5000 + "}]", 1, "an integer of 5,000 digits is too large"),
        ('[\n{"a": 1, "a": 2}]', 2, "the key 'a' is given twice"),
        ('[{"a": {"b": 1, "b": 2}}]', 1, "the key 'b' is given twice"),
        ('[{"a": "\\ud800"}]', 1, "lone surrogate"),
        ('[{"a": "x\ny"}]', 1, "malformed JSON: Invalid control character"),
        ("[" * 100_000, 1, "nested too deeply"),
    ],
)
def test_what_json_refuses(text: str, line: int, said: str) -> None:
    error = fails(read_json, text)
    assert said in error.message
    assert error.message.startswith(f"a.json:{line}: ")
    assert error.line == line


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ('{"a": 1}\n{"a": \n', 2, "malformed JSON: Expecting value (column 7)"),
        ('{"a": 1}\n\n{"a": 1} x\n', 3, "malformed JSON: Extra data"),
        ('{"a": 1}\n{"a": NaN}', 2, "NaN is not JSON"),
        ('{"a": 1, "a": 1}', 1, "the key 'a' is given twice"),
        ('{"a": "\\uDC00"}', 1, "lone surrogate"),
        ("[" * 100_000, 1, "nested too deeply"),
        ('[{"a": 1}]', 1, "the row is a list"),
    ],
)
def test_what_jsonl_refuses(text: str, line: int, said: str) -> None:
    error = fails(read_jsonl, text)
    assert said in error.message
    assert error.line == line


def test_each_format_taken_for_the_other_is_said() -> None:
    assert ".jsonl" in str(fails(read_json, '[{"a": 1}]\n{"a": 2}').hint)
    assert ".jsonl" in str(fails(read_json, '{"a": 1}\n{"a": 2}').hint)
    assert "named .json" in str(fails(read_jsonl, '[{"a": 1}]').hint)
    assert "one whole row" in str(fails(read_jsonl, '{\n "a": 1\n}').hint)


def test_a_surrogate_pair_is_text() -> None:
    assert read_jsonl('{"a": "\\ud83d\\ude00"}', "a").rows == [(1, {"a": "😀"})]


rows = st.lists(st.dictionaries(st.text(max_size=6), json_values, max_size=4), min_size=1, max_size=4)


@given(rows, st.sampled_from([None, 0, 2]), st.booleans())
def test_json_comes_back(data: list[dict[str, Any]], indent: int | None, ascii_only: bool) -> None:
    text = json.dumps(data, indent=indent, ensure_ascii=ascii_only)
    assert [row for _, row in read_json(text, "a").rows] == data
    wrapped = json.dumps({"examples": data, "inputs": ["a"]}, indent=indent, ensure_ascii=ascii_only)
    assert [row for _, row in read_json(wrapped, "a").rows] == data


@given(rows, st.sampled_from(["\n", "\r\n"]))
def test_jsonl_comes_back(data: list[dict[str, Any]], end: str) -> None:
    text = end.join(json.dumps(row, ensure_ascii=False) for row in data)
    assert read_jsonl(text, "a").rows == list(enumerate(data, 1))


@given(st.text(alphabet='[]{}",:1ae \n\\', max_size=40))
def test_any_text_is_rows_or_a_data_error(text: str) -> None:
    for read in (read_json, read_jsonl):
        with contextlib.suppress(DataError):
            assert isinstance(read(text, "a").rows, list)
