"""How many requests may be in flight at once."""

from __future__ import annotations

from threading import Semaphore
from types import TracebackType

from pytest_lmprog.errors import ConfigurationError

__all__ = ["DEFAULT_IN_FLIGHT", "Limiter"]

DEFAULT_IN_FLIGHT = 8


class Limiter:
    """A context manager that lets ``maximum`` threads in at a time. One object is one limit, shared by
    whoever holds it; a process of an xdist run gets its share of the whole."""

    def __init__(self, maximum: int = DEFAULT_IN_FLIGHT) -> None:
        if not isinstance(maximum, int) or isinstance(maximum, bool) or maximum < 1:
            raise ConfigurationError(f"the most requests in flight must be 1 or more, not {maximum!r}")
        self.maximum = maximum
        self._free = Semaphore(maximum)

    def __enter__(self) -> Limiter:
        self._free.acquire()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._free.release()

    def __repr__(self) -> str:
        return f"Limiter({self.maximum})"
