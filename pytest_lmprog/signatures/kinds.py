"""What all kinds of types can do: say what they are, check a value, and put it into plain data."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

__all__ = ["Kind", "bare_texts", "shown"]


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
