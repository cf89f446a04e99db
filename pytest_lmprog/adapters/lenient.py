"""Data in texts that are almost JSON. Raises nothing but ValueError, in time linear in the text's length."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Callable
from typing import Any, NoReturn

__all__ = ["loads", "unfenced", "without_thinking"]

_MAX_LITERAL = 200_000
_FENCE = re.compile(r"^[ \t]*(?:```|~~~)[^\n]*$", re.MULTILINE)
_TRAILING_COMMA = re.compile(r"""("(?:[^"\\]|\\.)*")|,(\s*[}\]])""", re.DOTALL)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_ESCAPED = frozenset("\\'\"abfnrtvxuU01234567\n")


def without_thinking(text: str) -> str:
    """Return ``text`` without the thoughts that some models put first in ``<think>`` tags."""
    head = text[:200].lstrip()
    end = text.rfind("</think>") if head.startswith("<think>") else -1
    return text if end < 0 else text[end + len("</think>") :]


def unfenced(text: str) -> str:
    """Return what is between the first fence and the last, or in backticks; else ``text``."""
    fences = [match.span() for match in _FENCE.finditer(text)]
    if len(fences) > 1:
        return text[fences[0][1] : fences[-1][0]].strip()
    text = text.strip()
    return text.strip("`").strip() if text.startswith("`") else text


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


_decode = json.JSONDecoder(strict=False, parse_constant=_no_constant).decode


def loads(text: str) -> Any:
    """Return the data that ``text`` is: JSON (line breaks in texts and trailing commas are allowed) or
    a Python literal (single quotes, True, None). Raises ValueError."""
    try:
        return _decode(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    except ValueError as error:
        text = text.strip()
        if len(text) > _MAX_LITERAL or not text.startswith(("{", "[", "'", '"', "(")):
            raise
        return _loads_loosely(text, error)


def _loads_loosely(text: str, error: ValueError) -> Any:
    attempts: tuple[tuple[Callable[[str], Any], str], ...] = (
        (_decode, _TRAILING_COMMA.sub(_without_comma, text)),
        (ast.literal_eval, _ESCAPE.sub(_known_escape, text)),
    )
    for attempt, source in attempts:
        try:
            data = attempt(source)
        except (ValueError, SyntaxError, RecursionError, MemoryError, TypeError):
            continue
        if isinstance(data, dict | list | str):
            return data
    raise error


def _without_comma(match: re.Match[str]) -> str:
    return match.group(1) or match.group(2)


def _known_escape(match: re.Match[str]) -> str:
    """Double the backslash of an escape that Python does not know: it would warn of it."""
    return match.group() if match.group(1) in _ESCAPED else "\\" + match.group()
