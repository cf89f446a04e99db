"""Asking a retriever: recorded, cached and replayed like an LM call."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_lmprog.retrieval.passages import Passages

if TYPE_CHECKING:
    from pytest_lmprog.retrieval.base import Retriever

__all__ = ["ask"]


def ask(retriever: Retriever, query: str, k: int) -> Passages:
    """Return the ``k`` best passages for ``query``, as recorded, stored or found now."""
    return retriever.search(query, k)
