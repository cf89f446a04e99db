"""The same problems by reasoning and by code: what the model cannot compute, the sandbox can."""

import pytest
from wordproblems.program import Code, Steps

from pytest_lmprog import LabeledFewShot

pytestmark = pytest.mark.lm_examples("problems.yaml", split="dev")


@pytest.mark.lm_program(
    program=Steps, teleprompter=LabeledFewShot(k=4), trainset="problems.yaml", train_split="train"
)
class TestSteps:
    def test_answer(self, example, prediction):
        assert prediction.answer == example.answer


@pytest.mark.lm_program(
    program=Code, teleprompter=LabeledFewShot(k=4), trainset="problems.yaml", train_split="code"
)
class TestCode:
    def test_answer(self, example, prediction):
        assert prediction.answer == example.answer
