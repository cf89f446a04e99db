"""Reading a store: damage is a warning and a miss, and in a run that asks anew only its own rows count."""

from __future__ import annotations

from typing import Protocol, TypeVar

from pytest_lmprog.errors import LmprogWarning
from pytest_lmprog.lm.scope import AnswerStore, CallScope
from pytest_lmprog.lm.stores.memory import MemoryStore
from pytest_lmprog.lm.stores.tiered import TieredStore
from pytest_lmprog.lm.types import Source

__all__ = ["Reader", "asked_in", "stored", "warn_damaged"]

_T = TypeVar("_T", covariant=True)


class Reader(Protocol[_T]):
    """Decodes a row; None for one of another run than ``asked_in``. Raises ValueError, KeyError or TypeError
    for what is none."""

    def __call__(self, entry: bytes, source: Source, /, *, asked_in: str | None) -> _T | None: ...


def asked_in(scope: CallScope) -> str | None:
    """Return the run whose answers alone count, or None where any counts."""
    return scope.refresh_id if scope.mode == "all" else None


def stored(store: AnswerStore, key: str, run: str | None, read: Reader[_T]) -> _T | None:
    """Return what ``store`` has for ``key`` and say which tier answered; only of ``run`` where given."""
    source: Source = "memory"
    front: AnswerStore | None = getattr(store, "front", None)
    entry = None if front is None else front.get(key)
    if entry is None:
        entry = store.get(key)
        source = "memory" if type(store) is MemoryStore else "cache"
    if entry is None:
        return None
    found = _decoded(entry, source, run, read)
    if found is None and run is not None and isinstance(store, TieredStore):
        newer = store.fresh(key)
        found = None if newer is None else _decoded(newer, "cache", run, read)
    return found


def _decoded(entry: bytes, source: Source, run: str | None, read: Reader[_T]) -> _T | None:
    try:
        return read(entry, source, asked_in=run)
    except (ValueError, KeyError, TypeError) as error:
        warn_damaged(error)
        return None


def warn_damaged(error: Exception) -> None:
    """Warn of a row that cannot be read."""
    import warnings

    warnings.warn(
        f"a damaged row of the LM cache is ignored ({error}); `lmprog cache verify` finds all of them",
        LmprogWarning,
        stacklevel=2,
    )
