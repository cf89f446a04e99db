"""Rows from JSON and JSON Lines, with the line that each starts on."""

from __future__ import annotations

import json
import math
import re
from json import JSONDecodeError
from typing import Any, NoReturn

from pytest_lmprog.canonical import plain
from pytest_lmprog.errors import CanonicalError, DataError
from pytest_lmprog.evaluation.readers.table import SHAPE, Table, check_inputs, not_a_list, unknown_key

__all__ = ["read_json", "read_jsonl"]

_SPACE = re.compile(r"[ \t\r\n]*")
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


class _Refused(Exception):
    """Valid for Python's decoder, but not for us."""


def _no_constant(name: str) -> NoReturn:
    raise _Refused(f"{name} is not JSON; use null or text")


def _finite(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise _Refused(f"the number {text} is too large")
    return value


def _whole(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise _Refused(f"an integer of {len(text):,} digits is too large") from None


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise _Refused(f"the key {key!r} is given twice")
            seen.add(key)
    return values


_decoder = json.JSONDecoder(
    object_pairs_hook=_distinct, parse_constant=_no_constant, parse_float=_finite, parse_int=_whole
)
_scan = _decoder.scan_once  # type: ignore[attr-defined]  # the decoder without the search for white space around a value


def read_jsonl(text: str, path: str) -> Table:
    """Read one JSON value a line; blank lines are skipped."""
    rows = []
    for number, line in enumerate(text.split("\n"), 1):
        if line and not line.isspace():
            rows.append((number, _line_value(line, path, number)))
    return Table(rows)


def _line_value(line: str, path: str, number: int) -> Any:
    try:
        value = _scanned(line)
    except JSONDecodeError as error:
        hint = "each line of a .jsonl file holds one whole row" if number == 1 else None
        _malformed(error.msg, path, number, error.colno, hint)
    except (_Refused, RecursionError) as error:
        _refused(error, path, number)
    if isinstance(value, list) and number == 1:
        raise DataError(
            "the row is a list", path=path, line=1, hint="a file that holds one list of rows is named .json"
        )
    _check_text(line, value, path, number)
    return value


def _scanned(line: str) -> Any:
    try:
        value, end = _scan(line, 0)
    except StopIteration:
        return _decoder.decode(line)
    return value if end == len(line) else _decoder.decode(line)


def read_json(text: str, path: str) -> Table:
    """Read a list of rows, or an object with ``inputs`` and ``examples``."""
    return _Document(text, path).table()


def _malformed(problem: str, path: str, line: int, column: int, hint: str | None = None) -> NoReturn:
    raise DataError(f"malformed JSON: {problem} (column {column})", path=path, line=line, hint=hint) from None


def _refused(error: Exception, path: str, line: int) -> NoReturn:
    what = "nested too deeply" if isinstance(error, RecursionError) else str(error)
    raise DataError(what, path=path, line=line) from None


def _check_text(source: str, value: Any, path: str, line: int) -> None:
    if "\\u" not in source or not _SURROGATE.search(source):
        return
    try:
        plain(value)
    except CanonicalError as error:
        raise DataError(str(error), path=path, line=line) from None


class _Document:
    """A cursor over the text: the decoder reads each row, the cursor what is around them."""

    def __init__(self, text: str, path: str) -> None:
        self._text = text
        self._path = path
        self._at = 0
        self._line = 1
        self._counted = 0

    def table(self) -> Table:
        char = self._peek()
        if char == "[":
            table = Table(self._rows())
        elif char == "{":
            table = self._mapping()
        else:
            value = self._value()
            not_a_list(f"the top level is {_kind(value)}", self._path, self._line)
        if self._peek():
            self._fail("extra data after the end", hint="a file with one JSON value a line is named .jsonl")
        return table

    def _mapping(self) -> Table:
        found: dict[str, Any] = {}
        start = self._here()
        self._at += 1
        while self._peek() != "}":
            self._separated(bool(found), "}")
            self._entry(found)
        self._at += 1
        if "examples" not in found:
            not_a_list("the top level is an object without 'examples'", self._path, start)
        return Table(found["examples"], found.get("inputs"))

    def _entry(self, found: dict[str, Any]) -> None:
        if self._peek() != '"':
            self._fail("expecting a property name in double quotes")
        line = self._here()
        key = self._value()
        if self._peek() != ":":
            self._fail("expecting ':'")
        self._at += 1
        if key in found:
            raise DataError(f"the key {key!r} is given twice", path=self._path, line=line)
        if key == "inputs":
            found[key] = check_inputs(self._value(), self._path, line)
        elif key == "examples":
            found[key] = self._examples(line)
        else:
            unknown_key(key, self._path, line, f"{SHAPE}; a file with one row a line is named .jsonl")

    def _examples(self, line: int) -> list[tuple[int, Any]]:
        if self._peek() != "[":
            not_a_list(f"'examples' is {_kind(self._value())}", self._path, line)
        return self._rows()

    def _rows(self) -> list[tuple[int, Any]]:
        rows: list[tuple[int, Any]] = []
        self._at += 1
        while self._peek() != "]":
            self._separated(bool(rows), "]")
            rows.append((self._here(), self._value()))
        self._at += 1
        return rows

    def _separated(self, wanted: bool, closer: str) -> None:
        if not wanted:
            return
        if self._peek() != ",":
            self._fail(f"expecting ',' or '{closer}'")
        self._at += 1
        if self._peek() == closer:
            self._fail(f"a ',' before '{closer}'")

    def _peek(self) -> str:
        match = _SPACE.match(self._text, self._at)
        self._at = match.end() if match else self._at
        return self._text[self._at : self._at + 1]

    def _here(self) -> int:
        self._line += self._text.count("\n", self._counted, self._at)
        self._counted = self._at
        return self._line

    def _value(self) -> Any:
        self._peek()
        line, start = self._here(), self._at
        try:
            value, self._at = _decoder.raw_decode(self._text, start)
        except JSONDecodeError as error:
            _malformed(error.msg, self._path, error.lineno, error.colno)
        except (_Refused, RecursionError) as error:
            _refused(error, self._path, line)
        _check_text(self._text[start : self._at], value, self._path, line)
        return value

    def _fail(self, problem: str, hint: str | None = None) -> NoReturn:
        line = self._here()
        column = self._at - self._text.rfind("\n", 0, self._at)
        problem = problem if self._at < len(self._text) else f"{problem}, but the file ends"
        _malformed(problem, self._path, line, column, hint)


def _kind(value: Any) -> str:
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, str):
        return "text"
    return "null" if value is None else "a list" if isinstance(value, list) else f"{value!r:.40}"
