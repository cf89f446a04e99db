"""A small fast store before a large durable one."""

from __future__ import annotations

from collections.abc import Callable

from pytest_lmprog.errors import CacheError
from pytest_lmprog.lm.claims import Claim
from pytest_lmprog.lm.scope import AnswerStore
from pytest_lmprog.lm.stores.warn import WarnOnce

__all__ = ["TieredStore"]


class TieredStore:
    """Reads ``front``, then ``back``; writes both. Where ``back`` cannot be written, one warning says so
    and the run goes on with ``front``."""

    def __init__(
        self, front: AnswerStore, back: AnswerStore, *, warn: Callable[[str], None] | None = None
    ) -> None:
        self.front = front
        self.back = back
        self._warn = warn or WarnOnce()

    def get(self, key: str) -> bytes | None:
        """Return what was stored under ``key``, or None."""
        value = self.front.get(key)
        if value is None:
            value = self.back.get(key)
            if value is not None:
                self.front.set(key, value)
        return value

    def fresh(self, key: str) -> bytes | None:
        """Return what ``back`` holds now, where what ``front`` holds will not do: another thread or process
        may have stored a newer row."""
        value = self.back.get(key)
        if value is not None:
            self.front.set(key, value)
        return value

    def set(self, key: str, value: bytes) -> None:
        """Store ``value`` in both. Never raises for a ``back`` that cannot be written."""
        self.front.set(key, value)
        try:
            self.back.set(key, value)
        except CacheError as error:
            self._warn(str(error))

    def claim(self, key: str) -> Claim:
        """Hold ``key`` against everyone who shares the ``back`` store."""
        claim: Claim = self.back.claim(key)
        return claim
