"""Answers typed on a terminal: single keys where the terminal can, whole lines elsewhere."""

from __future__ import annotations

import os
import select
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any, Protocol

__all__ = ["Keyboard", "keyboard"]

_INTERRUPT, _END, _ESCAPE = "\x03", "\x04\x1a", "\x1b"
_FOLLOWS = 0.1
"""Seconds within which the rest of an arrow key's sequence comes, also over a slow connection."""

_Handler = Callable[[int, FrameType | None], Any]


class Keyboard(Protocol):
    """Reads what is typed."""

    echoes: bool
    """Whether the terminal has shown what was typed."""

    def read(self, ask: Callable[[], None]) -> str:
        """Call ``ask``, which writes the question, and return the answer: a key, or a line.

        ``ask`` is called again when the terminal's size changes or the program was stopped meanwhile.
        Keys that mean nothing (arrows, Enter) are passed over; a line may be empty. Raises
        KeyboardInterrupt on Ctrl-C and EOFError at the end of input."""
        ...


def keyboard() -> Keyboard:
    """Return the best that standard input allows."""
    if os.environ.get("TERM") != "dumb":
        for kind in (_PosixKeys, _WindowsKeys):
            try:
                return kind()
            except (ImportError, OSError, ValueError):
                continue
    return _Lines()


class _Lines:
    """Whole lines, ended by Enter."""

    echoes = True

    def read(self, ask: Callable[[], None]) -> str:
        ask()
        line = sys.stdin.readline()
        if not line:
            raise EOFError
        return line.strip()


class _WindowsKeys:
    """Single keys of a Windows console."""

    echoes = False

    def __init__(self) -> None:
        import msvcrt

        self._getch: Callable[[], str] = msvcrt.getwch  # type: ignore[attr-defined,unused-ignore]

    def read(self, ask: Callable[[], None]) -> str:
        ask()
        while True:
            key = self._getch()
            if key in ("\x00", "\xe0"):  # a function key: its code follows
                self._getch()
            elif found := _meaning(key):
                return found


class _PosixKeys:
    """Single keys of a terminal. Its settings are put back whatever ends the question."""

    echoes = False

    def __init__(self) -> None:
        import termios

        self._termios = termios
        self._fd = sys.stdin.fileno()
        try:
            termios.tcgetattr(self._fd)
        except termios.error as error:
            raise OSError(str(error)) from None

    def read(self, ask: Callable[[], None]) -> str:
        with self._single_keys() as enter:

            def again(signum: int, frame: FrameType | None) -> None:
                del signum, frame
                enter()
                ask()

            with _handled(again):
                ask()
                while not (key := _meaning(self._key())):
                    pass
                return key

    @contextmanager
    def _single_keys(self) -> Iterator[Callable[[], None]]:
        """Keys at once and unseen; Ctrl-C still interrupts. What was typed before is kept."""
        termios, before = self._termios, self._termios.tcgetattr(self._fd)

        def enter() -> None:
            mode = termios.tcgetattr(self._fd)
            mode[3] &= ~(termios.ICANON | termios.ECHO)
            mode[6][termios.VMIN], mode[6][termios.VTIME] = 1, 0
            termios.tcsetattr(self._fd, termios.TCSADRAIN, mode)

        try:
            enter()
            yield enter
        finally:
            with suppress(termios.error):  # the terminal was closed
                termios.tcsetattr(self._fd, termios.TCSADRAIN, before)

    def _key(self) -> str:
        """Return one character, or nothing for a sequence that a function key or the mouse sends."""
        first = self._byte()
        if first == b"\x1b":
            self._skip_sequence()
            return ""
        size = 1 if first < b"\xc0" else 2 if first < b"\xe0" else 3 if first < b"\xf0" else 4
        rest = b"".join(self._byte() for _ in range(size - 1))
        return (first + rest).decode("utf-8", "replace")

    def _skip_sequence(self) -> None:
        """The ``A`` of an arrow key's ``ESC [ A`` must not accept anything."""
        if not self._waiting() or self._byte() not in (b"[", b"O"):
            return
        while self._waiting():
            if b"\x40" <= self._byte() <= b"\x7e":
                return

    def _waiting(self) -> bool:
        return bool(select.select([self._fd], [], [], _FOLLOWS)[0])

    def _byte(self) -> bytes:
        try:
            data = os.read(self._fd, 1)
        except OSError:  # the terminal was closed
            data = b""
        if not data:
            raise EOFError
        return data


def _meaning(key: str) -> str:
    if key == _INTERRUPT:
        raise KeyboardInterrupt
    if key and key in _END:
        raise EOFError
    return key if key.isprintable() else ""


@contextmanager
def _handled(again: _Handler) -> Iterator[None]:
    """Ask again after a change of size or a stop; end cleanly, with the terminal as it was, when killed."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handlers = {"SIGWINCH": again, "SIGCONT": again, "SIGTERM": _leave, "SIGHUP": _leave}
    known = {getattr(signal, name): handler for name, handler in handlers.items() if hasattr(signal, name)}
    before = {number: signal.signal(number, handler) for number, handler in known.items()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _leave(signum: int, frame: FrameType | None) -> None:
    del frame
    raise SystemExit(128 + signum)
