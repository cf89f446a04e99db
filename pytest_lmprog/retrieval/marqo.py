"""MarqoRM: passages from a Marqo index, which embeds queries itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pytest_lmprog.canonical import plain
from pytest_lmprog.errors import LMResponseError, MissingExtraError
from pytest_lmprog.lm.options import endpoint_of
from pytest_lmprog.retrieval.passages import Passage, Passages
from pytest_lmprog.retrieval.stores import VectorStore, found_passage

__all__ = ["MarqoRM"]


class MarqoRM(VectorStore):
    """Searches a Marqo index.

    Parameters
    ----------
    marqo_index_name: the index.
    marqo_client: a ``marqo.Client``, or the address (``"http://localhost:8882"``) to make one for.
    k: how many passages a call returns that does not say.
    page_content: the document field with a passage's text.
    filter_string: which documents are searched, in Marqo's filter language.
    options: further arguments of Marqo's ``search`` (``search_method="LEXICAL"``).

    Needs the extra ``marqo``.
    """

    kind = "marqo"
    store = "Marqo"

    def __init__(
        self,
        marqo_index_name: str,
        marqo_client: Any,
        k: int = 3,
        page_content: str = "document",
        filter_string: str | None = None,
        *,
        num_retries: int = 3,
        **options: Any,
    ) -> None:
        super().__init__(marqo_index_name, k=k, client=marqo_client, num_retries=num_retries)
        self._where = marqo_client if isinstance(marqo_client, str) else None
        self._field = page_content
        self._options = options if filter_string is None else {**options, "filter_string": filter_string}

    def identity(self) -> Mapping[str, Any]:
        return {**super().identity(), **plain(self._options)}

    def endpoint(self) -> str:
        return "" if self._where is None else endpoint_of(self._where, {})

    def _made(self) -> Any:
        from pytest_lmprog.lm.quiet import quiet_warnings

        try:
            with quiet_warnings():
                import marqo
        except ImportError:
            raise MissingExtraError("MarqoRM", "marqo") from None
        return marqo.Client(url=self._where)

    def _asked(self, client: Any, query: str, vector: list[float] | None, k: int) -> Passages:
        del vector
        found = client.index(self.collection).search(q=query, limit=k, **self._options)
        hits = found.get("hits") if isinstance(found, Mapping) else None
        if not isinstance(hits, list) or not all(isinstance(hit, Mapping) for hit in hits):
            raise LMResponseError("Marqo sent an answer without a list 'hits'")
        return Passages(map(self._passage, hits))

    def _passage(self, hit: Mapping[str, Any]) -> Passage:
        text, score = hit.get(self._field), hit.get("_score")
        return found_passage(text, self._field, self.store, score=score, id=hit.get("_id"))
