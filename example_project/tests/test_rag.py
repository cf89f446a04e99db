"""Retrieval-augmented question answering, compiled with the metric of DSPy's README."""

import pytest
from rag.program import RAG

from pytest_lmprog.teleprompt import BootstrapFewShot


def words(text):
    return text.lower().strip(" .").removeprefix("the ").removeprefix("a ").removeprefix("an ")


def validate_context_and_answer(example, pred, trace=None):
    # check the gold label and the predicted answer are the same
    answer_match = words(example.answer) == words(pred.answer)

    # check the predicted answer comes from one of the retrieved contexts
    context_match = any(words(pred.answer) in c.lower() for c in pred.context)

    return answer_match and context_match


@pytest.mark.lm_program(
    program=RAG,
    teleprompter=BootstrapFewShot(
        metric=validate_context_and_answer, max_bootstrapped_demos=1, max_labeled_demos=2
    ),
    trainset="rag_questions.yaml",
    train_split="train",
)
@pytest.mark.lm_examples("rag_questions.yaml", split="dev")
class TestRAG:
    def test_answer(self, example, prediction):
        assert words(prediction.answer) == words(example.answer)

    def test_answer_is_contained(self, example, prediction):
        assert words(example.answer) in prediction.answer.lower()

    def test_retrieval(self, example, prediction):
        assert any(words(example.answer) in passage.lower() for passage in prediction.context)
