"""The lines of a recording file, format 1. Each is canonical JSON, so its text follows from its content.

``{"about":...,"format":1}``                                           first, once
``{"answer":KEY,"check":C,"endpoint":E,"request":R,"response":A}``     a recorded answer
``{"capabilities":{...},"model":M}``                                   what was found out about a model
``{"part":REF,"value":V}``                                             a message, a response format, tools
``{"part":REF,"sha256":D,"size":N}``                                   the same, its content not stored

KEY is the request's digest and C a digest of the rest of the line (16 digits). REF, the first 16 digits
of the value's digest, is how a request refers to its messages, response format and tools. E is a digest
of the address that answered. KEY, C and REF stand at fixed places, so a file is indexed unparsed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pytest_lmprog.canonical import canonical_json, digest_bytes
from pytest_lmprog.errors import CanonicalError
from pytest_lmprog.lm.types import Capabilities, LMRequest, LMResponse
from pytest_lmprog.records import dataclass

__all__ = [
    "ANSWER",
    "FORMAT",
    "HEADER",
    "MODEL",
    "PART",
    "REFERRED",
    "BadLineError",
    "Entry",
    "Part",
    "StoredRequest",
    "answer_key",
    "decode_answer",
    "decode_model",
    "decode_part",
    "encode_answer",
    "encode_model",
    "encode_part",
    "endpoint_digest",
    "is_answer",
    "is_part",
    "normalise",
    "part_ref",
    "ref_of",
    "references",
    "store_request",
    "whole_request",
]

FORMAT = 1
HEADER = canonical_json(
    {"about": "LM answers recorded by pytest-lmprog; sorted, one a line", "format": FORMAT}
)
ANSWER, MODEL, PART = b'{"answer":"', b'{"capabilities":', b'{"part":"'
_loads = json.JSONDecoder().decode  # json.loads looks at the encoding first, which takes a third as long
_CHECK, _VALUE = b'","check":"', b'","value":'
REFERRED = ("response_format", "tools")
_KEY_AT, _CHECK_AT, _BODY_AT = 11, 86, 104
_REF_AT, _VALUE_AT = 9, 35

# Valid in JSON text, but editors and diff viewers take them for line ends or hide them.
_UNSEEN = {c: f"\\u{c:04x}" for c in (*range(0x80, 0xA0), 0x200E, 0x200F, *range(0x2028, 0x202F), 0xFEFF)}


class BadLineError(ValueError):
    """A line that cannot be used; the message says why."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A recorded answer. ``request`` holds references in place of messages, response format and tools;
    ``redacted`` says that what they refer to is not, to the letter, what was sent."""

    key: str
    check: str
    request: Mapping[str, Any]
    response: LMResponse
    endpoint: str
    redacted: bool


@dataclass(frozen=True, slots=True)
class StoredRequest:
    """A request as it is stored: ``fields``, in which references stand for ``parts``, in their order.
    ``redacted`` says that something was taken out of it."""

    fields: Mapping[str, Any]
    parts: tuple[Any, ...]
    redacted: bool


@dataclass(frozen=True, slots=True)
class Part:
    """A message, a response format or a list of tools; ``value`` is None where only its size is stored."""

    ref: str
    value: Any
    size: int


def endpoint_digest(endpoint: str) -> str:
    """Return what is stored of an address: enough to tell two apart."""
    return digest_bytes(endpoint.encode("utf-8"))[:16]


def store_request(request: LMRequest, rewrite: Callable[[str], str] | None) -> StoredRequest:
    """Return ``request`` as it is stored; ``rewrite`` takes what must not be out of every text but the
    model's name."""
    payload = request.payload
    if rewrite is not None:
        payload = {**_rewritten(payload, rewrite), "model": request.model}
    values = [*payload["messages"], *(payload[name] for name in REFERRED if name in payload)]
    fields = {**payload, "messages": [ref_of(message) for message in payload["messages"]]}
    fields.update({name: ref_of(payload[name]) for name in REFERRED if name in payload})
    return StoredRequest(fields, tuple(values), payload != request.payload)


def references(fields: Mapping[str, Any]) -> list[str]:
    """Return the references in a stored request, in the order of its parts."""
    return [*fields["messages"], *(fields[name] for name in REFERRED if name in fields)]


def whole_request(fields: Mapping[str, Any], values: Sequence[Any]) -> dict[str, Any]:
    """Return a stored request with ``values`` in the place of its ``references``."""
    count = len(fields["messages"])
    names = [name for name in REFERRED if name in fields]
    return {**fields, "messages": list(values[:count]), **dict(zip(names, values[count:], strict=True))}


def ref_of(value: Any) -> str:
    """Return the reference to ``value``."""
    return digest_bytes(_text(value))[:16]


