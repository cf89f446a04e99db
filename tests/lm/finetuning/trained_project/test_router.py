"""A model of 135 M parameters learns to route a bank's messages: finetuned for real, replayed here.

``intents.jsonl``: 100 messages of CLINC150 (Larson et al., EMNLP 2019; CC BY 3.0), 40 to learn from and 60
held out. The teacher is a person's rule of key words; where it errs, the metric keeps its answer out of the
training data. To train it again, with the extra ``finetune`` (minutes on two cores; the weights stay in the
cache folder)::

    cd tests/lm/finetuning/trained_project && pytest --lm-compile --lm-update
"""

from __future__ import annotations

import json
from typing import Any, Literal

import pytest

import pytest_lmprog as lmp
from pytest_lmprog.lm.types import LMRequest

MODEL = "local/smollm2-135m"


class Route(lmp.Signature):
    """Tell what a customer of a bank wants."""

    message: str = lmp.InputField()
    intent: Literal["freeze_account", "spending_history", "bill_due", "exchange_rate"] = lmp.OutputField()


class Router(lmp.Module):
    def __init__(self) -> None:
        self.route = lmp.Predict(Route)

    def forward(self, message: str) -> Any:
        return self.route(message=message)


WORDS = {
    "exchange_rate": ("exchange", "conver", "dollar", "yen", "peso", "pound", "euro"),
    "freeze_account": ("block", "freeze", "hold", "stop"),
    "bill_due": ("bill", "due"),
    "spending_history": ("spen", "transaction", "history", "purchase"),
}


def by_rule(request: LMRequest) -> str:
    """Answer as the rule says."""
    text = str(request.messages[-1]["content"]).lower()
    found = (intent for intent, words in WORDS.items() if any(word in text for word in words))
    return json.dumps({"intent": next(found, "bill_due")})


@pytest.mark.lm_program(program=Router, lm=MODEL)
@pytest.mark.lm_examples("intents.jsonl", split="dev")
class TestAsWritten:
    """The base model."""

    def test_intent(self, example: Any, prediction: Any) -> None:
        assert prediction.intent == example.intent


@pytest.mark.lm_program(
    program=Router,
    lm=MODEL,
    teacher=lmp.ScriptedLM(by_rule, model="rules"),
    teleprompter=lmp.BootstrapFinetune(
        train_kwargs={"num_train_epochs": 2, "per_device_train_batch_size": 4}
    ),
    trainset="intents.jsonl",
    train_split="train",
)
@pytest.mark.lm_examples("intents.jsonl", split="dev")
class TestFinetuned:
    """What became of it."""

    @pytest.mark.lm_gate(min_score=0.8)
    def test_intent(self, example: Any, prediction: Any) -> None:
        assert prediction.intent == example.intent
