"""Recorded LM answers: one JSON Lines file a test module, committed and replayed."""

from __future__ import annotations

from pytest_lmprog.lm.recordings.book import Book

__all__ = ["Book"]
