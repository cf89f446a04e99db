"""What an answer that is still arriving says of its text fields so far, in whichever form it is written."""

from __future__ import annotations

import json
import re

from pytest_lmprog.adapters.lenient import without_thinking
from pytest_lmprog.signatures import Signature
from pytest_lmprog.signatures.models import ConstrainedKind
from pytest_lmprog.signatures.scalars import StrKind

__all__ = ["partial_texts", "streams"]


def streams(signature: type[Signature], name: str) -> bool:
    """Return whether the output ``name`` can be read while it arrives: whether it is text."""
    kind = signature.output_fields[name].kind
    return isinstance(kind.base if isinstance(kind, ConstrainedKind) else kind, StrKind)


def partial_texts(signature: type[Signature], text: str) -> dict[str, tuple[str, bool]]:
    """Return the text of each text field as far as it has arrived, never more than will stay so, and whether
    it has ended; in the order of the answer."""
    text = without_thinking(text)
    outputs = signature.output_fields
    found = _sections(text) or _elements(signature, text) or _members(text)
    return {name: so_far for name, so_far in found.items() if name in outputs and streams(signature, name)}


_Found = dict[str, tuple[str, bool]]


_HEADER = re.compile(r"^[ \t>*#`]*\[\[[ \t]*##[ \t]*(\w{1,200})[ \t]*##[ \t]*\]\][*`]*[ \t]*", re.MULTILINE)
_BEGUN_HEADER = re.compile(r"\n?[ \t>*#`]*\[(?:\[[^\n]{0,220})?\Z|\n[ \t>*#`]+\Z")


def _sections(text: str) -> _Found:
    headers = list(_HEADER.finditer(text))
    found: _Found = {}
    for number, header in enumerate(headers):
        last = number + 1 == len(headers)
        body = text[header.end() :] if last else text[header.end() : headers[number + 1].start()]
        body = _BEGUN_HEADER.sub("", body) if last else body
        found.setdefault(header.group(1), (body.strip(), not last))
    return found


def _elements(signature: type[Signature], text: str) -> _Found:
    names = "|".join(map(re.escape, signature.output_fields))
    opening = re.compile(rf"<({names})>", re.IGNORECASE)
    folded = {name.casefold(): name for name in signature.output_fields}
    found: _Found = {}
    position = 0
    while match := opening.search(text, position):
        name = folded[match.group(1).casefold()]
        closing = re.compile(rf"</{re.escape(match.group(1))}>", re.IGNORECASE).search(text, match.end())
        end = len(text) if closing is None else closing.start()
        body = text[match.end() : end]
        if closing is None:
            body = re.sub(rf"<[/\w ]{{0,{len(name) + 4}}}\Z", "", body)
        found.setdefault(name, (body.strip(), closing is not None))
        position = end if closing is None else closing.end()
    return found


_KEY = re.compile(r'\s*,?\s*"((?:[^"\\]|\\.)*)"\s*:\s*', re.DOTALL)
_STRING = re.compile(r'"((?:[^"\\]|\\u[0-9a-fA-F]{4}|\\[^u])*)("?)', re.DOTALL)
_decoder = json.JSONDecoder(strict=False)


def _members(text: str) -> _Found:
    """Read the members of the first JSON object, as far as they go."""
    start = re.search(r'\{(?=\s*")', text)
    if start is None:
        return {}
    found: _Found = {}
    position = start.end()
    while key := _KEY.match(text, position):
        position = key.end()
        if text[position : position + 1] == '"':
            match = _STRING.match(text, position)
            assert match is not None
            ended = bool(match.group(2))
            found[key.group(1)] = _unescaped(match.group(1), ended=ended), ended
            if not ended:
                break
            position = match.end()
            continue
        try:
            _, position = _decoder.raw_decode(text, position)
        except (ValueError, RecursionError):
            break
    return found


def _unescaped(raw: str, *, ended: bool) -> str:
    try:
        value: str = json.loads(f'"{raw}"', strict=False)
    except ValueError:
        return ""
    half = not ended and "\ud800" <= value[-1:] <= "\udbff"  # the other half of the pair is to come
    return value[:-1] if half else value
