"""Several queries' passages as one list."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from pytest_lmprog.retrieval.passages import Passage, Passages, rounded

__all__ = ["fused"]

_RANK_OFFSET = 60


def fused(lists: Sequence[Passages], k: int) -> Passages:
    """Return the ``k`` passages with the highest sums of scores over ``lists``; equal sums in the order of
    first appearance.

    Where a score is not known, reciprocal ranks are summed instead (Cormack et al., 2009; offset 60).
    One list is itself."""
    if len(lists) == 1:
        return Passages(lists[0][:k])
    ranked = any(passage.score is None for found in lists for passage in found)
    sums: dict[str, float] = {}
    first: dict[str, Passage] = {}
    for found in lists:
        for rank, passage in enumerate(found, 1):
            score = 1 / (_RANK_OFFSET + rank) if ranked or passage.score is None else passage.score
            sums[passage.text] = sums.get(passage.text, 0.0) + score
            first.setdefault(passage.text, passage)
    order = sorted(first, key=lambda text: -rounded(sums[text]))
    return Passages(replace(first[text], score=rounded(sums[text])) for text in order[:k])
