"""Word problems, answered in two ways: by thinking step by step, and by code that is run in a sandbox."""

import pytest_lmprog as lmp


class WordProblem(lmp.Signature):
    """Answer a word problem with a whole number."""

    question: str = lmp.InputField()
    answer: int = lmp.OutputField()


class Steps(lmp.Module):
    """Thinks step by step."""

    def __init__(self):
        self.solve = lmp.ChainOfThought(WordProblem, max_tokens=100)

    def forward(self, question):
        return self.solve(question=question)


class Code(lmp.Module):
    """Writes code that computes the answer."""

    def __init__(self):
        self.solve = lmp.ProgramOfThought(WordProblem, max_iters=2)

    def forward(self, question):
        with lmp.context(params={"max_tokens": 80}):
            return self.solve(question=question)
