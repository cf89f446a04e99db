"""Metrics as test functions: one test case for each of them and each ticket of the dev split."""

import pytest
from support.program import Triage

from pytest_lmprog import BootstrapFewShotWithRandomSearch

PRIORITIES = ("low", "normal", "high")


@pytest.mark.lm_program(
    program=Triage,
    teleprompter=BootstrapFewShotWithRandomSearch(
        max_bootstrapped_demos=2, max_labeled_demos=4, num_candidate_programs=5
    ),
    trainset="tickets.yaml",
    train_split="train",
)
@pytest.mark.lm_examples("tickets.yaml", split="dev")
class TestTriage:
    @pytest.mark.lm_metric(weight=3)
    def test_team(self, example, prediction):
        assert prediction.team == example.team

    @pytest.mark.lm_metric(optimize=False)
    def test_priority(self, example, prediction, record_score):
        distance = abs(PRIORITIES.index(prediction.priority) - PRIORITIES.index(example.priority))
        record_score(1 - distance / 2, feedback=f"{distance} steps from {example.priority}")
