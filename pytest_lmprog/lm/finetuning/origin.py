"""Origin: what a finetuned model was trained from."""

from __future__ import annotations

from pytest_lmprog.records import dataclass

__all__ = ["Origin", "origin_of"]


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a finetuned model comes from: what a snapshot keeps of it.

    Parameters
    ----------
    base: the model that was trained, by name.
    provider: who trained it (``local``, ``openai``, ...).
    data: 12 hexadecimal digits of the digest of the training data.
    examples: chats that it was trained on.
    """

    base: str
    provider: str
    data: str
    examples: int


def origin_of(lm: object) -> Origin | None:
    """Return what ``lm`` was trained from; None for a model that this package did not train.

    Imports nothing: any LM may say it by an attribute ``origin``."""
    found = getattr(lm, "origin", None)
    return found if isinstance(found, Origin) else None
