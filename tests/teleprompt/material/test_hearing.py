"""What metrics say of one predictor reaches the reflection on it."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_lmprog import ScoreWithFeedback
from pytest_lmprog.errors import CompileError
from pytest_lmprog.evaluation.callables import as_metric
from pytest_lmprog.evaluation.scores import Objective
from pytest_lmprog.programs import context
from pytest_lmprog.teleprompt import GEPA, CompileRuntime, CompileTask
from tests.teleprompt.gepa_world import (
    Two,
    evolved,
    ladder,
    next_rung,
    reflections,
    sides,
    to_sides,
    two_rows,
)
from tests.teleprompt.world import PlainAdapter, WorldLM, exact, rows


def judged(gold: Any, pred: Any, trace: Any = None, pred_name: Any = None, pred_trace: Any = None) -> Any:
    right = float(pred.answer == gold.answer)
    if pred_name is None:
        return right
    ((predictor, inputs, outputs),) = pred_trace
    assert [call.name for call in trace if call.predictor is predictor] == [pred_name]
    return ScoreWithFeedback(0.123, f"{pred_name} was given {inputs['question']}, said {outputs.answer}")


def cases(lm: WorldLM) -> list[str]:
    return [one.inputs["cases"] for one in reflections(lm)]


def test_each_predictor_has_words_of_its_own():
    lm = WorldLM(sides(), propose=to_sides)
    evolved(
        lm,
        two_rows(),
        student=Two(),
        metric=judged,
        max_metric_calls=12,
        reflection_minibatch_size=4,
        component_selector="all",
    )
    left, right = sorted(cases(lm), key=lambda text: "left was given" not in text)
    assert "Score: 0\nleft was given l0, said no l0" in left
    assert "Score: 1\nleft was given x0, said yes x0" in left  # the score is that of the run
    assert "right was given no l0, said no l0" in right
    assert "left" not in right


def test_with_feedback_off_nobody_is_asked():
    asked = []

    def metric(gold: Any, pred: Any, trace: Any, pred_name: Any, pred_trace: Any) -> Any:
        asked.append(pred_name)
        return ScoreWithFeedback(float(pred.answer == gold.answer), "never to be seen")

    lm = WorldLM(ladder, propose=next_rung)
    evolved(lm, rows(3), metric=metric, max_metric_calls=12, use_feedback=False)
    assert set(asked) == {None}
    assert "never" not in "".join(cases(lm))
    lm = WorldLM(ladder, propose=next_rung)
    evolved(lm, rows(3), metric=metric, max_metric_calls=12)
    assert asked.count("answer") == 3
    assert "never to be seen" in "".join(cases(lm))


def test_feedback_on_the_run_serves_all_predictors():
    def metric(example: Any, prediction: Any, trace: Any = None) -> Any:
        assert prediction.answer == example.answer, f"it is {example.answer}"
        return 1.0

    lm = WorldLM(ladder, propose=next_rung)
    evolved(lm, rows(3), metric=metric, max_metric_calls=12)
    (text,) = cases(lm)
    assert "Score: 0\nit is a1" in text
    assert "it is a0" not in text


def test_other_metrics_of_the_unit_have_their_say_too():
    def strict(example: Any, prediction: Any) -> Any:
        return ScoreWithFeedback(float(prediction.answer == example.answer), "mind the label")

    lm = WorldLM(ladder, propose=next_rung)
    objective = Objective((as_metric(judged, "judged"), as_metric(strict, "strict")))
    student = evolved(WorldLM(ladder, propose=next_rung), rows(3), max_metric_calls=12).candidates[0].program
    with context(lm=lm, adapter=PlainAdapter()):
        GEPA(max_metric_calls=12).compile_result(CompileTask(student, rows(3), objective), CompileRuntime())
    (text,) = cases(lm)
    assert "answer was given q1, said no idea\nmind the label" in text


def test_a_metric_that_fails_when_asked_about_a_predictor_stops_the_compile():
    def metric(gold: Any, pred: Any, trace: Any, pred_name: Any, pred_trace: Any) -> Any:
        if pred_name:
            raise KeyError("verdict")
        return exact(gold, pred)

    with pytest.raises(CompileError, match="metric metric raised KeyError"):
        evolved(WorldLM(ladder, propose=next_rung), rows(3), metric=metric, max_metric_calls=12)


def test_progress_counts_what_metrics_are_asked():
    events = []
    lm = WorldLM(ladder, propose=next_rung)
    with context(lm=lm, adapter=PlainAdapter()):
        GEPA(judged, max_metric_calls=30).compile_result(
            CompileTask(Two(), two_rows(), Objective(())), CompileRuntime(progress=events.append)
        )
    assert {event.phase for event in events} >= {"evaluate", "feedback", "reflect"}
    assert all(event.done <= event.total for event in events)
    totals = [event.total for event in events]
    # 30 evaluations and (30 - 4) / 6 = 5 reflections, each on 3 runs.
    assert totals[0] == 30 + 5 + 15
    assert totals == sorted(totals, reverse=True)
