"""Embeddings: passages whose vectors are closest to the query's, in a local corpus."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from threading import Lock
from typing import Any

from pytest_lmprog.canonical import digest
from pytest_lmprog.retrieval.base import Retriever, checked_k
from pytest_lmprog.retrieval.bm25 import best
from pytest_lmprog.retrieval.corpus import Corpus, Source
from pytest_lmprog.retrieval.embedder import Embedder, as_embedder
from pytest_lmprog.retrieval.indexes import load_index, numpy_of, save_index
from pytest_lmprog.retrieval.passages import Passage, Passages, rounded

__all__ = ["Embeddings"]


class Embeddings(Retriever):
    """Searches a local corpus by the cosine of embedding vectors (their dot product where ``normalize`` is
    False), exactly: every passage is compared.

    Parameters
    ----------
    corpus: a text, JSONL or CSV file, or a list of passages (see ``Corpus``).
    embedder: an ``Embedder``, the name of an embedding model, or a function from texts to vectors.
    k: how many passages a call returns that does not say.
    index: a folder in which the vectors are kept. Where the corpus has changed, only new passages are
        embedded; where the embedder is another one, all are. None: in memory.

    Equal scores are in the corpus' order. Needs the extra ``embeddings``. Raises LMError where the embedder
    cannot be reached, DataError for a corpus that cannot be used, when it is first searched.
    """

    kind = "embeddings"

    def __init__(
        self,
        corpus: Source,
        embedder: Embedder | str | Callable[..., Any],
        *,
        k: int = 5,
        normalize: bool = True,
        index: str | os.PathLike[str] | None = None,
        text: str = "text",
        id: str = "id",
    ) -> None:
        self.corpus = Corpus(corpus, text=text, id=id)
        self.embedder = as_embedder(embedder)
        self.k = checked_k(k)
        self.normalize = normalize
        self._folder = None if index is None else Path(index)
        self._lock = Lock()
        self._vectors: Any = None

    def identity(self) -> Mapping[str, Any]:
        told = {"corpus": self.corpus.name, "embedder": self.embedder.identity()}
        return told if self.normalize else {**told, "normalize": False}

    def fingerprint(self) -> str | None:
        """Return the digest of the corpus."""
        return self.corpus.digest

    def __repr__(self) -> str:
        return f"Embeddings({self.corpus.where}, {self.embedder!r})"

    def search(self, query: str, k: int) -> Passages:
        vectors = self._ready()
        scores = vectors @ self._array([query])[0]
        passages = self.corpus.passages
        return Passages(_scored(passages[i], scores[i]) for i in best(scores, k))

    def _ready(self) -> Any:
        with self._lock:
            if self._vectors is None:
                self._vectors = self._normalized(self._raw())
            return self._vectors

    def _raw(self) -> Any:
        """Return the passages' vectors as the embedder gave them, one a row."""
        numpy = numpy_of("Embeddings", "embeddings")
        texts = [passage.text for passage in self.corpus.passages]
        if self._folder is None:
            return numpy.array(self.embedder.embed(texts), dtype=numpy.float32)
        names = [digest(text)[:32] for text in texts]
        known = self._known(self._folder)
        missing = {name: text for name, text in zip(names, texts, strict=True) if name not in known}
        if missing:
            known.update(zip(missing, self.embedder.embed(list(missing.values())), strict=True))
        rows = numpy.array([known[name] for name in names], dtype=numpy.float32)
        if missing or len(known) > len(set(names)):
            save_index(self._folder, self._origin(), {"vectors": rows}, {"passages": names})
        return rows

    def _known(self, folder: Path) -> dict[str, Any]:
        """Return the vectors in ``folder`` by their passages' digests."""
        found = load_index(folder, self._origin(), ("vectors",))
        if found is None:
            return {}
        arrays, head = found
        return dict(zip(head["passages"], arrays["vectors"], strict=False))

    def _origin(self) -> str:
        return digest(["embeddings", self.embedder.identity()])

    def _array(self, texts: Sequence[str]) -> Any:
        numpy = numpy_of("Embeddings", "embeddings")
        return self._normalized(numpy.array(self.embedder.embed(texts), dtype=numpy.float32))

    def _normalized(self, rows: Any) -> Any:
        if not self.normalize:
            return rows
        numpy = numpy_of("Embeddings", "embeddings")
        return rows / numpy.maximum(numpy.linalg.norm(rows, axis=1, keepdims=True), 1e-12)


def _scored(passage: Passage, score: Any) -> Passage:
    return Passage(passage.text, rounded(score), passage.id)
