"""What is asked of an LM and what it answers: plain values, frozen, without I/O."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import field, replace
from functools import cached_property
from typing import Any, Literal, Protocol, runtime_checkable

from pytest_lmprog.canonical import canonical_text, digest, plain
from pytest_lmprog.records import dataclass

__all__ = [
    "Capabilities",
    "LMRequest",
    "LMResponse",
    "LanguageModel",
    "Message",
    "Messages",
    "SharedMessages",
    "Source",
    "Usage",
]

Message = Mapping[str, Any]
"""One chat message as it goes over the wire: ``{"role": ..., "content": ...}``."""


class SharedMessages:
    """Messages that many requests begin with. The hash of their canonical text is made once."""

    __slots__ = ("hasher", "messages")

    def __init__(self, messages: tuple[Message, ...]) -> None:
        self.messages = messages
        opening = "".join(canonical_text(message, "messages") + "," for message in messages)
        self.hasher = hashlib.sha256(('{"messages":[' + opening).encode("utf-8"))


class Messages(tuple[Message, ...]):
    """A tuple of messages that knows which of them it shares with other requests."""

    shared: SharedMessages

    @classmethod
    def after(cls, shared: SharedMessages, *own: Message) -> Messages:
        """Return the messages of ``shared``, then ``own`` (at least one)."""
        messages = cls((*shared.messages, *own))
        messages.shared = shared
        return messages


Source = Literal["live", "memory", "cache", "recording"]
"""Where an answer came from."""


@dataclass(frozen=True)
class LMRequest:
    """One request. Its digest is the key: everything that can change the answer is in here,
    and nothing that cannot (keys, headers, time-outs).

    Parameters
    ----------
    model: the model's name as configured (``"openai/gpt-4o-mini"``).
    messages: the chat messages, in wire form. Never mutated after construction.
    params: sampling parameters and provider options (``temperature``, ``max_tokens``, ...), no None values.
    response_format: the wire value (``{"type": "json_schema", ...}``), or None.
    tools: tool definitions in wire form.
    rollout: number of the sampled answer, from 0.
    """

    model: str
    messages: tuple[Message, ...]
    params: Mapping[str, Any] = field(default_factory=dict)
    response_format: Mapping[str, Any] | None = None
    tools: tuple[Mapping[str, Any], ...] = ()
    rollout: int = 0

    @cached_property
    def payload(self) -> dict[str, Any]:
        """The request as plain data. Raises CanonicalError where it has no canonical form."""
        settings = {name: plain(value, name) for name, value in self._settings().items()}
        return {"messages": plain(self.messages, "messages"), **settings}

    def _settings(self) -> dict[str, Any]:
        """Return all but the messages; names that sort behind ``messages``."""
        settings: dict[str, Any] = {"model": self.model, "params": self.params}
        if self.response_format is not None:
            settings["response_format"] = self.response_format
        if self.tools:
            settings["tools"] = self.tools
        if self.rollout:
            settings["rollout"] = self.rollout
        return settings

    @cached_property
    def key(self) -> str:
        """The recording key: 64 hexadecimal digits. Holds no endpoint, so replay works anywhere.

        It is ``digest(payload)``. Where the messages know what they share with other requests, that part
        is not hashed again: ``messages`` is the first key of the payload's canonical form."""
        if type(self.messages) is not Messages:
            return digest(self.payload)
        shared = self.messages.shared
        hasher = shared.hasher.copy()
        own = ",".join(canonical_text(m, "messages") for m in self.messages[len(shared.messages) :])
        rest = ",".join(f'"{k}":{canonical_text(v, k)}' for k, v in sorted(self._settings().items()))
        hasher.update(f"{own}],{rest}}}".encode())
        return hasher.hexdigest()

    def cache_key(self, endpoint: str) -> str:
        """The cache key: the recording key bound to the address that answered."""
        return digest([self.key, endpoint])

    def with_rollout(self, rollout: int) -> LMRequest:
        """Return the same request for another sampled answer."""
        return self if rollout == self.rollout else replace(self, rollout=rollout)


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one answer, as the endpoint counted them."""

    prompt_tokens: int = 0
    completion_tokens: int = 0

    @property
    def total_tokens(self) -> int:
        """Prompt and completion tokens."""
        return self.prompt_tokens + self.completion_tokens

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.prompt_tokens + other.prompt_tokens, self.completion_tokens + other.completion_tokens
        )

    def __sub__(self, other: Usage) -> Usage:
        return Usage(
            self.prompt_tokens - other.prompt_tokens, self.completion_tokens - other.completion_tokens
        )


@dataclass(frozen=True, slots=True)
class LMResponse:
    """One answer.

    ``latency`` is in seconds as first measured (a replayed answer keeps it), ``cost`` in USD or None
    where unknown. ``source`` tells where this copy came from; it is never stored.
    """

    text: str
    finish_reason: str | None = None
    usage: Usage | None = None
    cost: float | None = None
    latency: float | None = None
    reasoning: str | None = None
    tool_calls: tuple[Mapping[str, Any], ...] = ()
    source: Source = "live"

    def to_plain(self) -> dict[str, Any]:
        """Return the stored form (no ``source``, absent parts left out)."""
        data: dict[str, Any] = {"text": self.text}
        if self.finish_reason is not None:
            data["finish_reason"] = self.finish_reason
        if self.usage is not None:
            data["usage"] = [self.usage.prompt_tokens, self.usage.completion_tokens]
        if self.cost is not None:
            data["cost"] = self.cost
        if self.latency is not None:
            data["latency"] = self.latency
        if self.reasoning is not None:
            data["reasoning"] = self.reasoning
        if self.tool_calls:
            data["tool_calls"] = plain(self.tool_calls, "tool_calls")
        return data

    @classmethod
    def from_plain(cls, data: Mapping[str, Any], source: Source) -> LMResponse:
        """Read the stored form. Raises KeyError, TypeError or ValueError if it is not one."""
        text = data["text"]
        if type(text) is not str:
            raise TypeError("text is not a string")
        usage = data.get("usage")
        return cls(
            text,
            data.get("finish_reason"),
            None if usage is None else Usage(int(usage[0]), int(usage[1])),
            data.get("cost"),
            data.get("latency"),
            data.get("reasoning"),
            tuple(data.get("tool_calls", ())),
            source,
        )


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a model at an endpoint can do; None where nobody has found out yet.

    ``json_schema``: answers are constrained by ``response_format={"type": "json_schema"}``.
    ``tools``: requests may define tools.
    """

    json_schema: bool | None = None
    tools: bool | None = None

    def to_plain(self) -> dict[str, Any]:
        """Return the stored form: only what is known."""
        known = {"json_schema": self.json_schema, "tools": self.tools}
        return {name: value for name, value in known.items() if value is not None}

    @classmethod
    def from_plain(cls, data: Mapping[str, Any]) -> Capabilities:
        """Read the stored form."""
        known = {name: data.get(name) for name in ("json_schema", "tools")}
        return cls(**{name: value for name, value in known.items() if isinstance(value, bool)})


