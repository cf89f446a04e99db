"""Rows to examples: what describes a row is checked, and every error says where the row is."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any, NoReturn

from pytest_lmprog.errors import DataError
from pytest_lmprog.programs.example import RESERVED_FIELDS, Example
from pytest_lmprog.records import dataclass

__all__ = ["Place", "examples_of"]


@dataclass(frozen=True, slots=True)
class Place:
    """Where rows come from: ``name`` is a file, whose rows have lines, or words for data from Python."""

    name: str
    is_file: bool

    def error(self, problem: str, row: int, hint: str | None = None) -> DataError:
        """Return a DataError about the row at line (or number) ``row``."""
        if self.is_file:
            return DataError(problem, path=self.name, line=row, hint=hint)
        return DataError(f"{self.name}, row {row}: {problem}", hint=hint)

    def about(self, problem: str, hint: str | None = None) -> DataError:
        """Return a DataError about the data as a whole."""
        if self.is_file:
            return DataError(problem, path=self.name, hint=hint)
        return DataError(f"{self.name}: {problem}", hint=hint)

    def row(self, row: int) -> str:
        """Return words for the row, to use within a sentence."""
        return f"line {row}" if self.is_file else f"row {row}"


def examples_of(rows: Iterable[tuple[int, Any]], place: Place) -> tuple[list[Example], list[int]]:
    """Return the examples and their lines (or numbers). Raises DataError, also for an id given twice."""
    examples, lines = [], []
    ids: dict[str, int] = {}
    for line, row in rows:
        example = _example(row, place, line)
        if example.has_given_id:
            _take_id(ids, example.id, place, line)
        examples.append(example)
        lines.append(line)
    return examples, lines


def _take_id(ids: dict[str, int], id_: str, place: Place, line: int) -> None:
    first = ids.setdefault(id_, line)
    if first != line:
        raise place.error(f"the id {id_!r} is taken: {place.row(first)} has it too", line)


def _example(row: Any, place: Place, line: int) -> Example:
    if type(row) is not dict and not isinstance(row, Mapping):
        raise place.error(f"a row is a mapping of field names to values, not {_kind(row)}", line)
    names = list(row)
    if not all(type(name) is str and name for name in names):
        _bad_name(names, place, line)
    own = row if type(row) is not dict and isinstance(row, Example) else None
    meta = row if own is None else own.meta
    for name in RESERVED_FIELDS:
        if name in meta:
            _CHECKS[name](meta[name], place, line)
    example = Example(row) if own is None else own
    if not len(example):
        raise place.error("the row has no fields", line)
    return example


def _kind(value: Any) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, str):
        return f"the text {value!r:.60}"
    return "a list" if isinstance(value, list | tuple) else f"{type(value).__name__} ({value!r:.60})"


def _bad_name(names: list[Any], place: Place, line: int) -> NoReturn:
    bad = next(name for name in names if type(name) is not str or not name)
    raise place.error(f"field names must be text, not {bad!r}", line)


def _check_id(value: Any, place: Place, line: int) -> None:
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise place.error(f"'id' must be text or an integer, not {value!r:.60}", line)
    if not str(value).strip():
        raise place.error("'id' is empty", line, "leave it out: the id is then a digest of the inputs")


def _check_split(value: Any, place: Place, line: int) -> None:
    if value is not None and not (isinstance(value, str) and value.strip()):
        raise place.error(f"'split' must be text such as train, not {value!r:.60}", line)


def _check_weight(value: Any, place: Place, line: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise place.error(f"'weight' must be a number, not {value!r:.60}", line)
    if not (math.isfinite(value) and value >= 0):
        raise place.error(f"'weight' must be finite and 0 or more, not {value!r}", line)


def _check_tags(value: Any, place: Place, line: int) -> None:
    if value is None or isinstance(value, str):
        return
    if not isinstance(value, list | tuple) or not all(isinstance(tag, str) for tag in value):
        raise place.error(f"'tags' must be text or a list of texts, not {value!r:.60}", line)


_CHECKS = {"id": _check_id, "split": _check_split, "weight": _check_weight, "tags": _check_tags}
