"""ChatAdapter: every field in a section of its own, under a ``[[ ## name ## ]]`` header."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from pytest_lmprog.adapters.answers import build, from_text, read_unmarked
from pytest_lmprog.adapters.base import Prompt
from pytest_lmprog.adapters.lenient import without_thinking
from pytest_lmprog.adapters.text import Layout, demo_values, field_lines, output_text, rendered
from pytest_lmprog.lm.types import Message
from pytest_lmprog.signatures import Signature

__all__ = ["ChatAdapter", "sections"]

_COMPLETED = "[[ ## completed ## ]]"
_HEADER = re.compile(r"^[ \t>*#`]*\[\[[ \t]*##[ \t]*(\w{1,200})[ \t]*##[ \t]*\]\][*`]*[ \t]*", re.MULTILINE)


class ChatAdapter:
    """Puts each field under a header; the answer ends with ``[[ ## completed ## ]]``. Works with any LM.

    Where a section is there twice, the first counts; sections of unknown names are ignored, and so is
    everything before the first header and behind the completed marker.
    """

    name = "chat"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ChatAdapter)

    def __hash__(self) -> int:
        return hash(self.name)

    def __repr__(self) -> str:
        return "ChatAdapter()"

    def prompt(self, signature: type[Signature], demos: Sequence[Mapping[str, Any]]) -> Prompt:
        """See Adapter."""
        layout = Layout(tuple((f"\n\n{_header(n)}\n", f) for n, f in signature.input_fields.items()))
        messages: list[Message] = [{"role": "system", "content": _system(signature)}]
        for values in demo_values(signature, demos):
            messages.append({"role": "user", "content": layout.content(values)})
            messages.append({"role": "assistant", "content": _answer(signature, values)})
        tailed = Layout(layout.parts, _reminder(signature))
        return rendered(signature, messages, tailed, lambda values: _answer(signature, values))

    def response_format(self, signature: type[Signature]) -> Mapping[str, Any] | None:
        """None: the form is asked for in words."""
        del signature
        return None

    def parse(self, signature: type[Signature], answer: str) -> dict[str, Any]:
        """See Adapter."""
        text = without_thinking(answer)
        if found := sections(signature, text):
            return build(signature, found, from_text, answer)
        return read_unmarked(signature, text, answer, _header)


def _header(name: str) -> str:
    return f"[[ ## {name} ## ]]"


def _system(signature: type[Signature]) -> str:
    parts = [signature.instructions]
    if signature.input_fields:
        parts.append(f"You are given:\n{field_lines(signature.input_fields)}")
    parts.append(f"You answer with:\n{field_lines(signature.output_fields)}")
    form = "\n\n".join(f"{_header(name)}\n<{name}>" for name in signature.output_fields)
    parts.append(f"Write each field under its header, in this form:\n\n{form}\n\n{_COMPLETED}")
    return "\n\n".join(parts)


def _reminder(signature: type[Signature]) -> str:
    first = next(iter(signature.output_fields))
    return f"\n\nAnswer in the form given, from {_header(first)} to {_COMPLETED}."


def _answer(signature: type[Signature], values: Mapping[str, Any]) -> str:
    parts = [f"{_header(n)}\n{output_text(f, values)}" for n, f in signature.output_fields.items()]
    return "\n\n".join([*parts, _COMPLETED])


def sections(signature: type[Signature], text: str) -> dict[str, str]:
    """Return the text under the header of each output field, as far as there are any."""
    names = {name.casefold(): name for name in signature.output_fields}
    headers = list(_HEADER.finditer(text))
    found: dict[str, str] = {}
    for number, header in enumerate(headers):
        name = header.group(1)
        if found and name.casefold() == "completed" and name not in signature.output_fields:
            break
        end = headers[number + 1].start() if number + 1 < len(headers) else len(text)
        field = name if name in signature.output_fields else names.get(name.casefold())
        if field is not None:
            found.setdefault(field, _without_marker(text[header.end() : end]))
    return found


def _without_marker(text: str) -> str:
    text = text.rstrip()
    return text[: -len(_COMPLETED)] if text.endswith(_COMPLETED) else text
