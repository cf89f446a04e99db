"""Shortfalls: what is to be told where runs ended in errors, or no candidate was any good."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

__all__ = ["all_failed", "one_line", "shortfalls"]

_CAUSE = 200


def shortfalls(failures: Mapping[int, str], examples: int, score: float | None) -> tuple[str, ...]:
    """Return the notes on a winner: ``failures`` are the messages of its validation runs that ended in an
    error, by the place of the example."""
    notes = []
    if failures:
        told = f"{len(failures)} of {examples} validation runs ended in an error"
        cause = all_failed([failures[place] for place in sorted(failures)], examples)
        notes.append(told + cause)
    if score == 0:
        notes.append(f"no candidate scored above 0 on the {examples} validation examples")
    return tuple(notes)


def all_failed(messages: Sequence[str], runs: int) -> str:
    """Return the first message in one line, to be appended to a note; nothing where some run did better."""
    if not messages or len(messages) < runs:
        return ""
    return f"; the first: {one_line(messages[0])}"


def one_line(message: str) -> str:
    """Return the beginning of a message in one line."""
    lines = (" ".join(line.split()) for line in message.splitlines())
    return f"{'; '.join(line for line in lines if line):.{_CAUSE}}"
