"""Hearing: what the metrics say of one predictor's part in a run, for programs that reflect on it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pytest_lmprog.evaluation.callables import CallableMetric
from pytest_lmprog.evaluation.scores import Metric, Objective
from pytest_lmprog.programs import Module, Prediction
from pytest_lmprog.teleprompt.engine.desk import Job, Plan, Rank
from pytest_lmprog.teleprompt.engine.gathering import gathered
from pytest_lmprog.teleprompt.engine.study import Study
from pytest_lmprog.teleprompt.plans.gepa.reflection import Observation

__all__ = ["asks_predictors", "feedback"]


def asks_predictors(objective: Objective) -> bool:
    """Return whether a metric tells predictors apart (DSPy's ``pred_name``)."""
    return any(_tells(metric) for metric in objective.metrics)


def feedback(study: Study, observations: Sequence[Observation], *, rank: Rank = (0,)) -> Plan[list[str]]:
    """Return the metrics' words on each observation: on the predictor, where a metric tells predictors apart
    (it is asked anew, on a worker like any metric; the score that it returns then does not count), else on
    the run as a whole."""
    if not asks_predictors(study.ranking):
        return [study.ranking.feedback(observation.result) for observation in observations]
    judged = {i: job for i, o in enumerate(observations) if (job := _job(study, o)) is not None}
    results = yield from gathered(study, judged.values(), rank=rank)
    told = {i: judged[i].objective.feedback(r) for i, r in zip(judged, results, strict=True)}
    return [_joined(study, observation, told.get(i)) for i, observation in enumerate(observations)]


def _job(study: Study, observation: Observation) -> Job | None:
    result = observation.result
    if result.prediction is None:
        return None
    telling = [metric for metric in study.ranking.metrics if isinstance(metric, CallableMetric)]
    metrics = [m.about(observation.name, [observation.call], result.trace) for m in telling if _tells(m)]
    program = _Known(result.prediction)
    objective = Objective(tuple(metrics))
    return Job(program, result.example, "feedback", 0, objective, settings=study.settings)


def _joined(study: Study, observation: Observation, told: str | None) -> str:
    """Return what is ``told`` of the predictor, then what the other metrics say."""
    if told is None:
        return study.ranking.feedback(observation.result)
    others = Objective(tuple(metric for metric in study.ranking.metrics if not _tells(metric)))
    return "\n".join(words for words in (told, others.feedback(observation.result)) if words)


def _tells(metric: Metric) -> bool:
    return isinstance(metric, CallableMetric) and metric.tells_predictors


class _Known(Module):
    """A run that was made before: it is judged anew, and asks nothing."""

    def __init__(self, prediction: Prediction) -> None:
        self.prediction = prediction

    def forward(self, **inputs: Any) -> Prediction:
        """Return what was put out then."""
        del inputs
        return self.prediction
