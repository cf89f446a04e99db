"""What is stored under a cache key: bytes that begin with the answer, followed by what was asked.

An entry is two lines of canonical JSON, so that a look-up reads the first only, whatever the size of
the prompt::

    {"response": {"text": ...}, "v": 1}                       and "asked_in" under --lm-record=all
    {"endpoint": ..., "request": {"model": ..., ...}}         "request" null where messages are not kept

A row about a model instead of an answer has ``"capabilities"`` in place of ``"response"``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from pytest_lmprog.canonical import canonical_json, digest
from pytest_lmprog.lm.types import Capabilities, LMRequest, LMResponse, Source
from pytest_lmprog.records import dataclass

__all__ = [
    "ENTRY_FORMAT",
    "Entry",
    "capabilities_key",
    "decode_entry",
    "encode_answer",
    "encode_capabilities",
    "read_answer",
    "read_capabilities",
    "rewrite_texts",
]

ENTRY_FORMAT = 1
"""Number of the form; raised when entries written before can no longer be read as they are."""

_loads = json.JSONDecoder().decode


@dataclass(frozen=True, slots=True)
class Entry:
    """A stored row, read in full.

    Parameters
    ----------
    endpoint: the address that answered, without secrets.
    response: the answer, or None in a row about a model.
    capabilities: what the model can do, in a row about a model.
    request: the request's payload, or None where messages are not kept.
    rewritten: the request was redacted before it was stored, so its digest is not the key.
    """

    endpoint: str
    response: LMResponse | None = None
    capabilities: Capabilities | None = None
    request: Mapping[str, Any] | None = None
    rewritten: bool = False

    def fits(self, key: str) -> bool | None:
        """Tell whether ``key`` is the key of what was asked; None where that cannot be told."""
        if self.request is None or self.rewritten:
            return None
        if self.response is None:
            return capabilities_key(str(self.request.get("model")), self.endpoint) == key
        return digest([digest(self.request), self.endpoint]) == key


def encode_answer(
    request: LMRequest,
    response: LMResponse,
    endpoint: str,
    *,
    asked_in: str = "",
    keep_request: bool = True,
    rewrite: Callable[[str], str] | None = None,
) -> bytes:
    """Return the entry for an answer.

    ``asked_in`` names the run that asked once more; ``rewrite`` takes what must not be stored out of
    every text of the request (the response has been rewritten already: it is used as it is stored).
    """
    head: dict[str, Any] = {"response": response.to_plain(), "v": ENTRY_FORMAT}
    if asked_in:
        head["asked_in"] = asked_in
    tail: dict[str, Any] = {"endpoint": endpoint, "request": None}
    if keep_request:
        kept = rewrite_texts(request.payload, rewrite) if rewrite else request.payload
        tail["request"] = kept
        if kept != request.payload:
            tail["rewritten"] = True
    return canonical_json(head) + b"\n" + canonical_json(tail)


def encode_capabilities(model: str, capabilities: Capabilities, endpoint: str) -> bytes:
    """Return the entry for what was found out about a model."""
    head = {"capabilities": capabilities.to_plain(), "v": ENTRY_FORMAT}
    return canonical_json(head) + b"\n" + canonical_json({"endpoint": endpoint, "request": {"model": model}})


def capabilities_key(model: str, endpoint: str) -> str:
    """Return the key of the row about ``model`` at ``endpoint``."""
    return digest(["capabilities", model, endpoint])


def read_answer(entry: bytes, source: Source, *, asked_in: str | None = None) -> LMResponse | None:
    """Return the answer in ``entry``; None if ``asked_in`` is given and it was not that run that asked.

    Raises ValueError, KeyError or TypeError for bytes that are not an entry of this format."""
    head = _head(entry)
    if asked_in is not None and (not asked_in or head.get("asked_in") != asked_in):
        return None
    return LMResponse.from_plain(head["response"], source)


def read_capabilities(entry: bytes) -> Capabilities:
    """Return the capabilities in ``entry``. Raises ValueError, KeyError or TypeError as above."""
    return Capabilities.from_plain(_head(entry)["capabilities"])


def decode_entry(entry: bytes) -> Entry:
    """Read all of ``entry``. Raises ValueError, KeyError or TypeError for what is not an entry."""
    head = _head(entry)
    tail = _loads(entry[entry.index(b"\n") + 1 :].decode("utf-8"))
    if not isinstance(tail, dict) or not isinstance(tail.get("endpoint"), str):
        raise ValueError("an entry without an endpoint")
    request = tail["request"]
    if request is not None and not isinstance(request, dict):
        raise ValueError("an entry whose request is not an object")
    if "capabilities" in head:
        known = Capabilities.from_plain(head["capabilities"])
        return Entry(tail["endpoint"], None, known, request)
    response = LMResponse.from_plain(head["response"], "cache")
    return Entry(tail["endpoint"], response, None, request, tail.get("rewritten") is True)


def _head(entry: bytes) -> dict[str, Any]:
    head = _loads(entry[: entry.index(b"\n")].decode("utf-8"))
    if not isinstance(head, dict) or head.get("v") != ENTRY_FORMAT:
        raise ValueError("not an entry of this format")
    return head


def rewrite_texts(value: Any, rewrite: Callable[[str], str]) -> Any:
    """Return plain ``value`` with ``rewrite`` applied to every text in it (keys are left alone)."""
    if isinstance(value, str):
        return rewrite(value)
    if isinstance(value, Mapping):
        return {key: rewrite_texts(part, rewrite) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [rewrite_texts(part, rewrite) for part in value]
    return value
