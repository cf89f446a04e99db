"""Answers without single keys of a POSIX terminal: on Windows, and by lines."""

from __future__ import annotations

import io
import sys
from types import SimpleNamespace

import pytest

from pytest_lmprog.cli import keys


class Asked:
    """Counts how often it was asked."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self) -> None:
        self.count += 1


def windows(monkeypatch, typed: str):
    monkeypatch.setitem(sys.modules, "termios", None)
    monkeypatch.setitem(sys.modules, "msvcrt", SimpleNamespace(getwch=iter(typed).__next__))
    monkeypatch.setenv("TERM", "xterm")
    return keys.keyboard()


def test_windows_keys(monkeypatch):
    keyboard, asked = windows(monkeypatch, "\xe0A\x00R\ra?"), Asked()
    assert [keyboard.read(asked), keyboard.read(asked)] == ["a", "?"]
    assert (asked.count, keyboard.echoes) == (2, False)


@pytest.mark.parametrize(("key", "error"), [("\x03", KeyboardInterrupt), ("\x1a", EOFError)])
def test_windows_leaving(monkeypatch, key, error):
    with pytest.raises(error):
        windows(monkeypatch, key).read(Asked())


@pytest.mark.parametrize("term", ["dumb", "xterm"])
def test_lines_where_there_is_nothing_better(monkeypatch, term):
    monkeypatch.setitem(sys.modules, "termios", None)
    monkeypatch.setitem(sys.modules, "msvcrt", None)
    monkeypatch.setenv("TERM", term)
    monkeypatch.setattr(sys, "stdin", io.StringIO(" a \n\n"))
    keyboard, asked = keys.keyboard(), Asked()
    assert [keyboard.read(asked), keyboard.read(asked)] == ["a", ""]
    assert (asked.count, keyboard.echoes) == (2, True)
    with pytest.raises(EOFError):
        keyboard.read(asked)
