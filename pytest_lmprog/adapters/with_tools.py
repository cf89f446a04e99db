"""Native tool calls: a signature with ``tools: list[Tool]`` and an output ``ToolCalls``, put to a model that
has them. The two fields leave the prompt: definitions go beside it, calls come back beside the text."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from pytest_lmprog.adapters.base import Adapter, Prompt
from pytest_lmprog.adapters.text import Layout, field_lines, rendered
from pytest_lmprog.errors import ParseError
from pytest_lmprog.lm.types import LMResponse, Message
from pytest_lmprog.records import dataclass
from pytest_lmprog.signatures import Field, Signature
from pytest_lmprog.signatures.signature import make_signature

__all__ = ["WithTools", "with_tools"]


@dataclass(frozen=True)
class WithTools:
    """How a signature is put where tools are native.

    Parameters
    ----------
    whole: the signature as written.
    told: the signature without the tools that go in: what demos show.
    rest: the signature without its tools, or None where no output is left.
    tools: names of the inputs that hold tools.
    calls: name of the output that holds the calls.
    """

    whole: type[Signature]
    told: type[Signature]
    rest: type[Signature] | None
    tools: tuple[str, ...]
    calls: str

    def definitions(self, inputs: Mapping[str, Any]) -> tuple[dict[str, Any], ...]:
        """Return the definitions of the tools among ``inputs``, in wire form."""
        given = [inputs[name] for name in self.tools if name in inputs]
        return tuple(tool.definition() for value in given for tool in _listed(value))

    def prompt(self, adapter: Adapter, demos: Sequence[Mapping[str, Any]]) -> Prompt:
        """Render everything but the inputs and the tools. Demos show their calls as text, which is read as
        native calls are: without a result, which no demo has, the protocol takes no others."""
        bare = _bare_prompt(self.whole, self.tools) if self.rest is None else adapter.prompt(self.rest, ())
        if not demos:
            return bare
        shown = adapter.prompt(self.told, [_without(demo, self.tools) for demo in demos])
        return _Demonstrated(bare, shown.template()[1:-1])

    def read(self, adapter: Adapter, response: LMResponse) -> dict[str, Any]:
        """Return the output fields of an answer. Raises ParseError.

        Beside calls, fields that the text does not give are None. Where there is no call, the text may write
        them as it would without native calls; else it is read for the other fields, and no tool is called."""
        if response.tool_calls:
            return self._in_order({**self._beside(adapter, response.text), self.calls: self._calls(response)})
        try:
            return adapter.parse(self.whole, response.text)
        except ParseError:
            values = {} if self.rest is None else self._said(self.rest, adapter, response.text)
        none = self.whole.output_fields[self.calls].validate([])
        return self._in_order({**values, self.calls: none})

    def _calls(self, response: LMResponse) -> Any:
        try:
            return self.whole.output_fields[self.calls].validate(list(response.tool_calls))
        except ValueError as error:
            said = response.text or repr([dict(call) for call in response.tool_calls])
            raise ParseError(f"the field {self.calls!r} does not fit: {error}", answer=said) from None

    def _beside(self, adapter: Adapter, text: str) -> dict[str, Any]:
        if self.rest is None:
            return {}
        try:
            return self._said(self.rest, adapter, text)
        except ParseError:
            return dict.fromkeys(self.rest.output_fields)

    def _said(self, rest: type[Signature], adapter: Adapter, text: str) -> dict[str, Any]:
        """Return the other outputs; prose is the output where a text is all that is asked for."""
        try:
            return adapter.parse(rest, text)
        except ParseError:
            ((name, field), *more) = rest.output_fields.items()
            if more or not field.is_text or not text.strip() or "{" in text:
                raise
        return {name: field.validate(text.strip())}

    def _in_order(self, values: Mapping[str, Any]) -> dict[str, Any]:
        return {name: values[name] for name in self.whole.output_fields}


@dataclass(frozen=True, slots=True)
class _Demonstrated:
    """A prompt with demos behind its first message."""

    bare: Prompt
    demos: tuple[Message, ...]

    def render(self, inputs: Mapping[str, Any]) -> tuple[Message, ...]:
        """See Prompt."""
        return self._with_demos(self.bare.render(inputs))

    def template(self) -> tuple[Message, ...]:
        """See Prompt."""
        return self._with_demos(self.bare.template())

    def _with_demos(self, messages: Sequence[Message]) -> tuple[Message, ...]:
        return (messages[0], *self.demos, *messages[1:])


def _listed(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list | tuple) else (value,)


def _without(demo: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    return {name: value for name, value in demo.items() if name not in names}


@lru_cache(maxsize=512)
def with_tools(signature: type[Signature]) -> WithTools | None:
    """Return how ``signature`` is put natively, or None where it has no tools and calls."""
    tools = tuple(n for n, f in signature.input_fields.items() if f.type_text in ("Tool", "list[Tool]"))
    calls = [n for n, f in signature.output_fields.items() if f.type_text.startswith("ToolCalls ")]
    if not tools or len(calls) != 1:
        return None
    told = _with_fields(signature, lambda name: name not in tools)
    rest = None
    if len(signature.output_fields) > 1:
        rest = _with_fields(signature, lambda name: name not in (*tools, *calls))
    return WithTools(signature, told, rest, tools, calls[0])


def _with_fields(signature: type[Signature], wanted: Callable[[str], bool]) -> type[Signature]:
    fields: dict[str, Field] = {n: f for n, f in signature.fields.items() if wanted(n)}
    return make_signature(fields, _words(signature)).with_name(signature.name)


def _words(signature: type[Signature]) -> str | None:
    given = signature._body.given_instructions
    return None if given is None else signature.instructions


def _bare_prompt(signature: type[Signature], tools: tuple[str, ...]) -> Prompt:
    """Return a prompt that asks for nothing but calls."""
    fields = {n: f for n, f in signature.input_fields.items() if n not in tools}
    parts = [signature.instructions]
    if fields:
        parts.append(f"You are given:\n{field_lines(fields)}")
    parts.append("Answer by calling the tools that you need.")
    system: Message = {"role": "system", "content": "\n\n".join(parts)}
    layout = Layout(tuple((f"\n{f.name}: ", f) for f in fields.values()))
    return rendered(signature, [system], layout, lambda values: str(dict(values)))
