"""Field: one input or output of a signature. Immutable; knows its type and what it looks like as JSON."""

from __future__ import annotations

import enum
from dataclasses import replace
from functools import cached_property
from typing import Any, Literal

from pytest_lmprog.errors import SignatureError
from pytest_lmprog.records import dataclass
from pytest_lmprog.signatures.constraints import CONSTRAINTS
from pytest_lmprog.signatures.kinds import Kind
from pytest_lmprog.signatures.scalars import AnyKind, StrKind
from pytest_lmprog.signatures.schemas import hoisted
from pytest_lmprog.signatures.types import constrained, kind_of

__all__ = ["MISSING", "Field", "InputField", "OutputField", "Role"]

Role = Literal["input", "output"]


class _Missing(enum.Enum):
    MISSING = "MISSING"

    def __repr__(self) -> str:
        return "MISSING"


MISSING = _Missing.MISSING
"""Stands for "no default"."""


@dataclass(frozen=True)
class Field:
    """One field of a signature.

    Parameters
    ----------
    name: its name; empty until it is part of a signature.
    role: ``input`` or ``output``.
    annotation: its type, as in Python.
    desc: what it holds, in words for the LM.
    prefix: a label for the prompt, as in DSPy.
    default: the value where the caller or the answer gives none.
    constraints: (name, value) pairs in pydantic's names (``("ge", 0)``), besides those of the annotation.
    quoted: an input that stands between tags in the prompt, which it cannot close itself: data, not words
        to the LM.
    """

    name: str = ""
    role: Role = "input"
    annotation: Any = str
    desc: str | None = None
    prefix: str | None = None
    default: Any = MISSING
    constraints: tuple[tuple[str, Any], ...] = ()
    quoted: bool = False

    @cached_property
    def kind(self) -> Kind:
        """The type, understood. Raises SignatureError for one that has no JSON form."""
        base = kind_of(self.annotation)
        if not self.constraints:
            return base
        from pydantic import Field as Constraints

        return constrained(base, self.annotation, (Constraints(**dict(self.constraints)),))

    @cached_property
    def type_text(self) -> str:
        """The type as the LM and snapshots are told: ``list[str]``, ``int (>= 0, <= 10)``."""
        return self.kind.text

    @cached_property
    def is_text(self) -> bool:
        """Whether the type is ``str`` without constraints."""
        return isinstance(self.kind, StrKind)

    @cached_property
    def is_optional(self) -> bool:
        """Whether None is one of the values that the type names."""
        return not isinstance(self.kind, AnyKind) and self.kind.is_exact(None)

    @property
    def has_default(self) -> bool:
        """Whether a value may be left out."""
        return self.default is not MISSING

    def schema(self) -> dict[str, Any]:
        """Return a new JSON schema of the value's plain form."""
        return hoisted(self.kind.schema())

    def validate(self, value: Any) -> Any:
        """Return ``value`` as the field's type, converted where its meaning is plain.

        Raises ValueError that says why not."""
        kind = self.kind
        return value if kind.is_exact(value) else kind.convert(value)

    def accept(self, value: Any) -> Any:
        """Return ``value`` as an input: like ``validate``, but a ``str`` field takes whatever can be
        shown (retrieved passages, numbers, None)."""
        if type(value) is str and self.kind.takes_text:
            return value
        if not self.is_text:
            return self.validate(value)
        self.to_plain(value)
        return value

    def to_plain(self, value: Any) -> Any:
        """Return ``value`` as plain JSON data. Raises ValueError where it has no such form."""
        try:
            return self.kind.plain(value)
        except (TypeError, RecursionError) as error:
            raise ValueError(f"it has no JSON form: {error}") from None

    def changed(self, **changes: Any) -> Field:
        """Return the field with ``changes`` made."""
        return replace(self, **changes)


_ALIASES = {"description": "desc"}


def _declared(role: Role, options: dict[str, Any]) -> Field:
    constraints = tuple((n, options.pop(n)) for n in CONSTRAINTS if options.get(n) is not None)
    for alias, name in _ALIASES.items():
        if alias in options:
            options.setdefault(name, options.pop(alias))
    known: dict[str, Any] = {n: options.pop(n) for n in ("desc", "prefix", "default") if n in options}
    unknown = sorted(n for n in options if n not in CONSTRAINTS)
    if unknown:
        raise SignatureError(
            f"{role.title()}Field has no option {unknown[0]!r}",
            hint=f"there are: desc, prefix, default, {', '.join(CONSTRAINTS)}",
        )
    for name in ("desc", "prefix"):
        if not isinstance(known.get(name), str | None):
            raise SignatureError(f"{name} must be a text, not {known[name]!r}")
    return Field(role=role, constraints=constraints, **known)


def InputField(**options: Any) -> Any:
    """Declare an input in the body of a Signature: ``ticket: str = InputField(desc="...")``.

    Parameters
    ----------
    options: ``desc``, ``prefix``, ``default``, and pydantic's constraints (``ge``, ``gt``, ``le``, ``lt``,
        ``multiple_of``, ``min_length``, ``max_length``, ``pattern``).

    Raises SignatureError for an option that there is not.
    """
    return _declared("input", options)


def OutputField(**options: Any) -> Any:
    """Declare an output in the body of a Signature: ``team: str = OutputField()``.

    Parameters
    ----------
    options: as for ``InputField``.

    Raises SignatureError for an option that there is not."""
    return _declared("output", options)
