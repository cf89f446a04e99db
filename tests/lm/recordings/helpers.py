"""Requests and answers to record."""

from __future__ import annotations

from typing import Any

from pytest_lmprog.lm.types import LMRequest, LMResponse, Usage

__all__ = ["ENDPOINT", "answer", "ask"]

ENDPOINT = "https://api.example.com/v1"
SYSTEM = "Decide which team should handle a support ticket."


def ask(
    text: str = "It crashes", *, system: str = SYSTEM, model: str = "openai/small", **more: Any
) -> LMRequest:
    """Return a request of two messages; ``more`` are fields of LMRequest."""
    messages = ({"role": "system", "content": system}, {"role": "user", "content": text})
    return LMRequest(model, messages, **{"params": {"temperature": 0}, **more})


def answer(text: str = "bug", **more: Any) -> LMResponse:
    """Return an answer with usage; ``more`` are fields of LMResponse."""
    return LMResponse(text, **{"finish_reason": "stop", "usage": Usage(30, 2), "latency": 0.25, **more})
