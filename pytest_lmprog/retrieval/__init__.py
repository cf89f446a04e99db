"""Retrievers: ways to find passages for a query. Names are imported on first use."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pytest_lmprog.retrieval.base import Retriever as Retriever
    from pytest_lmprog.retrieval.bm25 import BM25 as BM25
    from pytest_lmprog.retrieval.chroma import ChromadbRM as ChromadbRM
    from pytest_lmprog.retrieval.colbert import ColBERTv2 as ColBERTv2
    from pytest_lmprog.retrieval.corpus import Corpus as Corpus
    from pytest_lmprog.retrieval.embedder import Embedder as Embedder
    from pytest_lmprog.retrieval.embeddings import Embeddings as Embeddings
    from pytest_lmprog.retrieval.marqo import MarqoRM as MarqoRM
    from pytest_lmprog.retrieval.passages import Passage as Passage
    from pytest_lmprog.retrieval.passages import Passages as Passages
    from pytest_lmprog.retrieval.pinecone import PineconeRM as PineconeRM
    from pytest_lmprog.retrieval.qdrant import QdrantRM as QdrantRM

else:
    _HOMES = {
        "BM25": "bm25",
        "ChromadbRM": "chroma",
        "ColBERTv2": "colbert",
        "Corpus": "corpus",
        "Embedder": "embedder",
        "Embeddings": "embeddings",
        "MarqoRM": "marqo",
        "Passage": "passages",
        "Passages": "passages",
        "PineconeRM": "pinecone",
        "QdrantRM": "qdrant",
        "Retriever": "base",
    }

    def __getattr__(name: str) -> object:
        home = _HOMES.get(name)
        if home is None:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        return getattr(import_module(f"{__name__}.{home}"), name)


__all__ = [
    "BM25",
    "ChromadbRM",
    "ColBERTv2",
    "Corpus",
    "Embedder",
    "Embeddings",
    "MarqoRM",
    "Passage",
    "Passages",
    "PineconeRM",
    "QdrantRM",
    "Retriever",
]
