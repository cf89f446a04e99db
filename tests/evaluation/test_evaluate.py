"""Evaluate, as DSPy's users call it."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

from pytest_lmprog.errors import DataError, UsageError
from pytest_lmprog.evaluation.evaluate import Evaluate
from pytest_lmprog.evaluation.evaluator import Evaluation
from pytest_lmprog.evaluation.scores import CaseResult
from pytest_lmprog.programs.example import Example, Prediction
from tests.evaluation.programs import Calls, Open, Triage

DEVSET = [
    Example(ticket=f"{team} {i}", team="bug").with_inputs("ticket")
    for i, team in enumerate(["bug", "x", "bug"])
]


def right(example: Example, prediction: Prediction, trace: Any = None) -> bool:
    assert trace is None
    return bool(prediction.team == example.team)


def test_the_score_is_a_percentage_and_a_float() -> None:
    evaluate = Evaluate(devset=DEVSET, metric=right, num_threads=4, display_progress=False, display_table=0)
    result = evaluate(Triage())
    assert result.score == 66.67
    assert result == 66.67
    assert result > 60
    assert f"{result:.1f}" == "66.7"
    assert str(result) == "66.67"
    assert round(result + 1, 2) == 67.67
    assert repr(result) == "EvaluationResult(score=66.67, results=<list of 3 results>)"
    assert [(e.ticket, p.team, s) for e, p, s in result.results] == [
        ("bug 0", "bug", 1.0),
        ("x 1", "x", 0.0),
        ("bug 2", "bug", 1.0),
    ]
    assert isinstance(result.evaluation, Evaluation)


def test_arguments_of_the_call_override(capsys: pytest.CaptureFixture[str]) -> None:
    evaluate = Evaluate(devset=DEVSET, metric=right)
    assert evaluate(Triage(), metric=lambda e, p: 0.5).score == 50.0
    assert evaluate(Triage(), devset=DEVSET[:1], num_threads=1).score == 100.0
    assert capsys.readouterr() == ("", "")


def test_inputs_are_found_from_the_program_where_they_are_not_named() -> None:
    rows = [{"ticket": "bug", "team": "bug"}, {"ticket": "bug", "team": "x"}]
    assert Evaluate(devset=rows, metric=right)(Triage()).score == 50.0
    with pytest.raises(DataError, match="labels must not reach it"):
        Evaluate(devset=rows, metric=right)(Open())
    with pytest.raises(DataError, match="devset: there are none"):
        Evaluate(devset=[], metric=right)(Triage())


def test_a_failed_run_counts_zero_and_has_an_empty_prediction() -> None:
    def crash(ticket: str) -> Prediction:
        raise ValueError("no")

    result = Evaluate(devset=DEVSET, metric=right)(Calls(crash))
    assert result.score == 0.0
    assert result.results[0][1] == Prediction()
    assert result.evaluation.errors == 3


def test_a_plain_function_is_a_program_too() -> None:
    def triage(ticket: str) -> dict[str, str]:
        return {"team": ticket.split()[0]}

    rows = [{"ticket": "bug 1", "team": "bug"}, {"ticket": "x", "team": "bug"}]
    assert Evaluate(devset=rows, metric=right)(triage).score == 50.0


def test_older_return_values() -> None:
    result, outputs = Evaluate(devset=DEVSET, metric=right, return_outputs=True)(Triage())
    assert (result.score, len(outputs)) == (66.67, 3)
    result, outputs, scores = Evaluate(devset=DEVSET, metric=right, return_outputs=True)(
        Triage(), return_all_scores=True
    )
    assert scores == [1.0, 0.0, 1.0]


def test_display(capsys: pytest.CaptureFixture[str]) -> None:
    told: list[int] = []

    def progress(done: int, total: int, result: CaseResult) -> None:
        told.append(done)

    evaluate = Evaluate(
        devset=DEVSET, metric=right, display_progress=True, display_table=2, progress=progress
    )
    evaluate(Triage())
    out, err = capsys.readouterr()
    assert err.splitlines()[-1] == "3/3: 66.7%"
    assert told == [1, 2, 3]
    lines = out.splitlines()
    assert len(lines) == 3
    assert "1.00  Prediction(team='bug')" in lines[0]
    assert lines[-1] == "66.67% of 3, 0 errors"
    evaluate(Triage(), display_progress=False, display_table=True)
    out, err = capsys.readouterr()
    assert (len(out.splitlines()), err) == (4, "")


def test_settings_that_are_not_there() -> None:
    with pytest.raises(UsageError, match="no setting 'thread'"):
        Evaluate(devset=DEVSET, metric=right, thread=3)
    with pytest.raises(UsageError, match="Evaluate needs a metric"):
        Evaluate(devset=DEVSET)(Triage())
    with pytest.raises(UsageError, match="failure_score is always 0"):
        Evaluate(devset=DEVSET, metric=right, failure_score=0.5)
    Evaluate(devset=DEVSET, metric=right, provide_traceback=True, failure_score=0.0)


def test_the_root_has_it() -> None:
    import pytest_lmprog

    assert pytest_lmprog.Evaluate is Evaluate


def test_results_hold_their_score_when_copied() -> None:
    result = Evaluate(devset=DEVSET[:1], metric=right_by_name)(Triage())
    again = pickle.loads(pickle.dumps(result))
    assert again.score == result.score


def right_by_name(example: Example, prediction: Prediction, trace: Any = None) -> bool:
    return right(example, prediction)
