"""The Pareto front of an evolution, against fronts worked out by hand."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_lmprog.teleprompt.plans.gepa.population import Member, Population, wording


def population(*rows: tuple[float, ...], parents: dict[int, tuple[int, ...]] | None = None) -> Population:
    """A population of members with these scores; their indices are their places."""
    return Population(
        tuple(
            Member(
                index, {"p": f"t{index}"}, scores, sum(scores) / len(scores), (parents or {}).get(index, ())
            )
            for index, scores in enumerate(rows)
        )
    )


def test_fronts():
    three = population((1.0, 0.0, 0.5), (1.0, 0.5, 0.0), (0.0, 0.5, 0.0))
    assert three.fronts() == [{0, 1}, {1, 2}, {0}]


def test_at_an_example_that_none_can_do_all_are_best():
    assert population((0.0, 1.0), (0.0, 0.0)).fronts() == [{0, 1}, {0}]


@pytest.mark.parametrize(
    ("rows", "frequencies"),
    [
        # A lone one is best everywhere.
        ([(0, 0, 0)], {0: 3}),
        # Fronts {0, 1}, {1, 3}, {2}, {3}. The lowest mean first: 0 is best only where 1 is too, and goes; 2
        # alone is best at the third; 3 at the fourth; 1, now alone, at the first.
        ([(1, 0, 0, 0), (1, 1, 0, 0), (0, 0, 1, 0), (0, 1, 0, 0.5)], {1: 2, 2: 1, 3: 2}),
        # 1 and 2 together are not needed where 0 does it all.
        ([(1, 1), (1, 0), (0, 1)], {0: 2}),
        # Nobody is needed for himself, all means are equal: the first goes, then the other two are needed.
        ([(1, 1, 0), (1, 0, 1), (0, 1, 1)], {1: 2, 2: 2}),
        # Twins: the first goes.
        ([(1, 0), (1, 0)], {1: 2}),
        # Whoever is best nowhere is not drawn.
        ([(1, 1), (0.5, 0.5)], {0: 2}),
    ],
)
def test_frequencies_of_those_that_are_not_dominated(rows, frequencies):
    assert population(*rows).frequencies() == frequencies


@given(st.lists(st.tuples(*[st.sampled_from([0.0, 0.5, 1.0])] * 4), min_size=1, max_size=6))
def test_whoever_stays_covers_every_front(rows):
    drawn = population(*rows)
    kept = set(drawn.frequencies())
    assert all(front & kept for front in drawn.fronts())
    # and none of them can be spared
    for index in kept:
        assert not all(front & (kept - {index}) for front in drawn.fronts())


def test_the_draw_is_in_proportion_to_the_frequencies():
    four = population((1, 0, 0, 0), (1, 1, 0, 0), (0, 0, 1, 0), (0, 1, 0, 0.5))
    drawn = Counter(four.draw(Random(number)).index for number in range(5000))
    assert set(drawn) == {1, 2, 3}
    assert drawn[1] == pytest.approx(2000, abs=120)
    assert drawn[2] == pytest.approx(1000, abs=120)


def test_the_first_of_the_best_means():
    assert population((0, 1), (1, 1), (1, 1)).best().index == 1


def test_ancestors():
    tree = population((0,), (0,), (0,), (0,), parents={1: (0,), 2: (0,), 3: (1, 2)})
    assert [tree.ancestors(index) for index in range(4)] == [set(), {0}, {0}, {0, 1, 2}]


def test_members_by_index_and_by_texts():
    two = Population().plus(Member(4, {"a": "x"}, (1.0,), 1.0)).plus(Member(7, {"a": "y"}, (0.0,), 0.0))
    assert two.member(7).texts == {"a": "y"}
    assert wording({"b": "y", "a": "x"}) == wording({"a": "x", "b": "y"}) != wording({"a": "x", "b": "z"})
    assert two.fronts() == [{4}]
