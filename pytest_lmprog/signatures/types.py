"""From an annotation to its kind: which of our own kinds understands it, or pydantic."""

from __future__ import annotations

import collections.abc as abc
import dataclasses
import enum
import types
import typing
from collections.abc import Callable, Iterator
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pytest_lmprog.errors import SignatureError
from pytest_lmprog.signatures.choices import EnumKind, LiteralKind
from pytest_lmprog.signatures.constraints import limits_of, misfitting
from pytest_lmprog.signatures.containers import DictKind, ItemsKind, TupleKind, UnionKind
from pytest_lmprog.signatures.kinds import Kind
from pytest_lmprog.signatures.models import ConstrainedKind, ModelKind
from pytest_lmprog.signatures.scalars import (
    AnyKind,
    BoolKind,
    FloatKind,
    IntKind,
    NoneKind,
    StrKind,
)

__all__ = ["constrained", "kind_of"]

_Within = tuple[Any, ...]

_SCALARS: dict[Any, Kind] = {
    str: StrKind(),
    int: IntKind(),
    float: FloatKind(),
    bool: BoolKind(),
    None: NoneKind(),
    type(None): NoneKind(),
    Any: AnyKind(),
    object: AnyKind(),
}
_MAKES: dict[Any, type] = {
    list: list,
    abc.Sequence: list,
    abc.MutableSequence: list,
    abc.Iterable: list,
    abc.Collection: list,
    set: set,
    abc.MutableSet: set,
    abc.Set: frozenset,
    frozenset: frozenset,
    tuple: tuple,
}
_DICTS = (dict, abc.Mapping, abc.MutableMapping)


def kind_of(annotation: Any, within: _Within = ()) -> Kind:
    """Return the kind of ``annotation``. Raises SignatureError for one that has no JSON form.

    ``within`` holds the classes whose fields are being looked at: a recursive type is only named."""
    if not _hashable(annotation):
        raise _no_type(annotation)
    if annotation in _SCALARS:
        return _SCALARS[annotation]
    origin = get_origin(annotation)
    if origin is not None:
        return _generic(annotation, origin, within)
    if isinstance(annotation, type):
        return _class(annotation, within)
    for unwrap in ("__value__", "__supertype__"):  # ``type X = ...`` and NewType
        if hasattr(annotation, unwrap) and not isinstance(annotation, str):
            return kind_of(getattr(annotation, unwrap), within)
    raise _no_type(annotation)


def _no_type(annotation: Any) -> SignatureError:
    return SignatureError(
        f"{_named(annotation)} is not a type that can be told to an LM",
        hint="use plain types, an Enum, a dataclass, a TypedDict or a pydantic model",
    )


def _hashable(value: Any) -> bool:
    try:
        hash(value)
    except TypeError:
        return False
    return True


def _named(annotation: Any) -> str:
    return getattr(annotation, "__name__", None) or repr(annotation)


def _generic(annotation: Any, origin: Any, within: _Within) -> Kind:
    args = get_args(annotation)
    if not args and isinstance(origin, type):  # a bare typing.List
        return _class(origin, within)
    if origin is type:
        raise _no_type(annotation)
    if origin is Annotated:
        return constrained(kind_of(args[0], within), args[0], args[1:])
    if origin is Literal:
        return _literal(args)
    if origin in (Union, types.UnionType):
        return _union(args, within)
    if origin is tuple:
        return _tuple(args, within)
    if origin in _MAKES and len(args) == 1:
        return ItemsKind(_MAKES[origin], kind_of(args[0], within))
    if origin in _DICTS and len(args) == 2:
        return DictKind(_dict_key(args[0], within), kind_of(args[1], within))
    if origin in (typing.Required, typing.NotRequired):
        return kind_of(args[0], within)
    return _whole(annotation, f"{_named(origin)}[{', '.join(_arg_text(a, within) for a in args)}]")


def _arg_text(arg: Any, within: _Within) -> str:
    return "..." if arg is ... else kind_of(arg, within).text


def constrained(base: Kind, annotation: Any, metadata: tuple[Any, ...]) -> Kind:
    """Return ``base`` with the constraints in ``metadata``; ``base`` itself where there are none."""
    active = tuple(m for m in metadata if _constrains(m))
    if not active:
        return base
    limits = limits_of(active)
    misfit = None if isinstance(base, ModelKind) else misfitting(limits, base.schema())
    if misfit is not None:
        raise SignatureError(f"{base.text} cannot be constrained by {misfit}")
    kind = ConstrainedKind(base, annotation, active, limits)
    kind.check()
    return kind


def _constrains(item: Any) -> bool:
    if isinstance(item, str) or hasattr(item, "documentation"):
        return False
    if type(item).__name__ == "FieldInfo":
        return bool(item.metadata) or getattr(item, "discriminator", None) is not None
    return True


