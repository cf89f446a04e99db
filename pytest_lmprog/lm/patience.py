"""Noticing that an endpoint answers nobody, so that forty cases do not each find out by themselves."""

from __future__ import annotations

from threading import Lock

from pytest_lmprog.errors import LMError, LMTimeoutError
from pytest_lmprog.records import dataclass

__all__ = ["Patience"]


@dataclass(frozen=True)
class _Silence:
    failures: int
    last: LMError


class Patience:
    """How long a session goes on with endpoints that give no answer.

    A request whose retries are used up is a failure; a time-out is one at once, because it costs so much.
    After ``limit`` failures in a row, of whatever requests, with no answer between them, the endpoint's
    requests are tried once each instead of being retried, and not at all where the last failure was a
    time-out. One answer restores all patience. Thread-safe.
    """

    def __init__(self, limit: int = 3) -> None:
        self._limit = limit
        self._lock = Lock()
        self._silent: dict[tuple[str, str], _Silence] = {}

    def check(self, who: tuple[str, str]) -> None:
        """Raise LMTimeoutError if there is no point in asking ``who`` (model and endpoint) again."""
        with self._lock:
            silence = self._silent.get(who)
        if silence is None or silence.failures < self._limit or not isinstance(silence.last, LMTimeoutError):
            return
        refusal = LMTimeoutError(f"{silence.last.message}; nor any request since", hint=silence.last.hint)
        refusal.retryable = False
        raise refusal

    def answered(self, who: tuple[str, str]) -> None:
        """Note that ``who`` answered."""
        if self._silent:
            with self._lock:
                self._silent.pop(who, None)

    def lost(self, who: tuple[str, str], error: LMError, *, final: bool) -> bool:
        """Note that an attempt failed with ``error``; tell whether retrying has lost its point. ``final``:
        it is not retried anyway."""
        if not error.retryable:
            return False
        with self._lock:
            known = self._silent.get(who)
            failures = 0 if known is None else known.failures
            if final or isinstance(error, LMTimeoutError):
                failures += 1
                self._silent[who] = _Silence(failures, error)
            return failures >= self._limit
