"""COPRO and InferRules in real runs: snapshot, diff, dry run, replay."""

from __future__ import annotations

import pytest

from pytest_lmprog.cli import main
from tests.plugin.conftest import UNIT, Project

CONFTEST = """
import pathlib
import pytest
import pytest_lmprog as lmp

WORDS = {"charged": "billing", "Refund": "billing", "log in": "account", "password": "account", "dark": "feature"}

def answer(request):
    with pathlib.Path(__file__).with_name("calls.log").open("a") as log:
        log.write("call\\n")
    prompt = "\\n".join(message["content"] for message in request.messages)
    last = request.messages[-1]["content"]
    if "proposed_instruction" in prompt:
        better = "Route the ticket. Wishes are features." if "Score 2" in prompt else "Route the ticket."
        return {"proposed_instruction": better, "proposed_prefix_for_output_field": "Team in charge:"}
    if "natural_language_rules" in prompt:
        return {"reasoning": "seen", "natural_language_rules": "1. Wishes are features.\\n2. Else guess."}
    team = next((team for word, team in WORDS.items() if word in last), "bug")
    if team == "feature" and "Wishes are features" not in prompt:
        team = "bug"
    if team == "account" and "Route" not in prompt and "Wishes" not in prompt:
        team = "bug"
    return {"team": team}

@pytest.fixture(scope="session")
def lm():
    return lmp.ScriptedLM(answer)
"""
TICKETS = """
- {id: refund-1, ticket: "I was charged twice", team: billing, split: dev}
- {id: dark-1, ticket: "Please add a dark mode", team: feature, split: dev}
- {id: refund-2, ticket: "Refund my last invoice", team: billing, split: train}
- {id: login-2, ticket: "My password reset never comes", team: account, split: train}
- {id: dark-2, ticket: "Make the dark theme darker", team: feature, split: train}
"""
SNAPSHOT = "__lm_snapshots__/test_support/TestTriage.yaml"
COPRO = "lmp.COPRO(breadth=2, depth=2)"


def learn(project: Project, teleprompter: str) -> None:
    learns = f"program=Triage, teleprompter={teleprompter}, trainset='tickets.yaml', train_split='train'"
    text = UNIT.replace("program=Triage", learns)
    project.test(text.replace("import pytest\n", "import pytest\nimport pytest_lmprog as lmp\n"))


@pytest.fixture
def triage(project: Project) -> Project:
    project.write("conftest.py", CONFTEST)
    project.write("tickets.yaml", TICKETS)
    return project


def test_the_snapshot_has_the_instructions_and_replays(triage: Project) -> None:
    learn(triage, COPRO)
    result = triage.run("--lm-compile")
    assert result.ret == 0, result.outlines
    result.assert_outcomes(passed=2)
    text = (triage.path / SNAPSHOT).read_text(encoding="utf-8")
    assert "instructions: Route the ticket. Wishes are features.\n" in text
    assert 'prefix: "Team in charge:"' in text or "prefix: 'Team in charge:'" in text
    assert "demos:" not in text or "demos: []" in text
    calls = triage.calls
    assert triage.run("--lm-record=none").ret == 0
    assert triage.calls == calls


def test_the_diff_tells_of_the_instructions(triage: Project, monkeypatch, capsys) -> None:
    learn(triage, "lmp.LabeledFewShot(k=0)")
    assert triage.run("--lm-compile").ret == 0
    learn(triage, COPRO)
    triage.run("--lm-compile").stdout.fnmatch_lines(["pending review: *"])
    monkeypatch.chdir(triage.path)
    capsys.readouterr()
    assert main(["diff", "TestTriage"]) == 0
    out = capsys.readouterr().out
    assert "instructions" in out
    assert "Wishes are" in out
    assert "Team in charge:" in out


def test_the_dry_run_states_the_bound_and_it_holds(triage: Project) -> None:
    learn(triage, COPRO)
    result = triage.run("--lm-compile", "--lm-dry-run")
    # 1 + 2 proposals and 2 x 2 programs on three rows; the program as written and the cases: two each.
    result.stdout.fnmatch_lines(["*TestTriage * 15 * 2 * 2 * 19 *"])
    assert triage.calls == 0
    triage.run("--lm-compile")
    assert 0 < triage.calls <= 19


def test_rules_are_in_the_snapshot_and_replay(triage: Project) -> None:
    learn(triage, "lmp.InferRules(num_candidates=2, max_bootstrapped_demos=1, max_labeled_demos=1)")
    result = triage.run("--lm-compile")
    assert result.ret == 0, result.outlines
    result.assert_outcomes(passed=2)
    text = (triage.path / SNAPSHOT).read_text(encoding="utf-8")
    assert "Keep to these rules:\n" in text
    assert "1. Wishes are features.\n" in text
    calls = triage.calls
    assert triage.run("--lm-record=none").ret == 0
    assert triage.calls == calls
