"""The words of a failed assertion, made the same on every run, terminal and machine."""

from __future__ import annotations

import re

from pytest_lmprog.evaluation.scores import MAX_FEEDBACK
from pytest_lmprog.steady import steady

__all__ = ["normalise_feedback"]

_COLOUR = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")
_CUT = " [...]"


def normalise_feedback(text: str) -> str:
    """Return ``text`` without colour, addresses, orders of sets and trailing space, at most ``MAX_FEEDBACK``
    characters.

    It enters prompts and cache keys, so nothing in it may differ between two runs."""
    if not text:
        return ""
    text = steady(_COLOUR.sub("", text))
    text = "\n".join(line.rstrip() for line in text.replace("\r\n", "\n").split("\n")).strip()
    return text if len(text) <= MAX_FEEDBACK else text[: MAX_FEEDBACK - len(_CUT)].rstrip() + _CUT
