"""Lists, tuples, sets, dicts and unions of other kinds: understood without pydantic."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, cast

from pytest_lmprog.canonical import canonical_json
from pytest_lmprog.records import dataclass
from pytest_lmprog.signatures.kinds import Kind, shown

__all__ = ["DictKind", "ItemsKind", "TupleKind", "UnionKind"]


def _items(kind: Kind, values: Iterable[Any]) -> Iterable[Any]:
    for number, value in enumerate(values, 1):
        try:
            yield kind.convert(value)
        except ValueError as error:
            raise ValueError(f"item {number}: {error}") from None


@dataclass(frozen=True, slots=True)
class ItemsKind:
    """``list[T]``, ``tuple[T, ...]``, ``set[T]`` and ``frozenset[T]``."""

    make: type
    item: Kind
    takes_text: bool = False

    @property
    def text(self) -> str:
        """See Kind."""
        dots = ", ..." if self.make is tuple else ""
        return f"{self.make.__name__}[{self.item.text}{dots}]"

    def schema(self) -> dict[str, Any]:
        """See Kind."""
        return {"type": "array", "items": self.item.schema()}

    def is_exact(self, value: Any) -> bool:
        """See Kind."""
        return type(value) is self.make and all(map(self.item.is_exact, cast("list[Any]", value)))

    def convert(self, value: Any) -> Any:
        """See Kind."""
        if not isinstance(value, list | tuple | set | frozenset):
            raise ValueError(f"{shown(value)} is not a list")
        try:
            return self.make(_items(self.item, value))
        except TypeError as error:
            raise ValueError(f"{shown(value)} is not a {self.make.__name__}: {error}") from None

    def plain(self, value: Any) -> Any:
        """See Kind."""
        if not isinstance(value, list | tuple | set | frozenset):
            raise ValueError(f"{shown(value)} is not a list")
        items = [self.item.plain(v) for v in value]
        return sorted(items, key=canonical_json) if isinstance(value, set | frozenset) else items


@dataclass(frozen=True, slots=True)
class TupleKind:
    """``tuple[A, B]``: a list of fixed length in plain form."""

    items: tuple[Kind, ...]
    takes_text: bool = False

    @property
    def text(self) -> str:
        """See Kind."""
        return f"tuple[{', '.join(k.text for k in self.items)}]"

    def schema(self) -> dict[str, Any]:
        """See Kind."""
        length = len(self.items)
        return {
            "type": "array",
            "prefixItems": [k.schema() for k in self.items],
            "minItems": length,
            "maxItems": length,
        }

    def is_exact(self, value: Any) -> bool:
        """See Kind."""
        return (
            type(value) is tuple
            and len(value) == len(self.items)
            and all(k.is_exact(v) for k, v in zip(self.items, value, strict=True))
        )

    def _checked(self, value: Any) -> Any:
        if not isinstance(value, list | tuple):
            raise ValueError(f"{shown(value)} is not a list")
        if len(value) != len(self.items):
            raise ValueError(f"{shown(value)} has {len(value)} items, not {len(self.items)}")
        return value

    def convert(self, value: Any) -> Any:
        """See Kind."""
        converted = []
        for number, (kind, item) in enumerate(zip(self.items, self._checked(value), strict=True), 1):
            try:
                converted.append(kind.convert(item))
            except ValueError as error:
                raise ValueError(f"item {number}: {error}") from None
        return tuple(converted)

    def plain(self, value: Any) -> Any:
        """See Kind."""
        return [k.plain(v) for k, v in zip(self.items, self._checked(value), strict=True)]


@dataclass(frozen=True, slots=True)
class DictKind:
    """``dict[K, V]``. Keys are text in plain form, sorted."""

    key: Kind
    value: Kind
    takes_text: bool = False

    @property
    def text(self) -> str:
        """See Kind."""
        return f"dict[{self.key.text}, {self.value.text}]"

    def schema(self) -> dict[str, Any]:
        """See Kind."""
        return {"type": "object", "additionalProperties": self.value.schema()}

    def is_exact(self, value: Any) -> bool:
        """See Kind."""
        return (
            type(value) is dict
            and all(map(self.key.is_exact, value))
            and all(map(self.value.is_exact, value.values()))
        )

    def convert(self, value: Any) -> Any:
        """See Kind."""
        if not isinstance(value, Mapping):
            raise ValueError(f"{shown(value)} is not an object")
        converted = {}
        for key, item in value.items():
            try:
                converted[self.key.convert(key)] = self.value.convert(item)
            except ValueError as error:
                raise ValueError(f"{shown(key)}: {error}") from None
        return converted

    def plain(self, value: Any) -> Any:
        """See Kind."""
        if not isinstance(value, Mapping):
            raise ValueError(f"{shown(value)} is not an object")
        items = {_key_text(self.key.plain(k)): self.value.plain(v) for k, v in value.items()}
        return {k: items[k] for k in sorted(items)}


def _key_text(key: Any) -> str:
    return key if isinstance(key, str) else canonical_json(key).decode()


@dataclass(frozen=True, slots=True)
class UnionKind:
    """``A | B``, ``Optional[A]``: the member that needs no conversion, else the first that converts.

    Where a member takes any text, a text is converted to another member only if it is null."""

    members: tuple[Kind, ...]

    @property
    def text(self) -> str:
        """See Kind."""
        return " | ".join(k.text for k in self.members)

    @property
    def takes_text(self) -> bool:
        """See Kind."""
        return any(k.takes_text for k in self.members)

    def schema(self) -> dict[str, Any]:
        """See Kind."""
        return {"anyOf": [k.schema() for k in self.members]}

    def is_exact(self, value: Any) -> bool:
        """See Kind."""
        return any(k.is_exact(value) for k in self.members)

    def convert(self, value: Any) -> Any:
        """See Kind."""
        for kind in self.members:
            if kind.is_exact(value):
                return kind.convert(value)
        for kind in self._by_fitness(value):
            try:
                return kind.convert(value)
            except ValueError:
                continue
        raise ValueError(f"{shown(value)} is not {self.text}")

    def _by_fitness(self, value: Any) -> list[Kind]:
        # A number given to ``str | float`` is a float, whichever stands first.
        return sorted(self.members, key=lambda k: k.takes_text and not isinstance(value, str))

    def plain(self, value: Any) -> Any:
        """See Kind."""
        for kind in self.members:
            if kind.is_exact(value):
                return kind.plain(value)
        for kind in self.members:
            try:
                return kind.plain(kind.convert(value))
            except ValueError:
                continue
        raise ValueError(f"{shown(value)} is not {self.text}")
