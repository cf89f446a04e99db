"""GEPA on a program of two predictors, followed by hand: merges, and which predictor is changed."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_lmprog.errors import UsageError
from pytest_lmprog.programs import Example
from pytest_lmprog.teleprompt import GEPA, CallBound
from pytest_lmprog.teleprompt.material.instructions import instructions_of
from tests.teleprompt.gepa_world import (
    Two,
    evolved,
    reflections,
    runs,
    sides,
    to_sides,
    tree,
    two_rows,
)
from tests.teleprompt.world import Asked, WorldLM, exact, jitter, portion, result_of, task


class TestMerge:
    """Four rows that validate too, in minibatches of four.

    The student: (0, 0, 0, 1). Iteration 0 changes left: (1, 1, 0, 0), 2 > 1: kept. Fronts: l0, l1: {1}; r0:
    {0, 1}; x0: {0}: the student is drawn with 2 of 5. Iteration 1, where it is drawn, changes right: (0, 0,
    1, 1), kept. Fronts: l0, l1: {1}; r0: {2}; x0: {0, 2}: the student is dominated. Iteration 2 merges 1 and
    2, whose ancestor is 0: left from 1, right from 2. All four rows are the sample, the bar is 2: it scores
    (1, 1, 1, 0).

    Counted: 4 + (8 + 4) + (8 + 4) + (4 + 4) = 36. Runs: 4 each: 16."""

    seed = 6  # by which the second draw takes the student

    def test_it_is_merged(self):
        lm = WorldLM(sides(), propose=to_sides)
        result = evolved(
            lm,
            two_rows(),
            student=Two(),
            seed=self.seed,
            max_metric_calls=36,
            reflection_minibatch_size=4,
        )
        assert tree(result) == [((), 0.25), ((0,), 0.5), ((0,), 0.5), ((1, 2), 0.75)]
        assert [c.label for c in result.candidates] == [
            "as written",
            "reflection on left of 0",
            "reflection on right of 0",
            "merge of 1 and 2",
        ]
        assert instructions_of(result.program) == {"left": "L", "right": "R"}
        assert (result.winner, result.score) == (3, 0.75)
        assert sum(c.spent.runs for c in result.candidates) == 16
        assert len(reflections(lm)) == 2
        assert result_bound(36, 4) == CallBound(36 + 4, 72 + 4)

    def test_a_merge_that_loses_what_a_parent_had_is_not_kept(self):
        lm = WorldLM(sides(clash="l"), propose=to_sides)
        result = evolved(
            lm,
            two_rows(),
            student=Two(),
            seed=self.seed,
            max_metric_calls=32,
            reflection_minibatch_size=4,
        )
        # (0, 0, 1, 0) is below the bar of 2.
        assert tree(result) == [((), 0.25), ((0,), 0.5), ((0,), 0.5), ((1, 2), None)]

    def test_a_merge_that_is_as_good_as_the_better_parent_is_kept(self):
        lm = WorldLM(sides(clash="l0"), propose=to_sides)
        result = evolved(
            lm,
            two_rows(),
            student=Two(),
            seed=self.seed,
            max_metric_calls=36,
            reflection_minibatch_size=4,
        )
        # (0, 1, 1, 0) reaches the bar of 2.
        assert tree(result)[3] == ((1, 2), 0.5)

    @pytest.mark.parametrize("off", [{"use_merge": False}, {"max_merge_invocations": 0}])
    def test_without_merges(self, off):
        lm = WorldLM(sides(), propose=to_sides)
        result = evolved(
            lm,
            two_rows(),
            student=Two(),
            seed=self.seed,
            max_metric_calls=36,
            reflection_minibatch_size=4,
            **off,
        )
        assert all(len(c.parents) < 2 for c in result.candidates)
        assert len(reflections(lm)) == 3


def result_bound(budget: int, batch: int) -> CallBound:
    strategy = GEPA(exact, max_metric_calls=budget, reflection_minibatch_size=batch)
    return strategy.bound(task(two_rows(), student=Two()))


class TestPredictors:
    def changed(self, *, budget=40, **settings):
        """Which predictor each reflection was about: nothing is ever kept."""
        lm = WorldLM(sides(), propose=lambda one: {"new_instruction": f"bad {portion(one.key)}"})
        result = evolved(
            lm,
            two_rows(),
            student=settings.pop("student", Two()),
            max_metric_calls=budget,
            reflection_minibatch_size=4,
            **settings,
        )
        return [c.label.removeprefix("reflection on ") for c in result.candidates[1:]]

    def test_each_in_turn(self):
        # 4, then 8 each time: 12, 20, 28, 36, 44.
        assert self.changed() == ["left of 0", "right of 0", "left of 0", "right of 0", "left of 0"]

    def test_all_at_once(self):
        assert self.changed(budget=12, component_selector="all") == ["left, right of 0"]

    def test_as_a_function_says(self):
        seen = []

        def right(state, trajectories, subsample_scores, candidate_idx, candidate):
            seen.append((len(state.members), len(trajectories), sorted(subsample_scores), candidate_idx))
            assert set(candidate) == {"left", "right"}
            return ["right"]

        assert self.changed(budget=20, component_selector=right) == ["right of 0", "right of 0"]
        assert seen[0] == (1, 4, [0, 0, 0, 1], 0)

    def test_a_function_that_names_none_of_them(self):
        with pytest.raises(UsageError, match="component_selector named 'middle', which is no predictor"):
            self.changed(component_selector=lambda *seen: ["middle"])

    @pytest.mark.parametrize("selector", [lambda *seen: 1 / 0, lambda *seen: 3, lambda: ["left"]])
    def test_a_selector_that_raises_is_told(self, selector):
        with pytest.raises(UsageError, match=r"component_selector raised (ZeroDivisionError|TypeError): "):
            self.changed(component_selector=selector)

    def test_frozen_ones_are_never_changed(self):
        student = Two()
        student.freeze("left")
        assert set(self.changed(student=student)) == {"right of 0"}

    def test_side_by_side_they_take_turns_as_well(self):
        # Both iterations begin with the student; the second changes the other predictor.
        labels = self.changed(budget=30, trials_in_flight=2)
        assert labels[:2] == ["left of 0", "right of 0"]


class TestSideBySide:
    """Iterations in flight, with merges and two predictors: only their number counts, never their order."""

    def answer(self, one: Asked) -> Any:
        question = one.inputs["question"]
        return {
            "answer": f"yes {question}" if portion(question, one.instructions) < 0.5 else f"no {question}"
        }

    def result(self, concurrency: int, seed: int, **settings: Any) -> Any:
        lm = WorldLM(self.answer, latency=jitter)
        trainset = [
            Example(question=f"{side}{i}", answer=f"yes {side}{i}").with_inputs("question")
            for i in range(5)
            for side in "xr"
        ]
        result = evolved(
            lm, trainset, student=Two(), seed=seed, concurrency=concurrency, max_metric_calls=150, **settings
        )
        assert runs(lm) <= 150
        return result

    @pytest.mark.parametrize("in_flight", [1, 4])
    @pytest.mark.parametrize("seed", [3, 5])  # by which there is a merge
    def test_the_same_at_any_concurrency(self, in_flight, seed):
        outcomes = [result_of(self.result(slots, seed, trials_in_flight=in_flight)) for slots in (1, 8, 64)]
        assert outcomes[0] == outcomes[1] == outcomes[2]
        parents = [len(parents) for *_, parents, _, _ in outcomes[0]["candidates"]]
        assert 2 in parents

    def test_a_merge_is_tried_on_five_and_then_on_all(self):
        trainset = [
            Example(question=f"{side}{i}", answer=f"yes {side}{i}").with_inputs("question")
            for i in range(5)
            for side in "xr"
        ]
        lm = WorldLM(self.answer)
        result = evolved(lm, trainset, student=Two(), seed=3, max_metric_calls=150)
        merges = [c for c in result.candidates if len(c.parents) == 2]
        assert merges
        assert {(c.spent.runs, c.score is None) for c in merges} <= {(5, True), (10, False)}
        assert lm.taken == sum(c.spent.calls for c in result.candidates) + len(reflections(lm))

    def test_no_program_is_evaluated_fully_twice(self):
        for seed in range(3):
            result = self.result(8, seed, trials_in_flight=4)
            full = [c for c in result.candidates if c.score is not None]
            assert len({str(instructions_of(c.program)) for c in full}) == len(full)
