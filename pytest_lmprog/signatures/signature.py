"""Signature: what a predictor is asked to do, as an immutable class of typed fields."""

from __future__ import annotations

import copyreg
import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn, cast

from pytest_lmprog.errors import SignatureError
from pytest_lmprog.signatures.body import Body, body_of, checked
from pytest_lmprog.signatures.fields import Field, Role
from pytest_lmprog.signatures.parser import parse_fields
from pytest_lmprog.signatures.resolve import CallerNames

__all__ = ["Signature", "SignatureMeta", "ensure_signature"]


class SignatureMeta(type):
    """Makes signatures from class bodies and strings, and keeps them from being changed."""

    _body: Body

    def __new__(mcs, name: str, bases: tuple[type, ...], namespace: dict[str, Any], **options: Any) -> Any:
        """Build the class. Raises SignatureError for a body that is none of a signature."""
        body = namespace.pop("_body", None)
        if body is None:
            body = body_of(name, bases, namespace)
        kept = {k: v for k, v in namespace.items() if k not in body.fields and k != "__annotations__"}
        return super().__new__(mcs, name, bases, {**kept, "_body": body}, **options)

    def __init__(cls, name: str, bases: tuple[type, ...], namespace: dict[str, Any], **options: Any) -> None:
        super().__init__(name, bases, namespace, **options)

    def __call__(cls, signature: Any = None, instructions: str | None = None, **options: Any) -> Any:
        """``Signature("question -> answer", "Answer briefly.")`` makes a signature class."""
        if cls is not Signature:
            raise SignatureError(
                f"a signature is used as a class, not called: {cls.__name__}(...)",
                hint=f"pass {cls.__name__} itself: Predict({cls.__name__})",
            )
        return make_signature(signature, instructions, **options)

    def __setattr__(cls, name: str, value: Any) -> NoReturn:
        raise AttributeError(
            f"{cls.__name__} is immutable; with_instructions, with_field, append_field and the like "
            "return a changed signature"
        )

    def __delattr__(cls, name: str) -> NoReturn:
        raise AttributeError(f"{cls.__name__} is immutable")

    @property
    def name(cls) -> str:
        """The name of the class."""
        return cls.__name__

    @property
    def instructions(cls) -> str:
        """What the LM is asked to do: the docstring, or a sentence made of the field names."""
        return cls._body.instructions

    @property
    def fields(cls) -> Mapping[str, Field]:
        """All fields by name, in the order of definition."""
        return cls._body.fields

    @property
    def input_fields(cls) -> Mapping[str, Field]:
        """The inputs by name."""
        return cls._body.inputs

    @property
    def output_fields(cls) -> Mapping[str, Field]:
        """The outputs by name."""
        return cls._body.outputs

    @property
    def text(cls) -> str:
        """The string form: ``"ticket -> team: Literal['bug', 'feature']"``."""
        return cls._body.text

    @property
    def signature(cls) -> str:
        """The same as ``text``, by DSPy's name."""
        return cls._body.text

    def spec(cls) -> dict[str, Any]:
        """Return what the signature says as plain data: name, instructions and fields, for fingerprints
        and snapshots."""
        return {
            "name": cls.name,
            "instructions": cls.instructions,
            "fields": [_field_spec(field) for field in cls.fields.values()],
        }

    def equals(cls, other: object) -> bool:
        """Return whether ``other`` is a signature that says the same, whatever its name."""
        if cls is other:
            return True
        if not isinstance(other, SignatureMeta):
            return False
        return cls.instructions == other.instructions and dict(cls.fields) == dict(other.fields)

    def with_instructions(cls, instructions: str) -> type[Signature]:
        """Return the signature with other instructions."""
        if not isinstance(instructions, str):
            raise SignatureError(f"instructions must be a text, not {instructions!r}")
        return _derived(cls, cls.fields.values(), instructions)

    def with_name(cls, name: str) -> type[Signature]:
        """Return the signature under another name."""
        return _made(name, cls.fields.values(), cls._body.given_instructions, cls.__module__)

    def with_field(cls, name: str, /, **changes: Any) -> type[Signature]:
        """Return the signature with a field changed: ``desc``, ``prefix``, ``annotation``, ``default``,
        ``quoted``."""
        old = cls._field(name)
        unknown = sorted(set(changes) - {"desc", "prefix", "annotation", "default", "constraints", "quoted"})
        if unknown:
            raise SignatureError(f"with_field cannot change {unknown[0]!r} of a field")
        new = old.changed(**changes)
        return _derived(cls, (new if f.name == name else f for f in cls.fields.values()))

    def with_updated_fields(cls, name: str, /, type_: Any = None, **changes: Any) -> type[Signature]:
        """The same as ``with_field``, by DSPy's name."""
        return cls.with_field(name, **changes, **({} if type_ is None else {"annotation": type_}))

    def append_field(cls, field: Field) -> type[Signature]:
        """Return the signature with ``field`` behind the others of its role."""
        return cls.insert_field(len(cls._of_role(field.role)), field)

    def prepend_field(cls, field: Field) -> type[Signature]:
        """Return the signature with ``field`` before the others of its role."""
        return cls.insert_field(0, field)

    def insert_field(cls, index: int, field: Field) -> type[Signature]:
        """Return the signature with ``field`` at ``index`` of its role (negative: from the end)."""
        if field.name in cls.fields:
            raise SignatureError(f"{cls.__name__} has a field {field.name!r} already")
        peers = cls._of_role(field.role)
        where = index if index >= 0 else len(peers) + index + 1
        if not 0 <= where <= len(peers):
            raise SignatureError(f"no place {index} among {len(peers)} {field.role} fields")
        fields = list(cls.fields.values())
        if where < len(peers):
            at = fields.index(peers[where])
        else:
            at = fields.index(peers[-1]) + 1 if peers else (0 if field.role == "input" else len(fields))
        return _derived(cls, [*fields[:at], field, *fields[at:]])

    def with_order(cls, names: Sequence[str]) -> type[Signature]:
        """Return the signature with its fields in the order of ``names``, which are all of them."""
        if sorted(names) != sorted(cls.fields):
            raise SignatureError(
                f"{cls.__name__}: the order must name each field once: {', '.join(cls.fields)}"
            )
        return _derived(cls, [cls.fields[name] for name in names])

    def delete_field(cls, name: str) -> type[Signature]:
        """Return the signature without the field ``name``."""
        cls._field(name)
        return _derived(cls, (f for f in cls.fields.values() if f.name != name))

    def append(cls, name: str, field: Field, type_: Any = None) -> type[Signature]:
        """``append_field`` in DSPy's form: ``append("confidence", OutputField(), float)``."""
        return cls.append_field(_as_field(name, field, type_))

    def prepend(cls, name: str, field: Field, type_: Any = None) -> type[Signature]:
        """``prepend_field`` in DSPy's form."""
        return cls.prepend_field(_as_field(name, field, type_))

    def insert(cls, index: int, name: str, field: Field, type_: Any = None) -> type[Signature]:
        """``insert_field`` in DSPy's form."""
        return cls.insert_field(index, _as_field(name, field, type_))

    def delete(cls, name: str) -> type[Signature]:
        """``delete_field``, by DSPy's name."""
        return cls.delete_field(name)

    def _of_role(cls, role: Role) -> list[Field]:
        return [f for f in cls.fields.values() if f.role == role]

    def _field(cls, name: str) -> Field:
        field = cls.fields.get(name)
        if field is None:
            have = ", ".join(cls.fields) or "none"
            raise SignatureError(f"{cls.__name__} has no field {name!r}; its fields are: {have}")
        return field

    def __repr__(cls) -> str:
        return f"{cls.__name__}({cls.text})"


