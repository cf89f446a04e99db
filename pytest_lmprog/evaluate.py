"""What is in ``pytest_lmprog.evaluation``, by DSPy's name for it: ``dspy.evaluate.answer_exact_match``."""

from __future__ import annotations

from pytest_lmprog.evaluation import Evaluate, EvaluationResult, answer_exact_match, answer_passage_match
from pytest_lmprog.evaluation.metrics import normalise_answer as normalize_text

__all__ = ["Evaluate", "EvaluationResult", "answer_exact_match", "answer_passage_match", "normalize_text"]
