"""Asking a retriever: recorded, cached and replayed like an LM call, and noted in the trace."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pytest_lmprog.canonical import digest
from pytest_lmprog.errors import LMResponseError
from pytest_lmprog.lm.calling import note_call
from pytest_lmprog.lm.calls import CallRequest, CallResult
from pytest_lmprog.lm.scope import current_scope, use_scope, watcher
from pytest_lmprog.records import dataclass
from pytest_lmprog.retrieval.passages import Passage, Passages

if TYPE_CHECKING:
    from pytest_lmprog.retrieval.base import Retriever

__all__ = ["Found", "ask", "identity_of", "look_for"]

NAME = "retrieve"
"""The name of these calls in recordings and traces."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a retriever found, and how it was asked; ``result`` is None where it records its calls itself."""

    request: CallRequest
    passages: Passages
    result: CallResult | None

    def noted(self) -> Passages:
        """Note the call in the trace and return the passages."""
        if self.result is not None:
            note_call(NAME, self.request, self.passages.passages, self.result)
        return self.passages


def ask(retriever: Retriever, query: str, k: int) -> Passages:
    """Return the ``k`` best passages for ``query``: as recorded, as stored, or found now."""
    return look_for(retriever, query, k).noted()


def look_for(retriever: Retriever, query: str, k: int) -> Found:
    """The same, the trace not being told yet."""
    who: dict[str, Any] = {"kind": retriever.kind, **retriever.identity()}
    request = CallRequest(NAME, {"k": k, "query": query, "retriever": who})
    caller = retriever.caller
    if caller is None:
        return Found(request, retriever.search(query, k), None)
    result = caller.call(request, lambda: _searched(retriever, query, k))
    try:
        return Found(request, Passages(map(Passage.from_plain, result.value)), result)
    except (TypeError, KeyError, AttributeError):
        raise LMResponseError(f"what is recorded of {retriever!r} is no list of passages") from None


def _searched(retriever: Retriever, query: str, k: int) -> CallResult:
    with _alone():
        return CallResult([passage.to_plain() for passage in retriever.search(query, k)])


@contextmanager
def _alone() -> Iterator[None]:
    """What a retriever does inside, embedding for one, is cached but neither recorded nor in the trace: a
    replay does not do it."""
    token = watcher.set(None)
    try:
        with use_scope(replace(current_scope(), recording=None, limit=None)):
            yield
    finally:
        watcher.reset(token)


def identity_of(retriever: Retriever) -> str:
    """Return what cached passages are bound to: the kind of retriever, its address and what is searched."""
    kind = type(retriever)
    parts = [kind.__module__, kind.__qualname__, retriever.endpoint(), retriever.fingerprint()]
    return digest(parts)[:32]
