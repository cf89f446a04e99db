"""The embedded model: llama.cpp in this process (extra ``local``), reached over loopback like any other."""

from __future__ import annotations

from collections.abc import Callable

from pytest_lmprog.lm.local.catalog import Weights, named_weights
from pytest_lmprog.lm.types import LMRequest, LMResponse

__all__ = ["EmbeddedTransport", "embedded"]


class EmbeddedTransport:
    """A transport to the embedded model of some weights; fetches and loads them when first used."""

    def __init__(self, weights: Weights, timeout: float) -> None:
        self._weights = weights
        self._timeout = timeout

    def ask(self, request: LMRequest) -> LMResponse:
        """Answer ``request`` with one attempt."""
        from pytest_lmprog.lm.local.engine import engines

        return engines.of(self._weights).ask(request, self._timeout)


def embedded(model: str, *, timeout: float) -> tuple[EmbeddedTransport, Callable[[], str]]:
    """Return the transport to ``local/NAME`` or ``local/FILE.gguf`` and what tells its endpoint: the
    SHA-256 of the weights. Neither opens a file before it is used.

    Raises ConfigurationError for a name that is neither in the catalogue nor a ``.gguf`` file's."""
    weights = named_weights(model.removeprefix("local/"))
    return EmbeddedTransport(weights, timeout), weights.identity
