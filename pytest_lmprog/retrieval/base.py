"""Retriever: what every way of finding passages has in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Iterable, Mapping
from functools import cached_property, lru_cache
from typing import Any

from pytest_lmprog.errors import ConfigurationError, UsageError
from pytest_lmprog.lm.calling import Caller
from pytest_lmprog.lm.stores.memory import MemoryStore
from pytest_lmprog.retrieval.asking import ask, identity_of
from pytest_lmprog.retrieval.callables import call_of, code_digest, records_itself
from pytest_lmprog.retrieval.passages import Passages, as_passages

__all__ = ["CallableRetriever", "Retriever", "as_retriever", "checked_k", "checked_query", "listed"]


class Retriever(ABC):
    """Finds passages. A subclass defines ``search``, and ``identity`` where there may be two of its kind.

    Nothing is opened, read or connected before ``search`` is called, and a replayed run does not call it.
    """

    kind = "retriever"
    """The name of its recorded calls."""

    k = 3
    """How many passages a call returns that does not say."""

    @abstractmethod
    def search(self, query: str, k: int) -> Passages:
        """Find the ``k`` best passages (or all, where there are fewer), best first.

        Raises LMError where the store cannot be reached, UsageError where it is not set up right."""

    def identity(self) -> Mapping[str, Any]:
        """Return what tells this retriever from others of its kind, as plain data: part of the recording
        key, hence without addresses, secrets and this machine's paths."""
        return {}

    def endpoint(self) -> str:
        """Return the address part of the cache key, without secrets."""
        return ""

    def fingerprint(self) -> str | None:
        """Return a digest of what is searched, so that a change is noticed; None: it cannot be told."""
        return None

    cache = True
    """False: it is asked wherever no recording answers."""

    @cached_property
    def caller(self) -> Caller | None:
        """The way of its calls, or None where it records them itself."""
        return Caller(lambda: identity_of(self), MemoryStore(), self.cache)

    def __call__(self, query: str, k: int | None = None) -> Passages:
        """Find the best passages for ``query``: recorded, cached and replayed like an LM call."""
        return ask(self, checked_query(query), checked_k(self.k if k is None else k))

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


class CallableRetriever(Retriever):
    """Any function of a query and ``k`` that returns passages, best first."""

    kind = "retrieve"

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function
        self._name = _name_of(function)

    def identity(self) -> Mapping[str, Any]:
        return {"function": self._name}

    def fingerprint(self) -> str | None:
        recording = getattr(self._function, "__lmprog_recording__", self._function)
        declared = getattr(recording, "fingerprint", None)
        return str(declared()) if callable(declared) else None

    def endpoint(self) -> str:
        return code_digest(self._function)

    @cached_property
    def caller(self) -> Caller | None:
        return None if records_itself(self._function) else super().caller

    def search(self, query: str, k: int) -> Passages:
        found = call_of(self._function, self._name)(query, k)
        return Passages(as_passages(found, self._name)[:k])


def _name_of(function: Any) -> str:
    """Return a name that is the same in every process: no address."""
    named = function if hasattr(function, "__qualname__") else type(function)
    return f"{named.__module__}.{named.__qualname__}"


def as_retriever(rm: Any) -> Retriever:
    """Return ``rm``, a Retriever or a callable, as a Retriever. Raises ConfigurationError."""
    if isinstance(rm, Retriever):
        return rm
    if rm is None:
        raise ConfigurationError(
            "no retriever is configured",
            hint='lmp.configure(rm=lmp.BM25("passages.jsonl")), or Retrieve(k=3, rm=...)',
        )
    if isinstance(rm, type) or not callable(rm):
        raise ConfigurationError(
            f"rm must be a retriever or a function of a query and k, not {rm!r}",
            hint='rm=lmp.BM25("passages.jsonl")',
        )
    return _wrapped(rm) if isinstance(rm, Hashable) else CallableRetriever(rm)


@lru_cache(maxsize=256)
def _wrapped(function: Callable[..., Any]) -> CallableRetriever:
    """One retriever a function, so that it has one memory and one flight."""
    return CallableRetriever(function)


def checked_k(k: Any) -> int:
    """Return ``k``. Raises UsageError unless it is a whole number of 1 or more."""
    if isinstance(k, bool) or not isinstance(k, int) or k < 1:
        raise UsageError(f"k must be a whole number of 1 or more, not {k!r}")
    return k


def listed(queries: str | Iterable[str]) -> list[str]:
    """Return the queries without surrounding space, blank ones left out. Raises UsageError for no text."""
    if isinstance(queries, str) or not isinstance(queries, Iterable):
        queries = [queries]
    return [query.strip() for query in map(checked_query, queries) if query.strip()]


def checked_query(query: Any) -> str:
    """Return ``query``. Raises UsageError unless it is text."""
    if not isinstance(query, str):
        raise UsageError(f"a query is text, not {type(query).__name__} ({query!r})")
    return query
