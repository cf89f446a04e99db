"""``lmprog`` on a pseudo-terminal of its own, driven key by key."""

from __future__ import annotations

import os
import re
import select
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

__all__ = ["QUESTION", "Terminal", "has_pty"]

QUESTION = "?] "
"""What every question ends in, however narrow the terminal."""

_CODE = "from pytest_lmprog.cli import main; raise SystemExit(main())"
_PATIENCE = 60


def has_pty() -> bool:
    """Whether this platform has pseudo-terminals."""
    return find_spec("termios") is not None and find_spec("pty") is not None


class Terminal:
    """A running ``lmprog`` and what it wrote so far. Ctrl-C is typed as a key, as people do."""

    def __init__(
        self,
        folder: Path,
        args: Sequence[str],
        *,
        columns: int = 80,
        rows: int = 24,
        env: dict[str, str] | None = None,
    ) -> None:
        import pty
        import termios

        self._termios = termios
        self._main, self._inner = pty.openpty()
        self.resize(columns, rows)
        self._modes = termios.tcgetattr(self._inner)
        plain = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "COLUMNS", "LINES")}
        self.process = subprocess.Popen(
            [sys.executable, "-c", _CODE, *args],
            cwd=folder,
            stdin=self._inner,
            stdout=self._inner,
            stderr=self._inner,
            start_new_session=True,
            preexec_fn=_take_terminal,
            env={**plain, "TERM": "xterm-256color", **(env or {})},
        )
        self._bytes = b""

    @property
    def raw(self) -> str:
        """All that was written, with its escape sequences."""
        return self._bytes.decode()

    @property
    def text(self) -> str:
        """What was written without colours and cursor movements."""
        return re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", self.raw).replace("\r", "")

    def resize(self, columns: int, rows: int) -> None:
        import fcntl

        fcntl.ioctl(self._inner, self._termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def wait_for(self, marker: str, count: int = 1) -> None:
        """Read until ``marker`` was written ``count`` times."""
        deadline = time.monotonic() + _PATIENCE
        while self.text.count(marker) < count:
            assert time.monotonic() < deadline, f"{marker!r} did not come: {self.raw}"
            self._read(0.1)

    def type(self, text: str) -> None:
        os.write(self._main, text.encode())

    def answer(self, *keys: str) -> None:
        """Type each of ``keys`` at a question of its own."""
        for asked, key in enumerate(keys, 1):
            self.wait_for(QUESTION, asked)
            self.type(key)

    def finish(self) -> int:
        """Wait for the end; return the exit code. The terminal must be as it was before."""
        deadline = time.monotonic() + _PATIENCE
        while self.process.poll() is None:
            assert time.monotonic() < deadline, f"it did not end: {self.raw}"
            self._read(0.05)
        while self._read(0):
            pass
        modes = self._termios.tcgetattr(self._inner)
        os.close(self._inner)
        os.close(self._main)
        assert modes == self._modes, "the terminal's settings were not put back"
        return self.process.returncode

    def hang_up(self) -> None:
        """Close the window."""
        os.close(self._inner)
        os.close(self._main)

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def _read(self, seconds: float) -> bool:
        if not select.select([self._main], [], [], seconds)[0]:
            return False
        self._bytes += os.read(self._main, 65536)
        return True


def _take_terminal() -> None:
    import fcntl
    import termios

    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
