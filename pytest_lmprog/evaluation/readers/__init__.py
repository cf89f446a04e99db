"""Dataset files to rows with line numbers: one format a file, imported when a file of it is read."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path

from pytest_lmprog.errors import DataError
from pytest_lmprog.evaluation.readers.table import Table
from pytest_lmprog.evaluation.readers.text import read_text

__all__ = ["SUFFIXES", "Table", "read_table"]

_READERS = {
    ".csv": ("csv_rows", "read_csv"),
    ".json": ("json_rows", "read_json"),
    ".jsonl": ("json_rows", "read_jsonl"),
    ".yaml": ("yaml_rows", "read_yaml"),
    ".yml": ("yaml_rows", "read_yaml"),
}
SUFFIXES = tuple(_READERS)
"""The suffixes of the formats that can be read."""


def read_table(path: Path, shown: str) -> Table:
    """Read the dataset file ``path``, called ``shown`` in messages. Raises DataError with file and line."""
    reader = _reader(path, shown)
    table = reader(read_text(path, shown), shown)
    if not table.rows:
        raise DataError("there are no rows in it", path=shown, hint="a dataset needs one row or more")
    return table


def _reader(path: Path, shown: str) -> Callable[[str, str], Table]:
    home = _READERS.get(path.suffix.lower())
    if home is None:
        what = f"the suffix {path.suffix!r} is not one of a dataset" if path.suffix else "it has no suffix"
        raise DataError(what, path=shown, hint=f"known are {', '.join(SUFFIXES)}")
    reader: Callable[[str, str], Table] = getattr(import_module(f"{__name__}.{home[0]}"), home[1])
    return reader
