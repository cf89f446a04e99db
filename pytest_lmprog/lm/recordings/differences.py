"""What differs between a recorded request and the one that is asked, in words."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from pytest_lmprog.canonical import canonical_json
from pytest_lmprog.records import dataclass

__all__ = ["Difference", "differences"]

_TOKEN = re.compile(r"\s+|\w+|[^\w\s]+")
_CONTEXT, _SHOWN, _LIMIT = 10, 24, 160
"""Tokens before the first differing one, tokens from there on, characters of any other value."""

_ABSENT = "(absent)"


@dataclass(frozen=True, slots=True)
class Difference:
    """A field (``messages[1]``, ``params.temperature``), as recorded and as asked now."""

    field: str
    recorded: str
    asked: str


def differences(recorded: Mapping[str, Any], asked: Mapping[str, Any]) -> list[Difference]:
    """Return every differing field of two requests in plain form. A recorded message, response format or
    tools of which only the size is stored is an int."""
    found = list(_messages(recorded["messages"], asked["messages"]))
    if recorded["model"] != asked["model"]:
        found.append(Difference("model", str(recorded["model"]), str(asked["model"])))
    found.extend(_mapping("params", recorded["params"], asked["params"]))
    for name in ("response_format", "tools"):
        found.extend(_first(name, recorded.get(name), asked.get(name)))
    found.extend(_first("rollout", recorded.get("rollout", 0), asked.get("rollout", 0)))
    return found


def _messages(recorded: list[Any], asked: list[Any]) -> Iterator[Difference]:
    if len(recorded) != len(asked):
        yield Difference("the number of messages", str(len(recorded)), str(len(asked)))
    for number, (old, new) in enumerate(zip(recorded, asked, strict=False)):
        if old == new:
            continue
        if isinstance(old, int):
            size = len(canonical_json(new))
            yield Difference(f"messages[{number}]", f"{old} bytes (its text is not stored)", f"{size} bytes")
        elif isinstance(old, dict) and old.get("role") != new.get("role"):
            yield Difference(f"messages[{number}].role", str(old.get("role")), str(new.get("role")))
        elif _is_text(old) and _is_text(new) and old["content"] != new["content"]:
            yield _text(f"messages[{number}]", old["content"], new["content"])
        else:
            yield from _first(f"messages[{number}]", old, new)


def _is_text(message: object) -> bool:
    return isinstance(message, dict) and isinstance(message.get("content"), str)


def _mapping(name: str, recorded: Mapping[str, Any], asked: Mapping[str, Any]) -> Iterator[Difference]:
    for key in sorted({*recorded, *asked}):
        yield from _first(f"{name}.{key}", recorded.get(key, _ABSENT), asked.get(key, _ABSENT))


def _first(path: str, old: Any, new: Any) -> Iterator[Difference]:
    """Yield the first place at which two JSON values differ, if any."""
    while old != new:
        if isinstance(old, dict) and isinstance(new, dict):
            key = next(k for k in sorted({*old, *new}) if old.get(k, _ABSENT) != new.get(k, _ABSENT))
            path, old, new = f"{path}.{key}", old.get(key, _ABSENT), new.get(key, _ABSENT)
        elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
            number = next(i for i, pair in enumerate(zip(old, new, strict=True)) if pair[0] != pair[1])
            path, old, new = f"{path}[{number}]", old[number], new[number]
        elif isinstance(old, str) and isinstance(new, str) and _ABSENT not in (old, new):
            yield _text(path, old, new)
            return
        else:
            yield Difference(path, _show(old), _show(new))
            return


def _text(path: str, old: str, new: str) -> Difference:
    ours, theirs = _TOKEN.findall(old), _TOKEN.findall(new)
    start = next(
        (i for i, (a, b) in enumerate(zip(ours, theirs, strict=False)) if a != b),
        min(len(ours), len(theirs)),
    )
    return Difference(path, _excerpt(ours, start), _excerpt(theirs, start))


def _excerpt(tokens: list[str], start: int) -> str:
    first = max(0, start - _CONTEXT)
    shown = [token[:_LIMIT] for token in tokens[first : start + _SHOWN]]
    text = repr("".join(shown))
    return ("... " if first else "") + text + (" ..." if start + _SHOWN < len(tokens) else "")


def _show(value: Any) -> str:
    if value is None or value == _ABSENT:
        return _ABSENT
    text = canonical_json(value).decode("utf-8")
    return text if len(text) <= _LIMIT else f"{text[:_LIMIT]} ..."
