"""Merges of two descendants, against small families worked out by hand."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest

from pytest_lmprog.teleprompt.plans.gepa.crossover import crossed, find_crossover, subsample
from pytest_lmprog.teleprompt.plans.gepa.population import Member, Population, wording


def family(*members: tuple[str, tuple[float, ...], tuple[int, ...]]) -> Population:
    """Members of (instructions of the predictors a and b, scores, parents); indices are places."""
    return Population(
        tuple(
            Member(
                index, {"a": texts.split()[0], "b": texts.split()[1]}, scores, sum(scores) / len(scores), up
            )
            for index, (texts, scores, up) in enumerate(members)
        )
    )


# The root and two children, one with another a, one with another b; each is best at one example.
SIBLINGS = family(("a0 b0", (0, 0, 0), ()), ("a1 b0", (1, 0, 0), (0,)), ("a0 b1", (0, 1, 0), (0,)))


def test_each_ones_news_are_put_together():
    found = find_crossover(SIBLINGS, (), (), Random(0))
    assert found is not None
    assert found.triplet == (1, 2, 0)
    assert found.texts == {"a": "a1", "b": "b1"}
    assert found.sources == (1, 2)


def test_what_was_tried_is_not_tried_again():
    found = find_crossover(SIBLINGS, (), (), Random(0))
    assert found is not None
    assert find_crossover(SIBLINGS, [found], (), Random(0)) is None


def test_a_program_that_was_tried_is_not_made_again():
    tried = [wording({"a": "a1", "b": "b1"})]
    assert find_crossover(SIBLINGS, (), tried, Random(0)) is None
    # Another pair comes to the same program: 1, and a child of 2.
    more = SIBLINGS.plus(Member(3, {"a": "a0", "b": "b1"}, (0, 0, 1), 1 / 3, (2,)))
    found = find_crossover(more, (), (), Random(0))
    assert found is not None
    assert find_crossover(more, [found], (), Random(0)) is None


def test_a_descendant_is_not_merged_with_its_ancestor():
    line = family(("a0 b0", (0, 0), ()), ("a1 b0", (1, 0), (0,)), ("a1 b1", (0, 1), (1,)))
    assert find_crossover(line, (), (), Random(0)) is None


def test_dominated_members_are_not_merged():
    # 1 is best only where 3 is best too.
    four = SIBLINGS.plus(Member(3, {"a": "a3", "b": "b0"}, (1, 0, 1), 2 / 3, (0,)))
    found = find_crossover(four, (), (), Random(0))
    assert found is not None
    assert found.triplet == (2, 3, 0)


def test_an_ancestor_that_is_better_than_a_descendant_is_none():
    # The root scores 0.6 on average, its second child 0.4.
    worse = family(
        ("a0 b0", (0, 1, 1, 1, 0), ()), ("a1 b0", (1, 1, 1, 1, 0), (0,)), ("a0 b1", (0, 0, 0, 1, 1), (0,))
    )
    assert find_crossover(worse, (), (), Random(0)) is None


def test_both_must_not_have_changed_the_same_predictors_only():
    same = family(("a0 b0", (0, 0), ()), ("a1 b0", (1, 0), (0,)), ("a2 b0", (0, 1), (0,)))
    assert find_crossover(same, (), (), Random(0)) is None


def test_a_predictor_that_both_changed_is_taken_from_the_better():
    both = family(("a0 b0", (0, 0, 0), ()), ("a1 b0", (1, 0, 0), (0,)), ("a2 b1", (0, 1, 1), (0,)))
    made = crossed(both, 1, 2, 0, Random(0))
    assert made.texts == {"a": "a2", "b": "b1"}
    assert made.sources == (2, 2)


def test_at_equal_scores_either():
    both = family(("a0 b0", (0, 0), ()), ("a1 b0", (1, 0), (0,)), ("a2 b1", (0, 1), (0,)))
    taken = Counter(crossed(both, 1, 2, 0, Random(seed)).texts["a"] for seed in range(50))
    assert set(taken) == {"a1", "a2"}
    assert min(taken.values()) > 10


def test_the_ancestor_is_drawn_in_proportion_to_its_score():
    # 2 and 3 descend from 1 (0.5), which descends from 0 (0.1); both qualify.
    deep = family(
        ("a0 b0", (0.2, 0), ()),
        ("a1 b1", (0.5, 0.5), (0,)),
        ("a2 b1", (1, 0.5), (1,)),
        ("a1 b2", (0.5, 1), (1,)),
    )
    drawn = Counter()
    for seed in range(600):
        found = find_crossover(deep, (), (), Random(seed))
        assert found is not None
        drawn[found.ancestor] += 1
    # From 0's point of view both changed a and b, none of them alone: it does not qualify.
    assert set(drawn) == {1}
    other = family(
        ("a1 b0", (0.2, 0), ()),
        ("a1 b1", (0.5, 0.5), (0,)),
        ("a2 b1", (1, 0.5), (1,)),
        ("a1 b2", (0.5, 1), (1,)),
    )
    for seed in range(600):
        found = find_crossover(other, (), (), Random(seed))
        assert found is not None
        drawn[found.ancestor] += 1
    assert drawn[0] == pytest.approx(100, abs=40)  # 0.1 against 0.5


def test_an_ancestor_without_any_score_can_be_drawn():
    found = find_crossover(SIBLINGS, (), (), Random(3))
    assert found is not None
    assert SIBLINGS.member(found.ancestor).mean == 0


class TestSubsample:
    def test_a_third_of_each_kind(self):
        first = [1, 1, 1, 0, 0, 0, 1, 1, 1]
        second = [0, 0, 0, 1, 1, 1, 1, 1, 1]
        for seed in range(20):
            places = subsample(first, second, Random(seed))
            kinds = Counter(place // 3 for place in places)
            assert kinds == {0: 2, 1: 2, 2: 1}
            assert places == sorted(set(places))

    def test_it_is_filled_up(self):
        places = subsample([1, 0, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0, 0], Random(0))
        assert 0 in places
        assert len(set(places)) == 5

    def test_of_few_examples_all(self):
        assert subsample([1, 0, 0], [0, 1, 0], Random(0)) == [0, 1, 2]
