"""What all kinds of types can do: say what they are, check a value, and put it into plain data."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

__all__ = ["Kind", "bare_texts", "has_turns", "is_media", "is_rich", "shown"]


class Kind(Protocol):
    """One annotation, understood. Immutable and stateless as seen from outside."""

    @property
    def text(self) -> str:
        """What the LM and snapshots are told. The same on every Python version."""
        ...

    @property
    def takes_text(self) -> bool:
        """Whether any text is a value of this type as it stands."""
        ...

    def schema(self) -> dict[str, Any]:
        """Return a new JSON schema of the plain form."""
        ...

    def is_exact(self, value: Any) -> bool:
        """Return whether ``value`` needs no conversion."""
        ...

    def convert(self, value: Any) -> Any:
        """Return ``value`` as this type, where its meaning is plain. Raises ValueError saying why not."""
        ...

    def plain(self, value: Any) -> Any:
        """Return plain JSON data that ``convert`` turns into an equal value.

        Raises CanonicalError or ValueError where there is none."""
        ...


def is_media(field: Any) -> bool:
    """Return whether the field's values are, or hold, parts of a message that are no text (a picture)."""
    return _holds(field.kind, "media_parts")


def is_rich(field: Any) -> bool:
    """Return whether the field's values are more than text in the last message: pictures, earlier turns."""
    return is_media(field) or has_turns(field)


def has_turns(field: Any) -> bool:
    """Return whether the field's values are earlier turns, which are shown as messages of their own."""
    return _holds(field.kind, "turns")


def _holds(kind: Any, method: str) -> bool:
    inner = getattr(kind, "item", None) or getattr(kind, "base", None)
    if inner is not None:
        return _holds(inner, method)
    members = getattr(kind, "members", None)
    if isinstance(members, tuple):
        return any(_holds(member, method) for member in members)
    return hasattr(kind, method)


def shown(value: Any, limit: int = 60) -> str:
    """Return a short repr for messages."""
    text = repr(value) if not isinstance(value, str) else repr(value[: limit + 1])
    return text if len(text) <= limit else f"{text[: limit - 3]}..."


_QUOTES = ('"', "'", "`", "**", "*", "“", "”", "‘", "’")


def bare_texts(text: str) -> Iterator[str]:
    """Yield ``text`` stripped, then without a trailing full stop, then without quotes or emphasis."""
    text = text.strip()
    yield text
    for _ in range(3):
        shorter = _unwrapped(text)
        if shorter == text or not shorter:
            return
        text = shorter
        yield text


def _unwrapped(text: str) -> str:
    if text.endswith("."):
        return text[:-1].rstrip()
    for mark in _QUOTES:
        if len(text) > 2 * len(mark) and text.startswith(mark) and text.endswith(mark):
            return text[len(mark) : -len(mark)].strip()
    if len(text) > 2 and text[0] == "“" and text[-1] == "”":
        return text[1:-1].strip()
    return text
