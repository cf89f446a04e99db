"""Example (one data row) and Prediction (one output): immutable records with attribute access."""

from __future__ import annotations

import copy
import enum
import re
from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, Self

from pytest_lmprog.canonical import canonical_json, digest
from pytest_lmprog.errors import CanonicalError, UsageError

__all__ = ["RESERVED_FIELDS", "Example", "Prediction", "Record"]

RESERVED_FIELDS = ("id", "split", "weight", "tags")
"""Names that describe a row and are not data: never shown to the LM."""

_SCALARS = (str, int, float, bool, type(None), bytes, enum.Enum)
_MISSING: Any = object()


class Record(Mapping[str, Any]):
    """An ordered, immutable record. Fields are attributes and items; edits return a new record."""

    __slots__ = ("_fields",)
    _fields: dict[str, Any]

    def __init__(self, fields: Mapping[str, Any]) -> None:
        object.__setattr__(self, "_fields", dict(fields))

    def __getitem__(self, name: str) -> Any:
        return self._fields[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._fields)

    def __len__(self) -> int:
        return len(self._fields)

    def __contains__(self, name: object) -> bool:
        return name in self._fields

    def __getattr__(self, name: str) -> Any:
        try:
            return object.__getattribute__(self, "_fields")[name]
        except KeyError:
            raise self._no_such(name) from None

    def _no_such(self, name: str) -> AttributeError:
        have = ", ".join(self._fields) or "none"
        return AttributeError(f"{type(self).__name__} has no field {name!r}; its fields are: {have}")

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"{type(self).__name__} is immutable; use .copy({name}=...) for a changed one")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"{type(self).__name__} is immutable; use .without({name!r}) for a smaller one")

    def __repr__(self) -> str:
        shown = ", ".join(f"{k}={_short(v)}" for k, v in self._fields.items())
        return f"{type(self).__name__}({shown})"

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return self._fields == other._fields

    def __hash__(self) -> int:
        return hash((type(self).__name__, tuple(self._fields)))

    def toDict(self) -> dict[str, Any]:
        """Return the fields as a new dict."""
        return dict(self._fields)


_ADDRESS = re.compile(r"\b0x[0-9a-fA-F]{4,}")


def _short(value: Any, limit: int = 80) -> str:
    """Return a repr that is short and the same in every run (no addresses, no hash order)."""
    if isinstance(value, enum.Enum):
        return f"{type(value).__name__}.{value.name}"
    if isinstance(value, set | frozenset) and value:
        text = f"{{{', '.join(sorted(map(repr, value)))}}}"
    else:
        text = repr(value)
    if "0x" in text:
        text = _ADDRESS.sub("0x...", text)
    return text if len(text) <= limit else f"{text[: limit - 12]}...{text[-8:]}"


def own_copy(value: Any) -> Any:
    """Return ``value``, deep-copied unless it cannot be mutated or (a lock, a client) cannot be copied."""
    if isinstance(value, _SCALARS):
        return value
    try:
        return copy.deepcopy(value)
    except (TypeError, copy.Error):
        return value


