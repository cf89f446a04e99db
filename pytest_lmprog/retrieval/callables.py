"""A user's function as a retriever: how to call it, and which of its errors mean that nothing was had."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from types import CodeType
from typing import Any

from pytest_lmprog.canonical import digest
from pytest_lmprog.errors import LmprogError
from pytest_lmprog.retrieval.network import had_or_raised
from pytest_lmprog.waiting import finish

__all__ = ["call_of", "code_digest", "records_itself"]


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


def records_itself(function: Any) -> bool:
    """Tell whether ``function`` is one of ``lmp.recorded``."""
    return hasattr(function, "__lmprog_recording__")


def code_digest(function: Any) -> str:
    """Return a digest of a function's code and of the plain values that it encloses; ``""`` where there is no
    Python code."""
    inner = getattr(function, "__func__", function)
    called = inner if hasattr(inner, "__code__") else getattr(type(inner), "__call__", None)  # noqa: B004
    code = getattr(called, "__code__", None)
    if not isinstance(code, CodeType):
        return ""
    cells = getattr(called, "__closure__", None) or ()
    enclosed = [value for value in map(_content, cells) if isinstance(value, str | int | float | bool)]
    defaults = getattr(called, "__defaults__", None) or ()
    return digest([_code(code), list(map(repr, enclosed)), [repr(d) for d in defaults if _is_plain(d)]])[:32]


def _code(code: CodeType) -> list[Any]:
    constants = [_code(c) if isinstance(c, CodeType) else repr(c) for c in code.co_consts]
    return [code.co_code.hex(), constants, list(code.co_names), list(code.co_varnames)]


def _content(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # not assigned yet
        return None


def _is_plain(value: Any) -> bool:
    return value is None or isinstance(value, str | int | float | bool)
