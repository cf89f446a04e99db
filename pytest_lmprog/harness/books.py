"""Recording files of a session: one book a test module, and a lid on explaining misses."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from threading import Lock
from typing import Any

from pytest_lmprog.harness.settings import HarnessSettings
from pytest_lmprog.lm.recordings.book import Book
from pytest_lmprog.lm.scope import RecordingBook
from pytest_lmprog.lm.types import LMRequest
from pytest_lmprog.snapshots.finding import RECORDING_FOLDER

__all__ = ["RECORDING_FOLDER", "Books", "BriefMisses", "recording_path"]

EXPLAINED_MISSES = 3


def recording_path(module: Path) -> Path:
    """Return where the answers of the test module ``module`` are recorded."""
    return module.parent / RECORDING_FOLDER / f"{module.stem}.jsonl"


class Books:
    """The books that are open, by test module. Thread-safe."""

    def __init__(self, settings: HarnessSettings, *, warn: Callable[[str], None]) -> None:
        self._settings = settings
        self._warn = warn
        self._books: dict[Path, Book] = {}
        self._handed_on: dict[Path, tuple[int, frozenset[str]]] = {}
        self._lock = Lock()

    def of(self, module: Path) -> Book:
        """Return the book of a test module; it is read when it is first asked."""
        with self._lock:
            if module not in self._books:
                self._books[module] = Book(
                    recording_path(module),
                    store_messages=self._settings.store_messages,
                    warn=self._warn,
                )
            return self._books[module]

    def open(self) -> list[Book]:
        """Return the books that were opened, by path."""
        return [self._books[path] for path in sorted(self._books)]

    def harvest(self) -> list[dict[str, Any]]:
        """Return, as plain data, what was added and used since the last harvest."""
        return [part for path in sorted(self._books) if (part := self._harvest(path))]

    def _harvest(self, path: Path) -> dict[str, Any] | None:
        book = self._books[path]
        start, told = self._handed_on.get(path, (0, frozenset[str]()))
        additions, used = book.additions(start), book.used_keys()
        self._handed_on[path] = start + len(additions), used
        if not additions and used == told:
            return None
        return {"module": str(path), "additions": additions, "used": sorted(used - told)}

    def absorb(self, parts: list[Mapping[str, Any]]) -> None:
        """Take over another process's harvest. Raises RecordingError (two addresses, one request)."""
        for part in parts:
            book = self.of(Path(part["module"]))
            book.absorb(part["additions"])
            book.mark_used(part["used"])

    def note_used(self) -> None:
        """Note which answers a complete run in which everything passed used: what pruning keeps."""
        from pytest_lmprog.lm.recordings.last_run import write_last_used

        for book in self.open():
            write_last_used(self._settings.cache_dir, book.path, book.used_keys())


class BriefMisses:
    """A book that explains the first misses of a unit in full and counts the others."""

    def __init__(self, book: RecordingBook) -> None:
        self._book = book
        self._misses = 0
        self._lock = Lock()
        # Bound here, not delegated: look-ups are the hot path of a replay.
        self.lookup: Any = book.lookup
        self.add: Any = book.add
        self.capabilities: Any = book.capabilities
        self.learn: Any = book.learn

    def explain_miss(
        self, request: LMRequest, label: str | None, *, rewrite: Callable[[str], str] | None = None
    ) -> str:
        """Return the text for a ReplayMissError."""
        with self._lock:
            self._misses += 1
            number = self._misses
        if number <= EXPLAINED_MISSES:
            return self._book.explain_miss(request, label, rewrite=rewrite)
        case = f" for {label}" if label else ""
        return (
            f"no recorded answer{case} (miss {number} of this unit; the first {EXPLAINED_MISSES} "
            "are explained)"
        )
