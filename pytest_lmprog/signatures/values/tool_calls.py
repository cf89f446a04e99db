"""ToolCalls: an output that says which tools to call with which arguments."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, ClassVar

from pytest_lmprog.canonical import plain
from pytest_lmprog.errors import UsageError
from pytest_lmprog.signatures.kinds import shown
from pytest_lmprog.signatures.values.tool import Tool

__all__ = ["ToolCalls", "ToolCallsKind", "WantedCall"]


@dataclasses.dataclass(frozen=True)
class WantedCall:
    """One call that the LM wants made: ``ToolCalls.ToolCall``.

    ``execute(tools)`` makes it: ``tools`` are Tools or functions, in a list or by name.
    """

    name: str
    args: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    id: str | None = None

    def execute(self, tools: Sequence[Any] | Mapping[str, Any]) -> Any:
        """Call the tool of that name, its arguments checked. Raises UsageError where there is none."""
        return self._tool(tools)(**self.args)

    async def aexecute(self, tools: Sequence[Any] | Mapping[str, Any]) -> Any:
        """The same, awaiting."""
        return await self._tool(tools).acall(**self.args)

    def _tool(self, tools: Sequence[Any] | Mapping[str, Any]) -> Tool:
        named: dict[str, Any] = dict(tools) if isinstance(tools, Mapping) else {}
        for tool in () if isinstance(tools, Mapping) else tools:
            made = tool if isinstance(tool, Tool) else Tool(tool)
            named[made.name] = made
        found: Tool | Callable[..., Any] | None = named.get(self.name)
        if found is None:
            raise UsageError(f"there is no tool {self.name!r}; there are: {', '.join(named) or 'none'}")
        return found if isinstance(found, Tool) else Tool(found, name=self.name)


@dataclasses.dataclass(frozen=True, init=False, repr=False)
class ToolCalls:
    """The calls that an LM wants made, in order: as an output's type, with an input ``list[Tool]`` beside it.

    Where the model has native tool calls they are used; elsewhere the calls are asked for like any field.
    """

    ToolCall: ClassVar[type[WantedCall]] = WantedCall
    tool_calls: tuple[WantedCall, ...]

    def __init__(self, tool_calls: Any = ()) -> None:
        if isinstance(tool_calls, ToolCalls):
            tool_calls = tool_calls.tool_calls
        object.__setattr__(self, "tool_calls", tuple(map(_call, tool_calls)))

    def __iter__(self) -> Iterator[WantedCall]:
        return iter(self.tool_calls)

    def __len__(self) -> int:
        return len(self.tool_calls)

    def __getitem__(self, index: int) -> WantedCall:
        return self.tool_calls[index]

    def __repr__(self) -> str:
        return f"ToolCalls({', '.join(f'{c.name}({dict(c.args)!r})' for c in self.tool_calls)})"

    @classmethod
    def from_wire(cls, calls: Sequence[Mapping[str, Any]]) -> ToolCalls:
        """Return the native tool calls of an answer. Raises ValueError for one that cannot be read."""
        return cls(calls)

    @classmethod
    def __lmprog_kind__(cls) -> ToolCallsKind:
        return ToolCallsKind()


def _call(given: Any) -> WantedCall:
    if isinstance(given, WantedCall):
        return given
    if not isinstance(given, Mapping):
        raise ValueError(f"{shown(given)} is no call of a tool")
    inner = given.get("function")
    told = inner if isinstance(inner, Mapping) else given
    name = told.get("name")
    if not isinstance(name, str) or not name:
        raise ValueError(f"the call {shown(dict(given))} names no tool")
    args = next((told[key] for key in ("args", "arguments", "parameters") if key in told), None) or {}
    if isinstance(args, str):
        args = _loaded(args, name)
    if not isinstance(args, Mapping):
        raise ValueError(f"the arguments of {name!r} are {shown(args)}, not an object")
    call_id = given.get("id")
    return WantedCall(name, dict(args), call_id if isinstance(call_id, str) else None)


def _loaded(text: str, name: str) -> Any:
    try:
        return json.loads(text, strict=False)
    except (ValueError, RecursionError):
        raise ValueError(f"the arguments of {name!r} are no JSON: {shown(text)}") from None


_SCHEMA = {
    "type": "object",
    "properties": {
        "tool_calls": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"name": {"type": "string"}, "args": {"type": "object"}},
                "required": ["name", "args"],
            },
        }
    },
    "required": ["tool_calls"],
}


class ToolCallsKind:
    """``ToolCalls``, a list of calls, or one."""

    __slots__ = ()
    text = 'ToolCalls {tool_calls: list of {"name": tool, "args": object}}'
    takes_text = False

    def schema(self) -> dict[str, Any]:
        """See Kind."""
        schema: dict[str, Any] = plain(_SCHEMA)
        return schema

    def is_exact(self, value: Any) -> bool:
        """See Kind."""
        return type(value) is ToolCalls

    def convert(self, value: Any) -> ToolCalls:
        """See Kind."""
        if isinstance(value, ToolCalls):
            return value
        if isinstance(value, Mapping):
            calls = value.get("tool_calls", None if "tool_calls" in value else [value])
        else:
            calls = value
        if not isinstance(calls, list | tuple):
            raise ValueError(f"{shown(value)} is no list of calls")
        return ToolCalls(calls)

    def plain(self, value: Any) -> Any:
        """See Kind."""
        calls = self.convert(value).tool_calls
        return {"tool_calls": [{"name": call.name, "args": plain(call.args)} for call in calls]}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ToolCallsKind)

    def __hash__(self) -> int:
        return hash(self.text)
