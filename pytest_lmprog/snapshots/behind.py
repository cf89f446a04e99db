"""The data behind code: what tools read and retrievers search, as digests where they tell."""

from __future__ import annotations

from collections.abc import Iterable
from types import ModuleType
from typing import Any

from pytest_lmprog.canonical import digest_bytes

__all__ = ["DATA", "UNKNOWN", "data_digest", "is_recorded", "untold"]

DATA = " (data)"
"""Ends the name of an item that is not code but the data behind it."""

UNKNOWN = "unchecked"
"""The digest of data that nobody declares; ``fingerprint.UNCHECKED``."""


def data_digest(value: Any) -> str | None:
    """Return 12 digits of a digest of the data behind ``value``; ``UNKNOWN`` where that is not declared or
    cannot be had here; None for what has no data behind it."""
    if isinstance(value, type | ModuleType):
        return None
    if is_recorded(value):
        return _digest(getattr(value, _MARK).fingerprint)
    # Not getattr alone: an object may make up any attribute it is asked for.
    if not (hasattr(type(value), "fingerprint") or "fingerprint" in getattr(value, "__dict__", ())):
        return None
    declared = value.fingerprint
    return _digest(declared) if callable(declared) else None


_MARK = "__lmprog_recording__"


def is_recorded(value: Any) -> bool:
    """Whether it is a recorded function. Its module is not imported to tell."""
    return _MARK in getattr(value, "__dict__", ())


def _digest(tell: Any) -> str:
    try:
        told = tell()
    except Exception:  # noqa: BLE001 - the project's own code, and its data need not be on this machine
        return UNKNOWN
    return UNKNOWN if told is None else digest_bytes(str(told).encode("utf-8"))[:12]


def untold(items: Iterable[tuple[str, str]]) -> list[str]:
    """Return the names, as people know them, of those whose data is not declared."""
    names = [item.removesuffix(DATA) for item, value in items if item.endswith(DATA) and value == UNKNOWN]
    return sorted({name.rpartition(".")[2] for name in names})
