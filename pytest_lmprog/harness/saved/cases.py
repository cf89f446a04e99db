"""What a run keeps of each example: the data row, the program's run on it, and its predictor calls."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import field, fields
from typing import Any, Self

from pytest_lmprog.lm.types import Message
from pytest_lmprog.records import dataclass

__all__ = ["SavedCall", "SavedCase", "SavedError", "SavedExample", "given", "message_text"]


def given(value: Any) -> dict[str, Any]:
    """Return the fields of a dataclass that differ from their defaults (those without one always)."""
    return {f.name: now for f in fields(value) if (now := getattr(value, f.name)) != f.default}


def message_text(message: Message) -> str:
    """Return the text that tells messages apart."""
    return json.dumps(message, sort_keys=True, ensure_ascii=False)


@dataclass(frozen=True, slots=True)
class SavedCall:
    """One predictor call, in the order in which the calls ended.

    Parameters
    ----------
    predictor: its name (attribute path in the program).
    outputs: None where the answer did not fit; ``error`` then says why.
    usage: prompt and completion tokens; ``latency`` (s) and ``cost`` (USD) are the live call's.
    source: where the answer came from: ``live``, ``memory``, ``cache`` or ``recording``.
    finish_reason, reasoning: as the endpoint told, or None.
    """

    predictor: str
    inputs: Mapping[str, Any]
    outputs: Mapping[str, Any] | None
    messages: tuple[Message, ...]
    answer: str
    adapter: str
    rollout: int = 0
    usage: tuple[int, int] | None = None
    latency: float | None = None
    cost: float | None = None
    source: str = "live"
    error: str | None = None
    finish_reason: str | None = None
    reasoning: str | None = None

    def to_plain(self, number: Mapping[str, int] | None = None) -> dict[str, Any]:
        """Return JSON data. ``number``: of each message by its text, where messages are stored apart."""
        messages: list[Any] = [dict(m) for m in self.messages]
        if number is not None:
            messages = [number[message_text(m)] for m in messages]
        data = {**given(self), "messages": messages}
        if self.usage is not None:
            data["usage"] = list(self.usage)
        return data

    @classmethod
    def from_plain(cls, data: Mapping[str, Any], messages: Sequence[Message] | None = None) -> Self:
        """Read what ``to_plain`` returned."""
        own = tuple(data["messages"] if messages is None else (messages[n] for n in data["messages"]))
        usage = data.get("usage")
        return cls(**{**data, "messages": own, "usage": None if usage is None else (usage[0], usage[1])})


@dataclass(frozen=True, slots=True)
class SavedError:
    """What the program failed with. ``kind`` is stable: the exception's class name."""

    kind: str
    message: str


@dataclass(frozen=True, slots=True)
class SavedCase:
    """One run of the program on one example and rollout: a prediction or an error, and the calls either way.

    Parameters
    ----------
    example: id of the example.
    origins: of the values in the prediction that a predictor put out, by JSON pointer (``/team``,
        ``/hops/0``): number of the call and name of its output; an empty name: all of its outputs.
    made_by: number of the call whose inputs the prediction falls back on, or None.
    completions: all samples, where more than one was asked for.
    """

    example: str
    rollout: int = 0
    prediction: Mapping[str, Any] | None = None
    error: SavedError | None = None
    calls: tuple[SavedCall, ...] = ()
    origins: Mapping[str, tuple[int, str]] = field(default_factory=dict)
    made_by: int | None = None
    completions: tuple[Mapping[str, Any], ...] = ()

    def to_plain(self, number: Mapping[str, int] | None = None) -> dict[str, Any]:
        """Return JSON data. ``number`` as for calls."""
        data: dict[str, Any] = {"example": self.example, "rollout": self.rollout}
        if self.prediction is not None:
            data["prediction"] = dict(self.prediction)
        if self.error is not None:
            data["error"] = {"kind": self.error.kind, "message": self.error.message}
        data["calls"] = [call.to_plain(number) for call in self.calls]
        if self.origins:
            data["origins"] = {name: [index, output] for name, (index, output) in self.origins.items()}
        if self.made_by is not None:
            data["made_by"] = self.made_by
        if self.completions:
            data["completions"] = [dict(sample) for sample in self.completions]
        return data

    @classmethod
    def from_plain(cls, data: Mapping[str, Any], messages: Sequence[Message] | None = None) -> Self:
        """Read what ``to_plain`` returned."""
        error = data.get("error")
        return cls(
            data["example"],
            data["rollout"],
            data.get("prediction"),
            None if error is None else SavedError(error["kind"], error["message"]),
            tuple(SavedCall.from_plain(call, messages) for call in data["calls"]),
            {name: (index, output) for name, (index, output) in data.get("origins", {}).items()},
            data.get("made_by"),
            tuple(data.get("completions", ())),
        )


@dataclass(frozen=True, slots=True)
class SavedExample:
    """One data row. ``digest``: 12 hexadecimal digits of its fields' digest, as baselines have it."""

    id: str
    fields: Mapping[str, Any]
    inputs: tuple[str, ...] = ()
    split: str | None = None
    tags: tuple[str, ...] = ()
    weight: float = 1.0
    digest: str = ""

    def to_plain(self) -> dict[str, Any]:
        """Return JSON data."""
        data = {**given(self), "fields": dict(self.fields), "inputs": list(self.inputs)}
        return {**data, "tags": list(self.tags)} if self.tags else data

    @classmethod
    def from_plain(cls, data: Mapping[str, Any]) -> Self:
        """Read what ``to_plain`` returned."""
        return cls(**{**data, "inputs": tuple(data["inputs"]), "tags": tuple(data.get("tags", ()))})
