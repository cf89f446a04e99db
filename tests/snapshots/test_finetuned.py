"""Finetuned models in snapshots and saved states: named, restored, compared."""

from __future__ import annotations

import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest

from pytest_lmprog.adapters import PROMPT_FORMAT, JSONAdapter
from pytest_lmprog.errors import SnapshotError
from pytest_lmprog.lm.client import LM
from pytest_lmprog.lm.finetuning.model import FinetunedLM
from pytest_lmprog.lm.finetuning.origin import Origin, origin_of
from pytest_lmprog.programs import Module, Predict, context
from pytest_lmprog.snapshots.artifact import Header, ModelInfo, Snapshot
from pytest_lmprog.snapshots.capture import capture
from pytest_lmprog.snapshots.diff import diff
from pytest_lmprog.snapshots.restore import load, restore
from pytest_lmprog.snapshots.store import write_accepted
from pytest_lmprog.snapshots.text import from_text, to_text

ORIGIN = Origin("openai/small", "openai", "0123456789ab", 38)


class Pair(Module):
    def __init__(self) -> None:
        self.first = Predict("question -> answer")
        self.second = Predict("question -> answer")

    def forward(self, question: str) -> Any:
        return self.second(question=self.first(question=question).answer)


def trained(model: str = "openai/ft:small:1") -> Pair:
    program = Pair()
    base = LM("openai/small", api_base="http://127.0.0.1:1/v1", api_key="sk-secret", temperature=0)
    program.first.lm = FinetunedLM.of(base, model, ORIGIN)
    program.second.lm = base
    return program


def snapshot(program: Module) -> Snapshot:
    header = Header("m.Pair", ModelInfo("openai/small"), "json", PROMPT_FORMAT)
    return Snapshot(header, capture(program, JSONAdapter()))


def test_the_text_names_model_base_and_data_and_no_secret():
    text = to_text(snapshot(trained()))
    assert (
        "    finetuned:\n      model: openai/ft:small:1\n      base: openai/small\n      provider: openai\n"
        "      data: 0123456789ab\n      examples: 38\n"
    ) in text
    assert text.count("finetuned:") == 1  # an LM that was not trained is configuration
    assert "sk-secret" not in text
    assert from_text(text, "x.yaml") == snapshot(trained())


@pytest.mark.parametrize("line", ["      data: 0123456789ab\n", "      examples: 38\n"])
def test_an_entry_that_lacks_something_is_an_error_with_its_line(line: str):
    text = to_text(snapshot(trained())).replace(line, "")
    with pytest.raises(SnapshotError, match=r"x\.yaml:\d+: predictors\.first\.finetuned"):
        from_text(text, "x.yaml")


def test_restored_it_is_reached_as_the_configured_lm_is():
    here = LM("openai/small", api_base="http://127.0.0.1:2/v1", api_key="sk-other", temperature=0.5)
    with context(lm=here):
        program = restore(snapshot(trained()), Pair())
    lm = program.first.lm
    assert isinstance(lm, FinetunedLM)
    assert (lm.model, lm.endpoint, lm.params) == ("openai/ft:small:1", here.endpoint, here.params)
    assert lm.secrets == here.secrets
    assert lm.origin == origin_of(lm.copy(temperature=1)) == ORIGIN
    assert program.second.lm is None


def test_a_configured_lm_of_another_provider_lends_nothing_but_its_temperature():
    text = to_text(snapshot(trained())).replace("openai/ft:small:1", "local/smollm2-135m+0123456789ab")
    with context(lm=LM("openai/large", api_key="sk-secret", temperature=0)):
        program = restore(from_text(text, "x.yaml"), Pair())
    assert program.first.lm is not None
    assert program.first.lm.model == "local/smollm2-135m+0123456789ab"
    assert program.first.lm.params == {"temperature": 0}
    assert program.first.lm.secrets == frozenset()


def test_without_any_lm_it_is_named_alone():
    with context(lm=None):
        program = restore(snapshot(trained()), Pair())
    assert program.first.lm is not None
    assert program.first.lm.model == "openai/ft:small:1"


def test_loading_it_for_its_base_warns_of_no_other_model(tmp_path: Path):
    path = tmp_path / "Pair.yaml"
    write_accepted(path, snapshot(trained()))
    with context(lm=LM("openai/small")), warnings.catch_warnings():
        warnings.simplefilter("error")
        load(path, Pair())


def test_a_saved_state_keeps_it_and_refuses_half_of_it():
    state = trained().dump_state()
    assert "lm" not in state["predictors"]["second"]
    fresh = Pair()
    fresh.load_state(state)
    assert origin_of(fresh.first.lm) == ORIGIN
    del state["predictors"]["first"]["lm"]["data"]
    with pytest.raises(SnapshotError, match="predictor 'first': lm must have base, data, examples, model"):
        Pair().load_state(state)


def test_a_diff_tells_of_another_model():
    changes = diff(snapshot(trained()), snapshot(trained("openai/ft:small:2"))).header
    (change,) = changes
    assert change.name == "model of first"
    assert change.new == "openai/ft:small:2 (trained on 38 chats, data 0123456789ab)"


REPLAYED = """
import sys
import pytest_lmprog.snapshots.restore, pytest_lmprog.programs.state
from pytest_lmprog.lm.finetuning.model import restored_lm
lm = restored_lm({"model": "local/smollm2-135m+0123456789ab", "base": "b", "provider": "local", "data": "d",
                  "examples": 1}, None)
lm.request(({"role": "user", "content": "x"},)).key
heavy = {"torch", "transformers", "peft", "gguf", "litellm", "xllamacpp"} & sys.modules.keys()
sys.exit(str(heavy) if heavy else 0)
"""


def test_restoring_imports_nothing_heavy():
    subprocess.run([sys.executable, "-c", REPLAYED], check=True, timeout=60)
