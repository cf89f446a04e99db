"""The lines of recorded function calls in a recording file, beside those of ``lines``.

``{"called":KEY,"check":C,"function":F,"result":R}``

F is the call (``arguments``, ``function``, ``version``) and R what came of it. KEY is the call's digest and
C a digest of the rest of the line, at the places where an answer's line has them. Where arguments are not
to be stored, F holds their digest and size instead.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from pytest_lmprog.canonical import canonical_json, digest_bytes
from pytest_lmprog.lm.calls import CallRequest, CallResult
from pytest_lmprog.lm.entry import rewrite_texts
from pytest_lmprog.lm.recordings import lines as fmt
from pytest_lmprog.lm.recordings.lines import BadLineError
from pytest_lmprog.records import dataclass

__all__ = ["CallEntry", "decode_call", "encode_call", "stored_call"]


@dataclass(frozen=True, slots=True)
class CallEntry:
    """A recorded call. ``redacted`` says that ``function`` is not, to the letter, what was called."""

    key: str
    check: str
    function: Mapping[str, Any]
    result: CallResult
    redacted: bool

    @property
    def name(self) -> str:
        """The function's name."""
        return str(self.function["function"])

    @property
    def arguments(self) -> Mapping[str, Any] | None:
        """The arguments, or None where they are not stored."""
        return self.function.get("arguments")


def stored_call(
    request: CallRequest, rewrite: Callable[[str], str] | None, *, store: bool = True
) -> tuple[dict[str, Any], bool]:
    """Return what is stored of a call, and whether something was taken out of its arguments."""
    payload = request.payload
    if not store:
        text = canonical_json(payload["arguments"])
        rest = {name: value for name, value in payload.items() if name != "arguments"}
        return {**rest, "sha256": digest_bytes(text), "size": len(text)}, False
    if rewrite is None:
        return payload, False
    kept = {**payload, "arguments": rewrite_texts(payload["arguments"], rewrite)}
    return kept, kept != payload


def encode_call(key: str, function: Mapping[str, Any], result: CallResult, *, redacted: bool) -> bytes:
    """Return the line of a call; ``function`` is as ``stored_call`` gives it."""
    body: dict[str, Any] = {"function": function, "result": result.to_plain()}
    if redacted:
        body["redacted"] = True
    return fmt.join_checked(fmt.CALLED, key, body)


def decode_call(line: bytes) -> CallEntry:
    """Read the line of a call. Raises BadLineError."""
    key, check, text = fmt.split_checked(line, "result")
    try:
        data = json.loads(text)
        if not isinstance(data["function"]["function"], str):
            raise TypeError("its function has no name")
        result = CallResult.from_plain(data["result"], "recording")
        return CallEntry(key, check, data["function"], result, data.get("redacted", False))
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise BadLineError(f"this is not a recorded call ({error})") from None
