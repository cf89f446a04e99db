"""A compile journal as lines of text: the tree of candidates, each below the one that it was made from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pytest_lmprog.harness.journals import Entry, Journal
from pytest_lmprog.reports import figures
from pytest_lmprog.reports.table import GAP, paragraph, table

__all__ = ["journal_lines"]

_HEAD = ("candidate", "", "score", "runs", "calls", "tokens", "USD", "characters")


def journal_lines(journal: Journal, *, width: int = 100) -> list[str]:
    """Return what was compiled, the tree with each candidate's score and what evaluating it took, the
    winner and its lineage."""
    lines = paragraph(_title(journal), width=width)
    rows = [_row(journal, entry, depth) for entry, depth in _tree(journal)]
    if rows:
        lines += table(_HEAD, rows, width=width)
    return [*lines, *(line for said in _conclusion(journal) for line in paragraph(said, width=width))]


def _title(journal: Journal) -> str:
    head = journal.head
    facts = [f"{head.get('teleprompter', '?')}", f"seed {head.get('seed', '?')}"]
    for name, words in (("trainset", "training example"), ("valset", "validation example")):
        if head.get(name) is not None:
            facts.append(figures.count(head[name], words))
    said = ", ".join(facts)
    return f"{head['unit']}: {said}" if "unit" in head else said


def _tree(journal: Journal) -> Iterator[tuple[Entry, int]]:
    """Yield the candidates, each below the last of its parents, with its depth; siblings in index order."""
    below: dict[int | None, list[Entry]] = {}
    for entry in journal.of.values():
        below.setdefault(_above(journal, entry), []).append(entry)
    waiting = [(entry, 0) for entry in reversed(below.get(None, []))]
    while waiting:
        entry, depth = waiting.pop()
        yield entry, depth
        waiting += [(child, depth + 1) for child in reversed(below.get(entry.index, []))]


def _above(journal: Journal, entry: Entry) -> int | None:
    """The parent it stands below: an earlier one, so that there is no circle."""
    return max((p for p in entry.parents if p in journal.of and p < entry.index), default=None)


def _row(journal: Journal, entry: Entry, depth: int) -> Sequence[str]:
    above = _above(journal, entry)
    others = [str(parent) for parent in entry.parents if parent != above]
    also = f" (and {', '.join(others)})" if others else ""
    return (
        f"{GAP * depth}{entry.index} {' '.join(entry.label.split())}{also}",
        "winner" if entry.winner else "",
        _score(journal, entry),
        f"{entry.runs:,}",
        f"{entry.calls:,}",
        figures.NONE if entry.tokens is None else f"{entry.tokens:,}",
        figures.NONE if entry.cost is None else f"{entry.cost:.6f}",
        f"{entry.characters:,}",
    )


def _score(journal: Journal, entry: Entry) -> str:
    if not entry.partial:
        return figures.score(entry.score)
    stopped = journal.end is not None and journal.end.get("stopped") != "done"
    return "partial" if stopped else "dropped"


def _conclusion(journal: Journal) -> Iterator[str]:
    if journal.end is None:
        torn = "; its last line is torn" if journal.torn else ""
        yield (
            f"not finished: it runs still, or was ended before its end{torn}; run pytest --lm-compile again "
            "to go on"
        )
        return
    end = journal.end
    winner = journal.of.get(end.get("winner", -1))
    if winner is not None:
        on = f" on {figures.count(end['validated_on'], 'example')}" if end.get("validated_on") else ""
        score = "" if end.get("score") is None else f", {figures.score(end['score'])}{on}"
        yield f"winner: {winner.index} {winner.label}{score}"
        lineage = journal.lineage(winner.index)
        if len(lineage) > 1:
            yield "lineage: " + " > ".join(f"{entry.index} {entry.label}" for entry in lineage)
    if end.get("stopped") != "done":
        yield f"stopped: {end['stopped']}"
