"""Lines of text in tones, safe to print, and wrapped by the columns that they take on a terminal."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from typing import Literal

from pytest_lmprog.records import dataclass
from pytest_lmprog.reports.visible import visible

__all__ = ["Line", "Span", "Tone", "line", "lines", "plain_text", "span", "text_width", "wrapped"]

Tone = Literal["added", "removed", "heading", "muted", "warning"]

_UNITS = re.compile(r"\s+|\S+")
_NARROWEST = 20


@dataclass(frozen=True, slots=True)
class Span:
    """A text in one tone, without line feeds."""

    text: str
    tone: Tone | None = None


@dataclass(frozen=True, slots=True)
class Line:
    """A line; where it is wrapped, what follows is indented like its start, and by ``hang`` more."""

    spans: tuple[Span, ...]
    indent: int = 0
    hang: int = 2


def span(text: str, tone: Tone | None = None) -> Span:
    """Return ``text`` as a span in which nothing is hidden or steers a terminal; one line."""
    return Span(visible(text).replace("\n", "\\n").replace("\t", "    "), tone)


def line(text: str = "", tone: Tone | None = None, *, indent: int = 0, hang: int = 2) -> Line:
    """Return a line of one span."""
    return Line((span(text, tone),), indent, hang)


def lines(text: str, tone: Tone | None = None, *, indent: int = 0, hang: int = 2) -> list[Line]:
    """Return a line for each line of ``text``."""
    return [line(row, tone, indent=indent, hang=hang) for row in text.split("\n")]


def plain_text(spans: Sequence[Span]) -> str:
    """Return the text alone."""
    return "".join(part.text for part in spans)


def text_width(text: str) -> int:
    """Return the columns that ``text`` takes: two for wide characters and emoji, none for combining marks."""
    return len(text) if text.isascii() else sum(map(_width, text))


def _width(sign: str) -> int:
    if unicodedata.east_asian_width(sign) in "WF":
        return 2
    return 0 if unicodedata.category(sign) in ("Mn", "Me", "Cf") else 1


def wrapped(whole: Line, width: int | None) -> list[list[Span]]:
    """Return the rows of a line, each with its indent, none wider than ``width`` (None: one row).

    Breaks stand at white space, beside wide characters and between tones, and within a word only where it
    is longer than a row."""
    indent = Span(" " * whole.indent)
    if width is None:
        return [[indent, *whole.spans] if whole.indent else list(whole.spans)]
    width = max(width, _NARROWEST)
    start = min(whole.indent, width // 3)
    hang = min(whole.indent + whole.hang, width // 2)
    rows = _rows(whole.spans, width - start, width - hang)
    return [[Span(" " * (hang if i else start)), *row] for i, row in enumerate(rows)]


def _rows(spans: Sequence[Span], first: int, rest: int) -> list[list[Span]]:
    rows: list[list[Span]] = [[]]
    room = first
    for unit in _units(spans):
        size = text_width(unit.text)
        if size > room and unit.text.isspace():
            continue
        while size > room:
            if rows[-1] and (size <= rest or room < rest // 4):
                _strip(rows[-1])
                rows.append([])
            else:
                head, unit = _split(unit, room)
                rows[-1].append(head)
                rows.append([])
                size = text_width(unit.text)
            room = rest
        if unit.text and not (len(rows) > 1 and not rows[-1] and unit.text.isspace()):
            rows[-1].append(unit)
            room -= size
    _strip(rows[-1])
    return rows


def _strip(row: list[Span]) -> None:
    while row and row[-1].text.isspace():
        row.pop()


def _split(unit: Span, room: int) -> tuple[Span, Span]:
    taken = end = 0
    for end, sign in enumerate(unit.text):  # noqa: B007
        taken += _width(sign)
        if taken > room:
            break
    end = max(end, 1)
    return Span(unit.text[:end], unit.tone), Span(unit.text[end:], unit.tone)


def _units(spans: Sequence[Span]) -> Iterator[Span]:
    """Yield what stands together in a row."""
    for part in spans:
        for found in _UNITS.findall(part.text):
            if found.isascii():
                yield Span(found, part.tone)
            else:
                yield from (Span(text, part.tone) for text in _broken(found))


def _broken(word: str) -> Iterator[str]:
    """Cut beside wide characters, but never before a mark that belongs to what stands before it."""
    run = ""
    for i, sign in enumerate(word):
        wide = _width(sign) == 2 or (run and _width(run[-1]) == 2)
        if run and wide and _width(sign) > 0 and "\u200d" not in word[max(i - 1, 0) : i + 1]:
            yield run
            run = ""
        run += sign
    if run:
        yield run
