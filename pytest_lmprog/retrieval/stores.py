"""What the vector stores have in common: a client made on first use, its errors as ours, asking again."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from threading import Lock
from typing import Any

from pytest_lmprog.errors import ConfigurationError, LmprogError, LMResponseError
from pytest_lmprog.lm.retry import RetryPolicy
from pytest_lmprog.retrieval.base import Retriever, checked_k
from pytest_lmprog.retrieval.embedder import Embedder, as_embedder
from pytest_lmprog.retrieval.network import attempted, had_or_raised
from pytest_lmprog.retrieval.passages import Passage, Passages, rounded

__all__ = ["VectorStore", "found_passage"]


class VectorStore(Retriever):
    """A collection in a store that has a client of its own.

    A subclass says how to make the client (``_made``) and how to ask it (``_asked``); whatever the client
    raises becomes an LMError, and is asked again where that helps."""

    store = "the vector store"
    """The store in error texts."""

    def __init__(
        self, collection: str, *, k: int, embedder: Any = None, client: Any = None, num_retries: int = 3
    ) -> None:
        if not isinstance(collection, str) or not collection:
            raise ConfigurationError(f"a collection is named by text, not {collection!r}")
        self.collection = collection
        self.k = checked_k(k)
        self.embedder: Embedder | None = None if embedder is None else as_embedder(embedder)
        self._client = client
        self._retry = RetryPolicy(num_retries)
        self._lock = Lock()

    @abstractmethod
    def _made(self) -> Any:
        """Return a new client."""

    @abstractmethod
    def _asked(self, client: Any, query: str, vector: list[float] | None, k: int) -> Passages:
        """Ask the client; ``vector`` is the query's where there is an embedder."""

    def identity(self) -> Mapping[str, Any]:
        told: dict[str, Any] = {"collection": self.collection}
        return told if self.embedder is None else {**told, "embedder": self.embedder.identity()}

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.collection!r})"

    @property
    def client(self) -> Any:
        """The store's client."""
        with self._lock:
            if self._client is None or isinstance(self._client, str):
                self._client = self._made()
            return self._client

    def search(self, query: str, k: int) -> Passages:
        vector = None if self.embedder is None else list(self.embedder.embed([query])[0])
        return attempted(lambda: self._attempt(query, vector, k), self._retry)

    def _attempt(self, query: str, vector: list[float] | None, k: int) -> Passages:
        try:
            return Passages(self._asked(self.client, query, vector, k)[:k])
        except LmprogError:
            raise
        except Exception as error:  # noqa: BLE001 - clients raise their own, their HTTP library's and builtins
            raise had_or_raised(error, f"{self.store} (collection {self.collection!r})") from None

    def _unknown(self, known: list[str] | None = None) -> ConfigurationError:
        has = "" if known is None else f"; it has: {', '.join(sorted(known)) or 'none'}"
        return ConfigurationError(f"{self.store} has no collection {self.collection!r}{has}")


def found_passage(text: Any, field: str, who: str, *, score: Any = None, id: Any = None) -> Passage:
    """Return the passage of a record. Raises LMResponseError where ``field`` holds no text."""
    if not isinstance(text, str):
        raise LMResponseError(
            f"{who} found a record without text in its field {field!r}"
            + ("" if text is None else f" (it holds {type(text).__name__})"),
            hint="name the field that holds the passage's text",
        )
    return Passage(text, None if score is None else rounded(score), None if id is None else str(id))
