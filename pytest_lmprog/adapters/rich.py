"""Prompts whose inputs are more than text: pictures, sounds and files as parts, earlier turns as messages."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pytest_lmprog.adapters.text import Layout, RenderedPrompt, closing_tag, opening_tag, value_text
from pytest_lmprog.errors import InputError
from pytest_lmprog.lm.types import Message, Messages
from pytest_lmprog.signatures import Field, Signature
from pytest_lmprog.signatures.kinds import has_turns, is_media

__all__ = ["RichPrompt", "parts_of"]

Content = str | list[dict[str, Any]]


class RichPrompt(RenderedPrompt):
    """A prompt with fields that are not text."""

    __slots__ = ("_answer", "_plain", "_signature", "_turns")

    def __init__(
        self,
        signature: type[Signature],
        prefix: tuple[Message, ...],
        layout: Layout,
        answer: Callable[[Mapping[str, Any]], str],
    ) -> None:
        super().__init__(prefix, layout)
        self._signature = signature
        self._answer = answer
        self._plain = Layout(layout.parts)
        self._turns = [field for _, field in layout.parts if has_turns(field)]

    def render(self, inputs: Mapping[str, Any]) -> tuple[Message, ...]:
        """See Prompt."""
        earlier = [m for field in self._turns for m in self._earlier(field, inputs.get(field.name))]
        last: Message = {"role": "user", "content": self.layout.content(inputs)}
        return Messages.after(self._shared, *earlier, last)

    def template(self) -> tuple[Message, ...]:
        """See Prompt. Earlier turns stand as one message ``{name}``."""
        turns: list[Message] = [{"role": "user", "content": f"{{{field.name}}}"} for field in self._turns]
        shown = Layout(_shown_parts(self.layout), self.layout.tail)
        return (*self.prefix, *turns, {"role": "user", "content": shown.placeholders()})

    def _earlier(self, field: Field, value: Any) -> list[Message]:
        messages: list[Message] = []
        for number, turn in enumerate(() if value is None else field.validate(value), 1):
            values = self._typed(f"turn {number} of {field.name!r}", turn)
            if any(name in values for name in self._signature.input_fields):
                messages.append({"role": "user", "content": self._plain.content(values)})
            if any(name in values for name in self._signature.output_fields):
                messages.append({"role": "assistant", "content": self._answer(values)})
        return messages

    def _typed(self, where: str, turn: Mapping[str, Any]) -> dict[str, Any]:
        values = {}
        for name, value in turn.items():
            field = self._signature.fields.get(name)
            if field is None:
                fields = ", ".join(self._signature.fields)
                raise InputError(f"{where}: the signature has no field {name!r}; its fields are: {fields}")
            try:
                values[name] = field.accept(value)
            except ValueError as error:
                raise InputError(f"{where}: the field {name!r} does not fit: {error}") from None
        return values


def _shown_parts(layout: Layout) -> tuple[tuple[str, Field], ...]:
    return tuple((lead, field) for lead, field in layout.parts if not has_turns(field))


def parts_of(layout: Layout, values: Mapping[str, Any]) -> Content:
    """Return the content of a message with ``values``: text where that is all there is, else parts."""
    gathered = _Parts()
    for lead, field in _shown_parts(layout):
        if field.name in values:
            gathered.text(lead)
            _add(gathered, field, values[field.name])
    return gathered.content(layout.tail)


class _Parts:
    """Parts being gathered: texts that follow each other become one."""

    def __init__(self) -> None:
        self._parts: list[dict[str, Any]] = []
        self._text = ""

    def text(self, text: str) -> None:
        self._text += text

    def add(self, part: dict[str, Any]) -> None:
        self._flush()
        self._parts.append(part)

    def _flush(self) -> None:
        text = self._text if self._parts else self._text.lstrip("\n")
        if text.strip():
            self._parts.append({"type": "text", "text": text})
        self._text = ""

    def content(self, tail: str) -> Content:
        if not self._parts:
            return self._text.lstrip("\n") + tail
        self._text += tail
        self._flush()
        return self._parts


def _add(gathered: _Parts, field: Field, value: Any) -> None:
    media = list(_media(field.kind, value)) if is_media(field) else []
    if not media:
        gathered.text(value_text(field, value))
        return
    if field.quoted:
        gathered.text(opening_tag(field))
    for part in media:
        gathered.add(part)
    if field.quoted:
        gathered.text(closing_tag(field))


def _media(kind: Any, value: Any) -> list[dict[str, Any]]:
    """Return the parts for ``value``; none where it is of a type without any (None)."""
    if hasattr(kind, "media_parts"):
        parts: list[dict[str, Any]] = kind.media_parts(value)
        return parts
    if hasattr(kind, "members"):
        fitting = [member for member in kind.members if member.is_exact(value)]
        return _media(fitting[0], value) if fitting else []
    inner = getattr(kind, "item", None)
    if inner is not None:
        return [part for item in value for part in _media(inner, item)]
    base = getattr(kind, "base", None)
    return [] if base is None else _media(base, value)
