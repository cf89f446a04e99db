"""Reading answers: the JSON in a text, and typed values out of texts. Never raises anything but
ValueError, whatever the text, and takes time linear in its length."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

from pytest_lmprog.adapters.lenient import loads, unfenced
from pytest_lmprog.errors import ParseError
from pytest_lmprog.signatures import Field, Signature

__all__ = ["CutOffError", "bare_value", "build", "find_values", "from_text", "read_unmarked", "read_value"]

_MAX_STARTS = 20


class CutOffError(ValueError):
    """The JSON begins and does not end."""


def find_values(text: str, wanted: Mapping[str, Field]) -> dict[str, Any] | None:
    """Return the values of the fields ``wanted`` in the first JSON object in ``text`` that has all of
    them, else in the first that has any; ``{}`` where no object has any, None where there is no object.

    Raises CutOffError where the only object begins and does not end."""
    best: dict[str, Any] | None = None
    cut = False
    for part in _object_texts(text.strip()):
        found = None if part is None else _as_object(part)
        cut = cut or part is None
        if found is None:
            continue
        values = _matched(found, wanted) or _wrapped(found, wanted)
        if len(values) == len(wanted):
            return values
        best = best or values
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


def _wrapped(found: dict[str, Any], wanted: Mapping[str, Field]) -> dict[str, Any]:
    """Return the values in an object that is the only value of ``found``, if all are there."""
    inner = next(iter(found.values())) if len(found) == 1 else None
    values = _matched(inner, wanted) if isinstance(inner, dict) else {}
    return values if len(values) == len(wanted) else {}


_OBJECT_START = re.compile(r"""\{\s{0,100}["'}]""")


def _object_texts(text: str) -> Iterator[str | None]:
    """Yield the texts of the outermost ``{...}`` in ``text``, from the left; None for one that does not
    end. What is inside of something that looks like JSON is never taken for the answer itself."""
    if text.startswith("{") and text.endswith("}"):
        yield text
    position = 0
    for _ in range(_MAX_STARTS):
        start = text.find("{", position)
        if start < 0:
            return
        if not _OBJECT_START.match(text, start):
            position = start + 1
            continue
        end = _balanced_end(text, start)
        yield None if end is None else text[start:end]
        if end is None:
            return
        position = end


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


def from_text(field: Field, text: str) -> Any:
    """Return a text as the field's type. Raises ValueError saying why it does not fit."""
    text = text.strip()
    if field.is_text:
        return text
    inner = unfenced(text)
    if field.kind.takes_text and (data := _no_text(field, inner)) is not _NOTHING:
        return data
    problem: ValueError | None = None
    attempts: tuple[Callable[[], Any], ...] = (
        partial(field.validate, text),
        partial(field.validate, inner),
        partial(_as_data, field, inner),
    )
    for attempt in attempts:
        try:
            return attempt()
        except ValueError as error:
            problem = problem if problem is not None and not isinstance(error, _DataError) else error
    raise problem or ValueError("it does not fit")


class _DataError(ValueError):
    """The text is data, but not of the field's type: says more than that it is no such value."""


def _as_data(field: Field, text: str) -> Any:
    data = loads(text)
    try:
        return field.validate(data)
    except ValueError as error:
        if isinstance(data, dict | list):
            raise _DataError(str(error)) from None
        raise


_NOTHING: Any = object()


def _no_text(field: Field, text: str) -> Any:
    """Return the data that ``text`` is, for a type that takes text too, such as ``str | None``, if it is
    another of its types; else ``_NOTHING``."""
    try:
        data = loads(text)
    except ValueError:
        data = None if text.lower() in ("none", "null") else text
    return data if not isinstance(data, str) and field.kind.is_exact(data) else _NOTHING


def read_value(field: Field, value: Any) -> Any:
    """Return a value out of JSON as the field's type; a text may hold the data. Raises ValueError."""
    try:
        return field.validate(value)
    except ValueError:
        if not isinstance(value, str):
            raise
        return from_text(field, value)


def build(
    signature: type[Signature],
    values: Mapping[str, Any],
    read: Callable[[Field, Any], Any],
    answer: str,
) -> dict[str, Any]:
    """Return every output field of ``signature``, typed; what is missing gets its default or None
    where that fits. Raises ParseError naming the field."""
    outputs: dict[str, Any] = {}
    escaped = "\\ud" in answer or "\\uD" in answer or not _is_utf8(answer)
    for name, field in signature.output_fields.items():
        if name not in values:
            outputs[name] = _absent(field, answer)
            continue
        try:
            outputs[name] = read(field, values[name])
            if escaped:
                field.to_plain(outputs[name])  # half of a surrogate pair is no text
        except ValueError as error:
            raise ParseError(f"the field {name!r} does not fit: {error}", answer=answer) from None
    return outputs


def _is_utf8(text: str) -> bool:
    if text.isascii():
        return True
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _absent(field: Field, answer: str) -> Any:
    if field.has_default:
        return copy.deepcopy(field.default)
    if field.is_optional:
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


def read_unmarked(
    signature: type[Signature], text: str, answer: str, mark: Callable[[str], str]
) -> dict[str, Any]:
    """Return the output fields where no field has the mark that the form puts before it (``mark`` of its
    name): they are JSON, or the whole text is the only one. Raises ParseError."""
    try:
        values = find_values(text, signature.output_fields)
    except CutOffError as error:
        raise ParseError(str(error), answer=answer) from None
    if values:
        return build(signature, values, read_value, answer)
    bare = bare_value(signature, text)
    if bare is not None:
        return bare
    if not text.strip():
        raise ParseError("the answer is empty", answer=answer)
    first = next(iter(signature.output_fields))
    raise ParseError(f"the field {first!r} is missing: there is no {mark(first)}", answer=answer)
