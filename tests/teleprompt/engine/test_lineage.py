"""What a winner was made from."""

from __future__ import annotations

from pytest_lmprog.teleprompt import Candidate, CompileResult
from pytest_lmprog.teleprompt.engine.lineage import ancestors, lineage
from tests.teleprompt.world import QA


def result(winner: int, *made: tuple[int, str, tuple[int, ...]]) -> CompileResult:
    candidates = tuple(Candidate(index, label, QA(), 0.5, 1, parents) for index, label, parents in made)
    return CompileResult(candidates[winner].program, candidates, winner)


def test_all_ancestors_each_once_in_index_order():
    parents = {0: (), 1: (), 2: (0,), 5: (2, 0), 7: (5, 1), 8: (7,)}
    assert ancestors(7, parents) == [0, 1, 2, 5, 7]
    assert ancestors(1, parents) == [1]


def test_circles_and_missing_parents_end():
    assert ancestors(1, {1: (2, 9), 2: (1,)}) == [1, 2]
    assert ancestors(9, {}) == []


def test_the_labels_of_the_winners_line():
    made = ((0, "zero-shot", ()), (3, "loser", (0,)), (4, "reflect\nclassify", (0,)), (7, "merge", (4, 0)))
    assert lineage(result(3, *made)) == ("0 zero-shot", "4 reflect classify", "7 merge")
    assert lineage(result(0, *made)) == (), "made from none"
