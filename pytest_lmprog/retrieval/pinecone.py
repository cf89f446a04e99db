"""PineconeRM: passages from a Pinecone index."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pytest_lmprog.errors import ConfigurationError, MissingExtraError
from pytest_lmprog.lm.options import endpoint_of
from pytest_lmprog.retrieval.embedder import Embedder
from pytest_lmprog.retrieval.passages import Passage, Passages
from pytest_lmprog.retrieval.stores import VectorStore, found_passage

__all__ = ["PineconeRM"]


class PineconeRM(VectorStore):
    """Searches a Pinecone index whose records hold their text in a metadata field.

    Parameters
    ----------
    pinecone_index_name: the index.
    pinecone_api_key: the key, where it is not in the environment (``PINECONE_API_KEY``).
    pinecone_env: taken as DSPy takes it, and ignored: Pinecone has no environments any more.
    local_embed_model: refused with what to write instead: ``embedder=SentenceTransformer(NAME).encode``.
    openai_embed_model, openai_api_key: the embedding model of OpenAI, where there is no ``embedder``.
    k: how many passages a call returns that does not say.
    embedder: an ``Embedder``, the name of an embedding model, or a function from texts to vectors: the one
        that the index was filled with.
    namespace, filter: which records are searched.
    text_field: the metadata field with a passage's text.
    host: the index's own address, which saves one request that looks it up.
    client: an index of Pinecone's client (``Pinecone(...).index(NAME)``).
    timeout: seconds to wait for one answer.

    Needs the extra ``pinecone``.
    """

    kind = "pinecone"
    store = "Pinecone"

    def __init__(
        self,
        pinecone_index_name: str,
        pinecone_api_key: str | None = None,
        pinecone_env: str | None = None,
        local_embed_model: str | None = None,
        openai_embed_model: str | None = "text-embedding-ada-002",
        openai_api_key: str | None = None,
        openai_org: str | None = None,
        k: int = 3,
        *,
        embedder: Any = None,
        namespace: str = "",
        filter: Mapping[str, Any] | None = None,
        text_field: str = "text",
        host: str | None = None,
        client: Any = None,
        timeout: float = 30.0,
        num_retries: int = 3,
    ) -> None:
        del pinecone_env
        if local_embed_model is not None:
            raise ConfigurationError(
                "PineconeRM takes a local embedding model as a function",
                hint=f"embedder=SentenceTransformer({local_embed_model!r}).encode",
            )
        if embedder is None:
            embedder = _openai(openai_embed_model, openai_api_key, openai_org)
        super().__init__(pinecone_index_name, k=k, embedder=embedder, client=client, num_retries=num_retries)
        self._key, self._host, self._timeout = pinecone_api_key, host, timeout
        self._namespace, self._filter, self._field = namespace, filter, text_field

    def identity(self) -> Mapping[str, Any]:
        told = dict(super().identity())
        if self._namespace:
            told["namespace"] = self._namespace
        return told if self._filter is None else {**told, "filter": dict(self._filter)}

    def endpoint(self) -> str:
        host = self._host
        return "" if host is None else endpoint_of(host if "://" in host else f"https://{host}", {})

    def _made(self) -> Any:
        try:
            from pinecone import Pinecone, RetryConfig
        except ImportError:
            raise MissingExtraError("PineconeRM", "pinecone") from None
        once = RetryConfig(max_retries=0)  # asking again is ours
        client = Pinecone(api_key=self._key, timeout=self._timeout, retry_config=once)
        if self._host is not None:
            return client.index(host=self._host)
        return client.index(self.collection)

    def _asked(self, client: Any, query: str, vector: list[float] | None, k: int) -> Passages:
        del query
        found = client.query(
            vector=vector,
            top_k=k,
            namespace=self._namespace,
            filter=self._filter,
            include_metadata=True,
        )
        return Passages(map(self._passage, sorted(found.matches, key=lambda match: -match.score)))

    def _passage(self, match: Any) -> Passage:
        text = (match.metadata or {}).get(self._field)
        return found_passage(text, self._field, self.store, score=match.score, id=match.id)


def _openai(model: str | None, key: str | None, organization: str | None) -> Embedder:
    if model is None:
        raise ConfigurationError(
            "PineconeRM needs the embedder that the index was filled with",
            hint='PineconeRM(..., embedder=lmp.Embedder("openai/text-embedding-3-small"))',
        )
    extra: dict[str, Any] = {} if organization is None else {"organization": organization}
    return Embedder(f"openai/{model.removeprefix('openai/')}", api_key=key, **extra)
