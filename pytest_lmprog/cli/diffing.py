"""``lmprog diff``: two snapshots, or those of two revisions, by meaning."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from pathlib import Path

from pytest_lmprog.cli.context import Context
from pytest_lmprog.cli.proposal import edit_notes, with_calls
from pytest_lmprog.cli.sides import Pair, Sides, accepted_path_of
from pytest_lmprog.errors import LmprogError, UsageError
from pytest_lmprog.records import dataclass
from pytest_lmprog.snapshots.changes import SnapshotDiff
from pytest_lmprog.snapshots.diff import diff as compare

__all__ = ["diff"]

_SUFFIXES = {".html": "html", ".htm": "html", ".md": "markdown", ".markdown": "markdown", ".json": "json"}


@dataclass(frozen=True, slots=True)
class _Compared:
    """A pair's difference; ``notes`` are what else a reader should know."""

    pair: Pair
    diff: SnapshotDiff
    notes: tuple[str, ...]


def diff(context: Context, args: argparse.Namespace) -> int:
    """Tell what differs, in the format that is asked for, to standard output or a file."""
    pairs = Sides(context.root, context.cwd).pairs(args.old, args.new)
    found = [_compared(pair) for pair in pairs]
    if len(found) != 1:
        found = [one for one in found if one.diff]
    _write(context, args, found)
    return 1 if args.exit_code and any(one.diff for one in found) else 0


def _compared(pair: Pair) -> _Compared:
    old = pair.old.snapshot() if pair.old else None
    new = pair.new.snapshot() if pair.new else None
    if old is None and new is None:
        raise UsageError(f"{pair.name}: there is no snapshot on either side")
    path = next((s.path for s in (pair.new, pair.old) if s and s.path), None)
    found, doubts = compare(old, new), list[str]()
    if path is not None:
        found, doubts = with_calls(found, old, new, accepted_path_of(path))
    edits = [
        f"{side.name}: {note}"
        for side, snapshot in ((pair.old, old), (pair.new, new))
        if side is not None
        for note in edit_notes(snapshot)
    ]
    return _Compared(pair, found, (*edits, *doubts))


def _write(context: Context, args: argparse.Namespace, found: Sequence[_Compared]) -> None:
    form = args.format or _SUFFIXES.get(Path(args.output).suffix.lower() if args.output else "", "text")
    if form == "text" and not args.output:
        _paint(context, found, full=args.full)
        return
    text = _FORMS[form](found, args.full)
    if not args.output:
        context.out.line(text.removesuffix("\n"))
        return
    target = context.cwd / args.output
    try:
        target.write_text(text, encoding="utf-8", newline="\n")
    except OSError as error:
        raise LmprogError(f"{args.output} cannot be written: {error.strerror}") from None


def _paint(context: Context, found: Sequence[_Compared], *, full: bool) -> None:
    from pytest_lmprog.reports.diff.text import diff_lines, head_line
    from pytest_lmprog.reports.spans import Line, line, lines

    shown: list[Line] = [] if found else [line("no difference")]
    for i, one in enumerate(found):
        shown += [line()] if i else []
        for note in one.notes:
            shown += lines(f"warning: {note}", "warning")
        if one.diff:
            shown.append(head_line(one.pair.name, one.diff))
        shown += diff_lines(one.diff, full=full)
    context.out.paint(shown)


def _text(found: Sequence[_Compared], full: bool) -> str:
    from pytest_lmprog.reports.diff.text import diff_lines, head_line
    from pytest_lmprog.reports.spans import plain_text, wrapped

    rows: list[str] = []
    for one in found:
        rows += [f"warning: {note}" for note in one.notes]
        shown = [head_line(one.pair.name, one.diff), *diff_lines(one.diff, full=full)]
        rows += [plain_text(row).rstrip() for each in shown for row in wrapped(each, None)]
    return "\n".join(rows or ["no difference"]) + "\n"


def _markdown(found: Sequence[_Compared], full: bool) -> str:
    from pytest_lmprog.reports.diff.markdown import diff_markdown

    if not found:
        return "No difference.\n"
    return "\n".join(
        diff_markdown(one.diff, title=one.pair.name, notes=one.notes, full=full) for one in found
    )


def _html(found: Sequence[_Compared], full: bool) -> str:
    from pytest_lmprog.reports.diff.html import diff_page

    title = f"Difference of {found[0].pair.name}" if len(found) == 1 else "Differences of snapshots"
    return diff_page(title, [(one.pair.name, one.diff, one.notes) for one in found], full=full)


def _json(found: Sequence[_Compared], full: bool) -> str:
    from pytest_lmprog.reports.diff.json import FORMAT, diff_plain

    del full
    diffs = [
        {
            "name": one.pair.name,
            "old": one.pair.old.name if one.pair.old else None,
            "new": one.pair.new.name if one.pair.new else None,
            "notes": list(one.notes),
            "diff": diff_plain(one.diff),
        }
        for one in found
    ]
    return json.dumps({"format": FORMAT, "diffs": diffs}, ensure_ascii=True, indent=2) + "\n"


_FORMS: dict[str, Callable[[Sequence[_Compared], bool], str]] = {
    "text": _text,
    "markdown": _markdown,
    "html": _html,
    "json": _json,
}
