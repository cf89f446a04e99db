"""Tool: a typed function that a program offers to an LM, with the JSON schema of its arguments."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Mapping
from typing import Any

from pytest_lmprog.errors import InputError, SignatureError, UsageError
from pytest_lmprog.signatures.constraints import description_of
from pytest_lmprog.signatures.kinds import Kind, shown
from pytest_lmprog.waiting import finish

__all__ = ["Tool", "ToolKind"]


class Tool:
    """A function with a name, a description and typed arguments.

    Parameters
    ----------
    func: the function (or method, or object with ``__call__``), plain or ``async``.
    name: how the LM calls it (default: the function's name).
    desc: what it does, in words for the LM (default: the docstring).
    args: the JSON schema of each argument by name (default: from the annotations).
    arg_types: the type of each argument by name (default: the annotations; ``Any`` where there is none).
    arg_desc: descriptions of arguments by name; ``Annotated[int, "..."]`` says the same.

    ``tool(**arguments)`` checks and converts the arguments and calls the function; ``acall`` awaits it.
    Raises SignatureError for a function whose arguments have no JSON form. Immutable.
    """

    __slots__ = (
        "_defaults",
        "_kinds",
        "_required",
        "arg_desc",
        "arg_types",
        "args",
        "desc",
        "func",
        "has_kwargs",
        "name",
    )

    func: Callable[..., Any]
    name: str
    desc: str
    args: Mapping[str, Any]
    arg_types: Mapping[str, Any]
    arg_desc: Mapping[str, str]
    has_kwargs: bool
    _kinds: Mapping[str, Kind]
    _required: tuple[str, ...]
    _defaults: Mapping[str, Any]

    def __init__(
        self,
        func: Callable[..., Any],
        name: str | None = None,
        desc: str | None = None,
        args: Mapping[str, Any] | None = None,
        arg_types: Mapping[str, Any] | None = None,
        arg_desc: Mapping[str, str] | None = None,
    ) -> None:
        if isinstance(func, Tool):
            name, desc, func = name or func.name, desc or func.desc, func.func
        if not callable(func):
            raise UsageError(f"a tool is made of a function, not of {shown(func)}")
        own_name = name or getattr(func, "__name__", None) or type(func).__name__
        parameters = _parameters(func, own_name)
        taken = [p for p in parameters if p.kind is not p.VAR_KEYWORD]
        hints = _hints(func)
        types = {p.name: hints.get(p.name, Any) for p in taken}
        if arg_types is not None:
            types = {**types, **arg_types}
        elif args is not None:
            types = {n: types.get(n, Any) for n in args}
        kinds = {n: _kind(own_name, n, t) for n, t in types.items()}
        said = {**_descriptions(types), **(arg_desc or {})}
        defaults = {p.name: p.default for p in taken if p.default is not p.empty}
        schemas = {n: _schema(k, said.get(n), defaults, n) for n, k in kinds.items()}
        required = tuple(n for n in types if n not in defaults)
        self._set(
            func=func,
            name=own_name,
            desc=inspect.cleandoc(desc if desc is not None else _doc(func)),
            args=schemas if args is None else dict(args),
            arg_types=types,
            arg_desc=said,
            has_kwargs=len(taken) < len(parameters),
            _kinds=kinds,
            _required=required,
            _defaults=defaults,
        )

    def _set(self, **values: Any) -> None:
        for name, value in values.items():
            object.__setattr__(self, name, value)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a Tool does not change; make a new one: Tool(func, {name}=...)")

    def __copy__(self) -> Tool:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Tool:
        return self

    @property
    def parameters(self) -> dict[str, Any]:
        """The JSON schema of all arguments together."""
        schema: dict[str, Any] = {"type": "object", "properties": dict(self.args)}
        schema["required"] = [name for name in self.args if name in self._required]
        if not self.has_kwargs:
            schema["additionalProperties"] = False
        return schema

    def definition(self) -> dict[str, Any]:
        """Return the tool as it goes over the wire: ``{"type": "function", "function": {...}}``."""
        function = {"name": self.name, "description": self.desc, "parameters": self.parameters}
        return {"type": "function", "function": function}

    def format_as_litellm_function_call(self) -> dict[str, Any]:
        """The same as ``definition``, by DSPy's name."""
        return self.definition()

    def checked(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Return the arguments as the function's types. Raises InputError (a ValueError) that names the
        argument which is unknown, missing or does not fit."""
        known: dict[str, Any] = {}
        for name, value in arguments.items():
            if name in self._kinds:
                known[name] = self._converted(name, value)
            elif self.has_kwargs:
                known[name] = value
            else:
                there = ", ".join(self._kinds) or "none"
                raise InputError(
                    f"the tool {self.name!r} has no argument {name!r}; its arguments are: {there}"
                )
        missing = [name for name in self._required if name not in known]
        if missing:
            raise InputError(f"the tool {self.name!r} lacks its argument {missing[0]!r}")
        return known

    def _converted(self, name: str, value: Any) -> Any:
        kind = self._kinds[name]
        if name in self._defaults and value is self._defaults[name]:
            return value
        try:
            return value if kind.is_exact(value) else kind.convert(value)
        except ValueError as error:
            raise InputError(f"the tool {self.name!r}: the argument {name!r} does not fit: {error}") from None

    def __call__(self, **arguments: Any) -> Any:
        """Check the arguments and call the function, to its end where it is ``async``."""
        result = self.func(**self.checked(arguments))
        return finish(result) if inspect.iscoroutine(result) else result

    async def acall(self, **arguments: Any) -> Any:
        """The same, awaiting an ``async`` function; a plain one runs where this is awaited."""
        result = self.func(**self.checked(arguments))
        return await result if inspect.isawaitable(result) else result

    @classmethod
    def __lmprog_kind__(cls) -> ToolKind:
        return ToolKind()

    def to_plain(self) -> dict[str, Any]:
        """Return what the LM is told of the tool, as plain data."""
        return {
            "name": self.name,
            "desc": self.desc,
            "args": dict(self.args),
            "required": list(self._required),
        }

    @classmethod
    def described(cls, data: Mapping[str, Any]) -> Tool:
        """Return the tool that ``to_plain`` told of. It has no function: calling it is an error."""
        args = data.get("args") or {}
        new = object.__new__(cls)
        new._set(
            func=_no_function,
            name=str(data["name"]),
            desc=str(data.get("desc") or ""),
            args=dict(args),
            arg_types=dict.fromkeys(args, Any),
            arg_desc={},
            has_kwargs=False,
            _kinds={n: _kind(str(data["name"]), n, Any) for n in args},
            _required=tuple(data.get("required") or ()),
            _defaults={},
        )
        return new

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Tool):
            return NotImplemented
        return self.func == other.func and self.to_plain() == other.to_plain()

    def __hash__(self) -> int:
        return hash((self.name, self.desc))

    def __repr__(self) -> str:
        return f"Tool({self.name}({', '.join(self.args)}))"


def _no_function(**_: Any) -> Any:
    raise UsageError("this tool was read from data and has no function to call")


def _parameters(func: Callable[..., Any], name: str) -> list[inspect.Parameter]:
    try:
        parameters = list(inspect.signature(func).parameters.values())
    except (TypeError, ValueError):
        raise SignatureError(
            f"the tool {name!r}: Python does not tell the arguments of {shown(func)}",
            hint="wrap it in a function with annotated arguments",
        ) from None
    for parameter in parameters:
        if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.VAR_POSITIONAL):
            raise SignatureError(
                f"the tool {name!r}: the argument {parameter.name!r} cannot be given by name",
                hint="a tool's arguments are passed by name: drop the / or the *",
            )
    return parameters


def _hints(func: Callable[..., Any]) -> dict[str, Any]:
    plain = func.func if hasattr(func, "func") and hasattr(func, "keywords") else func  # functools.partial
    holder = plain if inspect.isroutine(plain) else type(plain).__call__
    try:
        hints = typing.get_type_hints(inspect.unwrap(holder), include_extras=True)
    except NameError as error:
        raise SignatureError(
            f"the annotations of the tool {holder.__name__!r} cannot be resolved: {error}"
        ) from None
    except TypeError:
        return {}
    return {name: hint for name, hint in hints.items() if name != "return"}


def _kind(tool: str, name: str, annotation: Any) -> Kind:
    from pytest_lmprog.signatures.types import kind_of

    try:
        return kind_of(annotation)
    except SignatureError as error:
        raise SignatureError(
            f"the tool {tool!r}, argument {name!r}: {error.message}", hint=error.hint
        ) from None


def _descriptions(types: Mapping[str, Any]) -> dict[str, str]:
    found = {name: description_of(getattr(t, "__metadata__", ())) for name, t in types.items()}
    return {name: text for name, text in found.items() if text is not None}


def _schema(kind: Kind, desc: str | None, defaults: Mapping[str, Any], name: str) -> dict[str, Any]:
    from pytest_lmprog.signatures.schemas import hoisted

    schema = hoisted(kind.schema())
    if desc:
        schema["description"] = desc
    if name in defaults:
        try:
            schema["default"] = kind.plain(defaults[name])
        except (ValueError, TypeError):
            schema["default"] = (
                None  # a default without a JSON form (a sentinel) may be left out all the same
            )
    return schema


def _doc(func: Callable[..., Any]) -> str:
    own = getattr(func, "__doc__", None) if inspect.isroutine(func) else type(func).__doc__
    return own or ""


class ToolKind:
    """``Tool``: a tool, or a function to make one of. In plain form it is what the LM is told."""

    __slots__ = ()
    text = "Tool"
    takes_text = False

    def schema(self) -> dict[str, Any]:
        """See Kind."""
        return {"type": "object"}

    def is_exact(self, value: Any) -> bool:
        """See Kind."""
        return isinstance(value, Tool)

    def convert(self, value: Any) -> Tool:
        """See Kind."""
        if isinstance(value, Tool):
            return value
        if isinstance(value, Mapping) and "name" in value:
            return Tool.described(value)
        if callable(value):
            return Tool(value)
        raise ValueError(f"{shown(value)} is not a tool")

    def plain(self, value: Any) -> Any:
        """See Kind."""
        return self.convert(value).to_plain()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ToolKind)

    def __hash__(self) -> int:
        return hash(self.text)
