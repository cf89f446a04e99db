"""What an adapter is: signature, demos and inputs become messages; an answer becomes typed fields."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from pytest_lmprog.lm.types import Message
from pytest_lmprog.signatures import Signature

__all__ = ["PROMPT_FORMAT", "Adapter", "Prompt"]

PROMPT_FORMAT = 1
"""Number of the text that adapters render. Any change to rendered bytes raises it."""


class Prompt(Protocol):
    """A rendered prompt that lacks only the inputs. Immutable; made once, rendered often."""

    def render(self, inputs: Mapping[str, Any]) -> tuple[Message, ...]:
        """Return the messages for ``inputs`` (input fields by name, already validated). Pure."""
        ...

    def template(self) -> tuple[Message, ...]:
        """Return the messages with ``{name}`` in the place of each input."""
        ...


class Adapter(Protocol):
    """One way to put a signature to an LM. Stateless; equal by ``name``."""

    @property
    def name(self) -> str:
        """``json`` or ``chat``: as it stands in snapshots."""
        ...

    def prompt(self, signature: type[Signature], demos: Sequence[Mapping[str, Any]]) -> Prompt:
        """Render everything but the inputs. A demo may lack output fields; it never has unknown ones."""
        ...

    def response_format(self, signature: type[Signature]) -> Mapping[str, Any] | None:
        """Return the wire value that constrains the answer, or None where this adapter does without."""
        ...

    def parse(self, signature: type[Signature], answer: str) -> dict[str, Any]:
        """Return every output field, typed and validated, in the signature's order. Raises ParseError."""
        ...