class Signature(metaclass=SignatureMeta):
    """Base of signatures. Subclasses say what is to be done in the docstring and declare their fields::

        class TriageTicket(Signature):
            \"\"\"Decide which team should handle a support ticket.\"\"\"
            ticket: str = InputField()
            team: Literal["billing", "bug"] = OutputField()

    ``Signature("ticket -> team", "instructions")`` makes one from a string. Signatures are classes and
    immutable; edits return new classes.
    """

    _body: ClassVar[Body] = Body(MappingProxyType({}), None)

    if TYPE_CHECKING:  # type checkers take the call for one that makes an instance

        def __init__(
            self,
            signature: str | Mapping[str, Any],
            instructions: str | None = None,
            *,
            custom_types: Mapping[str, Any] | None = None,
        ) -> None: ...


def _field_spec(field: Field) -> dict[str, Any]:
    spec: dict[str, Any] = {"name": field.name, "role": field.role, "type": field.type_text}
    if field.desc is not None:
        spec["desc"] = field.desc
    if field.prefix is not None:
        spec["prefix"] = field.prefix
    if field.has_default:
        spec["default"] = field.to_plain(field.default)
    if field.quoted:
        spec["quoted"] = True
    return {**spec, "schema": field.schema()}


def _as_field(name: str, field: Field, type_: Any) -> Field:
    if not isinstance(field, Field):
        raise SignatureError(f"{name!r} must be an InputField() or OutputField(), not {field!r}")
    return field.changed(name=name, **({} if type_ is None else {"annotation": type_}))


