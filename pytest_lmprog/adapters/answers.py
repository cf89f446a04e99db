"""Reading answers: the JSON in a text, and typed values out of texts. Never raises anything but
ValueError, whatever the text, and takes time linear in its length."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NoReturn

from pytest_lmprog.errors import ParseError
from pytest_lmprog.signatures import Field, Signature

__all__ = ["CutOffError", "bare_value", "build", "find_values", "from_text", "read_value", "without_thinking"]

_MAX_STARTS = 20
_MAX_LITERAL = 200_000
_FENCE = re.compile(r"^[ \t]*(?:```|~~~)[^\n]*$", re.MULTILINE)
_TRAILING_COMMA = re.compile(r",(\s*[}\]])")


class CutOffError(ValueError):
    """The JSON begins and does not end."""


def without_thinking(text: str) -> str:
    """Return ``text`` without the thoughts that some models put first in ``<think>`` tags."""
    head = text[:200].lstrip()
    end = text.rfind("</think>") if head.startswith("<think>") else -1
    return text if end < 0 else text[end + len("</think>") :]


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


_decode = json.JSONDecoder(strict=False, parse_constant=_no_constant).decode


def loads(text: str) -> Any:
    """Return the data that ``text`` is, as JSON or (single quotes, True, None) as a Python literal.

    Raises ValueError."""
    try:
        return _decode(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    except ValueError as error:
        if len(text) > _MAX_LITERAL or not text.lstrip().startswith(("{", "[", "'", '"', "(")):
            raise
        return _loads_loosely(text.strip(), error)


def _loads_loosely(text: str, error: ValueError) -> Any:
    for attempt in (_decode, ast.literal_eval):
        try:
            data = attempt(text if attempt is ast.literal_eval else _TRAILING_COMMA.sub(r"\1", text))
        except (ValueError, SyntaxError, RecursionError, MemoryError, TypeError):
            continue
        if isinstance(data, dict | list | str):
            return data
    raise error


def find_values(text: str, wanted: Mapping[str, Field]) -> dict[str, Any] | None:
    """Return the values of the fields ``wanted`` in the first JSON object in ``text`` that has all of
    them, else in the first that has any; ``{}`` where all of the text is another object, None where
    there is none.

    Raises CutOffError where the only object begins and does not end."""
    text = text.strip()
    best: dict[str, Any] | None = None
    cut = False
    for part in _object_texts(text):
        found = None if part is None else _as_object(part)
        cut = cut or part is None
        if found is None:
            continue
        values = _matched(found, wanted)
        if len(values) == len(wanted):
            return values
        if not best and (values or part == text):
            best = values
    if best is None and cut:
        raise CutOffError("the JSON object begins and does not end: the answer is cut off")
    return best


def _as_object(text: str) -> dict[str, Any] | None:
    try:
        data = loads(text)
    except ValueError:
        return None
    return data if isinstance(data, dict) else None


def _folded(name: Any) -> str:
    return re.sub(r"[\s_-]+", "_", str(name)[:200].strip().casefold())


def _matched(found: dict[str, Any], wanted: Mapping[str, Field]) -> dict[str, Any]:
    """Return the values by field name: the key as it is, else one that differs in case and spaces only."""
    if found.keys() == wanted.keys():
        return found
    values = {name: found[name] for name in wanted if name in found}
    if len(values) == len(wanted):
        return values
    folded: dict[str, list[Any]] = {}
    for key in found:
        folded.setdefault(_folded(key), []).append(key)
    for name in wanted:
        keys = folded.get(_folded(name), [])
        if name not in values and len(keys) == 1 and keys[0] not in wanted:
            values[name] = found[keys[0]]
    return values


def _object_texts(text: str) -> Iterator[str | None]:
    """Yield the texts of the outermost ``{...}`` in ``text``, from the left; None for one that does not
    end. Where one cannot be read, the search goes on behind its opening brace, a limited number of times."""
    if text.startswith("{") and text.endswith("}"):
        yield text
    position = 0
    for _ in range(_MAX_STARTS):
        start = text.find("{", position)
        if start < 0:
            return
        end = _balanced_end(text, start)
        yield None if end is None else text[start:end]
        readable = end is not None and _as_object(text[start:end]) is not None
        position = end if readable and end is not None else start + 1


_STRUCTURE = re.compile(r'["{}]|\\.', re.DOTALL)


def _balanced_end(text: str, start: int) -> int | None:
    depth, quoted = 0, False
    for match in _STRUCTURE.finditer(text, start):
        mark = match.group()
        if mark == '"':
            quoted = not quoted
        elif not quoted and mark in "{}":
            depth += 1 if mark == "{" else -1
            if not depth:
                return match.end()
    return None


def unfenced(text: str) -> str:
    """Return what is between the first fence and the last; ``text`` where there are not two."""
    fences = [m.span() for m in _FENCE.finditer(text)]
    if len(fences) < 2:
        return text.strip().strip("`").strip() if text.strip().startswith("`") else text
    return text[fences[0][1] : fences[-1][0]].strip()


def from_text(field: Field, text: str) -> Any:
    """Return a text as the field's type. Raises ValueError saying why it does not fit."""
    if field.is_text:
        return text.strip()
    candidates: list[Callable[[], Any]] = [
        lambda: field.validate(text.strip()),
        lambda: field.validate(loads(text)),
        lambda: field.validate(unfenced(text)),
        lambda: field.validate(loads(unfenced(text))),
    ]
    if field.kind.takes_text:
        candidates = [lambda: _not_text(field, loads(text)), *candidates]
    first: ValueError | None = None
    for candidate in candidates:
        try:
            return candidate()
        except ValueError as error:
            first = first if first is not None and not _is_data(text) else error
    raise first or ValueError("it does not fit")


