"""Programs that need no LM."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pytest_lmprog.programs.example import Prediction
from pytest_lmprog.programs.module import Module


class Triage(Module):
    """Takes a ticket; answers with its first word."""

    def forward(self, ticket: str) -> Prediction:
        return Prediction(team=ticket.split()[0])


class WithDefault(Module):
    def forward(self, ticket: str, style: str = "short") -> Prediction:
        return Prediction(team=f"{ticket}/{style}")


class Open(Module):
    def forward(self, **kwargs: Any) -> Prediction:
        return Prediction(kwargs)


class Calls(Module):
    """Its ``forward`` is the function given."""

    def __init__(self, function: Callable[[str], Any]) -> None:
        self.function = function

    def forward(self, ticket: str) -> Any:
        return self.function(ticket)
