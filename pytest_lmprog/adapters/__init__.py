"""Signature, demos and inputs to messages; answers to typed fields."""

from pytest_lmprog.adapters.base import PROMPT_FORMAT, Adapter, Prompt
from pytest_lmprog.adapters.chat import ChatAdapter
from pytest_lmprog.adapters.exchange import Answered, Ask, Exchange, adapter_for, exchange
from pytest_lmprog.adapters.json import JSONAdapter

__all__ = [
    "PROMPT_FORMAT",
    "Adapter",
    "Answered",
    "Ask",
    "ChatAdapter",
    "Exchange",
    "JSONAdapter",
    "Prompt",
    "adapter_for",
    "exchange",
]
