"""Two texts compared word by word, for readers: no mosaic of half-kept sentences, no unbounded work."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from typing import Literal

from pytest_lmprog.records import dataclass

__all__ = ["Piece", "diff_words"]

_UNSPACED = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
"""Scripts that put no space between words: each character counts as a word."""
_PART = rf"[^\W{_UNSPACED}]+"
_TOKENS = re.compile(rf"(\s*)([{_UNSPACED}]|{_PART}(?:(?:['’.\-]|(?<=\d),(?=\d)){_PART})*|[^\w\s]|\Z)")
_JOINERS = frozenset("\u200d\ufe0e\ufe0f")
_KEPT = 0.3
"""Texts that share less than this are another text, not an edited one."""
_SHORT = 40
_EXACT, _ROUGH = 4_000_000, 400_000_000
"""Products of two lengths up to which texts are compared exactly, or roughly; beyond, only at their ends."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A run of words that both texts have, or only one of them."""

    kind: Literal["same", "removed", "added"]
    text: str


@dataclass(frozen=True, slots=True)
class _Token:
    """A word, a sign or the end, with the white space before it."""

    space: str
    word: str

    @property
    def text(self) -> str:
        return self.space + self.word


@dataclass(slots=True)
class _Hunk:
    """What ``old`` became: equal where nothing changed."""

    old: str
    new: str

    @property
    def same(self) -> bool:
        return self.old == self.new


def diff_words(old: str, new: str) -> tuple[Piece, ...]:
    """Return the pieces that turn ``old`` into ``new``, word by word; empty where they are equal.

    The texts of the pieces that are not ``added`` make up ``old``, of those not ``removed`` ``new``. Words
    that happen to be the same between two changes are part of the change; texts that have little in common
    are one removed and one added piece."""
    if old == new:
        return ()
    hunks = _tidied(_hunks(_tokens(old), _tokens(new)))
    if _unlike(hunks, old, new):
        hunks = [_Hunk(old, new)]
    return tuple(_pieces(hunks))


def _tokens(text: str) -> list[_Token]:
    found: list[_Token] = []
    for match in _TOKENS.finditer(text):
        space, word = match.groups()
        if found and not space and word and _continues(found[-1].word, word[0]):
            found[-1] = _Token(found[-1].space, found[-1].word + word)
        else:
            found.append(_Token(space, word))
    return found


def _continues(before: str, sign: str) -> bool:
    """Combining marks and emoji sequences must not be torn apart."""
    return (
        sign in _JOINERS
        or before.endswith("\u200d")
        or "\U0001f3fb" <= sign <= "\U0001f3ff"
        or _is_mark(sign)
    )


def _is_mark(sign: str) -> bool:
    return not sign.isascii() and unicodedata.category(sign).startswith("M")


def _hunks(old: Sequence[_Token], new: Sequence[_Token]) -> Iterator[_Hunk]:
    before, after = [token.word for token in old], [token.word for token in new]
    for same, a, b, c, d in _matches(before, after):
        if not same:
            yield from _changed("".join(t.text for t in old[a:b]), "".join(t.text for t in new[c:d]))
            continue
        yield from _kept(old[a:b], new[c:d])


def _kept(old: Sequence[_Token], new: Sequence[_Token]) -> Iterator[_Hunk]:
    """The same words, whose white space may differ."""
    run: list[str] = []
    for one, other in zip(old, new, strict=True):
        if one.space != other.space:
            yield _Hunk("".join(run), "".join(run))
            yield _Hunk(one.space, other.space)
            run = [one.word]
        else:
            run.append(one.text)
    yield _Hunk("".join(run), "".join(run))


def _changed(old: str, new: str) -> Iterator[_Hunk]:
    """White space that both begin with did not change."""
    shared = 0
    while shared < min(len(old), len(new)) and old[shared] == new[shared] and old[shared].isspace():
        shared += 1
    yield _Hunk(old[:shared], new[:shared])
    yield _Hunk(old[shared:], new[shared:])


def _matches(old: list[str], new: list[str]) -> Iterator[tuple[bool, int, int, int, int]]:
    """Yield ``(same, old start, old end, new start, new end)`` in order."""
    start, end = _shared_ends(old, new)
    a, b = len(old) - end, len(new) - end
    yield True, 0, start, 0, start
    size = (a - start) * (b - start)
    if size > _ROUGH:
        yield False, start, a, start, b
    else:
        matcher = SequenceMatcher(None, old[start:a], new[start:b], autojunk=size > _EXACT)
        for tag, i, j, k, m in matcher.get_opcodes():
            yield tag == "equal", start + i, start + j, start + k, start + m
    yield True, a, len(old), b, len(new)


def _shared_ends(old: list[str], new: list[str]) -> tuple[int, int]:
    shorter = min(len(old), len(new))
    start = next((i for i in range(shorter) if old[i] != new[i]), shorter)
    rest = shorter - start
    return start, next((i for i in range(rest) if old[-1 - i] != new[-1 - i]), rest)


def _tidied(hunks: Iterator[_Hunk]) -> list[_Hunk]:
    """Join neighbours of one kind, and take little that stayed the same into the changes around it."""
    found: list[_Hunk] = []
    for hunk in hunks:
        if not hunk.old and not hunk.new:
            continue
        if found and found[-1].same == hunk.same:
            _join(found[-1], hunk)
        else:
            found.append(_Hunk(hunk.old, hunk.new))
        while len(found) > 2 and not found[-1].same and _drowned(found[-2], found[-3], found[-1]):
            last, between = found.pop(), found.pop()
            _join(found[-1], between)
            _join(found[-1], last)
    return found


def _join(hunk: _Hunk, other: _Hunk) -> None:
    hunk.old += other.old
    hunk.new += other.new


def _drowned(same: _Hunk, before: _Hunk, after: _Hunk) -> bool:
    """Whether what stayed the same is little beside what changed on either side, and no line's end."""
    word = same.old.strip()
    if "\n" in same.old or len(word.split()) > 2:
        return False
    around = min(max(len(h.old.strip()), len(h.new.strip())) for h in (before, after))
    return len(word) <= max(1, min(3, around), around // 4)


def _unlike(hunks: list[_Hunk], old: str, new: str) -> bool:
    longer = max(len(old), len(new))
    kept = sum(len(hunk.old) for hunk in hunks if hunk.same)
    return longer > _SHORT and min(len(old), len(new)) > 0 and kept < _KEPT * longer


def _pieces(hunks: list[_Hunk]) -> Iterator[Piece]:
    for hunk in hunks:
        if hunk.same:
            yield Piece("same", hunk.old)
            continue
        if hunk.old:
            yield Piece("removed", hunk.old)
        if hunk.new:
            yield Piece("added", hunk.new)
