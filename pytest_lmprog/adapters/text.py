"""How fields and values are written in prompts. Changing any of it raises PROMPT_FORMAT."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from pytest_lmprog.canonical import canonical_json
from pytest_lmprog.errors import UsageError
from pytest_lmprog.lm.types import Message, Messages, SharedMessages
from pytest_lmprog.records import dataclass
from pytest_lmprog.signatures import Field, Signature

__all__ = ["Layout", "RenderedPrompt", "demo_values", "field_lines", "json_text", "value_text"]


def field_lines(fields: Mapping[str, Field]) -> str:
    """Return one line a field: name, type where it is not ``str``, prefix and description."""
    return "\n".join(map(_field_line, fields.values()))


def _field_line(field: Field) -> str:
    notes = [] if field.is_text else [field.type_text]
    if field.prefix:
        notes.append(f'"{field.prefix.strip()}"')
    line = f"- `{field.name}`" + (f" ({'; '.join(notes)})" if notes else "")
    return f"{line}: {field.desc}" if field.desc else line


def json_text(value: Any) -> str:
    """Return plain data as one line of JSON, in the order it has, for answers shown to the LM."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def value_text(field: Field, value: Any) -> str:
    """Return a value as it stands in a prompt: text as it is, a list of texts as numbered passages,
    anything else as canonical JSON; all of it between tags where the field is quoted."""
    if field.quoted:
        return _tagged(field, _bare_text(field, value))
    if type(value) is str and field.is_text:
        return value
    return _bare_text(field, value)


_DEFUSED = "<\\\\"  # a closing tag becomes <\\/name>


def _tagged(field: Field, text: str) -> str:
    """Return ``text`` between ``<name>`` and ``</name>``; a closing tag in it is defused."""
    closing = re.compile(rf"<(?=\s*/\s*{re.escape(field.name)}\b)", re.IGNORECASE)
    return f"<{field.name}>\n{closing.sub(_DEFUSED, text)}\n</{field.name}>"


def _bare_text(field: Field, value: Any) -> str:
    if type(value) is str and field.is_text:
        return value
    try:
        plain = field.to_plain(value)
    except ValueError as error:
        raise UsageError(f"the field {field.name!r} cannot be shown to the LM: {error}") from None
    if isinstance(plain, str):
        return plain
    if plain and isinstance(plain, list) and all(isinstance(item, str) for item in plain):
        passages = "\n".join(f"[{number}] «{item}»" for number, item in enumerate(plain, 1))
        return f"\n{passages}" if field.is_text else passages
    return canonical_json(plain).decode("utf-8")


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the inputs go in a user message: (text before it, field) for each, then ``tail``."""

    parts: tuple[tuple[str, Field], ...]
    tail: str = ""

    def fill(self, values: Mapping[str, Any]) -> str:
        """Return the text with ``values``; a field without value is left out."""
        texts = [
            lead + value_text(field, values[field.name]) for lead, field in self.parts if field.name in values
        ]
        return "".join(texts).lstrip("\n") + self.tail

    def placeholders(self) -> str:
        """Return the text with ``{name}`` in the place of each value."""
        texts = [lead + _placeholder(field) for lead, field in self.parts]
        return "".join(texts).lstrip("\n") + self.tail


def _placeholder(field: Field) -> str:
    name = f"{{{field.name}}}"
    return _tagged(field, name) if field.quoted else name


class RenderedPrompt:
    """A prompt that lacks only the inputs: what comes first is rendered, the last message is a layout."""

    __slots__ = ("_shared", "layout", "prefix")

    def __init__(self, prefix: tuple[Message, ...], layout: Layout) -> None:
        self.prefix = prefix
        self.layout = layout
        self._shared = SharedMessages(prefix)

    def render(self, inputs: Mapping[str, Any]) -> tuple[Message, ...]:
        """See Prompt."""
        return Messages.after(self._shared, {"role": "user", "content": self.layout.fill(inputs)})

    def template(self) -> tuple[Message, ...]:
        """See Prompt. Only the last message has placeholders; braces elsewhere are text."""
        return (*self.prefix, {"role": "user", "content": self.layout.placeholders()})


def demo_values(signature: type[Signature], demos: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return each demo's values of the signature's fields, typed. A demo without any input or without
    any output shows nothing and is left out. Raises UsageError naming demo and field."""
    typed = [_typed(signature.fields, demo, number) for number, demo in enumerate(demos, 1)]
    return [values for values in typed if _shows(signature, values)]


def _shows(signature: type[Signature], values: Mapping[str, Any]) -> bool:
    sides = (signature.input_fields, signature.output_fields)
    return all(not side or any(name in values for name in side) for side in sides)


def _typed(fields: Mapping[str, Field], demo: Mapping[str, Any], number: int) -> dict[str, Any]:
    values = {}
    for name, field in fields.items():
        if name in demo:
            try:
                values[name] = field.accept(demo[name])
            except ValueError as error:
                raise UsageError(f"demo {number} does not fit: field {name!r}: {error}") from None
    return values
