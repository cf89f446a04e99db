"""JSONAdapter: the answer is one JSON object, constrained by a schema where the endpoint can."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
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
from pytest_lmprog.adapters.chat import sections
from pytest_lmprog.adapters.lenient import without_thinking
from pytest_lmprog.adapters.text import Layout, RenderedPrompt, demo_values, field_lines, json_text
from pytest_lmprog.canonical import FrozenJSON
from pytest_lmprog.errors import ParseError
from pytest_lmprog.lm.types import Message
from pytest_lmprog.signatures import Field, Signature
from pytest_lmprog.signatures.schemas import hoisted, is_strict

__all__ = ["JSONAdapter"]


class JSONAdapter:
    """Asks for one JSON object with the output fields as keys, in words and by ``response_format``.

    Prompts are short and plain, for small models. Of a key that is there twice the last counts, as in
    JSON at large; unknown keys are ignored.
    """

    name = "json"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, JSONAdapter)

    def __hash__(self) -> int:
        return hash(self.name)

    def __repr__(self) -> str:
        return "JSONAdapter()"

    def prompt(self, signature: type[Signature], demos: Sequence[Mapping[str, Any]]) -> Prompt:
        """See Adapter."""
        layout = Layout(tuple((_lead(f), f) for f in signature.input_fields.values()))
        messages: list[Message] = [{"role": "system", "content": _system(signature)}]
        for values in demo_values(signature, demos):
            messages.append({"role": "user", "content": layout.fill(values)})
            messages.append({"role": "assistant", "content": _answer(signature, values)})
        return RenderedPrompt(tuple(messages), layout)

    def response_format(self, signature: type[Signature]) -> Mapping[str, Any] | None:
        """The schema of the answer: the outputs in order, all required, nothing else."""
        return _response_format(signature)

    def parse(self, signature: type[Signature], answer: str) -> dict[str, Any]:
        """See Adapter."""
        text = without_thinking(answer)
        outputs = signature.output_fields
        cut: CutOffError | None = None
        try:
            values = find_values(text, outputs)
        except CutOffError as error:
            values, cut = None, error
        if values:
            return build(signature, values, read_value, answer)
        if found := sections(signature, text):
            return build(signature, found, from_text, answer)
        bare = bare_value(signature, text)
        if bare is not None:
            return bare
        if cut is not None:
            raise ParseError(str(cut), answer=answer)
        if values is not None:
            return build(signature, values, read_value, answer)
        if not text.strip():
            raise ParseError("the answer is empty", answer=answer)
        raise ParseError("there is no JSON object in the answer", answer=answer)


def _lead(field: Field) -> str:
    if field.quoted:
        return "\n"
    return f"\n{field.name}:\n" if field.schema().get("type") == "array" else f"\n{field.name}: "


def _system(signature: type[Signature]) -> str:
    parts = [signature.instructions]
    if signature.input_fields:
        parts.append(f"You are given:\n{field_lines(signature.input_fields)}")
    keys = field_lines(signature.output_fields)
    parts.append(f"Answer with one JSON object that has these keys, in this order:\n{keys}")
    return "\n\n".join(parts)


def _answer(signature: type[Signature], values: Mapping[str, Any]) -> str:
    outputs = signature.output_fields.items()
    return json_text({n: f.to_plain(values[n]) for n, f in outputs if n in values})


@lru_cache(maxsize=512)
def _response_format(signature: type[Signature]) -> Mapping[str, Any]:
    properties = {name: field.schema() for name, field in signature.output_fields.items()}
    whole = hoisted(
        {
            "type": "object",
            "properties": properties,
            "required": list(properties),
            "additionalProperties": False,
        }
    )
    name = re.sub(r"[^A-Za-z0-9_-]", "_", signature.name)[:64]
    schema = {"name": name, "strict": is_strict(whole), "schema": whole}
    return FrozenJSON({"type": "json_schema", "json_schema": schema})
