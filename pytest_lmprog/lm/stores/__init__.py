"""Where answers are stored: bytes by key, in memory, on disk, or in both."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_lmprog.lm.stores.tiered import TieredStore

__all__ = ["DATABASE", "open_store"]

DATABASE = "cache.db"
"""Name of the database file in a cache folder; diskcache's."""


def open_store(directory: Path, *, warn: Callable[[str], None] | None = None) -> TieredStore:
    """Return the cache in ``directory`` with a memory tier before it. Nothing is opened before first use.

    ``warn`` is told once of damage; by default it is a ``LmprogWarning``.
    """
    from pytest_lmprog.lm.stores.disk import DiskStore
    from pytest_lmprog.lm.stores.memory import MemoryStore
    from pytest_lmprog.lm.stores.tiered import TieredStore
    from pytest_lmprog.lm.stores.warn import WarnOnce

    once = WarnOnce(warn)
    return TieredStore(MemoryStore(), DiskStore(directory, warn=once), warn=once)
