"""Pictures, sounds and files of data files: ``photo: {$image: photos/cat.png}`` in a row."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from pytest_lmprog.errors import UsageError
from pytest_lmprog.evaluation.rows import Place

__all__ = ["with_attached"]

_KEYS = ("$image", "$audio", "$file")


def with_attached(rows: Iterable[tuple[int, Any]], folder: Path, place: Place) -> Iterator[tuple[int, Any]]:
    """Yield the rows with what they attach by path, relative to the data file's folder, or by address, read.

    Raises DataError naming the line for a file that cannot be read."""
    for line, row in rows:
        if type(row) is dict and any(type(value) in (dict, list) for value in row.values()):
            row = {name: _value(value, folder, place, line) for name, value in row.items()}
        yield line, row


def _value(value: Any, folder: Path, place: Place, line: int) -> Any:
    if type(value) is list:
        return [_value(item, folder, place, line) for item in value]
    if type(value) is not dict or len(value) != 1:
        return value
    ((key, source),) = value.items()
    if key not in _KEYS or not isinstance(source, str):
        return value
    try:
        return _read(key, source, folder)
    except UsageError as error:
        raise place.error(f"{key}: {error.message}", line) from None


def _read(key: str, source: str, folder: Path) -> Any:
    from pytest_lmprog.signatures.values import media

    make = {"$image": media.Image, "$audio": media.Audio, "$file": media.File}[key]
    named = source.startswith(("http://", "https://", "gs://", "data:"))
    return make(source if named else folder / source)
