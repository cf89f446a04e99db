"""Numbers that settings may not be: one clear message each."""

from __future__ import annotations

import math

import pytest

from pytest_lmprog.errors import UsageError
from pytest_lmprog.teleprompt import (
    COPRO,
    BootstrapFewShot,
    BootstrapFewShotWithRandomSearch,
    InferRules,
    LabeledFewShot,
)
from pytest_lmprog.teleprompt.checks import check_integer, check_number


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


def test_the_ends_are_within():
    check_integer("n", 2, 2)
    check_number("x", 0, 0, 1)
    check_number("x", 1.0, 0, 1)
    check_number("x", None, optional=True)
    check_integer("n", None, 1, optional=True)
