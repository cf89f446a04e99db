from __future__ import annotations

import os
import select
import subprocess
import sys
import time

import pytest

from pytest_lmprog.snapshots import store
from tests.cli.conftest import NEW, OLD

pty = pytest.importorskip("pty")
QUESTION = "accept, reject or skip?"


class Terminal:
    """``lmprog review`` on a terminal of its own."""

    def __init__(self, place, *args: str) -> None:
        self._main, inner = pty.openpty()
        code = "from pytest_lmprog.cli import main; raise SystemExit(main())"
        self.process = subprocess.Popen(
            [sys.executable, "-c", code, "review", *args],
            cwd=place.root,
            stdin=inner,
            stdout=inner,
            stderr=inner,
            start_new_session=True,
            preexec_fn=_take_terminal,
        )
        os.close(inner)
        self.text = ""

    def read_until(self, marker: str, count: int = 1) -> None:
        deadline = time.monotonic() + 90
        while self.text.count(marker) < count:
            assert time.monotonic() < deadline, f"{marker!r} did not come: {self.text}"
            if select.select([self._main], [], [], 0.1)[0]:
                self.text += os.read(self._main, 65536).decode()

    def type(self, text: str) -> None:
        os.write(self._main, text.encode())

    def finish(self) -> int:
        while True:
            try:
                data = os.read(self._main, 65536)
            except OSError:  # Linux: the other side is closed
                break
            if not data:
                break
            self.text += data.decode()
        os.close(self._main)
        return self.process.wait(90)


def _take_terminal() -> None:
    import fcntl
    import termios

    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def reviewed(place, *answers: str) -> tuple[int, str]:
    terminal = Terminal(place)
    for number, answer in enumerate(answers, 1):
        terminal.read_until(QUESTION, number)
        terminal.type(answer)
    return terminal.finish(), terminal.text


@pytest.fixture
def three(place):
    for unit in "ABC":
        place.both(unit)
    return place


def states(place) -> str:
    """``a`` accepted, ``r`` rejected, ``p`` still pending, unit by unit."""
    found = ""
    for unit in "ABC":
        if store.pending_path(place.path(unit)).exists():
            found += "p"
        else:
            found += "a" if store.read(place.path(unit)) == NEW else "r"
    return found


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        (["a\n", "r\n", "s\n"], "arp"),
        (["A\n"], "aaa"),
        (["s\n", "R\n"], "prr"),
        (["a\n", "S\n"], "app"),
        (["a\n", "q\n"], "app"),
        (["q\n"], "ppp"),
        (["?\n", "nonsense\n", "\n", "a\n", "q\n"], "app"),
    ],
)
def test_decisions(three, answers, expected):
    code, text = reviewed(three, *answers)
    assert code == 0, text
    assert states(three) == expected


def test_the_difference_is_shown(three):
    _, text = reviewed(three, "d\n", "q\n")
    assert text.count("{+person+}") == 2
    assert "(1 of 3)" in text
    assert "\x1b[" in text


@pytest.mark.parametrize("end", ["\x03", "\x04"])
def test_leaving_leaves_every_file_as_it_was(three, end):
    before = three.files()
    code, text = reviewed(three, "a\n", "r\n", end)
    assert code == 1
    assert "nothing was changed" in text
    assert "Traceback" not in text
    assert three.files() == before


def test_a_new_unit_and_a_damaged_one(place):
    place.pending("A")
    place.both("B").write_text("format: 2\n", encoding="utf-8")
    place.both("C")
    code, text = reviewed(place, "a\n", "a\n", "r\n")
    assert code == 1
    assert "there is no accepted snapshot yet" in text
    assert "newer pytest-lmprog" in text
    assert store.read(place.path("A")) == NEW
    assert store.read(place.path("B")) == OLD
    assert states(place) == "apr"


def test_no_terminal_is_one_message(place, monkeypatch):
    place.both()
    before = place.files()
    done = subprocess.run(
        [sys.executable, "-c", "from pytest_lmprog.cli import main; raise SystemExit(main())", "review"],
        cwd=place.root,
        input="a\n",
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "no terminal" in done.stderr
    assert place.files() == before


def test_nothing_to_review(place):
    assert place.run("review") == (0, "nothing is pending\n", "")
