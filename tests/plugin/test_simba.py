"""SIMBA under pytest: what plain asserts say teaches it, its snapshot replays, a dry run tells its bound."""

from __future__ import annotations

import pytest

from tests.plugin.conftest import WORDS

SNAPSHOT = "__lm_snapshots__/test_support/TestTriage.yaml"

PROGRAM = '''
import pytest_lmprog as lmp

class TriageTicket(lmp.Signature):
    """Decide which team should handle a support ticket."""
    ticket: str = lmp.InputField()
    team: str = lmp.OutputField()

class Triage(lmp.Module):
    def __init__(self):
        self.classify = lmp.Predict(TriageTicket)
    def forward(self, ticket):
        return self.classify(ticket=ticket)
'''

UNIT = """
import pytest
import pytest_lmprog as lmp
from program import Triage

@pytest.mark.lm_program(program=Triage, teleprompter=lmp.SIMBA({}), trainset="tickets.yaml", train_split="train")
@pytest.mark.lm_examples("tickets.yaml", split="dev")
class TestTriage:
    def test_team(self, example, prediction):
        assert example.team in prediction.team

    def test_form(self, prediction):
        assert prediction.team.startswith("team-")
"""

CONFTEST = """
import json
import pathlib
import pytest
import pytest_lmprog as lmp

WORDS = {words}

def answer(request):
    def note(word):
        with pathlib.Path({calls!r}).open("a") as log:
            log.write(word + chr(10))

    system, last = request.messages[0]["content"], request.messages[-1]["content"]
    note("call")
    if "advice_for_classify" in system + last:
        # Nothing but the message of the assertion gives the form away.
        told = "startswith" in last and "team-" in last
        advice = "Begin with team- and then the name." if told else "Read the ticket with care."
        note(advice)
        return json.dumps(dict(discussion="the form", advice_for_classify=advice))
    team = next((team for word, team in WORDS.items() if word in last), "bug")
    team = "no idea" if request.rollout else team
    return json.dumps(dict(team="team-" + team if "Begin with team-" in system else team))

@pytest.fixture(scope="session")
def lm():
    return lmp.ScriptedLM(answer)
"""


@pytest.fixture
def triage(project):
    """A project whose second metric no answer passes, unless the program is told what the metric says."""
    project.write("program.py", PROGRAM)
    project.write("conftest.py", CONFTEST.format(words=WORDS, calls=str(project.calls_log)))

    def compiled(settings: str, *args: str) -> pytest.RunResult:
        project.test(UNIT.format("bsize=2, num_candidates=2, max_steps=2" + settings))
        return project.run("--lm-compile", *args)

    project.compiled = compiled
    return project


def snapshot(project) -> str:
    return (project.path / SNAPSHOT).read_text(encoding="utf-8")


def test_with_feedback_from_plain_asserts_it_learns_what_it_else_does_not(triage) -> None:
    triage.compiled("").assert_outcomes(passed=8)
    assert "Begin with team- and then the name." in snapshot(triage)
    assert "Begin with team- and then the name." in advice(triage)
    triage.forget()
    (triage.path / SNAPSHOT).unlink()
    triage.calls_log.unlink()
    triage.compiled(", use_feedback=False").assert_outcomes(passed=4, xfailed=4)
    assert "Begin with team-" not in snapshot(triage)
    assert set(advice(triage)) == {"Read the ticket with care."}, "it asked, but was not told"


def advice(project) -> list[str]:
    """What the advisor said, call by call."""
    return [line for line in project.calls_log.read_text().splitlines() if line != "call"]


def test_the_snapshot_is_restored_and_replays(triage) -> None:
    triage.compiled("")
    text = snapshot(triage)
    assert "SIMBA" in text
    assert "use_feedback: true" in text
    assert "Decide which team should handle a support ticket." in text
    calls = triage.calls
    triage.run("--lm-record=none").assert_outcomes(passed=8)
    assert triage.calls == calls
    triage.run("--lm-compile").assert_outcomes(passed=8)
    assert triage.calls == calls, "all that was asked is known"
    assert snapshot(triage) == text


def test_a_dry_run_tells_the_bound_and_asks_nothing(triage) -> None:
    result = triage.compiled("", "--lm-dry-run")
    assert result.ret == 0
    assert triage.calls == 0
    # Two steps: 2 x 2 runs, advice from 2 examples, 3 programs x 2 runs. In the end 3 programs x 2 examples.
    result.stdout.fnmatch_lines(["*::TestTriage *30*"])


def test_a_shrunk_mini_batch_is_told(triage) -> None:
    triage.test(UNIT.format("max_steps=0"))
    result = triage.run("--lm-compile")
    result.stdout.fnmatch_lines(["*bsize is 32 and the trainset has 2*"])
