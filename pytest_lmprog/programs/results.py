"""The plain form of what a recorded function returns, and the way back by its return annotation."""

from __future__ import annotations

import functools
import inspect
import typing
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from pytest_lmprog.canonical import plain
from pytest_lmprog.errors import CanonicalError, SignatureError
from pytest_lmprog.programs.example import Record

if TYPE_CHECKING:
    from pytest_lmprog.signatures.kinds import Kind

__all__ = ["ResultForm"]

_PLAIN = (None, str, int, float, bool, type(None), Any)


class ResultForm:
    """What a function returns, as JSON data and back.

    A result that its annotation does not fit, or that has none, is what its JSON form is: tuples are lists,
    dataclasses are dicts."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function

    def plain(self, value: Any) -> Any:
        """Return JSON data. Raises CanonicalError for what has no such form."""
        if isinstance(value, Record):
            return plain(value.toDict())
        kind = self._kind
        if kind is not None:
            try:
                data = plain(kind.plain(value))
                kind.convert(data)
                return data
            except (ValueError, TypeError, AttributeError):  # not what it is annotated as
                pass
        return plain(value)

    def restored(self, data: Any) -> Any:
        """Return what ``plain`` was made from, as far as the annotation tells."""
        made = self._record
        if made is not None and isinstance(data, Mapping):
            return made(data)
        if self._kind is None:
            return _copied(data)
        try:
            return self._kind.convert(_copied(data))
        except ValueError:
            return _copied(data)

    @functools.cached_property
    def _annotation(self) -> Any:
        function = inspect.unwrap(self._function)
        if not hasattr(function, "__annotations__"):
            function = getattr(type(function), "__call__", function)  # noqa: B004
        written = getattr(function, "__annotations__", {}).get("return", inspect.Parameter.empty)
        if not isinstance(written, str):
            return written
        try:
            return typing.get_type_hints(function).get("return", inspect.Parameter.empty)
        except (NameError, TypeError, AttributeError):
            return inspect.Parameter.empty

    @functools.cached_property
    def _record(self) -> type[Record] | None:
        wanted = self._annotation
        return wanted if isinstance(wanted, type) and issubclass(wanted, Record) else None

    @functools.cached_property
    def _kind(self) -> Kind | None:
        wanted = self._annotation
        if wanted is inspect.Parameter.empty or self._record is not None or wanted in _PLAIN:
            return None
        from pytest_lmprog.signatures.types import kind_of

        try:
            return kind_of(wanted)
        except (SignatureError, CanonicalError):
            return None


def _copied(data: Any) -> Any:
    """Return plain data that the caller may change."""
    if isinstance(data, dict):
        return {key: _copied(value) for key, value in data.items()}
    if isinstance(data, list):
        return [_copied(value) for value in data]
    return data
