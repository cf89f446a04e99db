"""The tools of an agent: called with what the LM wrote, recorded, their errors told and not raised."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from pytest_lmprog.canonical import plain
from pytest_lmprog.errors import AnswerError, CanonicalError, InputError, LmprogError, UsageError
from pytest_lmprog.lm.scope import current_scope
from pytest_lmprog.programs.recorded import Recording, recorded, recording_of
from pytest_lmprog.programs.results import ResultForm
from pytest_lmprog.signatures.values.tool import Tool
from pytest_lmprog.steady import steady

__all__ = ["ToolError", "observing", "tools_by_name"]

_LONGEST_ERROR = 2000


class ToolError(Exception):
    """What a tool raised, as text for the LM: ``KeyError: 'Paris'``."""


def tools_by_name(tools: Iterable[Callable[..., Any] | Tool], reserved: str) -> dict[str, Tool]:
    """Return the tools by name, functions made into tools. Raises UsageError for two of one name, and for
    one that is called ``reserved``."""
    if callable(tools) or isinstance(tools, str | Mapping):
        raise UsageError(f"tools must be a list of functions or of lmp.Tool, not {tools!r}")
    found: dict[str, Tool] = {}
    for given in tools:
        tool = given if isinstance(given, Tool) else Tool(given)
        if tool.name in found or tool.name == reserved:
            why = "is what an agent ends with" if tool.name == reserved else "is the name of two tools"
            raise UsageError(f"{tool.name!r} {why}", hint="name it anew: lmp.Tool(function, name=...)")
        found[tool.name] = tool
    return found


def observing(tool: Tool) -> Callable[..., Any]:
    """Return a function that calls ``tool`` and returns what the agent observes: the result as plain data
    (or as text, where it has no such form), or ``Error: ...`` as text.

    Calls are recorded and replayed like LM calls. Outside of tests, where nothing is recorded or cached,
    each call runs the tool. Errors that are not the tool's (a replay without answer, an LM that cannot be
    reached, a budget) are raised."""
    if inspect.iscoroutinefunction(tool.func):

        async def aobserve(**arguments: Any) -> Any:
            try:
                return await _recorded(tool)(**tool.checked(arguments))
            except (InputError, ToolError) as error:
                return _told(error)

        return aobserve

    def observe(**arguments: Any) -> Any:
        try:
            return _recorded(tool)(**tool.checked(arguments))
        except (InputError, ToolError) as error:
            return _told(error)

    return observe


def _told(error: Exception) -> str:
    text = error.message if isinstance(error, LmprogError) else str(error)
    return f"Error: {text[:_LONGEST_ERROR]}"


def _recorded(tool: Tool) -> Callable[..., Any]:
    scope = current_scope()
    own = recording_of(tool.func)
    source = own or Recording(tool.func)
    found: Callable[..., Any] = recorded(
        _named(_running(tool), tool),
        version=own.version if own else "",
        fingerprint=source.identity,
        errors=(ToolError,),
        ignore=own._ignore if own else (),
        cache=scope.cache is not None,
    )
    return found


def _running(tool: Tool) -> Callable[..., Any]:
    form = ResultForm(tool.func)

    if inspect.iscoroutinefunction(tool.func):

        async def arun(**arguments: Any) -> Any:
            try:
                return _plain(form, await tool.func(**arguments))
            except Exception as error:
                raise _tool_error(error) from error

        return arun

    def run(**arguments: Any) -> Any:
        try:
            return _plain(form, tool.func(**arguments))
        except Exception as error:
            raise _tool_error(error) from error

    return run


def _tool_error(error: Exception) -> Exception:
    if isinstance(error, LmprogError) and not isinstance(error, AnswerError):
        return error
    text = error.message if isinstance(error, LmprogError) else str(error)
    return ToolError(f"{type(error).__name__}: {steady(text)}" if text else type(error).__name__)


def _plain(form: ResultForm, value: Any) -> Any:
    try:
        return form.plain(value)
    except CanonicalError:
        text = steady(str(value))
        return plain(text.encode("utf-8", "replace").decode("utf-8"))


def _named(function: Any, tool: Tool) -> Any:
    """Name a function as the recordings are to name the tool: by the module of its function."""
    func = inspect.unwrap(tool.func)
    holder = func if inspect.isroutine(func) else type(func)
    within = getattr(holder, "__qualname__", "").rpartition(".")[0]
    module = getattr(holder, "__module__", None) or "tools"
    own = recording_of(tool.func)
    # What a tool that is recorded by itself is told and what an agent observes of it are two results.
    function.__module__ = module if own is None else f"agent.{module}"
    function.__qualname__ = f"{within}.{tool.name}" if within else tool.name
    if own is not None and own.given_name is not None:
        function.__module__, function.__qualname__ = "agent", own.given_name
    function.__name__ = tool.name
    return function
