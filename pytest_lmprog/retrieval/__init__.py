"""Retrievers: ways to find passages for a query. Names are imported on first use."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pytest_lmprog.retrieval.base import Retriever as Retriever
    from pytest_lmprog.retrieval.bm25 import BM25 as BM25
    from pytest_lmprog.retrieval.corpus import Corpus as Corpus
    from pytest_lmprog.retrieval.passages import Passage as Passage
    from pytest_lmprog.retrieval.passages import Passages as Passages

else:
    _HOMES = {
        "BM25": "bm25",
        "Corpus": "corpus",
        "Passage": "passages",
        "Passages": "passages",
        "Retriever": "base",
    }

    def __getattr__(name: str) -> object:
        home = _HOMES.get(name)
        if home is None:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        return getattr(import_module(f"{__name__}.{home}"), name)


__all__ = ["BM25", "Corpus", "Passage", "Passages", "Retriever"]
