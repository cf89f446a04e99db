"""Instructions of a program's predictors: read, and replaced in a copy. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from pytest_lmprog.programs import Module, Predict

__all__ = ["instructions_of", "learners", "with_instructions"]


def learners(program: Module) -> list[tuple[str, Predict]]:
    """Return (path, predictor) of those that a teleprompter may change: all but the frozen ones."""
    return [(name, predictor) for name, predictor in program.named_predictors() if not predictor.is_frozen]


def instructions_of(program: Module) -> dict[str, str]:
    """Return the instructions by predictor name."""
    return {name: predictor.signature.instructions for name, predictor in program.named_predictors()}


def with_instructions(program: Module, instructions: Mapping[str, str]) -> Module:
    """Return a copy of ``program`` in which each predictor named has these instructions. The others, and
    frozen predictors, keep theirs."""

    def edit(name: str, predictor: Predict) -> Predict:
        if predictor.is_frozen or name not in instructions:
            return predictor
        return predictor.with_signature(predictor.signature.with_instructions(instructions[name]))

    return program.with_predictors(edit)
