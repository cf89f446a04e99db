"""The pieces of a word diff, without the long stretches that did not change."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Literal

from pytest_lmprog.records import dataclass
from pytest_lmprog.snapshots.worddiff import Piece

__all__ = ["Shown", "shown_pieces", "shown_text"]

_CONTEXT = 80
_MOST = 4_000
_WORTH = 60
"""Characters from which leaving out is worth a note in their place."""
_BACK = 24
_LONG = 60
"""Characters from which an old text and another new one stand apart."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A piece to show; ``gap`` says in words what was left out there."""

    kind: Literal["same", "removed", "added", "gap"]
    text: str


def shown_pieces(pieces: Sequence[Piece], *, full: bool = False) -> list[Shown]:
    """Return what to show of ``pieces``: all of it if ``full``, else changes with some words around them.

    Where all of a longer text was replaced, the old and the new one stand apart."""
    whole = [piece.kind for piece in pieces] == ["removed", "added"]
    if whole and any("\n" in piece.text or len(piece.text) > _LONG for piece in pieces):
        return [
            *shown_pieces(pieces[:1], full=full),
            Shown("same", "\n\n"),
            *shown_pieces(pieces[1:], full=full),
        ]
    if full:
        return [Shown(piece.kind, piece.text) for piece in pieces]
    last = len(pieces) - 1
    parts = [part for i, piece in enumerate(pieces) for part in _parts(piece, i == 0, i == last)]
    return [part for whole in parts for part in _trimmed(whole)]


def _trimmed(part: Shown) -> Iterator[Shown]:
    """Spaces around the words of a change are no news."""
    words = part.text.strip(" ")
    if part.kind not in ("removed", "added") or not words or words == part.text:
        yield part
        return
    before, _, after = part.text.partition(words)
    for kind, text in (("same", before), (part.kind, words), ("same", after)):
        if text:
            yield Shown(kind, text)  # type: ignore[arg-type]


def shown_text(text: str, *, full: bool = False) -> list[Shown]:
    """Return a text that stands for itself, its end left out where it is very long, unless ``full``."""
    head = len(text) if full else _cut(text, _MOST)
    if len(text) - head < _WORTH:
        return [Shown("same", text)]
    return [Shown("same", text[:head]), Shown("gap", _gap(text[head:], "cut"))]


def _parts(piece: Piece, first: bool, last: bool) -> Iterator[Shown]:
    text = piece.text
    if piece.kind == "same":
        head = 0 if first else _cut(text, _CONTEXT)
        tail = len(text) if last else len(text) - _cut(text[::-1], _CONTEXT)
    else:
        head, tail = _cut(text, _MOST), len(text)
    if tail - head < _WORTH:
        yield Shown(piece.kind, text)
        return
    yield from (Shown(piece.kind, text[:head]),) if head else ()
    yield Shown("gap", _gap(text[head:tail], piece.kind))
    yield from (Shown(piece.kind, text[tail:]),) if tail < len(text) else ()


def _cut(text: str, most: int) -> int:
    """Return where to cut so that at most ``most`` characters stand before: at white space if there is any
    near, else between two words or signs."""
    if len(text) <= most:
        return len(text)
    space = max(text.rfind(sign, most - _BACK, most) for sign in " \n\t")
    return space + 1 if space >= 0 else most


def _gap(text: str, kind: str) -> str:
    if kind != "same":
        return f"{len(text):,} more characters"
    words = len(re.findall(r"\S+", text))
    if words < 4:
        return f"{len(text):,} characters unchanged"
    return f"{words:,} words unchanged"
