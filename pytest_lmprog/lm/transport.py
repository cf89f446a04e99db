"""What carries a request to a model: one attempt, no retries, no stores."""

from __future__ import annotations

from typing import Protocol

from pytest_lmprog.lm.types import LMRequest, LMResponse

__all__ = ["Transport"]


class Transport(Protocol):
    """One way to reach a model. Thread-safe."""

    def ask(self, request: LMRequest) -> LMResponse:
        """Answer ``request`` now, or raise an LMError (ConfigurationError for a model nobody can reach).

        ``latency`` is measured around this attempt, in seconds, rounded to milliseconds."""
        ...
