"""Verdicts: what a race of candidates came to, as the result of a compile."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from pytest_lmprog.teleprompt.base import Candidate, CompileResult
from pytest_lmprog.teleprompt.engine.race import Race
from pytest_lmprog.teleprompt.engine.shortfalls import shortfalls

__all__ = ["best_so_far", "listed", "verdict"]


def verdict(race: Race, *, unraced: Sequence[Candidate] = ()) -> CompileResult:
    """Return the result whose winner leads the race; there must be one.

    ``unraced``: candidates to list besides those of the race, which stand for none of its indices.
    """
    winner = race.leader()
    assert winner is not None  # whoever asks has evaluated one
    candidates = listed(race, unraced)
    examples = len(race.examples)
    return CompileResult(
        winner.proposal.program,
        candidates,
        _place(candidates, winner.proposal.index),
        winner.standing.least(),
        examples,
        notes=(*winner.proposal.notes, *shortfalls(winner.failures, examples, winner.standing.least())),
        scores=winner.standing.scores,
    )


def best_so_far(
    race: Race, fallback: Candidate, *, unraced: Sequence[Candidate] = (), told: str = "as written"
) -> CompileResult:
    """Return the result of a compile whose budget is spent: the best candidate that is evaluated fully,
    else ``fallback``, which is listed then.

    ``told``: what the note then calls the program."""
    if race.leader() is not None:
        return replace(verdict(race, unraced=unraced), stopped="budget")
    candidates = listed(race, unraced)
    if all(candidate.index != fallback.index for candidate in candidates):
        candidates = listed(race, (*unraced, fallback))
    note = f"the budget was spent before a candidate was evaluated: the program is {told}"
    place = _place(candidates, fallback.index)
    return CompileResult(fallback.program, candidates, place, stopped="budget", notes=(note,))


def listed(race: Race, unraced: Sequence[Candidate] = ()) -> tuple[Candidate, ...]:
    """Return all candidates, by index."""
    raced = [entry.candidate() for entry in race.entries.values()]
    return tuple(sorted([*raced, *unraced], key=lambda candidate: candidate.index))


def _place(candidates: Sequence[Candidate], index: int) -> int:
    return next(place for place, candidate in enumerate(candidates) if candidate.index == index)
