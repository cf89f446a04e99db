"""Counting calls: what the calls of a scope come to, and the most that a run may make."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field, fields
from threading import Lock
from typing import Any, Literal

from pytest_lmprog.errors import CallLimitError
from pytest_lmprog.lm.types import LMResponse, Source, Usage
from pytest_lmprog.records import dataclass

__all__ = ["CallLimit", "Tally", "TallyCount"]


@dataclass(frozen=True, slots=True)
class TallyCount:
    """Counts of calls by where their answers came from. Cost in USD; ``unpriced`` live calls had none.

    ``tools`` counts calls of recorded functions, apart from those of LMs; ``live_tools`` those that ran.
    ``unmet``: suggestions (``lmp.Suggest``) that did not hold in the end."""

    live: int = 0
    memory: int = 0
    cache: int = 0
    recording: int = 0
    retries: int = 0
    fallbacks: int = 0
    usage: Usage = field(default_factory=Usage)
    live_usage: Usage = field(default_factory=Usage)
    cost: float = 0.0
    live_cost: float = 0.0
    unpriced: int = 0
    tools: int = 0
    live_tools: int = 0
    unmet: int = 0

    @property
    def calls(self) -> int:
        """All answered calls of LMs."""
        return self.live + self.memory + self.cache + self.recording

    @property
    def cached_share(self) -> float | None:
        """Share of calls that were not live, or None where there was no call."""
        return (self.calls - self.live) / self.calls if self.calls else None

    def __add__(self, other: TallyCount) -> TallyCount:
        sums = {name: getattr(self, name) + getattr(other, name) for name in _NUMBERS}
        return TallyCount(
            **sums, usage=self.usage + other.usage, live_usage=self.live_usage + other.live_usage
        )

    def __sub__(self, other: TallyCount) -> TallyCount:
        rest = {name: getattr(self, name) - getattr(other, name) for name in _NUMBERS}
        return TallyCount(
            **rest, usage=self.usage - other.usage, live_usage=self.live_usage - other.live_usage
        )

    def to_plain(self) -> dict[str, Any]:
        """Return JSON data: what is not zero."""
        plain = {name: value for name in _NUMBERS if (value := getattr(self, name))}
        for name in _USAGES:
            usage: Usage = getattr(self, name)
            if usage.total_tokens:
                plain[name] = [usage.prompt_tokens, usage.completion_tokens]
        return plain

    @classmethod
    def from_plain(cls, data: Mapping[str, Any]) -> TallyCount:
        """Read what ``to_plain`` returned."""
        return cls(
            **{name: data[name] for name in _NUMBERS if name in data},
            usage=Usage(*data.get("usage", ())),
            live_usage=Usage(*data.get("live_usage", ())),
        )


_USAGES = ("usage", "live_usage")
_NUMBERS = tuple(f.name for f in fields(TallyCount) if f.name not in _USAGES)
_COUNTS = tuple(name for name in _NUMBERS if name not in ("cost", "live_cost"))


class Tally:
    """Thread-safe counter of calls. One may have a parent, which counts the same calls too."""

    def __init__(self, parent: Tally | None = None) -> None:
        self._lock = Lock()
        self._counts: dict[str, Any] = dict.fromkeys(_COUNTS, 0)
        self._tokens = [0, 0, 0, 0]
        self._cost = [0.0, 0.0]
        self._parent = parent

    def add(self, response: LMResponse, source: Source) -> None:
        """Count one answered call."""
        with self._lock:
            self._counts[source] += 1
            if response.usage is not None:
                self._tokens[0] += response.usage.prompt_tokens
                self._tokens[1] += response.usage.completion_tokens
                if source == "live":
                    self._tokens[2] += response.usage.prompt_tokens
                    self._tokens[3] += response.usage.completion_tokens
            if response.cost is not None:
                self._cost[0] += response.cost
                if source == "live":
                    self._cost[1] += response.cost
            elif source == "live":
                self._counts["unpriced"] += 1
        if self._parent is not None:
            self._parent.add(response, source)

    def add_tool(self, source: Source) -> None:
        """Count one answered call of a recorded function."""
        with self._lock:
            self._counts["tools"] += 1
            self._counts["live_tools"] += source == "live"
        if self._parent is not None:
            self._parent.add_tool(source)

    def bump(self, what: Literal["retries", "fallbacks", "unmet"]) -> None:
        """Count a retry of a live call, a fallback from one adapter to another, or a suggestion that does
        not hold."""
        with self._lock:
            self._counts[what] += 1
        if self._parent is not None:
            self._parent.bump(what)

    def count(self) -> TallyCount:
        """Return the counts so far."""
        with self._lock:
            return TallyCount(
                **self._counts,
                usage=Usage(self._tokens[0], self._tokens[1]),
                live_usage=Usage(self._tokens[2], self._tokens[3]),
                cost=self._cost[0],
                live_cost=self._cost[1],
            )


class CallLimit:
    """The most calls that one run of a program may make (``max_calls``); one object a run, thread-safe."""

    def __init__(self, maximum: int) -> None:
        self.maximum = maximum
        self._taken = 0
        self._lock = Lock()

    def take(self) -> None:
        """Count a call, however it will be answered. Raises CallLimitError beyond the maximum."""
        with self._lock:
            self._taken += 1
            if self._taken <= self.maximum:
                return
        calls = f"{self.maximum} call{'' if self.maximum == 1 else 's'}"
        raise CallLimitError(
            f"the program needs more than {calls} to the LM in one run, the most that it declares",
            hint="give lm_program(max_calls=N) the most calls that one run can make",
        )

    def give_back(self) -> None:
        """Uncount a call that the endpoint refused, so that it can be put in another form."""
        with self._lock:
            self._taken -= 1
