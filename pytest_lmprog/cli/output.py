"""What commands write to: text that cannot steer the terminal, with colours where they are wanted."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable
from typing import IO, TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from pytest_lmprog.snapshots.difftext import Tone

__all__ = ["ColorChoice", "Output"]

ColorChoice = Literal["auto", "always", "never"]

_CODES: dict[Tone, str] = {"added": "32", "removed": "31", "heading": "1", "muted": "2"}
_OUR_CODES = "|".join(["0", *_CODES.values()])
_CONTROL = re.compile(rf"\x1b\[(?:{_OUR_CODES})m|[\x00-\x08\x0b-\x1f\x7f-\x9f]")


class Output:
    """Writes lines to ``stream`` (standard output) and errors to standard error.

    Control characters in what is shown (answers of an LM, say) are written as escapes.
    """

    def __init__(self, color: ColorChoice = "auto", stream: IO[str] | None = None) -> None:
        self._stream = stream or sys.stdout
        self.colored = color == "always" or (color == "auto" and _wants_color(self._stream))

    def style(self, tone: Tone, text: str) -> str:
        """Return ``text`` in a tone, where colours are on; each line by itself."""
        if not self.colored:
            return text
        code = _CODES[tone]
        return "\n".join(f"\x1b[{code}m{line}\x1b[0m" if line else line for line in text.split("\n"))

    def line(self, text: str = "") -> None:
        """Write one line (or several)."""
        self._stream.write(self._visible(text) + "\n")

    def lines(self, texts: Iterable[str]) -> None:
        """Write lines."""
        for text in texts:
            self.line(text)

    def ask(self, question: str) -> str:
        """Write ``question`` and return the line that is typed. Raises EOFError at the end of input."""
        self._stream.write(question)
        self._stream.flush()
        answer = sys.stdin.readline()
        if not answer:
            raise EOFError
        return answer.strip()

    def error(self, text: str) -> None:
        """Write an error message."""
        self._stream.flush()
        sys.stderr.write(self._visible(f"lmprog: {text}") + "\n")

    def _visible(self, text: str) -> str:
        return _CONTROL.sub(self._shown, text)

    def _shown(self, match: re.Match[str]) -> str:
        found = match.group()
        if len(found) > 1 and self.colored:
            return found
        return found.encode("unicode_escape").decode("ascii")


def _wants_color(stream: IO[str]) -> bool:
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return not plain and stream.isatty()
