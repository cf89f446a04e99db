"""What happened in one run of a program: every predictor call, in order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import field
from typing import TYPE_CHECKING, Any

from pytest_lmprog.lm.types import LMResponse, Message, Usage
from pytest_lmprog.programs.example import Prediction
from pytest_lmprog.records import dataclass

if TYPE_CHECKING:
    from pytest_lmprog.programs.predict import Predict

__all__ = ["UNNAMED", "PredictorCall", "Trace", "current_trace", "tracing"]

UNNAMED = "<unnamed>"
"""Name of a predictor that is no attribute of the program (made inside ``forward``)."""


@dataclass(frozen=True, slots=True)
class PredictorCall:
    """One call of one predictor.

    ``outputs`` is None where the answer did not fit the signature; ``error`` then says why.
    ``latency`` (seconds), ``usage`` and ``cost`` (USD) are as first recorded, also when replayed.
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
    def answer(self) -> str:
        """The text of the answer."""
        return self.response.text


@dataclass
class Trace:
    """The predictor calls of one run, in the order in which they ended. A sequence."""

    names: Mapping[int, str] = field(default_factory=dict, repr=False)
    calls: list[PredictorCall] = field(default_factory=list)

    def __iter__(self) -> Iterator[PredictorCall]:
        return iter(self.calls)

    def __len__(self) -> int:
        return len(self.calls)

    def __getitem__(self, index: int) -> PredictorCall:
        return self.calls[index]

    def of(self, name: str) -> list[PredictorCall]:
        """Return the calls of the predictor ``name``."""
        return [call for call in self.calls if call.name == name]

    def name_of(self, predictor: Predict) -> str:
        """Return the attribute path of ``predictor`` in the program that runs."""
        return self.names.get(id(predictor), UNNAMED)


_trace: ContextVar[Trace | None] = ContextVar("lmprog_trace", default=None)


def current_trace() -> Trace | None:
    """Return the trace that calls are noted in, or None."""
    return _trace.get()


@contextmanager
def tracing(trace: Trace) -> Iterator[Trace]:
    """Note the calls made within the block in ``trace``."""
    token = _trace.set(trace)
    try:
        yield trace
    finally:
        _trace.reset(token)
