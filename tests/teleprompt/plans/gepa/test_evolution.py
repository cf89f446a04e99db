"""The account of an evolution: which iterations begin, and what for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pytest_lmprog.evaluation.callables import as_metric
from pytest_lmprog.evaluation.scores import CaseResult, Objective, Score
from pytest_lmprog.programs import Prediction, Trace, context
from pytest_lmprog.teleprompt import GEPA
from pytest_lmprog.teleprompt.engine.desk import Desk
from pytest_lmprog.teleprompt.engine.study import Study
from pytest_lmprog.teleprompt.plans.gepa.evolution import Evolution
from pytest_lmprog.teleprompt.plans.gepa.generation import Merging, Outcome, Reflecting
from tests.teleprompt.gepa_world import Two, two_rows
from tests.teleprompt.world import PlainAdapter, exact, task


def evolution(budget: int = 60, **settings: Any) -> Evolution:
    """An evolution of two predictors, validated on its four training rows; nothing is known yet."""
    objective = Objective((as_metric(exact, "exact"),))
    study = Study(task(two_rows(), student=Two()), objective, objective, Desk(8))
    return Evolution(GEPA(max_metric_calls=budget, **settings), study)


def note(at: Evolution, texts: str, scores: Sequence[float], *parents: int) -> None:
    """Take in a member with these instructions (left and right) and scores."""
    left, right = texts.split()
    runs = {
        place: CaseResult(example, Prediction(answer="any"), Trace(), {"exact": Score(score)})
        for place, (example, score) in enumerate(zip(two_rows(), scores, strict=True))
    }
    price = len(scores)
    with context(adapter=PlainAdapter()):
        at._note(Outcome(texts, parents, {"left": left, "right": right}, runs, True, price, price))


def siblings(**settings: Any) -> Evolution:
    """One that has two children, about one predictor each, of its student."""
    at = evolution(**settings)
    note(at, "l r", (0, 0, 0, 0))
    note(at, "L r", (1, 1, 0, 0), 0)
    note(at, "l R", (0, 0, 1, 1), 0)
    at.grew = True
    return at


def begun(at: Evolution) -> list[type]:
    at._begin()
    return [type(iteration) for _, iteration in at.open]


def test_a_merge_is_tried_where_a_child_was_kept():
    at = siblings()
    assert begun(at) == [Merging]
    assert not at.grew
    iteration = at.open[0][1]
    assert isinstance(iteration, Merging)
    assert (iteration.parents, iteration.bar, iteration.sample) == ((1, 2), 2.0, (0, 1, 2, 3))


def test_not_again_before_another_is_kept():
    at = siblings()
    at.grew = False
    assert begun(at) == [Reflecting]


def test_the_same_three_are_not_merged_twice():
    at = siblings()
    at._begin()
    at.open.clear()
    at.grew = True
    assert begun(at) == [Reflecting]


def test_a_kept_merge_calls_for_no_other_and_counts():
    at = siblings(max_merge_invocations=1)
    at._begin()
    _, iteration = at.open.popleft()
    with context(adapter=PlainAdapter()):
        at._take(iteration, Outcome("merge", (1, 2), {"left": "L", "right": "R"}, at.runs[1], kept=True))
    assert (at.grew, at.merges_kept) == (False, 1)
    note(at, "l2 r", (1, 1, 1, 0), 0)
    note(at, "l r2", (0, 0, 1, 1), 0)
    at.grew = True
    assert begun(at) == [Reflecting]
    more = siblings(max_merge_invocations=2)
    more.merges_kept = 1
    assert begun(more) == [Merging]


def test_a_kept_reflection_calls_for_a_merge():
    at = siblings()
    at.grew = False
    at._begin()
    _, iteration = at.open.popleft()
    with context(adapter=PlainAdapter()):
        at._take(iteration, Outcome("child", (1,), {"left": "L", "right": "X"}, at.runs[1], kept=True))
    assert at.grew


def test_open_iterations_keep_their_share_of_the_evaluations():
    # 4 are made; an iteration may take 4 more (its parent's runs are known): 7 do not pay, 8 do for one, 12
    # for two.
    for budget, expected in ((7, 0), (8, 1), (11, 1), (12, 2)):
        at = evolution(budget, trials_in_flight=3, reflection_minibatch_size=1)
        note(at, "l r", (0, 0, 0, 0))
        assert len(begun(at)) == expected


def test_open_iterations_are_counted():
    # 4 are counted, then 2 minibatches of 4 for each that is open: 4, 12, 20.
    for budget, expected in ((12, 1), (13, 2), (20, 2), (21, 3)):
        at = evolution(budget, trials_in_flight=3, reflection_minibatch_size=4)
        note(at, "l r", (0, 0, 0, 0))
        at.limit = 99
        assert len(begun(at)) == expected
