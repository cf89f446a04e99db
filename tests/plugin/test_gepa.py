"""GEPA in real runs: what plain assertions say makes the difference; snapshot, dry run, replay."""

from __future__ import annotations

import pytest

from tests.plugin.conftest import Project

PROGRAM = '''
import pytest_lmprog as lmp

class NameCode(lmp.Signature):
    """Give the code of a part."""
    part: str = lmp.InputField()
    code: str = lmp.OutputField()

class Coder(lmp.Module):
    def __init__(self):
        self.name = lmp.Predict(NameCode)
    def forward(self, part):
        return self.name(part=part)
'''
CONFTEST = """
import json
import pathlib
import pytest
import pytest_lmprog as lmp

RULES = {"write it in capitals": "codes are in capitals", "begin it with X-": "codes begin with X-"}

def answer(request):
    prompt = "\\n".join(message["content"] for message in request.messages)
    reflects = "new_instruction" in prompt
    with pathlib.Path(__file__).with_name("calls.log").open("a") as log:
        log.write("call\\n")
    if reflects:
        with pathlib.Path(__file__).with_name("reflections.log").open("a") as log:
            log.write(prompt + "\\n=====\\n")
        # It can only know what it has read: the rules of the current instruction, and those of the messages.
        known = [rule for rule, message in RULES.items() if rule in prompt or message in prompt]
        return {"new_instruction": "Give the code of a part: " + (", ".join(known) or "think hard")}
    part = next(part for part in ("bolt", "nut", "screw", "gear", "cog", "pin") if part in request.messages[-1]["content"])
    code = part.upper() if "capitals" in prompt else part
    return {"code": "X-" + code if "begin it with X-" in prompt else code}

@pytest.fixture(scope="session")
def lm():
    return lmp.ScriptedLM(answer)
"""
PARTS = """
- {id: bolt, part: a bolt, split: train}
- {id: nut, part: a nut, split: train}
- {id: screw, part: a screw, split: val}
- {id: gear, part: a gear, split: val}
- {id: cog, part: a cog, split: dev}
- {id: pin, part: a pin, split: dev}
"""
ASSERTIONS = """
    def test_capitals(self, prediction):
        assert prediction.code.isupper(), "codes are in capitals"

    def test_prefix(self, prediction):
        assert prediction.code.startswith("X-"), "codes begin with X-"
"""
SCORES = """
    def test_code(self, prediction, record_score):
        said = []
        if not prediction.code.isupper():
            said.append("codes are in capitals")
        if not prediction.code.startswith("X-"):
            said.append("codes begin with X-")
        record_score(1 - len(said) / 2, feedback="; ".join(said))
"""
UNIT = """
import pytest
import pytest_lmprog as lmp
from program import Coder

@pytest.mark.lm_program(program=Coder, teleprompter=lmp.GEPA({settings}), trainset="parts.yaml",
                        train_split="train", valset="parts.yaml", val_split="val")
@pytest.mark.lm_examples("parts.yaml", split="dev")
class TestCoder:
"""
SNAPSHOT = "__lm_snapshots__/test_support/TestCoder.yaml"
BOTH_RULES = "Give the code of a part: write it in capitals, begin it with X-"


@pytest.fixture
def parts(project: Project) -> Project:
    project.write("program.py", PROGRAM)
    project.write("conftest.py", CONFTEST)
    project.write("parts.yaml", PARTS)
    return project


def learn(project: Project, body: str = ASSERTIONS, settings: str = "max_metric_calls=30") -> None:
    project.test(UNIT.format(settings=settings) + body)


def snapshot(project: Project) -> str:
    return (project.path / SNAPSHOT).read_text(encoding="utf-8")


def compiled_with(project: Project, use_feedback: bool) -> tuple[dict[str, int], str]:
    """Compile and test: outcomes and snapshot."""
    learn(project, settings=f"max_metric_calls=30, use_feedback={use_feedback}")
    outcomes = project.run("--lm-compile").parseoutcomes()
    text = snapshot(project)
    (project.path / SNAPSHOT).unlink()
    return outcomes, text


def test_messages_of_plain_assertions_beat_the_same_run_without_them(parts: Project) -> None:
    without, plain = compiled_with(parts, use_feedback=False)
    told, better = compiled_with(parts, use_feedback=True)
    # Both rules hold for the two held-out parts, where none of the four cases passed without.
    assert told.get("passed") == 4
    assert without.get("passed", 0) == 0
    assert BOTH_RULES in better
    assert "Give the code of a part.\n" in plain
    assert "write it in capitals" not in plain


def test_the_reflection_reads_the_messages_and_nothing_of_the_machine(parts: Project) -> None:
    learn(parts)
    parts.run("--lm-compile")
    first, *_ = (parts.path / "reflections.log").read_text(encoding="utf-8").split("=====")
    assert "codes are in capitals\nassert False" in first
    assert "codes begin with X-" in first
    assert str(parts.path) not in first
    assert "0x" not in first.replace("0x...", "")


def test_recorded_scores_bring_their_feedback(parts: Project) -> None:
    learn(parts, SCORES)
    result = parts.run("--lm-compile")
    result.assert_outcomes(passed=2)
    assert BOTH_RULES in snapshot(parts)


def test_the_snapshot_replays_and_a_second_compile_asks_nothing(parts: Project) -> None:
    learn(parts)
    assert parts.run("--lm-compile").ret == 0
    text, calls = snapshot(parts), parts.calls
    assert "name: GEPA" in text
    assert "- 0 as written\n  - 1 reflection on name of 0\n" in text
    assert "max_metric_calls: 30" in text
    assert "use_feedback: true" in text
    assert parts.run("--lm-record=none").ret == 0
    parts.run("--lm-compile")
    assert snapshot(parts) == text
    assert parts.calls == calls


def test_the_dry_run_states_the_bound_and_it_holds(parts: Project) -> None:
    learn(parts)
    result = parts.run("--lm-compile", "--lm-dry-run")
    # 30 evaluations; (30 - 2) / (2 * 2) = 7 reflections; the trainset, the program as written and the cases:
    # two each.
    result.stdout.fnmatch_lines(["*TestCoder * 37 * 2 * 2 * 2 * 43 *"])
    assert parts.calls == 0
    parts.run("--lm-compile")
    assert 0 < parts.calls <= 43


def test_a_budget_that_pays_for_no_iteration_is_one_error(parts: Project) -> None:
    learn(parts, settings="max_metric_calls=5")
    result = parts.run("--lm-compile")
    result.stdout.fnmatch_lines(["*max_metric_calls=5* comes to 5 evaluations of an example*take 8*"])
    assert parts.calls == 0
    assert result.ret != 0
