"""Early dropping is exact: on random score tables the winner is that of a full evaluation."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_lmprog.evaluation.scores import CaseResult, ErrorInfo, Objective, Score, mean
from pytest_lmprog.programs import Example, Trace
from pytest_lmprog.teleprompt.engine.desk import Desk
from pytest_lmprog.teleprompt.engine.race import Proposal, Race
from tests.teleprompt.world import QA, labeled_of, questions


@dataclass(frozen=True)
class TableMetric:
    name: str = "table"
    weight: float = 1.0
    optimize: bool = True
    pass_at: float | None = None

    def score(self, example: Any, prediction: Any, trace: Any) -> Score:
        raise AssertionError("scores come from the table")


@dataclass
class Program:
    """Stands for a program; only its number of characters matters."""

    index: int
    characters: int

    def predictors(self) -> list[Any]:
        return []


@dataclass
class TableStudy:
    """A study whose runs are looked up: scores[candidate][example], None for an error."""

    desk: Desk = field(default_factory=lambda: Desk(4))
    ranking: Objective = field(default_factory=lambda: Objective((TableMetric(),)))
    drop: bool = True

    def student_job(self, program: Program, example: Example, phase: str) -> Any:
        return SimpleNamespace(program=program, example=example, phase=phase)

    def characters(self, program: Program) -> int:
        return program.characters

    noted: list[Any] = field(default_factory=list)

    def note(self, candidate: Any) -> None:
        self.noted.append(candidate)


def run_race(scores, weights, characters, seed, *, drop=True, slots=4):
    """Run all candidates; which run in flight ends next is random. Returns the race and the runs made."""
    rng = Random(seed)
    examples = [Example(question=f"q{i}", weight=w) for i, w in enumerate(weights)]
    study = TableStudy(Desk(slots))
    race = Race(study, examples, drop=drop)  # type: ignore[arg-type]
    for index, size in enumerate(characters):
        race.enter(Proposal(index, f"c{index}", Program(index, size)))  # type: ignore[arg-type]
    in_flight, runs = [], 0
    while race.running:
        while len(in_flight) < slots and (taken := study.desk.take()) is not None:
            in_flight.append(taken)
            runs += 1
        ticket, job = in_flight.pop(rng.randrange(len(in_flight)))
        if ticket.void:
            continue
        value = scores[job.program.index][examples.index(job.example)]
        ticket.close(result(job.example, value))
        race.record(ticket)
    return race, runs


def result(example, value):
    if value is None:
        return CaseResult(example, None, Trace(), error=ErrorInfo("ParseError", "no"))
    return CaseResult(example, None, Trace(), {"table": Score(value, graded=True)})


def full_evaluation(scores, weights, characters):
    means = [mean([s or 0.0 for s in row], weights) for row in scores]
    best = max(range(len(scores)), key=lambda i: (means[i], -characters[i], -i))
    return best, means[best]


tables = st.integers(1, 7).flatmap(
    lambda n: st.tuples(
        st.lists(
            st.lists(st.sampled_from([0.0, 1.0, 1.0, 0.5, 0.1, 0.3, 1 / 3, None]), min_size=n, max_size=n),
            min_size=1,
            max_size=6,
        ),
        st.lists(st.sampled_from([1.0, 1.0, 0.0, 0.1, 0.2, 3.0]), min_size=n, max_size=n),
    )
)


@settings(max_examples=300, deadline=None)
@given(tables, st.lists(st.integers(1, 3), min_size=6, max_size=6), st.integers(), st.integers(1, 9))
def test_the_winner_is_that_of_a_full_evaluation(table, sizes, seed, slots):
    scores, weights = table
    characters = sizes[: len(scores)]
    race, runs = run_race(scores, weights, characters, seed, slots=slots)
    winner = race.leader()
    assert (winner.proposal.index, winner.standing.least()) == full_evaluation(scores, weights, characters)
    assert runs <= len(scores) * len(weights)
    assert sorted(c.index for c in race.study.noted) == list(
        range(len(scores))
    )  # each once: it ended or dropped


@settings(max_examples=50, deadline=None)
@given(tables, st.integers())
def test_without_dropping_all_are_evaluated(table, seed):
    scores, weights = table
    race, runs = run_race(scores, weights, [1] * len(scores), seed, drop=False)
    assert runs == len(scores) * len(weights)
    measured = [race.entries[i].candidate().score for i in range(len(scores))]
    assert measured == [mean([s or 0.0 for s in row], weights) for row in scores]


def test_a_candidate_is_dropped_as_soon_as_it_cannot_win():
    race, runs = run_race([[1.0] * 10, [0.0] * 10], [1.0] * 10, [5, 5], 0, slots=1)
    # The first takes all 10; the second could at best tie, and would lose the tie: one failure is plenty.
    assert runs == 10
    assert race.entries[1].dropped
    assert race.entries[1].candidate().score is None


def test_a_candidate_that_would_win_the_tie_is_not_dropped_before_it_fails():
    race, runs = run_race([[1.0] * 10, [1.0] * 10], [1.0] * 10, [9, 5], 0, slots=1)
    assert runs == 20
    assert race.leader().proposal.index == 1


def test_hard_examples_come_first():
    hard = [1.0] * 9 + [0.0]
    _, runs = run_race([hard, hard], [1.0] * 10, [5, 9], 0, slots=1)
    # The second's first run is the one that the first failed: now it can at best tie, and loses the tie.
    assert runs == 11


def test_an_error_scores_zero_and_is_counted():
    race, _ = run_race([[None, 1.0]], [1.0, 1.0], [1], 0)
    assert len(race.leader().failures) == 1
    assert race.leader().candidate().score == 0.5


def test_the_total_for_progress_shrinks_by_what_was_saved():
    race, runs = run_race([[1.0] * 10, [0.0] * 10], [1.0] * 10, [5, 5], 0, slots=1)
    assert race.study.desk.meter.total == -10
    assert runs == 10


def test_no_example_is_scored_with_its_own_demo():
    program = labeled_of(QA(), 4)
    study = TableStudy(Desk(6))
    examples = [Example(question=f"q{i}", answer=f"a{i}").with_inputs("question") for i in range(6)]
    race = Race(study, examples)  # type: ignore[arg-type]
    study.characters = lambda program: 1  # type: ignore[method-assign]
    race.enter(Proposal(0, "c", program))
    jobs = [study.desk.take()[1] for _ in examples]  # type: ignore[index]
    for job in jobs:
        assert job.example.question not in questions(job.program)
        assert len(questions(job.program)) == (3 if job.example.question in ("q0", "q1", "q2", "q3") else 4)


@pytest.mark.parametrize("stop", [0.5, 0.8])
def test_all_below_tells_what_can_still_be_reached(stop):
    race, _ = run_race([[1.0, 0.0, 0.0, 1.0]], [1.0] * 4, [1], 0)
    assert race.all_below(stop) is (stop > 0.5)


def test_a_large_race_is_linear_and_keeps_few_runs_open():
    n = 3000
    study = TableStudy(Desk(4))
    race = Race(study, [Example(question=f"q{i}") for i in range(n)])  # type: ignore[arg-type]
    entry = race.enter(Proposal(0, "c", Program(0, 1)))  # type: ignore[arg-type]
    seen = set()
    while race.running:
        assert entry.in_flight <= 4
        ticket, job = study.desk.take()  # type: ignore[misc]
        seen.add(job.example.question)
        ticket.close(result(job.example, 1.0))
        race.record(ticket)
    assert len(seen) == n


def test_runs_go_to_those_who_can_still_reach_most():
    table = [[1.0, 1.0, 1.0, 1.0, 0.0], [0.0] * 5, [1.0, 1.0, 1.0, 0.0, 0.0], [0.0] * 5]
    race, runs = run_race(table, [1.0] * 5, [1, 2, 3, 4], 0, slots=1)
    # The first sets the pace (5 runs, 0.8). The others need one failure each, with the tie lost: 3 runs,
    # of which the third's first is on the example that most failed.
    assert race.leader().proposal.index == 0
    assert runs == 8


def test_the_candidate_with_most_demos_sets_the_pace():
    study = TableStudy(Desk(1))
    race = Race(
        study, [Example(question=f"q{i}", answer=f"a{i}").with_inputs("question") for i in range(20, 23)]
    )  # type: ignore[arg-type]
    study.characters = lambda program: 1  # type: ignore[method-assign]
    for index, demos in enumerate([0, 3, 1]):
        race.enter(Proposal(index, f"c{index}", labeled_of(QA(), demos)))
    started = []
    for _ in range(3):
        ticket, job = study.desk.take()  # type: ignore[misc]
        started.append(len(questions(job.program)))
        ticket.close(result(job.example, 1.0))
        race.record(ticket)
    assert started == [3, 3, 3]