def encode_answer(key: str, request: StoredRequest, response: LMResponse, *, endpoint: str) -> bytes:
    """Return the line of an answer; ``endpoint`` is a digest, or empty."""
    body: dict[str, Any] = {"request": request.fields, "response": response.to_plain()}
    if endpoint:
        body["endpoint"] = endpoint
    if request.redacted:
        body["redacted"] = True
    return _join_answer(key.encode("ascii"), _text(body)[1:])


def _join_answer(key: bytes, body: bytes) -> bytes:
    return b"".join((ANSWER, key, _CHECK, _check_of(key, body), b'",', body))


def _check_of(key: bytes, body: bytes) -> bytes:
    return hashlib.sha256(key + body).hexdigest()[:16].encode("ascii")


def decode_answer(line: bytes) -> Entry:
    """Read the line of an answer. Raises BadLineError."""
    key, body = line[_KEY_AT : _KEY_AT + 64], line[_BODY_AT:]
    check = line[_CHECK_AT : _CHECK_AT + 16]
    if _check_of(key, body) != check:
        raise BadLineError("the answer on this line was changed (its check does not fit)")
    try:
        data = _loads("{" + body.decode("utf-8"))
        return Entry(
            key=key.decode("ascii"),
            check=check.decode("ascii"),
            request=data["request"],
            response=LMResponse.from_plain(data["response"], "recording"),
            endpoint=data.get("endpoint", ""),
            redacted=data.get("redacted", False),
        )
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, RecursionError) as error:
        raise BadLineError(f"this is not a recorded answer ({error})") from None


def is_answer(line: bytes) -> bool:
    """Whether ``line`` is laid out as an answer; its content is not looked at."""
    return line.startswith(ANSWER) and line[75:86] == _CHECK and line[102:104] == b'",'


def answer_key(line: bytes) -> str:
    """Return the key of an answer's line."""
    return line[_KEY_AT : _KEY_AT + 64].decode("latin-1")


def encode_part(value: Any, *, store: bool = True) -> bytes:
    """Return the line of a part; with ``store=False`` its content is left out."""
    text = _text(value)
    digest = digest_bytes(text)
    if store:
        return b"".join((PART, digest[:16].encode("ascii"), _VALUE, text, b"}"))
    return _text({"part": digest[:16], "sha256": digest, "size": len(text)})


def decode_part(line: bytes) -> Part:
    """Read the line of a part. Raises BadLineError."""
    ref = part_ref(line)
    try:
        if line[25:35] != _VALUE:
            return Part(ref, None, int(json.loads(line)["size"]))
        text = line[_VALUE_AT:-1]
        if digest_bytes(text)[:16] != ref:
            raise BadLineError("the message on this line was changed (its digest does not fit)")
        return Part(ref, json.loads(text), len(text))
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        if isinstance(error, BadLineError):
            raise
        raise BadLineError(f"this is not a recorded message ({error})") from None


def is_part(line: bytes) -> bool:
    """Whether ``line`` is laid out as a part; its content is not looked at."""
    return line.startswith(PART) and line[25:27] == b'",'


def part_ref(line: bytes) -> str:
    """Return the reference of a part's line."""
    return line[_REF_AT : _REF_AT + 16].decode("latin-1")


def encode_model(model: str, capabilities: Capabilities) -> bytes:
    """Return the line of a model."""
    return _text({"capabilities": capabilities.to_plain(), "model": model})


def decode_model(line: bytes) -> tuple[str, Capabilities]:
    """Read the line of a model. Raises BadLineError."""
    try:
        data = json.loads(line)
        model, capabilities = data["model"], Capabilities.from_plain(data["capabilities"])
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise BadLineError(f"this does not describe a model ({error})") from None
    if type(model) is not str:
        raise BadLineError("this does not describe a model (its name is not text)")
    return model, capabilities


def normalise(line: bytes) -> bytes:
    """Return ``line`` as we would write it, where another program has only laid it out differently.

    Raises BadLineError for what is not JSON or not a line of a recording.
    """
    try:
        data = json.loads(line)
        text = _text(data)
    except (ValueError, RecursionError, CanonicalError) as error:
        raise BadLineError(f"this is not JSON ({error})") from None
    if type(data) is dict and "format" in data:
        return _check_format(data["format"])
    if is_answer(text) or is_part(text) or text.startswith(MODEL):
        return text
    raise BadLineError("this is not a line of a recording")


def _check_format(number: object) -> bytes:
    if number == FORMAT:
        return HEADER
    raise BadLineError(f"the file has format {number!r}, which this version cannot read (it reads {FORMAT})")


def _text(value: Any) -> bytes:
    text = canonical_json(value)
    if text.isascii():
        return text
    return text.decode("utf-8").translate(_UNSEEN).encode("utf-8")


def _rewritten(value: Any, rewrite: Callable[[str], str]) -> Any:
    if type(value) is str:
        return rewrite(value)
    if type(value) is dict:
        return {name: _rewritten(part, rewrite) for name, part in value.items()}
    if type(value) is list:
        return [_rewritten(part, rewrite) for part in value]
    return value
