"""``lmprog review``: pending snapshots one by one. Decisions are carried out together, at the end."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from pytest_lmprog.cli.context import Context
from pytest_lmprog.cli.decide import Decision, apply
from pytest_lmprog.cli.keys import Keyboard, keyboard
from pytest_lmprog.cli.proposal import Proposal, look
from pytest_lmprog.cli.show import message_lines
from pytest_lmprog.cli.targets import pending_targets
from pytest_lmprog.reports.diff.json import FORMAT, diff_plain
from pytest_lmprog.reports.diff.text import diff_lines, head_line
from pytest_lmprog.reports.spans import Line, line, lines, span, text_width

__all__ = ["review"]

_QUESTIONS = (
    "accept, reject or skip? [a/r/s, A/R/S for all that follow, d/f/m/b/q, ?] ",
    "accept, reject or skip? [a/r/s/A/R/S/q/?] ",
    "[a/r/s/A/R/S/q/?] ",
    "[a/r/s/?] ",
)
_HELP = """\
  a  accept    make it the accepted snapshot
  r  reject    remove it; the accepted one stays
  s  skip      leave it pending
  A R S        the same for this one and all that follow
  d            show the difference again
  f            show it in full: nothing left out
  m            show the new prompt as the exact messages
  b            back to the one before, to decide again
  q  quit      carry out what was decided so far, leave the rest pending
  ?            this help
  Ctrl-C       leave, and change nothing at all
Nothing is changed before the last one is decided, or q."""
_VERBS = {"a": "accept", "r": "reject", "s": "skip"}
_INTERRUPTED = 130


def review(context: Context, args: argparse.Namespace) -> int:
    """Show each pending snapshot's difference, ask, and carry out the decisions at the end.

    Without a terminal, or with ``--json``, it only shows."""
    paths = pending_targets(context.root, context.cwd, args.paths)
    if args.json:
        return _as_json(context, paths)
    if not paths:
        context.out.line("nothing is pending")
        return 0
    if not (sys.stdin.isatty() and context.out.terminal):
        return _printed(context, paths)
    session = _Session(context, paths, keyboard())
    try:
        decisions = session.decide()
    except (KeyboardInterrupt, EOFError) as stop:
        context.out.line()
        context.out.error("review was left; nothing was changed")
        return _INTERRUPTED if isinstance(stop, KeyboardInterrupt) else 1
    with _uninterrupted():
        return _carry_out(context, decisions, paths)


def _as_json(context: Context, paths: Sequence[Path]) -> int:
    reviews = [
        {**found.plain(), "diff": None if found.diff is None else diff_plain(found.diff)}
        for found in (look(context, path) for path in paths)
    ]
    context.out.line(json.dumps({"format": FORMAT, "reviews": reviews}, ensure_ascii=True, indent=2))
    return 0


def _printed(context: Context, paths: Sequence[Path]) -> int:
    damaged = 0
    for number, path in enumerate(paths, 1):
        found = look(context, path)
        damaged += found.problem is not None
        _present(context, found, f"{number} of {len(paths)}")
        context.out.line(f"to accept it: lmprog accept {found.shown}")
        context.out.line(f"to reject it: lmprog reject {found.shown}")
    context.out.line()
    context.out.line(
        f"{len(paths)} pending, nothing was decided: this is no terminal, so review asks no questions; "
        "`lmprog accept PATH...` and `lmprog reject PATH...` decide, with --all about all"
    )
    return 1 if damaged else 0


def _present(context: Context, found: Proposal, position: str, *, full: bool = False) -> int:
    """Show one pending snapshot; return how many rows that took."""
    shown: list[Line] = [line(), _head(found, position), line(found.shown, "muted")]
    for note in found.notes:
        shown += lines(f"warning: {note}", "warning")
    if found.problem is not None:
        shown += lines(f"cannot be read: {found.problem}", "removed")
    elif found.refused is not None:
        shown += lines(f"cannot be accepted: {found.refused}", "warning")
    if found.diff is not None:
        if found.new:
            shown.append(line("there is no accepted snapshot yet"))
        shown += diff_lines(found.diff, full=full)
    return context.out.paint(shown)


def _head(found: Proposal, position: str) -> Line:
    if found.diff is None:
        return line(f"{found.unit} ({position})", "heading")
    return head_line(found.unit, found.diff, position)


class _Session:
    """One walk through the pending snapshots. Changes nothing on disk."""

    def __init__(self, context: Context, paths: Sequence[Path], keys: Keyboard) -> None:
        self._context = context
        self._paths = paths
        self._keys = keys
        self._decisions: dict[Path, Decision] = {}

    def decide(self) -> list[Decision]:
        """Ask about each; return the decisions. Raises KeyboardInterrupt and EOFError."""
        index = 0
        while index < len(self._paths):
            index = self._step(index)
        return list(self._decisions.values())

    def _step(self, index: int) -> int:
        """Ask about one and return the index of the next."""
        found = look(self._context, self._paths[index])
        position = f"{index + 1} of {len(self._paths)}"
        rows = _present(self._context, found, position)
        if found.gone:
            return index + 1
        answer = self._answer(found, position, rows)
        if answer == "q":
            return len(self._paths)
        if answer == "b":
            return self._back(index)
        self._note(found, _VERBS[answer.lower()])
        if answer.islower():
            return index + 1
        for path in self._paths[index + 1 :]:
            self._note(look(self._context, path), _VERBS[answer.lower()])
        return len(self._paths)

    def _back(self, index: int) -> int:
        before = max(index - 1, 0)
        self._decisions.pop(self._paths[before], None)
        return before

    def _note(self, found: Proposal, verb: str) -> None:
        if found.gone:
            return
        self._decisions[found.path] = Decision(found.path, verb, found.digest)
        if verb == "accept" and found.refused is not None:
            self._context.out.line(f"{found.unit} cannot be accepted and will stay pending", "warning")

    def _answer(self, found: Proposal, position: str, rows: int) -> str:
        while True:
            if rows > self._context.out.height - 3:
                self._context.out.paint([_head(found, position)])
            answer = self._ask()
            rows = 0
            if answer in tuple("arsARSqb"):
                return answer
            if answer in ("d", "f"):
                rows = _present(self._context, found, position, full=answer == "f")
            elif answer == "m":
                rows = self._show_messages(found)
            else:
                self._context.out.line(_HELP)

    def _show_messages(self, found: Proposal) -> int:
        if found.snapshot is None:
            self._context.out.line("it cannot be read")
            return 0
        return self._context.out.paint(message_lines(found.snapshot))

    def _ask(self) -> str:
        answer = self._keys.read(self._put_question)
        if not self._keys.echoes:
            self._context.out.line(answer)
        return answer

    def _put_question(self) -> None:
        """Write the longest question that fits, at the start of a line, over itself if it stands there."""
        out = self._context.out
        width = out.width or 80
        question = next((q for q in _QUESTIONS if text_width(q) < width), "[?] ")
        start = "" if self._keys.echoes or os.name == "nt" else "\r\x1b[K"
        out.raw(start + out.painted([span(question, "heading")]))


def _carry_out(context: Context, decisions: Sequence[Decision], paths: Sequence[Path]) -> int:
    chosen = [decision for decision in decisions if decision.verb != "skip"]
    code = apply(context, chosen) if chosen else 0
    left = sum(path.exists() for path in paths)  # what others decided meanwhile is gone
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
