"""What a signature class consists of, and how it is read from the body of the class."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from functools import cached_property
from types import FunctionType, MappingProxyType
from typing import Any, ClassVar, get_origin

from pytest_lmprog.errors import SignatureError
from pytest_lmprog.records import dataclass
from pytest_lmprog.signatures.constraints import description_of
from pytest_lmprog.signatures.fields import MISSING, Field
from pytest_lmprog.signatures.names import name_problem
from pytest_lmprog.signatures.resolve import CallerNames, resolved

__all__ = ["Body", "body_of", "checked"]


@dataclass(frozen=True)
class Body:
    """What a signature class consists of."""

    fields: Mapping[str, Field]
    given_instructions: str | None

    @cached_property
    def inputs(self) -> Mapping[str, Field]:
        """The inputs by name, in order."""
        return MappingProxyType({n: f for n, f in self.fields.items() if f.role == "input"})

    @cached_property
    def outputs(self) -> Mapping[str, Field]:
        """The outputs by name, in order."""
        return MappingProxyType({n: f for n, f in self.fields.items() if f.role == "output"})

    @cached_property
    def instructions(self) -> str:
        """The instructions given, or a sentence made of the field names."""
        if self.given_instructions is not None:
            return self.given_instructions
        given = ", ".join(f"`{name}`" for name in self.inputs)
        wanted = ", ".join(f"`{name}`" for name in self.outputs)
        if not given:
            return f"Produce the fields {wanted}."
        return f"Given the fields {given}, produce the fields {wanted}."

    @cached_property
    def text(self) -> str:
        sides = (", ".join(map(_in_text, side.values())) for side in (self.inputs, self.outputs))
        return " -> ".join(sides)


def _in_text(field: Field) -> str:
    return field.name if field.is_text else f"{field.name}: {field.type_text}"


def checked(owner: str, fields: list[Field]) -> Mapping[str, Field]:
    """Return ``fields`` by name. Raises SignatureError naming the one that cannot be used."""
    for field in fields:
        problem = name_problem(field.name, field.role)
        if problem:
            raise SignatureError(f"{owner}: {problem}")
        try:
            field.type_text  # noqa: B018
        except SignatureError as error:
            raise SignatureError(f"{owner}.{field.name}: {error.message}", hint=error.hint) from None
        _check_default(owner, field)
    return MappingProxyType({field.name: field for field in fields})


def _check_default(owner: str, field: Field) -> None:
    if field.has_default:
        try:
            field.accept(field.default)
        except ValueError as error:
            raise SignatureError(f"{owner}.{field.name}: the default does not fit: {error}") from None


def body_of(name: str, bases: tuple[type, ...], namespace: dict[str, Any]) -> Body:
    """Return what the body of a signature class declares, on top of what its bases have.

    Raises SignatureError naming the attribute that is neither an input nor an output."""
    fields: dict[str, Field] = {}
    given: str | None = None
    for base in reversed(bases):
        inherited = getattr(base, "_body", None)
        if isinstance(inherited, Body):
            fields.update(inherited.fields)
            given = inherited.given_instructions or given
    fields.update({f.name: f for f in _declarations(name, namespace)})
    doc = namespace.get("__doc__")
    return Body(checked(name, list(fields.values())), inspect.cleandoc(doc) if doc else given)


def _declarations(owner: str, namespace: dict[str, Any]) -> list[Field]:
    annotations = _annotations(namespace)
    visible = {k: v for k, v in namespace.items() if not isinstance(v, Field)}
    names = CallerNames(visible)
    module = namespace.get("__module__", "")
    fields = []
    for name in [*namespace, *(n for n in annotations if n not in namespace)]:
        value = namespace.get(name, MISSING)
        if isinstance(value, Field):
            annotation = annotations.get(name, str)
            fields.append(_declared(owner, value.changed(name=name), annotation, module, names))
        elif not _allowed(name, value, annotations.get(name)):
            raise SignatureError(
                f"{owner}.{name} is neither an input nor an output",
                hint=f"{name}: ... = InputField() or OutputField()",
            )
    return fields


def _annotations(namespace: dict[str, Any]) -> dict[str, Any]:
    found = namespace.get("__annotations__")
    if found is None and "__annotate_func__" in namespace:  # Python 3.14
        found = namespace["__annotate_func__"](1)
    return dict(found or {})


def _declared(owner: str, field: Field, annotation: Any, module: str, names: CallerNames) -> Field:
    if isinstance(annotation, Field):
        raise SignatureError(
            f"{owner}.{field.name}: the field hides the type of the same name",
            hint="rename the field, or import the type under another name",
        )
    try:
        found = resolved(annotation, module=module, names=names)
    except SignatureError as error:
        raise SignatureError(f"{owner}.{field.name}: {error.message}", hint=error.hint) from None
    metadata = getattr(found, "__metadata__", ())
    desc = field.desc if field.desc is not None else description_of(metadata)
    return field.changed(annotation=found, desc=desc)


def _allowed(name: str, value: Any, annotation: Any) -> bool:
    if name.startswith("_"):
        return True
    if annotation is not None:
        text = annotation if isinstance(annotation, str) else ""
        return get_origin(annotation) is ClassVar or annotation is ClassVar or "ClassVar" in text
    return isinstance(value, FunctionType | classmethod | staticmethod | property | type)
