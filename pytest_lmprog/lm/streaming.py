"""Whom a live call tells its text while it arrives. Answers are stored, counted and returned as ever."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

__all__ = ["Sink", "StreamCancelledError", "current_sink", "streaming_to"]

Sink = Callable[[str], None]
"""Is told the text so far, each time there is more. After a retry the text begins anew. It may raise
StreamCancelledError to end the call."""


class StreamCancelledError(BaseException):
    """Nobody reads the stream any more: the call is dropped. No Exception, because it is no failure."""


_sink: ContextVar[Sink | None] = ContextVar("lmprog_sink", default=None)


def current_sink() -> Sink | None:
    """Return whom the calls made here tell their text, or None: then they need not stream."""
    return _sink.get()


@contextmanager
def streaming_to(sink: Sink) -> Iterator[None]:
    """Have the calls made within the block tell ``sink`` their text."""
    token = _sink.set(sink)
    try:
        yield
    finally:
        _sink.reset(token)
