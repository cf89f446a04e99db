"""An agent on trial: the answer must be right, and it must have been found with a tool."""

import pytest
from agent.program import Trains

from pytest_lmprog import LabeledFewShot


@pytest.mark.lm_program(
    program=Trains, teleprompter=LabeledFewShot(k=3), trainset="journeys.yaml", train_split="train"
)
@pytest.mark.lm_examples("journeys.yaml", split="dev")
class TestTrains:
    def test_answer(self, example, prediction):
        assert prediction.answer == example.answer

    def test_a_tool_was_called(self, trace):
        assert trace.tools
