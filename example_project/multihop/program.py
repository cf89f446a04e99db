"""The multi-hop program of DSPy's README over a local corpus: a query for each hop, then the answer."""

from pathlib import Path

import pytest_lmprog as dspy

PASSAGES = dspy.BM25(Path(__file__).with_name("passages.jsonl"))


class GenerateSearchQuery(dspy.Signature):
    """Write a simple search query that will help answer a complex question."""

    context: list[str] = dspy.InputField(desc="may contain relevant facts")
    question: str = dspy.InputField()
    query: str = dspy.OutputField(desc="a name", max_length=30)


class GenerateAnswer(dspy.Signature):
    """Answer the question with a word taken from the context."""

    context: list[str] = dspy.InputField(desc="may contain relevant facts")
    question: str = dspy.InputField()
    answer: str = dspy.OutputField(desc="one word", max_length=20)


class MultiHop(dspy.Module):
    def __init__(self, passages_per_hop=1, max_hops=2):
        super().__init__()
        self.generate_query = [dspy.Predict(GenerateSearchQuery) for _ in range(max_hops)]
        self.retrieve = dspy.Retrieve(k=passages_per_hop, rm=PASSAGES)
        self.generate_answer = dspy.Predict(GenerateAnswer)

    def forward(self, question):
        context = []
        for generate_query in self.generate_query:
            query = generate_query(context=context, question=question).query
            context = list(dict.fromkeys(context + self.retrieve(query).passages))
        answer = self.generate_answer(context=context, question=question).answer
        return dspy.Prediction(context=context, answer=answer)
