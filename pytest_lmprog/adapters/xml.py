"""XMLAdapter: every field between tags of its name."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from pytest_lmprog.adapters.answers import build, from_text, read_unmarked
from pytest_lmprog.adapters.base import Prompt
from pytest_lmprog.adapters.lenient import without_thinking
from pytest_lmprog.adapters.text import Layout, demo_values, field_lines, output_text, rendered, tagged
from pytest_lmprog.lm.types import Message
from pytest_lmprog.signatures import Field, Signature

__all__ = ["XMLAdapter", "elements"]


class XMLAdapter:
    """Puts each field between ``<name>`` and ``</name>``. Works with any LM.

    The text between the tags is taken as it is: nothing is escaped, and a CDATA section is taken out of its
    wrapping. Of tags that are there twice the first counts; unknown tags and what is outside of all are
    ignored; an element that is not closed ends where the next field begins.
    """

    name = "xml"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, XMLAdapter)

    def __hash__(self) -> int:
        return hash(self.name)

    def __repr__(self) -> str:
        return "XMLAdapter()"

    def prompt(self, signature: type[Signature], demos: Sequence[Mapping[str, Any]]) -> Prompt:
        """See Adapter."""
        fields = [field.changed(quoted=True) for field in signature.input_fields.values()]
        layout = Layout(tuple(("\n", field) for field in fields))
        messages: list[Message] = [{"role": "system", "content": _system(signature)}]
        for values in demo_values(signature, demos):
            messages.append({"role": "user", "content": layout.content(values)})
            messages.append({"role": "assistant", "content": _answer(signature, values)})
        return rendered(
            signature, messages, Layout(layout.parts, _reminder(signature)), lambda v: _answer(signature, v)
        )

    def response_format(self, signature: type[Signature]) -> Mapping[str, Any] | None:
        """None: the form is asked for in words."""
        del signature
        return None

    def parse(self, signature: type[Signature], answer: str) -> dict[str, Any]:
        """See Adapter."""
        text = without_thinking(answer)
        if found := elements(signature, text):
            return build(signature, found, _read, answer)
        return read_unmarked(signature, text, answer, "<{}>".format)


def _system(signature: type[Signature]) -> str:
    parts = [signature.instructions]
    if signature.input_fields:
        parts.append(f"You are given:\n{field_lines(signature.input_fields)}")
    parts.append(f"You answer with:\n{field_lines(signature.output_fields)}")
    form = "\n".join(f"<{name}>\n{{{name}}}\n</{name}>" for name in signature.output_fields)
    parts.append(f"Write each field between its tags, in this form:\n\n{form}")
    return "\n\n".join(parts)


def _reminder(signature: type[Signature]) -> str:
    names = ", ".join(f"<{name}>" for name in signature.output_fields)
    return f"\n\nAnswer in the form given: {names}."


def _answer(signature: type[Signature], values: Mapping[str, Any]) -> str:
    return "\n".join(tagged(f, output_text(f, values)) for f in signature.output_fields.values())


def elements(signature: type[Signature], text: str) -> dict[str, str]:
    """Return the text between the tags of each output field, as far as there are any."""
    names = {name.casefold(): name for name in signature.output_fields}
    tags = re.compile(rf"<\s{{0,9}}({'|'.join(map(re.escape, names))})(?:\s[^<>]{{0,200}})?>", re.IGNORECASE)
    found: dict[str, str] = {}
    position = 0
    while match := tags.search(text, position):
        name = names[match.group(1).casefold()]
        if name in found:
            position = match.end()
            continue
        end, position = _end(tags, text, match)
        found[name] = text[match.end() : end]
    return found


def _end(tags: re.Pattern[str], text: str, opening: re.Match[str]) -> tuple[int, int]:
    """Return where the element's text ends, and where to look for the next."""
    name = re.escape(opening.group(1))
    closing = re.compile(rf"<\s{{0,9}}/\s{{0,9}}{name}\s{{0,9}}>", re.IGNORECASE).search(text, opening.end())
    if closing is not None:
        return closing.start(), closing.end()
    following = tags.search(text, opening.end())
    end = len(text) if following is None else following.start()
    return end, end


_CDATA = re.compile(r"\s*<!\[CDATA\[(.*)\]\]>\s*", re.DOTALL)
_ITEM = re.compile(r"<(\w{1,100})>(.*?)</\1>", re.DOTALL)


def _read(field: Field, text: str) -> Any:
    """Return the text of an element as the field's type; a list may be written as elements, too."""
    if wrapped := _CDATA.fullmatch(text):
        text = wrapped.group(1)
    try:
        return from_text(field, text)
    except ValueError:
        items = _items(text) if field.schema().get("type") == "array" else None
        if items is None:
            raise
        return field.validate(items)


def _items(text: str) -> list[str] | None:
    inner = text.strip()
    if not inner.startswith("<") or not inner.endswith(">") or len(inner) > 200_000:
        return None
    first = _ITEM.match(inner)
    if first is None:
        return None
    parts = inner.split(f"</{first.group(1)}>")
    lead = f"<{first.group(1)}>"
    if parts[-1].strip() or not all(part.strip().startswith(lead) for part in parts[:-1]):
        return None
    return [part.strip()[len(lead) :].strip() for part in parts[:-1]]
