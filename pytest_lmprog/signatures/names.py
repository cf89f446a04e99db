"""Which names a field can have."""

from __future__ import annotations

import keyword

__all__ = ["name_problem"]

_ROW_NAMES = frozenset({"id", "split", "tags", "weight"})
_RECORD_NAMES = frozenset({"completions", "copy", "get", "items", "keys", "of", "toDict", "values"})


def name_problem(name: str, role: str) -> str | None:
    """Return why ``name`` cannot be the name of a field, or None.

    Examples keep ``id``, ``split``, ``tags`` and ``weight`` apart from their data, and predictions have
    methods: a field of such a name could not be read."""
    if not isinstance(name, str) or not name.isidentifier():
        return f"{name!r} is not a field name (a Python identifier)"
    if keyword.iskeyword(name):
        return f"{name!r} is a Python keyword and cannot name a field"
    if name.startswith("_"):
        return f"the name {name!r} is reserved: field names do not start with '_'"
    if name in _ROW_NAMES:
        return f"the name {name!r} is reserved: it describes a row of a data set; choose another"
    if role == "output" and name in _RECORD_NAMES:
        return f"the name {name!r} is reserved: predictions have such a method; choose another"
    return None
