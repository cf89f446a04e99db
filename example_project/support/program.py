"""The LM program: ordinary code, importable in production."""

from typing import Literal

import pytest_lmprog as lmp


class TriageTicket(lmp.Signature):
    """Decide which team handles a support ticket and how urgent it is."""

    ticket: str = lmp.InputField()
    team: Literal["login", "payment", "error", "idea"] = lmp.OutputField()
    priority: Literal["low", "normal", "high"] = lmp.OutputField()


class Triage(lmp.Module):
    """Routes a ticket to a team."""

    def __init__(self):
        self.classify = lmp.Predict(TriageTicket)

    def forward(self, ticket):
        return self.classify(ticket=ticket)
