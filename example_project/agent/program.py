"""An agent that answers questions about a train company with two tools."""

import pytest_lmprog as lmp

KILOMETRES = {
    ("Bergen", "Oslo"): 470,
    ("Oslo", "Trondheim"): 490,
    ("Malmo", "Oslo"): 560,
    ("Malmo", "Stockholm"): 615,
}
CENTS_PER_KILOMETRE = 12


def distance(start: str, end: str) -> int:
    """Return the kilometres by train between two cities."""
    return KILOMETRES[tuple(sorted((start, end)))]


def price(kilometres: int) -> float:
    """Return what a ticket costs for a distance, in euros."""
    return kilometres * CENTS_PER_KILOMETRE / 100


class Question(lmp.Signature):
    """Answer a question about train journeys with a number."""

    question: str = lmp.InputField()
    answer: float = lmp.OutputField()


class Trains(lmp.Module):
    """Looks distances and prices up."""

    def __init__(self):
        self.agent = lmp.ReAct(Question, tools=[distance, price], max_iters=2)

    def forward(self, question):
        return self.agent(question=question)
