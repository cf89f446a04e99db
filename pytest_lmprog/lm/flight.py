"""One request in flight per key among the threads of this process."""

from __future__ import annotations

import os
from collections.abc import Hashable
from threading import Event, Lock

from pytest_lmprog.errors import LmprogError
from pytest_lmprog.lm.types import LMResponse

__all__ = ["Flight", "Flights", "flights", "raised_again"]


class Flight:
    """A request on its way. The thread that leads it lands it; the others wait."""

    __slots__ = ("_landed", "error", "owner", "response")

    def __init__(self, owner: object) -> None:
        self.owner = owner
        self.response: LMResponse | None = None
        self.error: BaseException | None = None
        self._landed = Event()

    def wait(self) -> None:
        """Wait until ``response`` or ``error`` is there."""
        self._landed.wait()

    def land(self, response: LMResponse | None, error: BaseException | None) -> None:
        """Let the waiting go on."""
        self.response, self.error = response, error
        self._landed.set()


class Flights:
    """The flights of this process by name. A name is free again as soon as its flight has landed, so a
    failure reaches those who waited for it, and whoever asks later asks anew."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._pid = os.getpid()
        self._by_name: dict[Hashable, Flight] = {}

    def join(self, name: Hashable, owner: object) -> tuple[Flight, bool]:
        """Return the flight of that name and whether the caller leads it (and must ``land`` it).

        ``owner`` is kept alive while the flight is, so a name may hold its ``id``."""
        if self._pid != os.getpid():  # a forked child: the threads that led are not here
            self._pid, self._by_name, self._lock = os.getpid(), {}, Lock()
        with self._lock:
            flight = self._by_name.get(name)
            if flight is not None:
                return flight, False
            flight = self._by_name[name] = Flight(owner)
            return flight, True

    def land(
        self, name: Hashable, flight: Flight, response: LMResponse | None, error: BaseException | None
    ) -> None:
        """End a flight with its outcome."""
        with self._lock:
            self._by_name.pop(name, None)
        flight.land(response, error)


flights = Flights()
"""The one table: that a request is in flight is a fact about the process, whichever LM object asked."""


def raised_again(error: Exception) -> Exception:
    """Return a copy of ``error`` for another thread to raise, so that tracebacks don't pile up on one."""
    if not isinstance(error, LmprogError):
        return error
    copy = type(error).__new__(type(error), *error.args)
    copy.args = error.args
    copy.__dict__.update(error.__dict__)
    copy.__suppress_context__ = True
    return copy
