"""QdrantRM: passages from a Qdrant collection, embedded (in memory, in a folder) or on a server."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pytest_lmprog.errors import ConfigurationError, MissingExtraError
from pytest_lmprog.retrieval.passages import Passages
from pytest_lmprog.retrieval.stores import VectorStore, found_passage

__all__ = ["QdrantRM"]


class QdrantRM(VectorStore):
    """Searches a Qdrant collection.

    Parameters
    ----------
    qdrant_collection_name: the collection.
    qdrant_client: a ``QdrantClient``, or the folder or address (``"http://localhost:6333"``) to make one for.
    k: how many passages a call returns that does not say.
    document_field: the payload field with a passage's text.
    vectorizer: an ``Embedder``, the name of an embedding model, or a function from texts to vectors: the
        one that the collection was filled with.
    vector_name: the collection's vector, where it has several; None: the first.

    Needs the extra ``qdrant``.
    """

    kind = "qdrant"
    store = "Qdrant"

    def __init__(
        self,
        qdrant_collection_name: str,
        qdrant_client: Any,
        k: int = 3,
        document_field: str = "document",
        vectorizer: Any = None,
        vector_name: str | None = None,
        *,
        num_retries: int = 3,
    ) -> None:
        if vectorizer is None:
            raise ConfigurationError(
                "QdrantRM needs the embedder that the collection was filled with",
                hint='QdrantRM(..., vectorizer=lmp.Embedder("openai/text-embedding-3-small"))',
            )
        super().__init__(
            qdrant_collection_name, k=k, embedder=vectorizer, client=qdrant_client, num_retries=num_retries
        )
        self._where = qdrant_client if isinstance(qdrant_client, str) else None
        self._field, self._vector_name = document_field, vector_name

    def endpoint(self) -> str:
        from pytest_lmprog.lm.options import endpoint_of

        return endpoint_of(self._where, {}) if self._where and "://" in self._where else ""

    def _made(self) -> Any:
        try:
            from qdrant_client import QdrantClient
        except ImportError:
            raise MissingExtraError("QdrantRM", "qdrant") from None
        where = str(self._where)
        if "://" in where:
            return QdrantClient(url=where, check_compatibility=False)
        if not Path(where).is_dir():
            raise ConfigurationError(f"there is no Qdrant store in the folder {Path(where).as_posix()}")
        return QdrantClient(path=where)

    def _asked(self, client: Any, query: str, vector: list[float] | None, k: int) -> Passages:
        del query
        if not client.collection_exists(self.collection):
            raise self._unknown([c.name for c in client.get_collections().collections])
        found = client.query_points(
            self.collection,
            query=vector,
            using=self._using(client),
            limit=k,
            with_payload=[self._field],
        )
        return Passages(
            found_passage((p.payload or {}).get(self._field), self._field, "Qdrant", score=p.score, id=p.id)
            for p in sorted(found.points, key=lambda point: -point.score)
        )

    def _using(self, client: Any) -> str | None:
        if self._vector_name is not None:
            return self._vector_name
        vectors = client.get_collection(self.collection).config.params.vectors
        return (next(iter(vectors), None) or None) if isinstance(vectors, dict) else None
