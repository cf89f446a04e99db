"""Text that cannot hide anything: what steers terminals, or is drawn as nothing, is written as an escape."""

from __future__ import annotations

import re

__all__ = ["visible"]

_EMOJI = "\u200d\u200c"
"""Joiners have their uses (emoji, Persian); between other letters they are only hidden."""

_HIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"  # control characters; line feed and tab are for the caller
    "\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f"
    "\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\u3164\ufeff\uffa0\ufff0-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e0fff]"
    f"|(?<=[\x00-\x7f])[{_EMOJI}]|[{_EMOJI}](?=[\x00-\x7f]|\\Z)"
)


def visible(text: str) -> str:
    """Return ``text`` with control, formatting and invisible characters as escapes (``\\x1b``, ``\\u202e``).

    Line feeds and tabs stay."""
    return text if text.isascii() and text.isprintable() else _HIDDEN.sub(_escape, text)


def _escape(match: re.Match[str]) -> str:
    return match.group().encode("unicode_escape").decode("ascii")
