"""BM25: passages that share rare words with the query (Robertson & Zaragoza, 2009; computed by bm25s)."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from threading import Lock
from typing import Any

from pytest_lmprog.canonical import digest
from pytest_lmprog.errors import ConfigurationError, MissingExtraError
from pytest_lmprog.retrieval.base import Retriever, checked_k
from pytest_lmprog.retrieval.corpus import Corpus, Source
from pytest_lmprog.retrieval.indexes import load_index, save_index
from pytest_lmprog.retrieval.passages import Passage, Passages, rounded

__all__ = ["BM25", "best", "words"]

_WORD = re.compile(r"\w+")
_STOPWORDS = frozenset(
    _WORD.findall(
        "a an and are as at be but by did do does for from had has have he her his how i if in into is it "
        "its not of on or she so such that the their then there these they this to was were what when where "
        "which who whom whose why will with you your"
    )
)


class BM25(Retriever):
    """Searches a local corpus by words.

    Parameters
    ----------
    corpus: a text, JSONL or CSV file, or a list of passages (see ``Corpus``); ``text`` and ``id`` name the
        fields of a passage.
    k: how many passages a call returns that does not say.
    k1, b: BM25's parameters: how soon a repeated word saturates, how much length counts.
    index: a folder in which the index is kept, rebuilt when the corpus has changed; None: in memory.
    tokenize: from a text to its words; None: lower-cased words without English stop words.

    Equal scores are in the corpus' order. Needs the extra ``bm25``. Raises DataError for a corpus that cannot
    be used, when it is first searched.
    """

    kind = "bm25"

    def __init__(
        self,
        corpus: Source,
        *,
        k: int = 3,
        k1: float = 1.5,
        b: float = 0.75,
        index: str | os.PathLike[str] | None = None,
        text: str = "text",
        id: str = "id",
        tokenize: Callable[[str], Sequence[str]] | None = None,
    ) -> None:
        if not k1 >= 0 or not 0 <= b <= 1:
            raise ConfigurationError(f"k1 must be 0 or more and b within 0 and 1, not {k1!r} and {b!r}")
        self.corpus = Corpus(corpus, text=text, id=id)
        self.k = checked_k(k)
        self.k1, self.b = float(k1), float(b)
        self._folder = None if index is None else Path(index)
        self._tokenize = tokenize or words
        self._lock = Lock()
        self._index: Any = None

    def identity(self) -> Mapping[str, Any]:
        settings: dict[str, Any] = {"corpus": self.corpus.name}
        if (self.k1, self.b) != (1.5, 0.75):
            settings |= {"k1": self.k1, "b": self.b}
        if self._tokenize is not words:
            settings["tokenize"] = getattr(self._tokenize, "__qualname__", type(self._tokenize).__qualname__)
        return settings

    def __repr__(self) -> str:
        return f"BM25({self.corpus.where})"

    def fingerprint(self) -> str | None:
        """Return the digest of the corpus."""
        return self.corpus.digest

    def search(self, query: str, k: int) -> Passages:
        passages = self.corpus.passages
        scores = self._scores(query)
        if scores is None:
            return Passages(_scored(passages[i], 0.0) for i in range(min(k, len(passages))))
        return Passages(_scored(passages[i], scores[i]) for i in best(scores, k))

    def _scores(self, query: str) -> Any:
        """Return the score of every passage, or None where no passage has a word of the query."""
        index = self._ready()
        known = [word for word in self._tokenize(query) if word in index.vocab_dict]
        return index.get_scores(known) if known else None

    def _ready(self) -> Any:
        with self._lock:
            if self._index is None:
                self._index = self._loaded() or self._built()
            return self._index

    def _built(self) -> Any:
        tokens = [list(self._tokenize(passage.text)) for passage in self.corpus.passages]
        index = _bm25s().BM25(k1=self.k1, b=self.b, method="lucene")
        if not any(tokens):
            index.vocab_dict = {}
            return index
        index.index(tokens, show_progress=False)
        if self._folder is not None:
            arrays = {name: index.scores[name] for name in ("data", "indices", "indptr")}
            vocabulary = sorted(index.vocab_dict, key=index.vocab_dict.__getitem__)
            save_index(self._folder, self._origin(), arrays, {"words": vocabulary})
        return index

    def _loaded(self) -> Any:
        if self._folder is None:
            return None
        found = load_index(self._folder, self._origin(), ("data", "indices", "indptr"))
        if found is None:
            return None
        arrays, extra = found
        index = _bm25s().BM25(k1=self.k1, b=self.b, method="lucene")
        index.nonoccurrence_array = None
        index.scores = {**arrays, "num_docs": len(self.corpus.passages)}
        index.vocab_dict = {word: number for number, word in enumerate(extra["words"])}
        return index

    def _origin(self) -> str:
        """Return what the index was made of: another one is another index."""
        return digest(["bm25", self.corpus.digest, dict(self.identity()), self.k1, self.b])


def words(text: str) -> list[str]:
    """Return the lower-cased words of ``text`` without English stop words (with them, if it has no other)."""
    found = _WORD.findall(text.casefold())
    return [word for word in found if word not in _STOPWORDS] or found


def best(scores: Any, k: int) -> list[int]:
    """Return the positions of the ``k`` highest scores; equal ones (to five decimals) in their order."""
    import numpy

    figures = numpy.round(numpy.asarray(scores, dtype="float64"), 5)
    order = numpy.argsort(-figures, kind="stable")
    return [int(position) for position in order[:k]]


def _scored(passage: Passage, score: Any) -> Passage:
    return Passage(passage.text, rounded(score), passage.id)


def _bm25s() -> Any:
    try:
        import bm25s
    except ImportError:
        raise MissingExtraError("BM25", "bm25") from None
    logging.getLogger("bm25s").setLevel(logging.WARNING)  # it sets DEBUG when imported
    return bm25s
