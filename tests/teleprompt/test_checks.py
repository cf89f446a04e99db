"""Numbers that settings may not be: one clear message each."""

from __future__ import annotations

import math
from dataclasses import fields
from functools import partial

import pytest

from pytest_lmprog.errors import UsageError
from pytest_lmprog.teleprompt import (
    COPRO,
    GEPA,
    SIMBA,
    BetterTogether,
    BootstrapFewShot,
    BootstrapFewShotWithOptuna,
    BootstrapFewShotWithRandomSearch,
    BootstrapFinetune,
    Ensemble,
    InferRules,
    KNNFewShot,
    LabeledFewShot,
    MIPROv2,
)
from pytest_lmprog.teleprompt.checks import check_integer, check_number
from tests.teleprompt.world import QA, rows


@pytest.mark.parametrize(
    ("strategy", "name", "value", "wanted"),
    [
        (LabeledFewShot, "k", -1, "an integer of 0 or more"),
        (LabeledFewShot, "k", 1.5, "an integer of 0 or more"),
        (LabeledFewShot, "k", "3", "an integer of 0 or more"),
        (BootstrapFewShot, "max_errors", 0, "an integer of 1 or more"),
        (BootstrapFewShot, "metric_threshold", "high", "a finite number"),
        (BootstrapFewShot, "metric_threshold", math.nan, "a finite number"),
        (BootstrapFewShotWithRandomSearch, "num_candidate_programs", 1.5, "an integer of 0 or more"),
        (BootstrapFewShotWithRandomSearch, "num_candidate_programs", True, "an integer of 0 or more"),
        (BootstrapFewShotWithRandomSearch, "num_threads", "4", "an integer of 1 or more"),
        (BootstrapFewShotWithRandomSearch, "stop_at_score", math.nan, "a number from 0 to 100"),
        (BootstrapFewShotWithRandomSearch, "stop_at_score", 1000, "a number from 0 to 100"),
        (BootstrapFewShotWithRandomSearch, "metric_threshold", "high", "a finite number"),
        (COPRO, "init_temperature", -0.5, "a number of 0 or more"),
        (InferRules, "max_labeled_demos", None, "an integer of 0 or more"),
    ],
)
def test_what_is_out_of_range_is_told(strategy, name, value, wanted):
    with pytest.raises(UsageError) as caught:
        strategy(**{name: value})
    assert caught.value.message == f"{name} must be {wanted}, not {value!r}"


def test_a_runtime_that_is_none_is_told():
    with pytest.raises(UsageError, match="runtime must be a CompileRuntime, not 'fast'"):
        LabeledFewShot(k=1).compile(QA(), trainset=rows(1), runtime="fast")


def test_the_ends_are_within():
    check_integer("n", 2, 2)
    check_number("x", 0, 0, 1)
    check_number("x", 1.0, 0, 1)
    check_number("x", None, optional=True)
    check_integer("n", None, 1, optional=True)


SHARED = [
    BootstrapFewShot,
    BootstrapFewShotWithOptuna,
    BootstrapFewShotWithRandomSearch,
    BootstrapFinetune,
    COPRO,
    InferRules,
    MIPROv2,
    SIMBA,
    partial(GEPA, max_metric_calls=9),
    partial(KNNFewShot, 3),
]


WRONG = [
    ("metric", "exact", "a metric is a callable"),
    ("metric", [1], "a metric is a callable"),
    ("num_threads", "4", "num_threads must be an integer of 1 or more"),
    ("num_threads", -1, "num_threads must be an integer of 1 or more"),
    ("num_threads", 2.5, "num_threads must be an integer of 1 or more"),
    ("teacher_settings", "openai/gpt-4o", "teacher_settings must be a mapping of settings"),
    ("teacher_settings", [1], "teacher_settings must be a mapping of settings"),
    ("teacher_settings", {1: 2}, "teacher_settings must be a mapping of settings"),
    ("teacher_settings", {"zz": 2}, "zz"),
]


def has(strategy, name):
    return name in {field.name for field in fields(getattr(strategy, "func", strategy))}


@pytest.mark.parametrize(
    ("strategy", "name", "value", "said"),
    [(one, *wrong) for one in SHARED for wrong in WRONG if has(one, wrong[0])],
)
def test_what_strategies_share_is_checked_by_all(strategy, name, value, said):
    with pytest.raises(UsageError) as caught:
        strategy(**{name: value})
    assert said in caught.value.message


@pytest.mark.parametrize("value", ["no", None, 1, [1]])
@pytest.mark.parametrize(
    ("strategy", "name"),
    [
        (LabeledFewShot, "sample"),
        (MIPROv2, "minibatch"),
        (MIPROv2, "tip_aware_proposer"),
        (SIMBA, "use_feedback"),
        (partial(GEPA, max_metric_calls=9), "use_merge"),
        (BetterTogether, "shuffle_trainset_between_steps"),
        (BootstrapFinetune, "multitask"),
        (Ensemble, "deterministic"),
    ],
)
def test_a_switch_is_on_or_off(strategy, name, value):
    with pytest.raises(UsageError, match=f"{name} must be True or False, not "):
        strategy(**{name: value})


@pytest.mark.parametrize(
    ("strategy", "settings"),
    [
        (GEPA, {"auto": [1]}),
        (MIPROv2, {"auto": [1]}),
        (GEPA, {"max_metric_calls": 9, "perfect_score": "1"}),
        (GEPA, {"max_metric_calls": 9, "seed": "x"}),
        (BetterTogether, {"seed": -1}),
        (BootstrapFinetune, {"provider": "openai"}),
        (BootstrapFinetune, {"adapter": "chat"}),
        (BootstrapFinetune, {"metric_threshold": "high"}),
        (BootstrapFewShot, {"metric_threshold": True}),
    ],
)
def test_wrong_types_are_usage_errors(strategy, settings):
    with pytest.raises(UsageError):
        strategy(**settings)
