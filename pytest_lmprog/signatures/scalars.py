"""Text, numbers, booleans, None and Any: understood without pydantic."""

from __future__ import annotations

import math
import re
from typing import Any

from pytest_lmprog.canonical import plain
from pytest_lmprog.signatures.kinds import bare_texts, shown

__all__ = ["AnyKind", "BoolKind", "FloatKind", "IntKind", "NoneKind", "StrKind"]

_INT = re.compile(r"[+-]?(?:[0-9]+|[0-9]{1,3}(?:,[0-9]{3})+)(?:\.0+)?")
_FLOAT = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,4})?")
_GROUPED = re.compile(r"[+-]?[0-9]{1,3}(?:(?:,[0-9]{3})+\.[0-9]+|(?:,[0-9]{3}){2,})")
_MAX_DIGITS = 400
_TRUE = frozenset({"true", "yes", "1"})
_FALSE = frozenset({"false", "no", "0"})


class StrKind:
    """``str``. Numbers and booleans are taken as their JSON text."""

    __slots__ = ()
    text = "str"
    takes_text = True

    def schema(self) -> dict[str, Any]:
        """See Kind."""
        return {"type": "string"}

    def is_exact(self, value: Any) -> bool:
        """See Kind."""
        return type(value) is str

    def convert(self, value: Any) -> str:
        """See Kind."""
        if isinstance(value, str):
            return value if type(value) is str else str.__str__(value)
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, int | float):
            return str(value)
        raise ValueError(f"{shown(value)} is not text")

    def plain(self, value: Any) -> Any:
        """See Kind. A value that is not text is put into plain data as it is (retrieved passages
        are often given to a ``str`` field as a list)."""
        return plain(value)


class IntKind:
    """``int``. Takes integral floats and texts such as ``"1,234"``; not booleans."""

    __slots__ = ()
    text = "int"
    takes_text = False

    def schema(self) -> dict[str, Any]:
        """See Kind."""
        return {"type": "integer"}

    def is_exact(self, value: Any) -> bool:
        """See Kind."""
        return type(value) is int

    def convert(self, value: Any) -> int:
        """See Kind."""
        if type(value) is int:
            return value
        if isinstance(value, float) and value.is_integer():
            return int(value)
        if isinstance(value, int) and not isinstance(value, bool):
            return int(value)
        if isinstance(value, str):
            for text in bare_texts(value[: 2 * _MAX_DIGITS]):
                if len(text) <= _MAX_DIGITS and _INT.fullmatch(text):
                    return int(text.replace(",", "").partition(".")[0])
        raise ValueError(f"{shown(value)} is not an integer")

    def plain(self, value: Any) -> Any:
        """See Kind."""
        return plain(value)


class FloatKind:
    """``float``, finite. Takes integers and texts; ``"1,234"`` is refused, as it means two things."""

    __slots__ = ()
    text = "float"
    takes_text = False

    def schema(self) -> dict[str, Any]:
        """See Kind."""
        return {"type": "number"}

    def is_exact(self, value: Any) -> bool:
        """See Kind."""
        return type(value) is float and math.isfinite(value)

    def convert(self, value: Any) -> float:
        """See Kind."""
        number = self._number(value)
        if number is None:
            raise ValueError(f"{shown(value)} is not a number")
        if not math.isfinite(number):
            raise ValueError(f"{shown(value)} is not a finite number")
        return number

    def _number(self, value: Any) -> float | None:
        if isinstance(value, int | float) and not isinstance(value, bool):
            try:
                return float(value)
            except OverflowError:
                return math.inf
        if isinstance(value, str):
            for text in bare_texts(value[: 2 * _MAX_DIGITS]):
                if len(text) <= _MAX_DIGITS and (_FLOAT.fullmatch(text) or _GROUPED.fullmatch(text)):
                    return float(text.replace(",", ""))
        return None

    def plain(self, value: Any) -> Any:
        """See Kind."""
        return plain(value)


class BoolKind:
    """``bool``. Takes true/false, yes/no and 1/0 in any case."""

    __slots__ = ()
    text = "bool"
    takes_text = False

    def schema(self) -> dict[str, Any]:
        """See Kind."""
        return {"type": "boolean"}

    def is_exact(self, value: Any) -> bool:
        """See Kind."""
        return type(value) is bool

    def convert(self, value: Any) -> bool:
        """See Kind."""
        if isinstance(value, bool):
            return value
        if type(value) is int and value in (0, 1):
            return bool(value)
        if isinstance(value, str):
            for text in bare_texts(value[:100]):
                if text.lower() in _TRUE or text.lower() in _FALSE:
                    return text.lower() in _TRUE
        raise ValueError(f"{shown(value)} is not true or false")

    def plain(self, value: Any) -> Any:
        """See Kind."""
        return plain(value)


class NoneKind:
    """``None``. Takes the texts null, none and the empty one."""

    __slots__ = ()
    text = "None"
    takes_text = False

    def schema(self) -> dict[str, Any]:
        """See Kind."""
        return {"type": "null"}

    def is_exact(self, value: Any) -> bool:
        """See Kind."""
        return value is None

    def convert(self, value: Any) -> None:
        """See Kind."""
        if value is None:
            return
        if isinstance(value, str) and any(t.lower() in ("", "null", "none") for t in bare_texts(value[:100])):
            return
        raise ValueError(f"{shown(value)} is not null")

    def plain(self, value: Any) -> Any:
        """See Kind."""
        return plain(value)


class AnyKind:
    """``Any`` and ``object``: whatever the answer holds."""

    __slots__ = ()
    text = "Any"
    takes_text = True

    def schema(self) -> dict[str, Any]:
        """See Kind."""
        return {}

    def is_exact(self, value: Any) -> bool:
        """See Kind."""
        del value
        return True

    def convert(self, value: Any) -> Any:
        """See Kind."""
        return value

    def plain(self, value: Any) -> Any:
        """See Kind. Keys are sorted: the order in which a mapping was filled is not part of it."""
        return _sorted(plain(value))


def _sorted(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _sorted(value[k]) for k in sorted(value)}
    if isinstance(value, list):
        return [_sorted(v) for v in value]
    return value