@runtime_checkable
class LanguageModel(Protocol):
    """Anything that answers requests. ``LM`` and ``ScriptedLM`` are two; the conformance suite
    in ``tests/lm/conformance.py`` says what holds for all.

    ``complete`` goes through recordings, cache, single flight and budget of the active ``CallScope``.
    """

    @property
    def model(self) -> str:
        """Name as it stands in keys, snapshots and reports."""
        ...

    @property
    def endpoint(self) -> str:
        """The address part of the cache key, without secrets."""
        ...

    def request(
        self,
        messages: tuple[Message, ...],
        *,
        response_format: Mapping[str, Any] | None = None,
        tools: tuple[Mapping[str, Any], ...] = (),
        rollout: int = 0,
        **params: Any,
    ) -> LMRequest:
        """Build the request for this model: its defaults, then ``params`` over them."""
        ...

    def capabilities(self) -> Capabilities:
        """What is known of the model now, from recording, snapshot, cache or earlier calls."""
        ...

    def learn(self, capabilities: Capabilities) -> None:
        """Take note of what was found out, and store it where answers are stored."""
        ...

    def complete(self, request: LMRequest) -> LMResponse:
        """Answer ``request``. Raises LMError, ReplayMissError or BudgetExceededError."""
        ...

    async def acomplete(self, request: LMRequest) -> LMResponse:
        """The same, without blocking the event loop."""
        ...
