"""A project on disk that a real pytest, in a process of its own, runs against the fake server."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

__all__ = ["Project"]

PROGRAM = '''
from typing import Literal
import pytest_lmprog as lmp

class Topic(lmp.Signature):
    """Name the topic of a letter."""
    letter: str = lmp.InputField()
    topic: Literal["account", "billing", "bug", "feature"] = lmp.OutputField()

class Reply(lmp.Signature):
    """Write a short reply to a letter."""
    letter: str = lmp.InputField()
    topic: str = lmp.InputField()
    reply: str = lmp.OutputField(desc="one sentence")

class Clerk(lmp.Module):
    def __init__(self):
        self.topic = lmp.Predict(Topic)
        self.reply = lmp.ChainOfThought(Reply)
    def forward(self, letter):
        topic = self.topic(letter=letter).topic
        said = self.reply(letter=letter, topic=topic)
        return lmp.Prediction(topic=topic, reply=said.reply, reasoning=said.reasoning)
'''

UNIT = """
import pytest
import pytest_lmprog.teleprompt as tp
from program import Clerk

class Thing:
    pass

@pytest.mark.lm_program(
    program=Clerk,
    teleprompter={teleprompter},
    trainset="letters.yaml", train_split="train", valset="letters.yaml", val_split="val",
)
@pytest.mark.lm_examples("letters.yaml", split="dev")
class TestClerk:
    @pytest.mark.lm_metric(weight=2)
    def test_topic(self, example, prediction):
        told = {{prediction.topic, "x", "y", "z"}}
        assert example.topic in told, f"{{told}} {{Thing()}}"
        assert prediction.topic == example.topic

    @pytest.mark.lm_metric(optimize=False)
    def test_politeness(self, prediction, record_score):
        record_score(len(set(prediction.reply) & set("aeiou")) / 5, feedback=str(set(prediction.reply)))

    def test_reply(self, prediction):
        assert "sorry" not in prediction.reply
"""


SEARCH = """tp.BootstrapFewShotWithRandomSearch(
        max_bootstrapped_demos=2, max_labeled_demos=4, num_candidate_programs={candidates}, max_rounds=2)"""


def letters(train: int = 8, val: int = 8, dev: int = 6) -> str:
    """Return the dataset as YAML."""
    topics = ("account", "billing", "bug", "feature")
    rows = []
    for split, count in (("train", train), ("val", val), ("dev", dev)):
        for number in range(count):
            topic = topics[(number * 7 + len(split)) % 4]
            rows.append(
                f'- {{id: {split}-{number}, letter: "Letter {split} {number} about {topic}: please help.",'
                f" topic: {topic}, split: {split}}}"
            )
    return "\n".join(rows) + "\n"


class Project:
    """The project, at ``path``, that asks the server at ``url``. ``teleprompter``: as an expression, in which
    ``tp`` are the teleprompters; by default a random search."""

    def __init__(self, path: Path, url: str, *, candidates: int = 3, teleprompter: str | None = None) -> None:
        self.path, self.url = path, url
        path.mkdir(parents=True, exist_ok=True)
        self.write("program.py", PROGRAM)
        self.write("letters.yaml", letters())
        unit = UNIT.format(teleprompter=teleprompter or SEARCH.format(candidates=candidates))
        self.write("tests/test_clerk.py", unit.replace('"letters', '"../letters'))
        self.write("pytest.ini", "[pytest]\npythonpath = .\nlm_model = openai/fake\n")

    def write(self, name: str, text: str) -> None:
        """Write a file of the project."""
        target = self.path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8", newline="\n")

    @property
    def snapshot(self) -> Path:
        """The snapshot of the unit."""
        return self.path / "tests/__lm_snapshots__/test_clerk/TestClerk.yaml"

    @property
    def recordings(self) -> Path:
        """The folder of the recordings."""
        return self.path / "tests/__lm_recordings__"

    def forget(self) -> None:
        """Remove all that runs leave behind."""
        for name in (".lm_cache", ".pytest_cache", "tests/__lm_recordings__", "tests/__lm_snapshots__"):
            shutil.rmtree(self.path / name, ignore_errors=True)

    def start(
        self, *args: str, env: Mapping[str, str] | None = None, python: str = sys.executable
    ) -> subprocess.Popen[str]:
        """Start pytest in a process of its own."""
        kept = {k: v for k, v in os.environ.items() if k != "CI" and not k.startswith(("PYTEST", "OPENAI"))}
        asked = {"OPENAI_API_BASE": self.url, "OPENAI_API_KEY": "sk-e2e-secret", "PYTHONHASHSEED": "0"}
        return subprocess.Popen(
            [python, "-m", "pytest", *args],
            cwd=self.path,
            env={**kept, **asked, **(env or {})},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
        )

    def run(
        self, *args: str, env: Mapping[str, str] | None = None, python: str = sys.executable
    ) -> tuple[int, str]:
        """Run pytest to its end; return its exit code and what it printed."""
        process = self.start(*args, env=env, python=python)
        out, _ = process.communicate(timeout=300)
        return process.returncode, out
