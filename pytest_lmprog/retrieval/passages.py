"""What a retriever finds: passages with their scores, best first."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import field
from typing import Any

from pytest_lmprog.errors import LMResponseError
from pytest_lmprog.records import dataclass

__all__ = ["Passage", "Passages", "as_passage", "as_passages", "rounded"]

_TEXT_NAMES = ("long_text", "text", "document", "passage", "content", "page_content")
_ID_NAMES = ("id", "pid")


@dataclass(frozen=True, slots=True)
class Passage:
    """One passage: its text, score (higher is better) and id where known, and what else the store says.

    ``passage.long_text`` and ``passage["long_text"]`` are the text, as in DSPy; the names in ``more``
    are attributes too.
    """

    text: str
    score: float | None = None
    id: str | None = None
    more: Mapping[str, Any] = field(default_factory=dict)

    @property
    def long_text(self) -> str:
        """The text."""
        return self.text

    def __str__(self) -> str:
        return self.text

    def __getitem__(self, name: str) -> Any:
        if name in ("text", "long_text"):
            return self.text
        if name in ("score", "id"):
            return getattr(self, name)
        return self.more[name]

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("_") and name in self.more:
            return self.more[name]
        raise AttributeError(f"a passage has no {name!r}")

    def to_plain(self) -> dict[str, Any]:
        """Return the form that is recorded: absent parts left out."""
        data: dict[str, Any] = {"text": self.text}
        if self.score is not None:
            data["score"] = self.score
        if self.id is not None:
            data["id"] = self.id
        if self.more:
            data["more"] = dict(self.more)
        return data

    @classmethod
    def from_plain(cls, data: Mapping[str, Any]) -> Passage:
        """Read what ``to_plain`` returned."""
        return cls(data["text"], data.get("score"), data.get("id"), data.get("more", {}))


class Passages(list[Passage]):
    """The passages found for one query, best first; a list. ``passages`` are their texts."""

    @property
    def passages(self) -> list[str]:
        """The texts."""
        return [passage.text for passage in self]

    @property
    def scores(self) -> list[float | None]:
        """The scores."""
        return [passage.score for passage in self]

    @property
    def ids(self) -> list[str | None]:
        """The ids."""
        return [passage.id for passage in self]


def rounded(score: float) -> float:
    """Return ``score`` to six significant digits: what machines agree on."""
    return float(f"{float(score):.6g}")


def as_passage(found: Any, source: str) -> Passage:
    """Return ``found`` (a text, a mapping or an object with a text under one of the usual names) as a
    passage. Raises LMResponseError, naming ``source``, for anything else."""
    if isinstance(found, Passage):
        return found
    if isinstance(found, str):
        return Passage(found)
    parts = _parts(found)
    name = next((n for n in _TEXT_NAMES if isinstance(parts.get(n), str)), None)
    if name is None:
        raise LMResponseError(
            f"{source} returned something that is no passage: {_short(found)}",
            hint="a passage is a text, or has its text under 'text' or 'long_text'",
        )
    score, identity = (
        parts.get("score"),
        next((parts[n] for n in _ID_NAMES if parts.get(n) is not None), None),
    )
    known = isinstance(score, int | float) and not isinstance(score, bool)
    return Passage(
        parts[name],
        rounded(float(score)) if known and score is not None else None,
        None if identity is None else str(identity),
    )


def _parts(found: Any) -> Mapping[str, Any]:
    if isinstance(found, Mapping):
        return found
    names = (*_TEXT_NAMES, "score", *_ID_NAMES)
    return {name: getattr(found, name) for name in names if hasattr(found, name)}


def as_passages(found: Any, source: str) -> Passages:
    """Return what a callable found as passages: a list of them, or an object with ``passages``."""
    listed = getattr(found, "passages", found)
    if isinstance(listed, str | bytes | Mapping) or not isinstance(listed, Iterable):
        raise LMResponseError(
            f"{source} returned no list of passages: {_short(found)}",
            hint="a retriever returns a list of texts, best first",
        )
    return Passages(as_passage(one, source) for one in listed)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 200 else text[:200] + " ..."
