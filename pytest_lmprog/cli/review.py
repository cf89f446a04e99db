"""``lmprog review``: pending snapshots one by one. Decisions are carried out together, at the end."""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from pytest_lmprog.cli.context import Context
from pytest_lmprog.cli.decide import apply
from pytest_lmprog.cli.show import diff_of, edit_notes
from pytest_lmprog.cli.targets import pending_targets
from pytest_lmprog.errors import SnapshotError, UsageError
from pytest_lmprog.snapshots import store

__all__ = ["review"]

_QUESTION = "accept, reject or skip? [a/r/s, A/R/S for all that follow, q, ?] "
_HELP = """\
  a  accept    make it the accepted snapshot
  r  reject    remove it; the accepted one stays
  s  skip      leave it pending
  A R S        the same for this one and all that follow
  d            show the difference again
  q  quit      carry out what was decided so far, skip the rest
  Ctrl-C       leave everything as it is
Nothing is changed before the last one is decided, or q."""
_VERBS = {"a": "accept", "r": "reject", "s": "skip"}


def review(context: Context, args: argparse.Namespace) -> int:
    """Show each pending snapshot's difference, ask, and carry out the decisions at the end."""
    paths = pending_targets(context.root, context.cwd, args.paths)
    if not paths:
        context.out.line("nothing is pending")
        return 0
    if not sys.stdin.isatty():
        raise UsageError(
            "review asks questions, and standard input is no terminal",
            hint="use `lmprog pending`, `lmprog diff`, `lmprog accept` and `lmprog reject`",
        )
    try:
        decisions = _decide(context, paths)
    except (KeyboardInterrupt, EOFError):
        context.out.line()
        context.out.error("review was left; nothing was changed")
        return 1
    with _uninterrupted():
        return _carry_out(context, decisions, len(paths))


def _decide(context: Context, paths: Sequence[Path]) -> list[tuple[Path, str]]:
    decisions: list[tuple[Path, str]] = []
    for number, path in enumerate(paths, 1):
        _present(context, path, f"{number} of {len(paths)}")
        answer = _answer(context, path)
        if answer == "q":
            break
        if answer.isupper():
            return decisions + [(rest, _VERBS[answer.lower()]) for rest in paths[number - 1 :]]
        decisions.append((path, _VERBS[answer]))
    return decisions


def _present(context: Context, path: Path, position: str) -> None:
    context.out.line()
    context.out.line(context.out.style("heading", f"{context.shown(path)} ({position})"))
    try:
        new = store.read(path)
        old = store.read_if_any(store.accepted_path(path))
    except SnapshotError as error:
        context.out.line(context.out.style("removed", f"cannot be read: {error}"))
        return
    context.out.lines(edit_notes(new))
    context.out.lines(diff_of(context, old, new))


def _answer(context: Context, path: Path) -> str:
    while True:
        answer = context.out.ask(_QUESTION)
        if answer in ("a", "r", "s", "A", "R", "S", "q"):
            return answer
        if answer == "d":
            _present(context, path, "again")
        else:
            context.out.line(_HELP)


def _carry_out(context: Context, decisions: list[tuple[Path, str]], total: int) -> int:
    chosen = [(path, verb) for path, verb in decisions if verb != "skip"]
    code = apply(context, chosen) if chosen else 0
    left = total - len(chosen)
    if left:
        context.out.line(f"{left} left pending")
    return code


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Ctrl-C while decisions are carried out would leave some undone: it waits until they are."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
