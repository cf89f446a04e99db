"""Lineage: which candidates one was made from, and those from which."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pytest_lmprog.teleprompt.base import CompileResult

__all__ = ["ancestors", "lineage"]


def ancestors(index: int, parents: Mapping[int, Sequence[int]]) -> list[int]:
    """Return ``index`` and all that it was made from, sorted. Indices without an entry are left out."""
    found: set[int] = set()
    waiting = [index]
    while waiting:
        one = waiting.pop()
        if one in parents and one not in found:
            found.add(one)
            waiting += parents[one]
    return sorted(found)


def lineage(result: CompileResult) -> tuple[str, ...]:
    """Return the winner and its ancestors in index order, each as ``4 reflect classify``; nothing where the
    winner was made from none. No scores or counts: those of losers are timing's."""
    winner = result.candidates[result.winner]
    if not winner.parents:
        return ()
    of = {candidate.index: candidate for candidate in result.candidates}
    line = ancestors(winner.index, {index: candidate.parents for index, candidate in of.items()})
    return tuple(f"{index} {' '.join(of[index].label.split())}" for index in line)