def _derived(cls: SignatureMeta, fields: Iterable[Field], instructions: str | None = None) -> type[Signature]:
    given = cls._body.given_instructions if instructions is None else instructions
    return _made(cls.__name__, fields, given, cls.__module__)


def _made(name: str, fields: Iterable[Field], instructions: str | None, module: str) -> type[Signature]:
    body = Body(checked(name, list(fields)), instructions)
    namespace = {"_body": body, "__module__": module, "__doc__": instructions}
    return cast("type[Signature]", SignatureMeta(name, (Signature,), namespace))


def make_signature(
    signature: Any, instructions: str | None = None, *, custom_types: Mapping[str, Any] | None = None
) -> type[Signature]:
    """Return a new signature class from a string (or a mapping of names to fields).

    Parameters
    ----------
    signature: ``"question -> answer: bool"``, or ``{"question": InputField(), "answer": OutputField()}``.
    instructions: what is to be done, or None for a sentence made of the field names.
    custom_types: types by the names used in the string, before those that the caller sees.
    """
    if not isinstance(instructions, str | None):
        raise SignatureError(f"instructions must be a text, not {instructions!r}")
    given = inspect.cleandoc(instructions) if instructions and instructions.strip() else None
    if isinstance(signature, str):
        fields = parse_fields(signature, CallerNames(custom_types or {}))
    elif isinstance(signature, Mapping):
        fields = tuple(_mapped(name, value) for name, value in signature.items())
    else:
        raise SignatureError(f"a signature is made from a text, not from {signature!r}")
    return _made("StringSignature", fields, given, __name__)


def _mapped(name: str, value: Any) -> Field:
    if isinstance(value, tuple) and len(value) == 2:
        return _as_field(name, value[1], value[0])
    return _as_field(name, value, None)


def ensure_signature(signature: Any, instructions: str | None = None) -> type[Signature]:
    """Return ``signature`` as a class that a predictor can use. Raises SignatureError otherwise."""
    if not isinstance(signature, SignatureMeta):
        signature = make_signature(signature, instructions)
    elif instructions is not None:
        signature = signature.with_instructions(instructions)
    if not signature.output_fields:
        raise SignatureError(f"the signature {signature.__name__} has no output field")
    return signature  # type: ignore[no-any-return]


def _reduce(cls: SignatureMeta) -> str | tuple[Callable[..., Any], tuple[Any, ...]]:
    import sys

    found: Any = sys.modules.get(cls.__module__)
    for part in cls.__qualname__.split("."):
        found = getattr(found, part, None)
    if found is cls:
        return str(cls.__qualname__)
    return _remade, (cls.__name__, tuple(cls.fields.values()), cls._body.given_instructions, cls.__module__)


def _remade(name: str, fields: tuple[Field, ...], instructions: str | None, module: str) -> type[Signature]:
    return _made(name, fields, instructions, module)


# Signatures made from strings or by edits are no module attributes, by which pickle finds classes.
copyreg.pickle(SignatureMeta, _reduce)
