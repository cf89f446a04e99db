"""Canonical JSON and digests: one text for one value, on every machine and Python.

Keys are sorted by code point, there is no insignificant white space, text is UTF-8 and
unescaped, and a float with an integral value is written as an integer (RFC 8785, 3.2.2.3),
so that ``temperature=0`` and ``temperature=0.0`` are one request.
"""

from __future__ import annotations

import copy
import dataclasses
import enum
import hashlib
import json
import math
import types
from collections.abc import Mapping
from typing import Any

from pytest_lmprog.errors import CanonicalError

__all__ = ["FrozenJSON", "canonical_json", "canonical_text", "digest", "digest_bytes", "plain"]

_encode = json.JSONEncoder(
    ensure_ascii=False, check_circular=False, allow_nan=False, sort_keys=True, separators=(",", ":")
).encode


def canonical_text(value: Any, path: str = "") -> str:
    """Return the canonical JSON of ``value`` as text; ``path`` leads in errors."""
    return value.canonical if type(value) is FrozenJSON else _encode(plain(value, path))


class FrozenJSON(dict[str, Any]):
    """A JSON object that is never changed, so that its canonical text is made once.

    A dict to every reader (json, HTTP clients); changing it raises TypeError. Copies are plain dicts.
    """

    __slots__ = ("canonical",)

    def __init__(self, data: Mapping[str, Any]) -> None:
        content = plain(data)
        super().__init__(content)
        self.canonical = _encode(content)

    def _refused(self, *args: Any, **kwargs: Any) -> Any:
        del args, kwargs
        raise TypeError("this JSON object is shared and cannot be changed; copy it: dict(it)")

    __setitem__ = __delitem__ = update = pop = popitem = clear = setdefault = __ior__ = _refused

    def __reduce__(self) -> tuple[Any, ...]:
        return FrozenJSON, (dict(self),)

    def __deepcopy__(self, memo: dict[int, Any]) -> dict[str, Any]:
        copied: dict[str, Any] = copy.deepcopy(dict(self), memo)
        return copied


def plain(value: Any, path: str = "", _depth: int = 0) -> Any:
    """Return ``value`` as plain JSON data (dict, list, str, int, float, bool, None).

    Tuples become lists, sets sorted lists, dataclasses and pydantic models dicts, enums their values.
    Raises CanonicalError, naming the path, for anything without a canonical form: NaN and
    infinities, keys that are not text, lone surrogates, bytes, cycles, arbitrary objects.
    """
    kind = type(value)
    if kind is str:
        if not value.isascii():
            _check_text(value, path)
        return value
    if value is None or kind is bool or kind is int:
        return value
    if kind is float:
        return _plain_float(value, path)
    if kind is FrozenJSON:
        return dict(value)
    if _depth > 100:
        raise CanonicalError("nested too deeply (or it contains itself)", path=path)
    if kind is dict or isinstance(value, Mapping):
        return {_plain_key(k, path): plain(v, f"{path}.{k}", _depth + 1) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v, f"{path}[{i}]", _depth + 1) for i, v in enumerate(value)]
    return _plain_object(value, path, _depth)


def _plain_object(value: Any, path: str, depth: int) -> Any:
    if isinstance(value, enum.Enum):
        return plain(value.value, path, depth + 1)
    if isinstance(value, str | int | float):
        base = next(t for t in (str, int, float) if isinstance(value, t))
        return plain(base(value), path, depth + 1)
    if isinstance(value, set | frozenset):
        return sorted((plain(v, f"{path}{{}}", depth + 1) for v in value), key=_encode)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {
            f.name: plain(getattr(value, f.name), f"{path}.{f.name}", depth + 1)
            for f in dataclasses.fields(value)
        }
    dump = getattr(type(value), "model_dump", None)
    if isinstance(dump, types.FunctionType):
        return plain(value.model_dump(mode="json"), path, depth + 1)
    raise CanonicalError(f"{type(value).__name__} has no canonical JSON form", path=path)


def _plain_key(key: Any, path: str) -> str:
    if isinstance(key, enum.Enum):
        key = key.value
    if not isinstance(key, str):
        raise CanonicalError(f"keys must be text, not {type(key).__name__} ({key!r})", path=path)
    _check_text(key, path)
    return str(key)


def _plain_float(value: float, path: str) -> float | int:
    if not math.isfinite(value):
        raise CanonicalError(f"{value} is not JSON", path=path)
    return int(value) if value.is_integer() else value


def _check_text(value: str, path: str) -> None:
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        raise CanonicalError("text with a lone surrogate is not UTF-8", path=path) from None


def canonical_json(value: Any) -> bytes:
    """Return the canonical UTF-8 bytes of ``value`` (see ``plain`` for what is accepted)."""
    return _encode(plain(value)).encode("utf-8")


def digest(value: Any) -> str:
    """Return the SHA-256 of the canonical JSON of ``value``, as 64 hexadecimal digits."""
    return hashlib.sha256(canonical_json(value)).hexdigest()


def digest_bytes(data: bytes) -> str:
    """Return the SHA-256 of ``data``, as 64 hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()
