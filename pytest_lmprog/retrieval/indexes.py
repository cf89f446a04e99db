"""A saved index: arrays and what they were made of, in one folder. Nothing in it can execute."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pytest_lmprog.errors import LmprogWarning, MissingExtraError, StoreError

__all__ = ["load_index", "numpy_of", "save_index"]

_FORMAT = 1


def numpy_of(what: str, extra: str) -> Any:
    """Import numpy. Raises MissingExtraError."""
    try:
        import numpy
    except ImportError:
        raise MissingExtraError(what, extra) from None
    return numpy


def save_index(
    folder: Path, origin: str, arrays: Mapping[str, Any], extra: Mapping[str, Any] | None = None
) -> None:
    """Write the index to ``folder``, each file at once (written beside, then renamed), the head last.

    ``origin`` is the digest of what it was made of. Raises StoreError."""
    import numpy

    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, array in arrays.items():
            beside = folder / f".{name}.{os.getpid()}.npy"
            numpy.save(beside, array, allow_pickle=False)
            os.replace(beside, folder / f"{name}.npy")
        sizes = {name: [str(array.dtype), *array.shape] for name, array in arrays.items()}
        head = {"format": _FORMAT, "origin": origin, "arrays": sizes, **(extra or {})}
        beside = folder / f".index.{os.getpid()}.json"
        beside.write_text(json.dumps(head, ensure_ascii=False, sort_keys=True), "utf-8", newline="\n")
        os.replace(beside, folder / "index.json")
    except OSError as error:
        raise StoreError(f"the index cannot be written: {error.strerror}", path=folder.as_posix()) from None


def load_index(
    folder: Path, origin: str | None, names: Sequence[str]
) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """Return the arrays and the head of the index in ``folder``; None where there is none, or where it was
    made of something other than ``origin`` (None: whatever it was made of). A damaged index is a warning and
    None: it is built anew."""
    head_file = folder / "index.json"
    if not head_file.exists():
        return None
    import numpy

    try:
        head = json.loads(head_file.read_text("utf-8"))
        if head["format"] != _FORMAT or (origin is not None and head["origin"] != origin):
            return None
        arrays = {name: numpy.load(folder / f"{name}.npy", allow_pickle=False) for name in names}
        for name, array in arrays.items():
            if [str(array.dtype), *array.shape] != head["arrays"][name]:
                raise ValueError(f"{name}.npy is not what index.json says")
        return arrays, head
    except (OSError, ValueError, KeyError, TypeError, EOFError) as error:
        _warn(folder, error)
        return None


def _warn(folder: Path, error: Exception) -> None:
    import warnings

    warnings.warn(
        f"{folder.as_posix()}: the saved index is damaged and is built anew ({error})",
        LmprogWarning,
        stacklevel=3,
    )
