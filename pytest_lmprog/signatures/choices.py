"""Choices, as a Literal or an Enum: understood without pydantic."""

from __future__ import annotations

import enum
from typing import Any

from pytest_lmprog.canonical import canonical_json, plain
from pytest_lmprog.records import dataclass
from pytest_lmprog.signatures.kinds import bare_texts, shown

__all__ = ["EnumKind", "LiteralKind"]


def _choice_schema(values: list[Any]) -> dict[str, Any]:
    names = {str: "string", int: "integer", bool: "boolean", type(None): "null"}
    kinds = {names[type(v)] for v in values}
    return {"type": kinds.pop(), "enum": values} if len(kinds) == 1 else {"enum": values}


def _pick(value: Any, choices: dict[str, Any]) -> Any:
    """Return the choice that the text ``value`` names: as written, else in any case if that is one."""
    folded: dict[str, list[Any]] = {}
    for name, choice in choices.items():
        folded.setdefault(name.strip().casefold(), []).append(choice)
    limit = 2 * max(map(len, choices)) + 100
    for text in bare_texts(value[:limit]):
        if text in choices:
            return choices[text]
        same = folded.get(text.casefold(), [])
        if same and all(choice is same[0] for choice in same):
            return same[0]
    raise LookupError(value)


@dataclass(frozen=True, slots=True)
class LiteralKind:
    """``Literal[...]``. Takes texts in any case where that names one choice."""

    values: tuple[Any, ...]
    takes_text: bool = False

    @property
    def text(self) -> str:
        """See Kind."""
        return f"Literal[{', '.join(map(_literal_text, self.values))}]"

    def schema(self) -> dict[str, Any]:
        """See Kind."""
        return _choice_schema([_json_value(v) for v in self.values])

    def is_exact(self, value: Any) -> bool:
        """See Kind."""
        return any(type(value) is type(v) and value == v for v in self.values)

    def convert(self, value: Any) -> Any:
        """See Kind."""
        for choice in self.values:
            if type(value) is type(choice) and value == choice:
                return choice
        try:
            if isinstance(value, str):
                return _pick(value, self._by_text())
        except LookupError:
            pass
        for choice in self.values:
            if isinstance(choice, enum.Enum) and value == choice.value:
                return choice
        raise ValueError(f"{shown(value)} is not one of {self.text[8:-1]}")

    def _by_text(self) -> dict[str, Any]:
        texts = {v: v for v in self.values if type(v) is str}
        for choice in self.values:
            if type(choice) is not str:
                texts.setdefault(_scalar_text(choice), choice)
        return texts

    def plain(self, value: Any) -> Any:
        """See Kind."""
        return plain(value)


def _json_value(value: Any) -> Any:
    return value.value if isinstance(value, enum.Enum) else value


def _scalar_text(value: Any) -> str:
    value = _json_value(value)
    return value if isinstance(value, str) else canonical_json(value).decode()


def _literal_text(value: Any) -> str:
    return f"{type(value).__name__}.{value.name}" if isinstance(value, enum.Enum) else repr(value)


@dataclass(frozen=True, slots=True)
class EnumKind:
    """An Enum: by value or by name, in any case where that names one member."""

    cls: type[enum.Enum]
    takes_text: bool = False

    @property
    def _by_value(self) -> bool:
        return all(type(_member_value(m)) in (str, int) for m in self.cls)

    @property
    def text(self) -> str:
        """See Kind."""
        choices = ", ".join(repr(self.plain(m)) for m in self.cls)
        return f"{self.cls.__name__} (one of {choices})"

    def schema(self) -> dict[str, Any]:
        """See Kind."""
        return _choice_schema([self.plain(m) for m in self.cls])

    def is_exact(self, value: Any) -> bool:
        """See Kind."""
        return isinstance(value, self.cls)

    def convert(self, value: Any) -> Any:
        """See Kind."""
        if isinstance(value, self.cls):
            return value
        for member in self.cls:
            if type(value) is type(_member_value(member)) and value == _member_value(member):
                return member
        try:
            if isinstance(value, str):
                return _pick(value, self._by_text())
        except LookupError:
            pass
        choices = ", ".join(repr(self.plain(m)) for m in self.cls)
        raise ValueError(f"{shown(value)} is not one of {choices}")

    def _by_text(self) -> dict[str, Any]:
        texts: dict[str, Any] = {}
        for member in self.cls:
            if self._by_value:
                texts.setdefault(_scalar_text(_member_value(member)), member)
        for name, member in self.cls.__members__.items():  # aliases too
            texts.setdefault(name, member)
            texts.setdefault(f"{self.cls.__name__}.{name}", member)
        return {text: member for text, member in texts.items() if text.strip()}

    def plain(self, value: Any) -> Any:
        """See Kind. The value where all members' values are text or integers, else the name."""
        member = value if isinstance(value, self.cls) else self.convert(value)
        return _member_value(member) if self._by_value else member.name


def _member_value(member: enum.Enum) -> Any:
    """Return the value; that of a ``str`` or ``int`` subclass as the base type."""
    value = member.value
    if isinstance(value, str):
        return str.__str__(value)
    return int(value) if isinstance(value, int) and not isinstance(value, bool) else value
