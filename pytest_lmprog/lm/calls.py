"""What is asked of a recorded function and what it answers: plain values, frozen, without I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from functools import cached_property
from typing import Any

from pytest_lmprog.canonical import digest, plain
from pytest_lmprog.lm.types import Source
from pytest_lmprog.records import dataclass

__all__ = ["CallError", "CallRequest", "CallResult"]


@dataclass(frozen=True)
class CallRequest:
    """One call of a function. Its digest is the key: the function's name, its arguments and its version,
    and nothing of its code, so that a replay needs neither the function's module nor its data.

    Parameters
    ----------
    name: the function's name, unique in the project (``support.tools.search``).
    arguments: by name, defaults filled in, as plain JSON data. Never mutated after construction.
    version: raised by the function's author where its recorded results no longer hold.
    """

    name: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    version: str = ""

    @cached_property
    def payload(self) -> dict[str, Any]:
        """The call as plain data. Raises CanonicalError where an argument has no canonical form."""
        payload = {"arguments": plain(self.arguments, "arguments"), "function": self.name}
        return {**payload, "version": self.version} if self.version else payload

    @cached_property
    def key(self) -> str:
        """The recording key: 64 hexadecimal digits."""
        return digest({"call": self.payload})

    def cache_key(self, identity: str) -> str:
        """The cache key: the recording key bound to what answers (the function's code and data)."""
        return digest([self.key, identity])


@dataclass(frozen=True, slots=True)
class CallError:
    """An error that the function raised and that is kept: the name of its class, and its message."""

    kind: str
    message: str


@dataclass(frozen=True, slots=True)
class CallResult:
    """What a function returned, as plain data, or the error that it raised.

    ``latency`` is in seconds as first measured (a replayed result keeps it). ``source`` tells where this
    copy came from; it is never stored.
    """

    value: Any = None
    error: CallError | None = None
    latency: float | None = None
    source: Source = "live"

    def to_plain(self) -> dict[str, Any]:
        """Return the stored form (no ``source``, absent parts left out)."""
        data: dict[str, Any] = {}
        if self.error is None:
            data["value"] = self.value
        else:
            data["error"] = [self.error.kind, self.error.message]
        if self.latency is not None:
            data["latency"] = self.latency
        return data

    @classmethod
    def from_plain(cls, data: Mapping[str, Any], source: Source) -> CallResult:
        """Read the stored form. Raises KeyError, TypeError or ValueError if it is not one."""
        if "error" in data:
            kind, message = data["error"]
            return cls(None, CallError(str(kind), str(message)), data.get("latency"), source)
        return cls(data["value"], None, data.get("latency"), source)
