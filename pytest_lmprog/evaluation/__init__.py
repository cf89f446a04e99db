"""Datasets, scores, metrics, statistics and the concurrent evaluator. Names are imported on first use."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pytest_lmprog.evaluation.calibration import Calibration as Calibration
    from pytest_lmprog.evaluation.callables import as_metric as as_metric
    from pytest_lmprog.evaluation.comparison import Comparison as Comparison
    from pytest_lmprog.evaluation.comparison import compare as compare
    from pytest_lmprog.evaluation.comparison import corrected as corrected
    from pytest_lmprog.evaluation.datasets import Dataset as Dataset
    from pytest_lmprog.evaluation.datasets import load_dataset as load_dataset
    from pytest_lmprog.evaluation.evaluate import Evaluate as Evaluate
    from pytest_lmprog.evaluation.evaluate import EvaluationResult as EvaluationResult
    from pytest_lmprog.evaluation.judge import Judge as Judge
    from pytest_lmprog.evaluation.judgement import Judgement as Judgement
    from pytest_lmprog.evaluation.metrics import answer_exact_match as answer_exact_match
    from pytest_lmprog.evaluation.metrics import answer_passage_match as answer_passage_match
    from pytest_lmprog.evaluation.metrics import contains as contains
    from pytest_lmprog.evaluation.metrics import exact_match as exact_match
    from pytest_lmprog.evaluation.metrics import json_schema_valid as json_schema_valid
    from pytest_lmprog.evaluation.metrics import numeric_close as numeric_close
    from pytest_lmprog.evaluation.metrics import regex_match as regex_match
    from pytest_lmprog.evaluation.metrics import token_f1 as token_f1
    from pytest_lmprog.evaluation.schema import json_schema_errors as json_schema_errors

else:
    _HOMES = {
        "Calibration": "calibration",
        "Comparison": "comparison",
        "Dataset": "datasets",
        "Evaluate": "evaluate",
        "EvaluationResult": "evaluate",
        "Judge": "judge",
        "Judgement": "judgement",
        "answer_exact_match": "metrics",
        "answer_passage_match": "metrics",
        "as_metric": "callables",
        "compare": "comparison",
        "contains": "metrics",
        "corrected": "comparison",
        "exact_match": "metrics",
        "json_schema_errors": "schema",
        "json_schema_valid": "metrics",
        "load_dataset": "datasets",
        "numeric_close": "metrics",
        "regex_match": "metrics",
        "token_f1": "metrics",
    }

    def __getattr__(name: str) -> object:
        home = _HOMES.get(name)
        if home is None:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        return getattr(import_module(f"{__name__}.{home}"), name)


__all__ = [
    "Calibration",
    "Dataset",
    "Evaluate",
    "EvaluationResult",
    "Judge",
    "Judgement",
    "answer_exact_match",
    "answer_passage_match",
    "as_metric",
    "compare",
    "contains",
    "corrected",
    "exact_match",
    "json_schema_errors",
    "json_schema_valid",
    "load_dataset",
    "numeric_close",
    "regex_match",
    "token_f1",
]
