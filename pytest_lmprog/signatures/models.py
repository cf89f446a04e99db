"""Kinds that pydantic checks: models, dataclasses, TypedDicts, dates and anything constrained.

pydantic is imported on first use, so that programs whose fields are plain never load it.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from functools import cached_property
from typing import Annotated, Any

from pytest_lmprog.canonical import plain
from pytest_lmprog.errors import SignatureError
from pytest_lmprog.signatures.constraints import constrained_schema, words
from pytest_lmprog.signatures.kinds import Kind, shown
from pytest_lmprog.signatures.schemas import normalised

__all__ = ["ConstrainedKind", "ModelKind"]


def adapter_of(annotation: Any) -> Any:
    """Return pydantic's TypeAdapter. Raises SignatureError for a type that pydantic cannot check."""
    from pydantic import TypeAdapter
    from pydantic.errors import PydanticUserError
    from pydantic_core import SchemaError

    try:
        return TypeAdapter(annotation)
    except (PydanticUserError, SchemaError, NameError, TypeError) as error:
        name = getattr(annotation, "__name__", None) or str(annotation)
        raise SignatureError(
            f"the type {name} cannot be checked: {str(error).splitlines()[0]}",
            hint="use plain types, an Enum, a dataclass, a TypedDict or a pydantic model",
        ) from None


def _validated(adapter: Any, value: Any) -> Any:
    from pydantic import ValidationError

    try:
        return adapter.validate_python(value)
    except ValidationError as error:
        raise ValueError(_first_problem(error)) from None
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _first_problem(error: Any) -> str:
    first = error.errors(include_url=False, include_context=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    value = first.get("input")
    got = "" if first["type"] == "missing" else f" (got {shown(value)})"
    return f"{where}: {first['msg']}{got}" if where else f"{first['msg']}{got}"


class ModelKind:
    """A type that pydantic understands as a whole.

    Parameters
    ----------
    annotation: the type.
    name: how it is called.
    members: (name, type text, required) of its fields, or None where it is only named.
    """

    takes_text = False

    def __init__(
        self, annotation: Any, name: str, members: tuple[tuple[str, str, bool], ...] | None = None
    ) -> None:
        self.annotation = annotation
        self.name = name
        self._members = members

    @cached_property
    def text(self) -> str:
        """See Kind. Says the fields, so that a changed model is a changed text."""
        if self._members is None:
            return self.name
        fields = ", ".join(f"{n}{'' if required else '?'}: {text}" for n, text, required in self._members)
        return f"{self.name} {{{fields}}}"

    @cached_property
    def _adapter(self) -> Any:
        return adapter_of(self.annotation)

    @cached_property
    def _schema(self) -> dict[str, Any]:
        from pydantic.errors import PydanticUserError

        try:
            return normalised(self._adapter.json_schema())
        except PydanticUserError as error:
            raise SignatureError(f"the type {self.name} has no JSON schema: {error}") from None

    def check(self) -> None:
        """Raise SignatureError for a type that cannot be used."""
        self._schema  # noqa: B018

    def schema(self) -> dict[str, Any]:
        """See Kind."""
        return plain(self._schema)  # type: ignore[no-any-return]

    def is_exact(self, value: Any) -> bool:
        """See Kind."""
        cls = self.annotation
        return isinstance(cls, type) and not _is_typeddict(cls) and type(value) is cls

    def convert(self, value: Any) -> Any:
        """See Kind."""
        return _validated(self._adapter, value)

    def plain(self, value: Any) -> Any:
        """See Kind."""
        from pydantic_core import PydanticSerializationError

        value = self.convert(value) if not self.is_exact(value) else value
        try:
            dumped = self._adapter.dump_python(value, mode="json", by_alias=True, warnings=False)
        except (PydanticSerializationError, ValueError) as error:
            raise ValueError(f"{shown(value)} has no plain form: {error}") from None
        return plain(dumped)


def _is_typeddict(cls: type) -> bool:
    return issubclass(cls, dict) and hasattr(cls, "__total__")


@dataclasses.dataclass(frozen=True)
class ConstrainedKind:
    """``Annotated[base, ...]``: the base kind's conversions, then pydantic's checks."""

    base: Kind
    annotation: Any
    metadata: tuple[Any, ...]
    limits: Mapping[str, Any]

    @cached_property
    def _adapter(self) -> Any:
        return adapter_of(Annotated[self.annotation, *self.metadata])

    @cached_property
    def text(self) -> str:
        """See Kind."""
        said = words(self.limits, items=self.base.schema().get("type") in ("array", "object"))
        return f"{self.base.text} ({said})" if said else self.base.text

    @property
    def takes_text(self) -> bool:
        """See Kind."""
        return self.base.takes_text

    def check(self) -> None:
        """Raise SignatureError for constraints that the type cannot have."""
        self._adapter  # noqa: B018

    def schema(self) -> dict[str, Any]:
        """See Kind."""
        return constrained_schema(self.limits, self.base.schema())

    def is_exact(self, value: Any) -> bool:
        """See Kind."""
        if not self.base.is_exact(value):
            return False
        try:
            return bool(self.convert(value) == value)
        except ValueError:
            return False

    def convert(self, value: Any) -> Any:
        """See Kind."""
        converted = _validated(self._adapter, self.base.convert(value))
        if isinstance(converted, float) and not math.isfinite(converted):
            raise ValueError(f"{shown(value)} is not a finite number")
        return converted

    def plain(self, value: Any) -> Any:
        """See Kind."""
        return self.base.plain(value)
