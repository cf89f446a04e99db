"""Regular expressions as llama.cpp's grammars take them: anchored at both ends, classes spelled out."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

__all__ = ["grammar_form", "grammar_pattern"]

_CLASSES = {"d": "0-9", "w": "A-Za-z0-9_", "s": " \\t\\n\\r"}
_TOKEN = re.compile(r"\\.|\[|\]|.", re.DOTALL)


def grammar_form(form: Any) -> Any:
    """Return a ``response_format`` with its patterns put so that they constrain decoding: to texts that
    matched before."""
    if isinstance(form, Mapping):
        return {name: _part(name, value) for name, value in form.items()}
    return [grammar_form(item) for item in form] if isinstance(form, list) else form


def _part(name: str, value: Any) -> Any:
    return grammar_pattern(value) if name == "pattern" and isinstance(value, str) else grammar_form(value)


def grammar_pattern(pattern: str) -> str:
    """Return ``pattern`` with ``\\d``, ``\\w`` and ``\\s`` spelled out, and anchored at both ends."""
    pattern = _spelled(pattern)
    begins = pattern.startswith("^")
    ends = pattern.endswith("$") and not re.search(r"(?<!\\)(?:\\\\)*\\\$\Z", pattern)
    if begins and ends:
        return pattern
    inner = pattern[1 if begins else 0 : -1 if ends else None]
    return f"^{'' if begins else '.*'}({inner}){'' if ends else '.*'}$"


def _spelled(pattern: str) -> str:
    spelled, within = [], False
    for token in _TOKEN.findall(pattern):
        letters = _CLASSES.get(token[1:]) if token.startswith("\\") else None
        if letters is not None:
            spelled.append(letters if within else f"[{letters}]")
            continue
        within = token == "[" or (within and token != "]")
        spelled.append(token)
    return "".join(spelled)
