"""GEPA: budgets, bounds, settings, and what is refused."""

from __future__ import annotations

import pytest

from pytest_lmprog.errors import CompileError, UsageError
from pytest_lmprog.programs import context
from pytest_lmprog.teleprompt import GEPA, CallBound, CompileRuntime
from pytest_lmprog.teleprompt.gepa import auto_budget
from tests.teleprompt.gepa_world import (
    START,
    Two,
    evolved,
    ladder,
    next_rung,
    texts,
    two_rows,
)
from tests.teleprompt.world import QA, WorldLM, exact, rows, task, unreachable


class TestBudgets:
    @pytest.mark.parametrize(
        ("predictors", "name", "validated", "calls"),
        [
            # max(4 * log2(6) = 10.3, 9) = 10 trials: 50 + 30 + 350 + (11 // 5 + 1) * 50
            (1, "light", 50, 580),
            # max(8 * log2(12) = 28.7, 18) = 28: 20 + 60 + 980 + (29 // 5 + 1) * 20
            (2, "medium", 20, 1180),
            # max(4 * log2(18) = 16.7, 27) = 27: 100 + 90 + 945 + (28 // 5 + 1) * 100
            (1, "heavy", 100, 1735),
        ],
    )
    def test_auto_is_dspys(self, predictors, name, validated, calls):
        candidates = {"light": 6, "medium": 12, "heavy": 18}[name]
        assert auto_budget(predictors, candidates, validated) == calls
        student = Two() if predictors == 2 else QA()
        strategy = GEPA(exact, auto=name)
        one = task(rows(4), student=student, valset=rows(validated, start=9))
        assert strategy.budget(one) == calls
        # The last iteration may begin one before: two minibatches of 3 and the valset.
        assert strategy.metric_calls(one) == calls - 1 + 6 + validated

    def test_full_evaluations_are_of_both_sets(self):
        strategy = GEPA(exact, max_full_evals=3)
        assert strategy.metric_calls(task(rows(4), valset=rows(5, start=9))) == 27
        assert strategy.metric_calls(task(rows(4))) == 12

    def test_the_bound_counts_reflections(self):
        # (100 - 12) / 6, rounded up, are 15 reflections at most.
        assert GEPA(exact, max_metric_calls=100).bound(task(rows(12))) == CallBound(115, 115)
        both = GEPA(exact, max_metric_calls=100, component_selector="all")
        # (100 - 4) / 6 are 16, of two predictors.
        assert both.bound(task(two_rows(), student=Two())) == CallBound(132, 232)

    def test_settings_that_stand_in_the_snapshot(self):
        settings = GEPA(exact, auto="light", num_threads=3, track_stats=True).settings()
        assert settings["auto"] == "light"
        assert settings["use_feedback"] is True
        assert not {"num_threads", "track_stats", "track_best_outputs"} & settings.keys()
        assert GEPA(exact, auto="light", num_threads=3).threads() == 3

    @pytest.mark.parametrize(
        ("settings", "message"),
        [
            ({}, "just one of auto, max_full_evals and max_metric_calls, not none"),
            (
                {"auto": "light", "max_metric_calls": 9},
                "just one of .*, not auto='light', max_metric_calls=9",
            ),
            ({"auto": "huge"}, "auto must be one of light, medium, heavy, not 'huge'"),
            ({"max_metric_calls": 0}, "max_metric_calls must be an integer of 1 or more, not 0"),
            ({"max_full_evals": -1}, "max_full_evals must be an integer of 1 or more, not -1"),
            (
                {"auto": "light", "reflection_minibatch_size": 0},
                "minibatch_size must be an integer of 1 or more, not 0",
            ),
            (
                {"auto": "light", "trials_in_flight": 0},
                "trials_in_flight must be an integer of 1 or more, not 0",
            ),
            (
                {"auto": "light", "max_merge_invocations": -1},
                "max_merge_invocations must be an integer of 0 or more",
            ),
            (
                {"auto": "light", "candidate_selection_strategy": "best"},
                "candidate_selection_strategy must be one of pareto, current_best, not 'best'",
            ),
            (
                {"auto": "light", "component_selector": "random"},
                "component_selector must be one of round_robin, all, a function, not 'random'",
            ),
            ({"auto": "light", "instruction_proposer": "me"}, "instruction_proposer must be callable"),
            (
                {"auto": "light", "reflection_lm": "openai/gpt"},
                "reflection_lm must be an LM, not 'openai/gpt'",
            ),
            ({"auto": "light", "failure_score": 0.1}, "failure_score is always 0"),
            ({"auto": "light", "perfect_score": 0}, "perfect_score must be above 0 and at most 1"),
            ({"auto": "light", "track_best_outputs": True}, "track_best_outputs needs track_stats=True"),
        ],
    )
    def test_settings_that_are_refused(self, settings, message):
        with pytest.raises(UsageError, match=message):
            GEPA(exact, **settings)

    @pytest.mark.parametrize(
        ("given", "message"),
        [
            ({"trainset": []}, "the trainset is empty"),
            ({"valset": []}, "the valset is empty"),
            ({"metric": None}, "candidates cannot be ranked without a metric"),
            ({"teacher": QA()}, "GEPA takes no teacher"),
            ({"student": "frozen"}, "all predictors are frozen: there is no instruction to change"),
            (
                {"valset": rows(9, start=50)},
                r"GEPA\(.*max_metric_calls=20\) comes to 20 evaluations of an example, but an iteration and "
                "the validation before and after it take 24",
            ),
        ],
    )
    def test_tasks_that_are_refused_before_anything_is_asked(self, given, message):
        student = QA()
        if given.get("student") == "frozen":
            student.freeze()
        lm = WorldLM(ladder)
        metric = given.get("metric", exact)
        more = {name: given[name] for name in ("valset", "teacher") if name in given}
        with context(lm=lm), pytest.raises(UsageError, match=message):
            GEPA(metric, max_metric_calls=20).compile_result(
                task(given.get("trainset", rows(5)), student=student, metric=metric, **more), CompileRuntime()
            )
        assert lm.taken == 0

    def test_a_metric_that_always_fails_leaves_the_student(self):
        lm = WorldLM(ladder, propose=next_rung)
        result = evolved(lm, rows(3), max_metric_calls=20, metric=lambda example, prediction: False)
        assert (result.winner, result.score) == (0, 0.0)
        assert texts(result)[0] == START

    def test_a_reflecting_lm_that_cannot_be_reached_stops_it(self):
        with pytest.raises(CompileError, match="nobody answers"):
            evolved(WorldLM(ladder, propose=unreachable), rows(3), max_metric_calls=20)

    def test_a_budget_of_calls_that_runs_out_leaves_the_best_so_far(self):
        # 3 + 1 + 3 + 1 calls: the second reflection is had, its child is not evaluated.
        lm = WorldLM(ladder, propose=next_rung, budget=8)
        result = evolved(lm, rows(3), max_metric_calls=60)
        assert (result.stopped, result.score, len(lm.live)) == ("budget", 2 / 3, 8)
        assert texts(result) == [START, "know 1"]

    def test_a_budget_that_does_not_pay_for_the_student(self):
        result = evolved(WorldLM(ladder, budget=2), rows(3), max_metric_calls=60)
        assert (result.stopped, result.score) == ("budget", None)
        assert result.notes == (
            "the budget was spent before a candidate was evaluated: the program is as written",
        )
