"""Streaming, by DSPy's names for it: ``dspy.streaming.StreamListener``."""

from __future__ import annotations

from pytest_lmprog.programs.listening import FieldChunk, StreamListener
from pytest_lmprog.programs.listening import FieldChunk as StreamResponse
from pytest_lmprog.programs.streaming import streamify

__all__ = ["FieldChunk", "StreamListener", "StreamResponse", "streamify"]
