"""Silence for the warnings of one thread, whatever another thread does to the filters meanwhile."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["quiet_warnings"]

_SWAP = threading.Lock()


@contextmanager
def quiet_warnings() -> Iterator[None]:
    """Drop the warnings that this thread issues while it holds.

    ``warnings.catch_warnings`` alone does not do: its filters are the process's, and pytest swaps them
    around every test, in another thread than the one that imports. What took ``warnings.warn`` from us for
    good (``from warnings import warn``) gets the real one once this has ended."""
    with _SWAP:
        real, thread, silent = warnings.warn, threading.get_ident(), True

        def warn(message: Any, category: Any = None, stacklevel: int = 1, *args: Any, **more: Any) -> None:
            if not (silent and threading.get_ident() == thread):
                real(message, category, stacklevel + 1, *args, **more)

        warnings.warn = warn
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                yield
        finally:
            silent = False
            warnings.warn = real
