"""Rows from CSV (RFC 4180): a header, then text in every cell."""

from __future__ import annotations

import csv
import io
import re
from typing import Any

from pytest_lmprog.errors import DataError
from pytest_lmprog.evaluation.readers.table import Table

__all__ = ["read_csv"]


def read_csv(text: str, path: str) -> Table:
    """Read rows under a header. Every cell is text, an empty one ``''``; only the reserved columns are
    more: an empty cell there is not given, ``weight`` is a number, ``tags`` are separated by comma or
    semicolon. Blank lines are skipped."""
    lines = _lines(text, path)
    if not lines:
        return Table([])
    (line, header), *body = lines
    _check_header(header, path, line)
    return Table([(at, _row(header, cells, path, at)) for at, cells in body])


def _lines(text: str, path: str) -> list[tuple[int, list[str]]]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    found, start = [], 1
    try:
        for cells in reader:
            if cells:
                found.append((start, cells))
            start = reader.line_num + 1
    except csv.Error as error:
        hint = "a .jsonl file takes text of any length" if "field limit" in str(error) else None
        raise DataError(f"malformed CSV: {error}", path=path, line=start, hint=hint) from None
    return found


def _check_header(header: list[str], path: str, line: int) -> None:
    if len(header) == 1 and (other := re.search(r"[;\t|]", header[0])):
        hint = f"cells are separated by commas, not by {other.group()!r}"
        raise DataError("the header has one column only", path=path, line=line, hint=hint)
    for index, name in enumerate(header):
        if not name.strip():
            raise DataError(f"column {index + 1} has no name in the header", path=path, line=line)
        if name in header[:index]:
            raise DataError(f"the header has the column {name!r} twice", path=path, line=line)


def _row(header: list[str], cells: list[str], path: str, line: int) -> dict[str, Any]:
    if len(cells) != len(header):
        hint = "text with a comma or a line break in it must be in double quotes"
        raise DataError(
            f"{len(cells)} cells, but the header has {len(header)}", path=path, line=line, hint=hint
        )
    row: dict[str, Any] = dict(zip(header, cells, strict=True))
    for name in ("id", "split", "weight", "tags"):
        if name in row and not row[name].strip():
            del row[name]
    if "weight" in row:
        row["weight"] = _number(row["weight"])
    if "tags" in row:
        row["tags"] = [tag.strip() for tag in re.split(r"[,;]", row["tags"]) if tag.strip()]
    return row


def _number(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text