class Example(Record):
    """One data row: fields, which of them are inputs, and what describes the row.

    ``Example(question="...", answer="...").with_inputs("question")``. The reserved names ``id``,
    ``split``, ``weight`` and ``tags`` describe the row; without ``id`` it is a digest of the inputs.

    Parameters
    ----------
    base: a mapping or Example to start from.
    fields: further fields; they win.
    """

    __slots__ = ("_digest", "_id", "_input_names", "_meta")
    _meta: dict[str, Any]
    _input_names: frozenset[str] | None
    _id: str | None
    _digest: str | None

    def __init__(self, base: Mapping[str, Any] | None = None, /, **fields: Any) -> None:
        if isinstance(base, Example):
            merged = {**base._meta, **base._fields, **fields}
            names = base._input_names
        else:
            merged = {**(base or {}), **fields}
            names = None
        meta = {name: merged.pop(name) for name in RESERVED_FIELDS if name in merged}
        self._fill(merged, meta, names)

    def _fill(self, fields: dict[str, Any], meta: dict[str, Any], names: frozenset[str] | None) -> None:
        given = meta.get("id")
        put = object.__setattr__
        put(self, "_fields", fields)
        put(self, "_meta", meta)
        put(self, "_id", None if given is None else str(given))
        put(self, "_digest", None)
        put(self, "_input_names", names)

    def _remade(self, fields: Mapping[str, Any], inputs: frozenset[str] | None) -> Self:
        new = type(self)({**self._meta, **fields})
        object.__setattr__(new, "_input_names", inputs)
        return new

    def _view(self, fields: dict[str, Any], inputs: frozenset[str] | None) -> Self:
        """Return a row with some of the same fields, none of them reserved."""
        new = object.__new__(type(self))
        new._fill(fields, self._meta, inputs)
        return new

    @property
    def id(self) -> str:
        """The given id, else 12 hexadecimal digits of the digest of the inputs (of all fields where
        inputs are not known). Never the position."""
        if self._id is None:
            object.__setattr__(self, "_id", digest(self._identity())[:12])
        assert self._id is not None
        return self._id

    @property
    def has_given_id(self) -> bool:
        """Whether the row came with an id of its own."""
        return self._meta.get("id") is not None

    def _identity(self) -> dict[str, Any]:
        if self._input_names is None:
            return self._fields
        return {k: v for k, v in self._fields.items() if k in self._input_names}

    @property
    def split(self) -> str | None:
        """The part of the data set that the row belongs to, or None."""
        value = self._meta.get("split")
        return None if value is None else str(value)

    @property
    def weight(self) -> float:
        """How much the row counts in means (default 1)."""
        return float(self._meta.get("weight", 1))

    @property
    def tags(self) -> tuple[str, ...]:
        """Free labels."""
        value = self._meta.get("tags") or ()
        return (value,) if isinstance(value, str) else tuple(value)

    @property
    def input_names(self) -> frozenset[str] | None:
        """Names of the input fields, or None where nobody has said."""
        return self._input_names

    @property
    def meta(self) -> Mapping[str, Any]:
        """The reserved fields that were given."""
        return MappingProxyType(self._meta)

    def digest(self) -> str:
        """Return a digest of all fields (not of id, split, weight or tags).

        Raises CanonicalError where a field has no canonical form."""
        if self._digest is None:
            object.__setattr__(self, "_digest", digest(self._fields))
        assert self._digest is not None
        return self._digest

    def inputs_key(self) -> bytes:
        """Return the canonical bytes of the inputs: equal inputs are the same question."""
        return canonical_json(self._identity())

    def with_inputs(self, *names: str) -> Self:
        """Return the same row with the fields ``names`` as its inputs. Unknown names are an error."""
        unknown = [n for n in names if n not in self._fields]
        if unknown:
            raise UsageError(
                f"with_inputs: no field {unknown[0]!r}; the fields are: {', '.join(self._fields) or 'none'}"
            )
        return self._view(self._fields, frozenset(names))

    def _require_inputs(self) -> frozenset[str]:
        if self._input_names is None:
            raise UsageError(
                f"the inputs of example {self.id!r} are not known", hint="call .with_inputs('field', ...)"
            )
        return self._input_names

    def inputs(self) -> Self:
        """Return the input fields only."""
        names = self._require_inputs()
        return self._view({k: v for k, v in self._fields.items() if k in names}, names)

    def labels(self) -> Self:
        """Return the fields that are not inputs."""
        names = self._require_inputs()
        return self._view({k: v for k, v in self._fields.items() if k not in names}, None)

    def without(self, *names: str) -> Self:
        """Return the row without the fields ``names``."""
        fields = {k: v for k, v in self._fields.items() if k not in names}
        return self._view(fields, None if self._input_names is None else self._input_names - set(names))

    def copy(self, **fields: Any) -> Self:
        """Return a row with ``fields`` changed or added."""
        return self._remade({**self._fields, **fields}, self._input_names)

    def get(self, name: str, default: Any = None) -> Any:
        """Return a field, or ``default``."""
        return self._fields.get(name, default)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Example):
            return NotImplemented
        return (
            self._fields == other._fields
            and self._input_names == other._input_names
            and self._meta == other._meta
        )

    def __hash__(self) -> int:
        try:
            return hash((self.digest(), self._input_names))
        except CanonicalError:
            return hash(tuple(self._fields))

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild_example, (
            type(self),
            {**self._meta, **self._fields},
            None if self._input_names is None else sorted(self._input_names),
        )


def _rebuild_example(cls: type[Example], fields: dict[str, Any], inputs: list[str] | None) -> Example:
    example = cls(fields)
    return example if inputs is None else example._remade(example._fields, frozenset(inputs))


class Prediction(Record):
    """What a program or predictor put out. A field that is missing is looked up among its predictor's
    inputs. ``completions`` holds all samples where more than one was asked for."""

    __slots__ = ("_completions", "_inputs")
    _inputs: Mapping[str, Any]
    _completions: Completions

    def __init__(
        self,
        base: Mapping[str, Any] | None = None,
        /,
        **fields: Any,
    ) -> None:
        super().__init__({**(base or {}), **fields})
        object.__setattr__(self, "_inputs", {})
        object.__setattr__(self, "_completions", _NONE)

    @classmethod
    def of(
        cls, fields: Mapping[str, Any], inputs: Mapping[str, Any], completions: Iterable[Prediction] = ()
    ) -> Prediction:
        """Return the prediction of a predictor that was given ``inputs``."""
        new = cls.__new__(cls)
        object.__setattr__(new, "_fields", fields)
        object.__setattr__(new, "_inputs", inputs)
        object.__setattr__(new, "_completions", Completions(completions) if completions else _NONE)
        return new

    def __getattr__(self, name: str) -> Any:
        value = object.__getattribute__(self, "_fields").get(name, _MISSING)
        if value is _MISSING:
            value = object.__getattribute__(self, "_inputs").get(name, _MISSING)
        if value is _MISSING:
            raise self._no_such(name)
        return value

    @property
    def completions(self) -> Completions:
        """All samples, this one first. ``completions.answer`` is the list of their answers."""
        return self._completions or Completions((self,))

    def get(self, name: str, default: Any = None) -> Any:
        """Return an output field, or ``default``."""
        return self._fields.get(name, default)

    def copy(self, **fields: Any) -> Prediction:
        """Return an independent copy (values that can be mutated are copied too), with ``fields`` changed."""
        mine = {k: own_copy(v) for k, v in self._fields.items()}
        inputs = {k: own_copy(v) for k, v in self._inputs.items()}
        return Prediction.of({**mine, **fields}, inputs, [sample.copy() for sample in self._completions])

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild_prediction, (self._fields, dict(self._inputs), list(self._completions))


class Completions(tuple[Prediction, ...]):
    """The samples of one prediction. An output field read here is the list of all samples' values."""

    __slots__ = ()

    def __getattr__(self, name: str) -> list[Any]:
        if name.startswith("__") or not self or any(name not in sample for sample in self):
            raise AttributeError(f"the completions have no field {name!r}")
        return [sample[name] for sample in self]


_NONE = Completions()


def _rebuild_prediction(
    fields: dict[str, Any], inputs: dict[str, Any], completions: list[Prediction]
) -> Prediction:
    return Prediction.of(fields, inputs, completions)
