"""What finetuning was for: better on held-out messages, replayed by whoever has neither torch nor weights.

The project is ``trained_project``: it was compiled once, for real, and its recordings are committed.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from math import comb
from pathlib import Path

from pytest_lmprog.evaluation.datasets import load_dataset
from pytest_lmprog.evaluation.scores import Objective
from pytest_lmprog.lm.client import LM
from pytest_lmprog.lm.scripted import ScriptedLM
from pytest_lmprog.snapshots.artifact import CaseBaseline, Snapshot
from pytest_lmprog.snapshots.store import read
from pytest_lmprog.teleprompt import BootstrapFinetune, CompileRuntime, CompileTask
from tests.teleprompt.finetuning import FakeProvider

PROJECT = Path(__file__).parent / "trained_project"


def snapshot(unit: str) -> Snapshot:
    return read(PROJECT / "__lm_snapshots__" / "test_router" / f"{unit}.yaml")


def cases(unit: str) -> dict[str, CaseBaseline]:
    return dict(snapshot(unit).baseline["test_intent"].cases)


def test_the_held_out_score_is_significantly_better():
    before, after = cases("TestAsWritten"), cases("TestFinetuned")
    assert before.keys() == after.keys()
    assert len(before) == 60
    # The snapshots hold the same 60 cases: a sign test on those that differ (exact, one-sided).
    gained = sum(before[c].status != "pass" and after[c].status == "pass" for c in before)
    lost = sum(before[c].status == "pass" and after[c].status != "pass" for c in before)
    chance = sum(comb(gained + lost, k) for k in range(gained, gained + lost + 1)) / 2 ** (gained + lost)
    assert gained > lost
    assert chance < 0.001


def test_the_snapshot_names_the_model_for_its_predictor():
    trained = snapshot("TestFinetuned").predictors["route"].finetuned
    assert trained is not None
    assert trained.model.startswith("local/smollm2-135m+")
    assert (trained.base, trained.provider) == ("local/smollm2-135m", "local")
    assert trained.examples == 38
    assert snapshot("TestAsWritten").predictors["route"].finetuned is None


REPLAY = """
import sys
for name in ("torch", "transformers", "peft", "gguf", "xllamacpp", "litellm"):
    sys.modules[name] = None  # importing it raises
import pytest
sys.exit(pytest.main(["-q", "-p", "no:randomly", "-p", "no:cacheprovider", "--lm-record=none"]))
"""


def test_it_is_replayed_without_torch_and_weights(tmp_path: Path):
    project = shutil.copytree(PROJECT, tmp_path / "project")
    nothing = str(tmp_path / "nothing")
    places = {"PYTEST_LMPROG_WEIGHTS_DIR": nothing, "PYTEST_LMPROG_FINETUNED_DIR": nothing}
    done = subprocess.run(
        [sys.executable, "-c", REPLAY],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, **places},
        cwd=project,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "87 passed, 33 xfailed" in done.stdout
    assert "stale" not in done.stdout


def test_the_training_data_is_what_the_model_was_trained_on():
    # What the chats are made of (prompts, the walk, the shuffle) has not changed since: else train it again.
    from tests.lm.finetuning.trained_project.test_router import MODEL, Router, by_rule

    provider = FakeProvider()
    rows = load_dataset("intents.jsonl", base=PROJECT).split("train").with_inputs(["message"])
    strategy = BootstrapFinetune(
        lambda example, prediction, trace=None: example.intent == prediction.intent, provider=provider
    )
    task = CompileTask(Router(), rows.examples, Objective(()), teacher=ScriptedLM(by_rule, model="rules"))
    strategy.compile_result(task, CompileRuntime(lm=LM(MODEL)))
    trained = snapshot("TestFinetuned").predictors["route"].finetuned
    assert trained is not None
    assert provider.jobs[0].data.digest[:12] == trained.data
