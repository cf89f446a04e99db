"""Retrieve: the module that asks the configured retriever (Demonstrate-Search-Predict, arXiv:2212.14024)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from pytest_lmprog.programs.context import current
from pytest_lmprog.programs.example import Prediction
from pytest_lmprog.programs.module import Module
from pytest_lmprog.retrieval.asking import ask, look_for
from pytest_lmprog.retrieval.base import Retriever, as_retriever, checked_k, listed
from pytest_lmprog.retrieval.callables import records_itself
from pytest_lmprog.retrieval.fusion import fused
from pytest_lmprog.retrieval.passages import Passages

__all__ = ["Retrieve"]


class Retrieve(Module):
    """Finds passages with the configured retriever.

    Parameters
    ----------
    k: how many passages to return (fewer where there are not so many).
    rm: the retriever, over the configured one (``lmp.configure(rm=...)``): a Retriever or a function of a
        query and ``k``.
    """

    def __init__(self, k: int = 3, *, rm: Any = None) -> None:
        self.k = checked_k(k)
        self.rm = rm

    def forward(
        self, query_or_queries: str | Iterable[str] | None = None, k: int | None = None, **given: Any
    ) -> Prediction:
        """Return ``Prediction(passages=[...])``, best first, with ``scores`` and ``ids`` where known.

        Several queries are asked one by one (three times ``k`` passages each), and a passage's score is the
        sum of its scores. Blank queries are left out; without any there are no passages.
        Raises UsageError, ConfigurationError without a retriever, LMError where it cannot be reached."""
        wanted, queries, retriever = self._asked(query_or_queries, k, given)
        return _prediction(fused([ask(retriever, query, n) for query, n in queries], wanted))

    async def aforward(
        self, query_or_queries: str | Iterable[str] | None = None, k: int | None = None, **given: Any
    ) -> Prediction:
        """The same, without blocking the event loop."""
        import asyncio

        wanted, queries, retriever = self._asked(query_or_queries, k, given)
        asked = [asyncio.to_thread(look_for, retriever, query, n) for query, n in queries]
        return _prediction(fused([found.noted() for found in await asyncio.gather(*asked)], wanted))

    def _asked(
        self, queries: str | Iterable[str] | None, k: int | None, given: dict[str, Any]
    ) -> tuple[int, Sequence[tuple[str, int]], Retriever]:
        if queries is None:
            queries = given.pop("query", "")
        rm = given.pop("rm", None) or self.rm or current().rm
        if given:
            raise TypeError(f"Retrieve takes no argument {next(iter(given))!r}")
        wanted = checked_k(self.k if k is None else k)
        asked = listed(queries)
        each = wanted if len(asked) == 1 else 3 * wanted
        return wanted, [(query, each) for query in asked], as_retriever(rm)

    @property
    def fingerprint(self) -> Callable[[], str | None] | None:
        """What tells the digest of what the configured retriever, or a function as one, searches, so that a
        change makes snapshots stale. None where ``rm`` is an object that tells it itself."""
        rm = current().rm if self.rm is None else self.rm
        told = self.rm is not None and (isinstance(rm, Retriever) or records_itself(rm))
        return None if rm is None or told else as_retriever(rm).fingerprint

    def max_calls(self) -> int:
        """No call to an LM."""
        return 0

    def __repr__(self) -> str:
        return f"Retrieve(k={self.k})"


def _prediction(found: Passages) -> Prediction:
    fields: dict[str, Any] = {"passages": found.passages}
    if found and None not in found.scores:
        fields["scores"] = found.scores
    if found and None not in found.ids:
        fields["ids"] = found.ids
    return Prediction(**fields)
