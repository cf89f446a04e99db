"""Bytes by key in memory, bounded by size; the least recently used go first."""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock

from pytest_lmprog.lm.claims import Claim, LocalClaims

__all__ = ["MemoryStore"]

_ROW_OVERHEAD = 200
"""Bytes that a row takes beside its value: the key, two objects and a node of the ordered dict."""


class MemoryStore:
    """Thread-safe. ``max_bytes`` bounds what is held; a value larger than that is not kept."""

    def __init__(self, *, max_bytes: int = 256 * 1024 * 1024) -> None:
        self._max_bytes = max_bytes
        self._rows: OrderedDict[str, bytes] = OrderedDict()
        self._size = 0
        self._lock = Lock()
        self._claims = LocalClaims()

    def __len__(self) -> int:
        return len(self._rows)

    def get(self, key: str) -> bytes | None:
        """Return what was stored under ``key``, or None."""
        with self._lock:
            value = self._rows.get(key)
            if value is not None:
                self._rows.move_to_end(key)
            return value

    def set(self, key: str, value: bytes) -> None:
        """Store ``value``, and drop the least recently used rows where the store is full."""
        with self._lock:
            self._drop(key)
            self._rows[key] = value
            self._size += len(value) + _ROW_OVERHEAD
            while self._size > self._max_bytes:
                self._drop(next(iter(self._rows)))

    def claim(self, key: str) -> Claim:
        """Hold ``key`` against the other threads of this process."""
        return self._claims.claim(key)

    def _drop(self, key: str) -> None:
        value = self._rows.pop(key, None)
        if value is not None:
            self._size -= len(value) + _ROW_OVERHEAD