def read_value(field: Field, value: Any) -> Any:
    """Return a value out of JSON as the field's type; a text may hold the data. Raises ValueError."""
    try:
        return field.validate(value)
    except ValueError:
        if not isinstance(value, str):
            raise
        return from_text(field, value)


def _is_data(text: str) -> bool:
    return text.lstrip().startswith(("{", "[", "`"))


def _not_text(field: Field, value: Any) -> Any:
    """Return ``value`` for a type that takes text too, such as ``str | None``: only if it is no text."""
    if isinstance(value, str) or not field.kind.is_exact(value):
        raise ValueError("a text")
    return value


def build(
    signature: type[Signature],
    values: Mapping[str, Any],
    read: Callable[[Field, Any], Any],
    answer: str,
) -> dict[str, Any]:
    """Return every output field of ``signature``, typed; what is missing gets its default or None
    where that fits. Raises ParseError naming the field."""
    outputs: dict[str, Any] = {}
    for name, field in signature.output_fields.items():
        if name not in values:
            outputs[name] = _absent(field, answer)
            continue
        try:
            outputs[name] = read(field, values[name])
        except ValueError as error:
            raise ParseError(f"the field {name!r} does not fit: {error}", answer=answer) from None
    return outputs


def _absent(field: Field, answer: str) -> Any:
    if field.has_default:
        return field.default
    if not field.is_text and field.kind.is_exact(None):
        return None
    raise ParseError(f"the field {field.name!r} is missing", answer=answer)


def bare_value(signature: type[Signature], text: str) -> dict[str, Any] | None:
    """Return the only output where the whole text is its value (a typed one, or a JSON text)."""
    if len(signature.output_fields) != 1:
        return None
    ((name, field),) = signature.output_fields.items()
    try:
        if not field.kind.takes_text:
            return {name: from_text(field, text)}
        data = loads(unfenced(text))
        return {name: field.validate(data)} if isinstance(data, str) else None
    except ValueError:
        return None