def _literal(values: tuple[Any, ...]) -> Kind:
    for value in values:
        if not isinstance(value, str | int | bool | enum.Enum | None):
            raise SignatureError(f"Literal[{value!r}] has no JSON form")
    return LiteralKind(values)


def _union(args: tuple[Any, ...], within: _Within) -> Kind:
    kinds = [kind_of(arg, within) for arg in args]
    models = [(a, k) for a, k in zip(args, kinds, strict=True) if isinstance(k, ModelKind)]
    if len(models) > 1:  # which of several models fits best is for pydantic to say
        whole = ModelKind(
            Union[tuple(a for a, _ in models)],  # noqa: UP007
            " | ".join(k.text for _, k in models),
        )
        if len(models) == len(kinds):
            return whole
        kinds = [whole, *(k for k in kinds if not isinstance(k, ModelKind))]
    return UnionKind(tuple(kinds))


def _tuple(args: tuple[Any, ...], within: _Within) -> Kind:
    if len(args) == 2 and args[1] is ...:
        return ItemsKind(tuple, kind_of(args[0], within))
    return TupleKind(tuple(kind_of(arg, within) for arg in args))


def _dict_key(annotation: Any, within: _Within) -> Kind:
    kind = kind_of(annotation, within)
    if isinstance(kind, ItemsKind | TupleKind | DictKind | ModelKind | UnionKind):
        raise SignatureError(f"a dict with keys of the type {kind.text} has no JSON form")
    return kind


def _class(cls: type, within: _Within) -> Kind:
    if cls in _MAKES:
        return ItemsKind(_MAKES[cls], AnyKind())
    if cls in _DICTS:
        return DictKind(StrKind(), AnyKind())
    if issubclass(cls, enum.Enum):
        if not len(cls):
            raise SignatureError(f"the enum {cls.__name__} has no members")
        return EnumKind(cls)
    members = _members_of(cls)
    if members is None:
        return _whole(cls, cls.__name__)
    if cls in within:
        return ModelKind(cls, cls.__name__)
    return ModelKind(cls, cls.__name__, tuple(_texts(members(cls), (*within, cls))))


def _texts(members: Iterator[tuple[str, Any, bool]], within: _Within) -> Iterator[tuple[str, str, bool]]:
    for name, annotation, required in members:
        try:
            yield name, kind_of(annotation, within).text, required
        except SignatureError as error:
            owner = within[-1].__name__
            raise SignatureError(f"{owner}.{name}: {error.message}", hint=error.hint) from None


def _whole(annotation: Any, name: str) -> Kind:
    kind = ModelKind(annotation, name)
    kind.check()
    return kind


_Members = Callable[[Any], Iterator[tuple[str, Any, bool]]]


def _members_of(cls: type) -> _Members | None:
    if hasattr(cls, "model_fields") and hasattr(cls, "model_json_schema"):
        return _model_members
    if dataclasses.is_dataclass(cls):
        return _dataclass_members
    if issubclass(cls, dict) and hasattr(cls, "__required_keys__"):
        return _typeddict_members
    if issubclass(cls, tuple) and hasattr(cls, "_field_defaults"):
        return _namedtuple_members
    return None


def _hints(cls: type) -> dict[str, Any]:
    try:
        return typing.get_type_hints(cls, include_extras=True)
    except NameError as error:
        raise SignatureError(
            f"the annotations of {cls.__name__} cannot be resolved: {error}",
            hint=f"define what {cls.__name__} refers to at module level",
        ) from None


def _model_members(cls: Any) -> Iterator[tuple[str, Any, bool]]:
    if not cls.__pydantic_complete__:
        cls.model_rebuild(raise_errors=False)
    for name, info in cls.model_fields.items():
        annotation = Annotated[info.annotation, *info.metadata] if info.metadata else info.annotation
        yield info.alias or name, annotation, info.is_required()


def _dataclass_members(cls: Any) -> Iterator[tuple[str, Any, bool]]:
    hints = _hints(cls)
    missing = dataclasses.MISSING
    for field in dataclasses.fields(cls):
        if field.init:
            yield field.name, hints[field.name], field.default is field.default_factory is missing


def _typeddict_members(cls: Any) -> Iterator[tuple[str, Any, bool]]:
    for name, annotation in _hints(cls).items():
        # Texts (``from __future__ import annotations``) hide NotRequired from the class itself.
        origin = get_origin(annotation)
        marked = origin in (typing.Required, typing.NotRequired)
        yield name, annotation, origin is typing.Required if marked else name in cls.__required_keys__


def _namedtuple_members(cls: Any) -> Iterator[tuple[str, Any, bool]]:
    hints = _hints(cls)
    for name in cls._fields:
        yield name, hints.get(name, Any), name not in cls._field_defaults
