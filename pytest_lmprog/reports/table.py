"""Tables and paragraphs of plain text that fit a width."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

__all__ = ["fits", "paragraph", "table"]

GAP = "  "


def fits(head: Sequence[str], rows: Sequence[Sequence[str]], *, width: int) -> bool:
    """Return whether a table leaves room for the head of its first column."""
    figures = (max(len(row[i]) for row in (head, *rows)) for i in range(1, len(head)))
    return len(head[0]) + sum(len(GAP) + w for w in figures) <= width


def table(head: Sequence[str], rows: Sequence[Sequence[str]], *, width: int = 80) -> list[str]:
    """Return head and rows as aligned lines: the first column to the left, figures to the right.

    A first cell too long for the width stands on a line of its own, its figures below."""
    columns = range(1, len(head))
    widths = {i: max(len(row[i]) for row in (head, *rows)) for i in columns}
    room = width - sum(len(GAP) + w for w in widths.values())
    first = max(len(row[0]) for row in (head, *rows))
    first = max(min(first, room), min(2, first))
    lines: list[str] = []
    for row in (head, *rows):
        figures = "".join(GAP + row[i].rjust(widths[i]) for i in columns)
        if len(row[0]) > first:
            lines.append(row[0])
        lines.append(((row[0] if len(row[0]) <= first else "").ljust(first) + figures).rstrip())
    return lines


def paragraph(text: str, *, width: int = 80, indent: str = "") -> list[str]:
    """Return ``text`` wrapped to ``width``; what follows the first line is indented by two more. Words
    that are longer than a line (paths) are not broken."""
    wrapped = textwrap.wrap(
        " ".join(text.split()),
        max(width, 20),
        initial_indent=indent,
        subsequent_indent=indent + GAP,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return wrapped or [indent.rstrip()]
