"""What a reader returns, and the shape that all formats with structure share."""

from __future__ import annotations

import difflib
from typing import Any, NoReturn

from pytest_lmprog.errors import DataError
from pytest_lmprog.programs.example import RESERVED_FIELDS
from pytest_lmprog.records import dataclass

__all__ = ["SHAPE", "TOP_KEYS", "Table", "check_inputs", "not_a_list", "unknown_key"]

TOP_KEYS = ("inputs", "examples")
SHAPE = "a dataset is a list of rows, or {inputs: [field, ...], examples: [row, ...]}"


@dataclass(frozen=True, slots=True)
class Table:
    """The rows of a file as (line, value), and the input fields where the file names them."""

    rows: list[tuple[int, Any]]
    inputs: tuple[str, ...] | None = None


def check_inputs(value: Any, path: str, line: int | None) -> tuple[str, ...]:
    """Return ``value`` as field names. Raises DataError where it is no list of distinct names."""
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, list | tuple) or not names or not all(isinstance(n, str) and n for n in names):
        raise DataError("'inputs' must be a list of field names, one or more", path=path, line=line)
    if len(set(names)) < len(names):
        raise DataError("'inputs' names a field twice", path=path, line=line)
    if reserved := [name for name in names if name in RESERVED_FIELDS]:
        what = f"'inputs' names {reserved[0]!r}, which describes a row and is never an input"
        raise DataError(what, path=path, line=line)
    return tuple(names)


def unknown_key(key: Any, path: str, line: int, shape: str = SHAPE) -> NoReturn:
    """Raise for a key beside ``inputs`` and ``examples``."""
    near = difflib.get_close_matches(str(key), TOP_KEYS, n=1)
    hint = f"did you mean {near[0]!r}?" if near else shape
    raise DataError(f"unknown key {key!r} at the top level", path=path, line=line, hint=hint)


def not_a_list(what: str, path: str, line: int) -> NoReturn:
    """Raise for a top level, or ``examples``, that holds no rows."""
    raise DataError(f"{what}, not a list of rows", path=path, line=line, hint=SHAPE)
