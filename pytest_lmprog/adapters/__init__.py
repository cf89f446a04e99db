"""Signature, demos and inputs to messages; answers to typed fields."""

from pytest_lmprog.adapters.base import PROMPT_FORMAT, Adapter, Prompt
from pytest_lmprog.adapters.chat import ChatAdapter
from pytest_lmprog.adapters.exchange import (
    Answered,
    Ask,
    Elsewhere,
    Exchange,
    adapter_for,
    correctable,
    corrected,
    exchange,
)
from pytest_lmprog.adapters.json import JSONAdapter

__all__ = [
    "PROMPT_FORMAT",
    "Adapter",
    "Answered",
    "Ask",
    "ChatAdapter",
    "Elsewhere",
    "Exchange",
    "JSONAdapter",
    "Prompt",
    "adapter_for",
    "adapter_named",
    "correctable",
    "corrected",
    "exchange",
]


def adapter_named(name: str) -> Adapter | None:
    """Return an adapter that renders as the one called ``name`` in snapshots, or None."""
    if name == "xml":
        from pytest_lmprog.adapters.xml import XMLAdapter

        return XMLAdapter()
    if name == "two_step":
        from pytest_lmprog.adapters.two_step import TwoStepAdapter

        return TwoStepAdapter(None)
    known: dict[str, Adapter] = {"chat": ChatAdapter(), "json": JSONAdapter()}
    return known.get(name)
