"""What commands write to: text that cannot steer the terminal, with colours where they are wanted."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import IO, Literal

from pytest_lmprog.reports.spans import Line, Span, Tone, wrapped
from pytest_lmprog.reports.visible import visible

__all__ = ["ColorChoice", "Output"]

ColorChoice = Literal["auto", "always", "never"]

_CODES: dict[Tone, str] = {"added": "32", "removed": "31", "heading": "1", "muted": "2", "warning": "33"}
_USUAL = 80


class Output:
    """Writes lines to ``stream`` (standard output) and errors to standard error.

    Control characters in what is shown (answers of an LM, say) are written as escapes.
    """

    def __init__(self, color: ColorChoice = "auto", stream: IO[str] | None = None) -> None:
        self._stream = stream or sys.stdout
        self.colored = color == "always" or (color == "auto" and _wants_color(self._stream))
        self.terminal = self._stream.isatty()

    @property
    def width(self) -> int | None:
        """Columns of the terminal as it is now; None where there is none."""
        return self._size()[0] if self.terminal else None

    @property
    def height(self) -> int:
        """Rows of the terminal as it is now."""
        return self._size()[1]

    def _size(self) -> tuple[int, int]:
        try:
            size = os.get_terminal_size(self._stream.fileno())
        except (OSError, ValueError):
            return _USUAL, 24
        return size.columns or _USUAL, size.lines or 24

    def line(self, text: str = "", tone: Tone | None = None) -> None:
        """Write one line (or several), as it is, in a tone where colours are on."""
        shown = visible(text)
        if tone is not None:
            shown = "\n".join(self._toned(row, tone) for row in shown.split("\n"))
        self._stream.write(shown + "\n")

    def lines(self, texts: Iterable[str]) -> None:
        """Write lines."""
        for text in texts:
            self.line(text)

    def paint(self, lines: Iterable[Line]) -> int:
        """Write lines in tones, wrapped to the terminal; return how many rows that took."""
        width = self.width
        rows = [row for line in lines for row in wrapped(line, width)]
        for row in rows:
            self._stream.write(self.painted(row).rstrip(" ") + "\n")
        return len(rows)

    def painted(self, spans: Sequence[Span]) -> str:
        """Return spans as text for the terminal; neighbours in one tone as one."""
        runs = groupby(spans, key=lambda part: part.tone)
        return "".join(self._toned("".join(part.text for part in run), tone) for tone, run in runs)

    def raw(self, text: str) -> None:
        """Write text of ours as it is and at once, a question for instance."""
        self._stream.write(text)
        self._stream.flush()

    def error(self, text: str) -> None:
        """Write an error message."""
        self._stream.flush()
        sys.stderr.write(visible(f"lmprog: {text}") + "\n")
        sys.stderr.flush()

    def _toned(self, text: str, tone: Tone | None) -> str:
        if tone is None or not self.colored or not text:
            return text
        return f"\x1b[{_CODES[tone]}m{text}\x1b[0m"


def _wants_color(stream: IO[str]) -> bool:
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return not plain and stream.isatty()
