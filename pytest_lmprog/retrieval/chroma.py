"""ChromadbRM: passages from a Chroma collection, embedded (in memory, in a folder) or on a server."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from pytest_lmprog.errors import ConfigurationError, MissingExtraError
from pytest_lmprog.retrieval.passages import Passages
from pytest_lmprog.retrieval.stores import VectorStore, found_passage

__all__ = ["ChromadbRM"]


class ChromadbRM(VectorStore):
    """Searches a Chroma collection by its documents.

    Parameters
    ----------
    collection_name: the collection.
    persist_directory: the folder of the database, where there is no client.
    embedding_function: an ``Embedder``, the name of an embedding model, or a function from texts to vectors;
        None: the one that the collection itself was made with.
    client: a Chroma client.
    k: how many passages a call returns that does not say.

    A score is the cosine or the inner product where the collection measures these, else 1 / (1 + distance).
    Needs the extra ``chroma``.
    """

    kind = "chroma"
    store = "Chroma"

    def __init__(
        self,
        collection_name: str,
        persist_directory: str | os.PathLike[str] | None = None,
        embedding_function: Any = None,
        client: Any = None,
        k: int = 7,
        *,
        num_retries: int = 3,
    ) -> None:
        if client is None and persist_directory is None:
            raise ConfigurationError("ChromadbRM needs a persist_directory or a client")
        super().__init__(
            collection_name, k=k, embedder=embedding_function, client=client, num_retries=num_retries
        )
        self._folder = None if persist_directory is None else Path(persist_directory)

    def _made(self) -> Any:
        try:
            import chromadb
        except ImportError:
            raise MissingExtraError("ChromadbRM", "chroma") from None
        folder = self._folder
        if folder is None or not (folder / "chroma.sqlite3").is_file():
            raise ConfigurationError(f"there is no Chroma database in the folder {folder}")
        return chromadb.PersistentClient(str(folder))

    def _asked(self, client: Any, query: str, vector: list[float] | None, k: int) -> Passages:
        collection = self._opened(client)
        asked = {"query_texts": [query]} if vector is None else {"query_embeddings": [vector]}
        found = collection.query(**asked, n_results=k, include=["documents", "distances"])
        rows = list(zip(found["ids"][0], found["distances"][0], found["documents"][0], strict=True))
        space = _space(collection)
        return Passages(
            found_passage(text, "document", "Chroma", score=_score(distance, space), id=identity)
            for identity, distance, text in sorted(rows, key=lambda row: row[1])
        )

    def _opened(self, client: Any) -> Any:
        from chromadb.errors import NotFoundError

        try:
            if self.embedder is None:
                return client.get_collection(self.collection)
            return client.get_collection(self.collection, embedding_function=None)
        except NotFoundError:
            raise self._unknown([c.name for c in client.list_collections()]) from None


def _space(collection: Any) -> str:
    """Return how the collection measures distance: ``l2``, ``cosine`` or ``ip``."""
    settings = getattr(collection, "configuration_json", None) or {}
    index = settings.get("hnsw") or settings.get("spann") or {}
    return str(index.get("space") or (collection.metadata or {}).get("hnsw:space") or "l2")


def _score(distance: float, space: str) -> float:
    return 1 - distance if space in ("cosine", "ip") else 1 / (1 + max(distance, 0.0))
