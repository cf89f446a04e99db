"""How a store tells of damage that the run survives."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from threading import Lock

from pytest_lmprog.errors import LmprogWarning

__all__ = ["WarnOnce"]


class WarnOnce:
    """Passes each distinct message on once: to ``warn``, or as a LmprogWarning."""

    def __init__(self, warn: Callable[[str], None] | None = None) -> None:
        self._warn = warn
        self._told: set[str] = set()
        self._lock = Lock()

    def __call__(self, message: str) -> None:
        with self._lock:
            known = message in self._told
            self._told.add(message)
        if known:
            return
        if self._warn is None:
            warnings.warn(message, LmprogWarning, stacklevel=2)
        else:
            self._warn(message)
