"""What happened in one run of a program: every predictor call, in order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import field, replace
from typing import TYPE_CHECKING, Any

from pytest_lmprog.lm.scope import watcher
from pytest_lmprog.lm.types import LMResponse, Message, Source, Usage
from pytest_lmprog.programs.example import Prediction
from pytest_lmprog.records import dataclass

if TYPE_CHECKING:
    from pytest_lmprog.lm.calls import CallRequest, CallResult
    from pytest_lmprog.programs.predict import Predict

__all__ = [
    "UNNAMED",
    "PredictorCall",
    "ToolCall",
    "Trace",
    "UnmetSuggestion",
    "current_trace",
    "tracing",
]

UNNAMED = "<unnamed>"
"""Name of a predictor that is no attribute of the program (made inside ``forward``)."""


@dataclass(frozen=True, slots=True)
class PredictorCall:
    """One call of one predictor.

    ``outputs`` is None where the answer did not fit the signature; ``error`` then says why. ``rejected`` is
    the message of the check (``lmp.Assert``, ``lmp.Suggest``) for which the predictor was asked again.
    ``latency`` (seconds), ``usage`` and ``cost`` (USD) are as first recorded, also when replayed.
    ``chosen`` are the demos that were shown, where the predictor chooses for each call; None: all of its.
    """

    name: str
    predictor: Predict
    inputs: Mapping[str, Any]
    outputs: Prediction | None
    messages: tuple[Message, ...]
    response: LMResponse
    adapter: str
    rollout: int = 0
    error: str | None = None
    rejected: str | None = None
    chosen: tuple[Mapping[str, Any], ...] | None = None

    @property
    def demos(self) -> tuple[Mapping[str, Any], ...]:
        """The demos in the prompt."""
        return self.predictor.demos if self.chosen is None else self.chosen

    @property
    def usage(self) -> Usage | None:
        """Tokens of the call."""
        return self.response.usage

    @property
    def latency(self) -> float | None:
        """Seconds that the live call took."""
        return self.response.latency

    @property
    def cost(self) -> float | None:
        """USD of the live call, or None where unknown."""
        return self.response.cost

    @property
    def reasoning(self) -> str | None:
        """What the model thought before it answered, where it sends that apart."""
        return self.response.reasoning

    @property
    def answer(self) -> str:
        """The text of the answer."""
        return self.response.text


@dataclass(frozen=True, slots=True)
class UnmetSuggestion:
    """A ``lmp.Suggest`` that did not hold in the end: its message, and the predictor it was about (None
    where none had been called)."""

    message: str
    predictor: str | None = None


@dataclass(frozen=True, slots=True)
class ToolCall:
    """One call of a tool or retriever: a function that is ``recorded``.

    ``error`` is the message of an error that the function raised, and ``result`` then None. ``latency``
    (seconds) is as first recorded. ``after`` counts the predictor calls that had ended before it.
    """

    name: str
    arguments: Mapping[str, Any]
    result: Any = None
    error: str | None = None
    source: Source = "live"
    latency: float | None = None
    after: int = 0


@dataclass
class Trace:
    """The predictor calls of one run, in the order in which they ended, a sequence; its tool calls; and
    the suggestions (``unmet``) that did not hold in the end."""

    names: Mapping[int, str] = field(default_factory=dict, repr=False)
    calls: list[PredictorCall] = field(default_factory=list)
    tools: list[ToolCall] = field(default_factory=list)
    unmet: list[UnmetSuggestion] = field(default_factory=list)

    def __iter__(self) -> Iterator[PredictorCall]:
        return iter(self.calls)

    def __len__(self) -> int:
        return len(self.calls)

    def __getitem__(self, index: int) -> PredictorCall:
        return self.calls[index]

    @property
    def events(self) -> list[PredictorCall | ToolCall]:
        """Predictor and tool calls together, in the order in which they ended."""
        found: list[PredictorCall | ToolCall] = []
        done = 0
        for tool in sorted(self.tools, key=lambda tool: tool.after):
            found += [*self.calls[done : tool.after], tool]
            done = max(done, tool.after)
        return [*found, *self.calls[done:]]

    def note_tool(self, name: str, request: CallRequest, value: Any, result: CallResult) -> None:
        """Take note of the call of a recorded function."""
        error = None if result.error is None else f"{result.error.kind}: {result.error.message}"
        call = ToolCall(name, request.arguments, value, error, result.source, result.latency, len(self.calls))
        self.tools.append(call)

    def extend(self, other: Trace) -> None:
        """Take over what happened in ``other``, as if it happened now."""
        start = len(self.calls)
        self.calls.extend(other.calls)
        self.tools.extend(replace(tool, after=start + tool.after) for tool in other.tools)
        self.unmet.extend(other.unmet)

    def of(self, name: str) -> list[PredictorCall]:
        """Return the calls of the predictor ``name``."""
        return [call for call in self.calls if call.name == name]

    def reject(self, call: PredictorCall, message: str) -> PredictorCall:
        """Mark ``call`` as one whose output a check refused; return the entry that is there now."""
        marked = replace(call, rejected=message)
        for place, entry in enumerate(self.calls):
            if entry is call:
                self.calls[place] = marked
        return marked

    def name_of(self, predictor: Predict) -> str:
        """Return the attribute path of ``predictor`` in the program that runs."""
        return self.names.get(id(predictor), UNNAMED)


_trace: ContextVar[Trace | None] = watcher


def current_trace() -> Trace | None:
    """Return the trace that calls are noted in, or None."""
    return _trace.get()


@contextmanager
def tracing(trace: Trace | None) -> Iterator[Trace | None]:
    """Note the calls made within the block in ``trace``, or nowhere."""
    token = _trace.set(trace)
    try:
        yield trace
    finally:
        _trace.reset(token)
