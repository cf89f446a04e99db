"""The RAG program of DSPy's README over a local corpus. What is not in the README: the outputs are bounded,
because the small model of this example would go on for ever."""

from pathlib import Path

import pytest_lmprog as dspy

PASSAGES = dspy.BM25(Path(__file__).with_name("passages.jsonl"))


class GenerateAnswer(dspy.Signature):
    """Answer the question in a few words taken from the context."""

    context: list[str] = dspy.InputField()
    question: str = dspy.InputField()
    reasoning: str = dspy.OutputField(desc="the sentence that answers the question", max_length=80)
    answer: str = dspy.OutputField(desc="between 1 and 3 words", max_length=30)


class RAG(dspy.Module):
    def __init__(self, num_passages=2):
        super().__init__()
        self.retrieve = dspy.Retrieve(k=num_passages, rm=PASSAGES)
        self.generate_answer = dspy.ChainOfThought(GenerateAnswer)

    def forward(self, question):
        context = self.retrieve(question).passages
        prediction = self.generate_answer(context=context, question=question)
        return dspy.Prediction(context=context, answer=prediction.answer)
