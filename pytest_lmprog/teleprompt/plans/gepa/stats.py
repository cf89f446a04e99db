"""What an evolution came to in figures, for those who ask for it with ``track_stats``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pytest_lmprog.evaluation.scores import CaseResult
from pytest_lmprog.programs import Module, Prediction
from pytest_lmprog.records import dataclass
from pytest_lmprog.teleprompt.base import Candidate
from pytest_lmprog.teleprompt.plans.gepa.population import Population

__all__ = ["GEPAResult", "statistics"]


@dataclass(frozen=True)
class GEPAResult:
    """The candidates that were evaluated fully, by their place in this list, and the validation examples by
    their position: DSPy's ``detailed_results``.

    Parameters
    ----------
    val_aggregate_scores: weighted means, within [0, 1]; ``val_subscores`` those by example.
    per_val_instance_best_candidates: who is best at each example.
    discovery_eval_counts: evaluations that had been made when a candidate was taken in.
    best_outputs_valset: with ``track_best_outputs``, for each example (candidate, prediction) of the best.
    """

    candidates: list[Module]
    parents: list[list[int]]
    val_aggregate_scores: list[float]
    val_subscores: list[dict[int, float]]
    per_val_instance_best_candidates: dict[int, set[int]]
    discovery_eval_counts: list[int]
    total_metric_calls: int
    seed: int
    best_idx: int
    best_outputs_valset: dict[int, list[tuple[int, Prediction]]] | None = None

    @property
    def best_candidate(self) -> Module:
        """The winner."""
        return self.candidates[self.best_idx]

    @property
    def num_full_val_evals(self) -> int:
        """How often the valset was evaluated."""
        return len(self.candidates)

    @property
    def highest_score_achieved_per_val_task(self) -> dict[int, float]:
        """The best score of each example."""
        best = self.per_val_instance_best_candidates
        return {example: self.val_subscores[min(who)][example] for example, who in best.items()}


def statistics(
    population: Population,
    candidates: Sequence[Candidate],
    winner: Candidate,
    *,
    counts: Mapping[int, int],
    outputs: Sequence[Mapping[int, CaseResult]] | None,
    total: int,
    seed: int,
) -> GEPAResult:
    """Return the figures.

    ``counts``: evaluations at each member's discovery, by index. ``outputs``: for each validation example the
    members' runs, where they are wanted."""
    place = {member.index: place for place, member in enumerate(population.members)}
    fronts = [{place[index] for index in front} for front in population.fronts()]
    best = None if outputs is None else {i: _best(fronts[i], runs, place) for i, runs in enumerate(outputs)}
    return GEPAResult(
        [candidates[member.index].program for member in population.members],
        [[place[parent] for parent in member.parents] for member in population.members],
        [member.mean for member in population.members],
        [dict(enumerate(member.scores)) for member in population.members],
        dict(enumerate(fronts)),
        [counts[member.index] for member in population.members],
        total,
        seed,
        place[winner.index],
        best,
    )


def _best(
    front: set[int], runs: Mapping[int, CaseResult], place: Mapping[int, int]
) -> list[tuple[int, Prediction]]:
    """Return the outputs of those on the front, in order; a run without a prediction has none."""
    return [
        (place[index], result.prediction)
        for index, result in sorted(runs.items())
        if place[index] in front and result.prediction is not None
    ]
