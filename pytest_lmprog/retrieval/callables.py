"""A user's function as a retriever: how to call it, and which of its errors mean that nothing was had."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from pytest_lmprog.errors import LmprogError
from pytest_lmprog.retrieval.network import had_or_raised
from pytest_lmprog.waiting import finish

__all__ = ["call_of"]


def call_of(function: Callable[..., Any], name: str) -> Callable[[str, int], Any]:
    """Return what calls ``function`` with a query and ``k``: ``k`` by name where it is taken so, else as the
    second argument, or not at all. A coroutine is run to its end. An OSError (a refused connection, a
    time-out) becomes an LMError: nothing was had; any other error is the function's own."""
    takes = _takes(function)

    def call(query: str, k: int) -> Any:
        try:
            found = _called(function, takes, query, k)
            return finish(_awaited(found)) if inspect.isawaitable(found) else found
        except LmprogError:
            raise
        except OSError as error:
            raise had_or_raised(error, name) from None

    return call


def _takes(function: Callable[..., Any]) -> str:
    try:
        parameters = inspect.signature(function).parameters
    except (ValueError, TypeError):
        return "name"
    kinds = [p.kind for p in parameters.values()]
    if "k" in parameters or inspect.Parameter.VAR_KEYWORD in kinds:
        return "name"
    positional = [p for p in parameters.values() if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    several = len(positional) > 1 or inspect.Parameter.VAR_POSITIONAL in kinds
    return "position" if several else "nothing"


def _called(function: Callable[..., Any], takes: str, query: str, k: int) -> Any:
    if takes == "name":
        return function(query, k=k)
    return function(query, k) if takes == "position" else function(query)


async def _awaited(found: Any) -> Any:
    return await found
