"""One streamed attempt over litellm: a sink is told the text as it arrives, the answer is as ever."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from pytest_lmprog.errors import LMConnectionError
from pytest_lmprog.lm.quiet import quiet_thread
from pytest_lmprog.lm.streaming import Sink

__all__ = ["streamed"]


def streamed(litellm: Any, arguments: dict[str, Any], sink: Sink, who: str) -> Any:
    """Return the whole answer, its text told to ``sink`` while it arrives.

    Raises what litellm raises, and LMConnectionError for a stream that ends before its end."""
    with quiet_thread():  # litellm reads deprecated attributes of every chunk
        return _streamed(litellm, arguments, sink, who)


def _streamed(litellm: Any, arguments: dict[str, Any], sink: Sink, who: str) -> Any:
    options = {"stream": True, "stream_options": {"include_usage": True}}
    stream = litellm.completion(**arguments, **options)
    chunks = []
    text = ""
    try:
        for chunk in stream:
            chunks.append(chunk)
            piece = _text(chunk)
            if piece:
                text += piece
                sink(text)
    finally:
        _close(stream)
    if getattr(stream, "received_finish_reason", "") is None:
        raise LMConnectionError(f"{who}: the stream broke off after {len(text):,} characters")
    return litellm.stream_chunk_builder(chunks, messages=arguments["messages"])


def _text(chunk: Any) -> str:
    choices = getattr(chunk, "choices", None)
    content = getattr(choices[0].delta, "content", None) if choices else None
    return content if isinstance(content, str) else ""


def _close(stream: Any) -> None:
    inner = getattr(stream, "completion_stream", None)
    for part in (inner, getattr(inner, "response", None)):
        close = getattr(part, "close", None)
        if close is not None:
            with suppress(Exception):
                close()
            return
