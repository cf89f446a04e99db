"""The one retry of an answer that violates constraints: the LM sees what it said and what is wrong."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from pytest_lmprog.adapters.lenient import without_thinking
from pytest_lmprog.errors import ParseError
from pytest_lmprog.lm.types import Message
from pytest_lmprog.signatures import Signature
from pytest_lmprog.signatures.containers import DictKind, ItemsKind, TupleKind, UnionKind
from pytest_lmprog.signatures.models import ConstrainedKind, ModelKind

__all__ = ["correction", "is_constrained"]

_LONGEST = 4000


@lru_cache(maxsize=512)
def is_constrained(signature: type[Signature]) -> bool:
    """Return whether an output has constraints (a pattern, lengths, bounds) or a schema of its own (a model),
    itself or in a part of it: an answer that does not fit is then asked for once more."""
    return any(_constrained(field.kind) for field in signature.output_fields.values())


def _constrained(kind: Any) -> bool:
    if isinstance(kind, ConstrainedKind | ModelKind):
        return True
    if isinstance(kind, ItemsKind):
        return _constrained(kind.item)
    if isinstance(kind, DictKind):
        return _constrained(kind.key) or _constrained(kind.value)
    if isinstance(kind, UnionKind | TupleKind):
        return any(map(_constrained, kind.members if isinstance(kind, UnionKind) else kind.items))
    return False


def correction(messages: tuple[Message, ...], answer: str, error: ParseError) -> tuple[Message, ...]:
    """Return the messages that ask once more: the same, the answer, and what is wrong with it."""
    said = _excerpt(without_thinking(answer).strip() or answer.strip()) or "(nothing)"
    asked = (
        f"This answer does not fit: {error.reason}.\n"
        "Answer once more, in full and in the same form, so that it fits."
    )
    return (*messages, {"role": "assistant", "content": said}, {"role": "user", "content": asked})


def _excerpt(text: str) -> str:
    if len(text) <= _LONGEST:
        return text
    return f"{text[: _LONGEST - 500]} ... {text[-400:]}"
