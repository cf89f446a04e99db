"""Scores and objectives."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from pytest_lmprog.errors import UsageError
from pytest_lmprog.evaluation.scores import CaseResult, ErrorInfo, Metric, Objective, Score, mean
from pytest_lmprog.programs.example import Example, Prediction
from pytest_lmprog.programs.trace import Trace


@dataclass(frozen=True)
class Fixed:
    name: str
    weight: float = 1.0
    optimize: bool = True
    pass_at: float | None = None

    def score(self, example: Example, prediction: Prediction, trace: Trace) -> Score:
        return Score(1.0)


def result(error: str | None = None, **scores: float | None) -> CaseResult:
    made = {name: Score(value, graded=True, feedback=f"{name} says") for name, value in scores.items()}
    info = ErrorInfo(error, "why") if error else None
    return CaseResult(Example(x=1), None if error else Prediction(), Trace(), made, info)


@pytest.mark.parametrize("value", [-0.01, 1.01, float("nan"), float("inf")])
def test_a_score_is_finite_and_within_bounds(value: float) -> None:
    with pytest.raises(UsageError, match=r"finite and within \[0, 1\]"):
        Score(value)


def test_passing() -> None:
    assert not Score(0.0).passes(None)
    assert Score(0.1).passes(None)
    assert Score(0.0, True).passes(0.0)
    assert Score(0.5, True).passes(0.5)
    assert not Score(0.49, True).passes(0.5)
    assert Score(None).passes(0.9)


def test_a_failed_assertion_fails_at_threshold_zero_too() -> None:
    assert not Score(0.0, feedback="assert 1 == 2").passes(0.0)
    assert Score(1.0).passes(0.0)
    said = result(a=1.0)
    failed = CaseResult(said.example, said.prediction, said.trace, {"a": Score(0.0)})
    assert not Objective((Fixed("a"),)).keeps(failed, 0.0)
    assert Objective((Fixed("a"),)).keeps(result(a=0.0), 0.0)


def test_the_objective_is_the_weighted_mean_of_what_is_scored() -> None:
    objective = Objective((Fixed("a", weight=3), Fixed("b"), Fixed("c", optimize=False)))
    assert [m.name for m in objective.ranked] == ["a", "b"]
    assert objective.score(result(a=1.0, b=0.0, c=0.0)) == 0.75
    assert objective.score(result(a=None, b=0.5, c=1.0)) == 0.5
    assert objective.score(result(error="ParseError")) == 0.0
    assert isinstance(Fixed("a"), Metric)


def test_what_becomes_a_demo() -> None:
    objective = Objective((Fixed("a", pass_at=0.8), Fixed("b"), Fixed("c", optimize=False)))
    assert objective.keeps(result(a=0.8, b=0.1, c=0.0))
    assert not objective.keeps(result(a=0.7, b=1.0, c=1.0))
    assert not objective.keeps(result(a=1.0, b=0.0, c=1.0))
    assert objective.keeps(result(a=0.0, b=0.0, c=0.0), threshold=0.0)
    assert not objective.keeps(result(error="ParseError"), threshold=0.0)
    assert not Objective((Fixed("c", optimize=False),)).keeps(result(c=1.0))


def test_feedback_is_a_paragraph_a_metric() -> None:
    objective = Objective((Fixed("a"), Fixed("b")))
    assert objective.feedback(result(a=0.0, b=1.0)) == "a says\nb says"
    assert objective.feedback(result(error="ParseError")) == "ParseError: why"


def test_the_mean() -> None:
    assert mean([1.0, 0.0, 0.5], [2, 1, 1]) == 0.625
    assert mean([], []) == 0.0
    assert mean([1.0], [0.0]) == 0.0
    with pytest.raises(ValueError, match="argument"):
        mean([1.0], [1.0, 2.0])
