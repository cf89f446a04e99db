"""Streaming, by DSPy's names for it: ``dspy.streaming.StreamListener``."""

from __future__ import annotations

from pytest_lmprog.programs.streaming import FieldChunk, StreamListener, streamify
from pytest_lmprog.programs.streaming import FieldChunk as StreamResponse

__all__ = ["FieldChunk", "StreamListener", "StreamResponse", "streamify"]
