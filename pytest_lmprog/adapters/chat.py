"""ChatAdapter: every field in a section of its own, under a ``[[ ## name ## ]]`` header."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from pytest_lmprog.adapters.answers import (
    CutOffError,
    bare_value,
    build,
    find_values,
    from_text,
    read_value,
)
from pytest_lmprog.adapters.base import Prompt
from pytest_lmprog.adapters.lenient import without_thinking
from pytest_lmprog.adapters.text import Layout, RenderedPrompt, demo_values, field_lines, json_text
from pytest_lmprog.errors import ParseError
from pytest_lmprog.lm.types import Message
from pytest_lmprog.signatures import Field, Signature

__all__ = ["ChatAdapter", "sections"]

_COMPLETED = "[[ ## completed ## ]]"
_HEADER = re.compile(r"^[ \t>*#`]*\[\[[ \t]*##[ \t]*(\w{1,200})[ \t]*##[ \t]*\]\][*`]*[ \t]*", re.MULTILINE)
_NOT_SUPPLIED = "(not supplied)"


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
            messages.append({"role": "user", "content": layout.fill(values)})
            messages.append({"role": "assistant", "content": _answer(signature, values)})
        return RenderedPrompt(tuple(messages), Layout(layout.parts, _reminder(signature)))

    def response_format(self, signature: type[Signature]) -> Mapping[str, Any] | None:
        """None: the form is asked for in words."""
        del signature
        return None

    def parse(self, signature: type[Signature], answer: str) -> dict[str, Any]:
        """See Adapter."""
        text = without_thinking(answer)
        found = sections(signature, text)
        if found:
            return build(signature, found, from_text, answer)
        outputs = signature.output_fields
        try:
            values = find_values(text, outputs)
        except CutOffError as error:
            raise ParseError(str(error), answer=answer) from None
        if values:
            return build(signature, values, read_value, answer)
        bare = bare_value(signature, text)
        if bare is not None:
            return bare
        if not text.strip():
            raise ParseError("the answer is empty", answer=answer)
        first = next(iter(outputs))
        raise ParseError(f"the field {first!r} is missing: there is no {_header(first)}", answer=answer)


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
    parts = [f"{_header(n)}\n{_output_text(f, values)}" for n, f in signature.output_fields.items()]
    return "\n\n".join([*parts, _COMPLETED])


def _output_text(field: Field, values: Mapping[str, Any]) -> str:
    if field.name not in values:
        return _NOT_SUPPLIED
    plain = field.to_plain(values[field.name])
    return plain if isinstance(plain, str) else json_text(plain)


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
