"""MIPROv2 and BootstrapFewShotWithOptuna under pytest: snapshots that replay, dry runs, what is missing."""

from __future__ import annotations

import sys
from typing import Any

import pytest

SNAPSHOT = "__lm_snapshots__/test_support/TestTriage.yaml"

UNIT = """
import pytest
import pytest_lmprog as lmp
from program import Triage

@pytest.mark.lm_program(program=Triage, teleprompter=lmp.{}, trainset="tickets.yaml", train_split="train")
@pytest.mark.lm_examples("tickets.yaml", split="dev")
class TestTriage:
    def test_team(self, example, prediction):
        assert prediction.team == example.team
"""

CONFTEST = """
import json
import pathlib
import pytest
import pytest_lmprog as lmp

WORDS = dict(charged="billing", Refund="billing", password="account", dark="feature")
WORDS["log in"] = "account"

def answer(request):
    system, last = request.messages[0]["content"], request.messages[-1]["content"]
    with pathlib.Path({calls!r}).open("a", encoding="utf-8") as log:
        log.write(json.dumps(system + last) + chr(10))
    for output in ("observations", "summary", "program_description", "module_description"):
        if "`" + output + "`" in system.split("utput")[-1]:
            return json.dumps({{output: "the " + output}})
    if "proposed_instruction" in system:
        return json.dumps(dict(proposed_instruction="Route the ticket."))
    team = next((team for word, team in WORDS.items() if word in last), "bug")
    # Nothing is right until the instruction is the proposed one.
    return json.dumps(dict(team=team if "Route the ticket." in system else "bug"))

@pytest.fixture(scope="session")
def lm():
    return lmp.ScriptedLM(answer)
"""

MIPRO = "MIPROv2(auto=None, num_candidates=3, num_trials=4, max_bootstrapped_demos=1, max_labeled_demos=1{})"


@pytest.fixture
def triage(project: Any) -> Any:
    """A project whose program is right only with the instruction that is proposed."""
    project.write("conftest.py", CONFTEST.format(calls=str(project.calls_log)))

    def compiled(strategy: str, *args: str) -> pytest.RunResult:
        project.test(UNIT.format(strategy))
        return project.run("--lm-compile", *args)

    project.compiled = compiled
    project.snapshot = lambda: (project.path / SNAPSHOT).read_text(encoding="utf-8")
    return project


@pytest.mark.usefixtures("optuna")
class TestMIPROv2:
    def test_the_snapshot_has_the_instruction_and_replays(self, triage: Any, optuna: Any) -> None:
        triage.compiled(MIPRO.format("")).assert_outcomes(passed=4)
        text = triage.snapshot()
        assert "instructions: Route the ticket." in text
        assert "MIPROv2" in text
        assert f"libraries:\n  optuna: {optuna.__version__}\n" in text
        calls = triage.calls
        triage.run("--lm-record=none").assert_outcomes(passed=4)
        triage.compiled(MIPRO.format("")).assert_outcomes(passed=4)
        assert triage.calls == calls, "all that was asked is known"
        assert triage.snapshot() == text

    def test_what_it_asks_holds_no_path_and_no_address(self, triage: Any) -> None:
        triage.compiled(MIPRO.format(""))
        asked = triage.calls_log.read_text(encoding="utf-8")
        assert "class Triage(lmp.Module):" in asked
        assert str(triage.path) not in asked
        assert " at 0x" not in asked

    def test_out_of_budget_it_goes_on_where_it_stopped(self, triage: Any) -> None:
        triage.compiled(MIPRO.format(""))
        whole, calls = triage.snapshot(), triage.calls
        triage.forget()
        (triage.path / SNAPSHOT).unlink()
        triage.calls_log.unlink()
        triage.compiled(MIPRO.format(""), "--lm-budget=5calls")
        assert triage.calls >= 5
        triage.compiled(MIPRO.format(""), "--lm-update")
        assert triage.calls == calls
        assert triage.snapshot() == whole

    def test_a_dry_run_tells_the_bound_and_asks_nothing(self, triage: Any) -> None:
        result = triage.compiled(MIPRO.format(""), "--lm-dry-run")
        # One bootstrap of 2 rows; 4 questions about data and program, 2 proposals; the program as it is and
        # four trials on 2 rows each: 2 + 6 + 10.
        result.stdout.fnmatch_lines(["test_support.py::TestTriage*18*4*4*26*"])
        assert triage.calls == 0

    def test_prompts_and_winner_do_not_depend_on_concurrency(self, triage: Any) -> None:
        triage.compiled(MIPRO.format(", minibatch_size=1, trials_in_flight=2"), "--lm-max-concurrency=1")
        text = triage.snapshot()
        triage.forget()
        (triage.path / SNAPSHOT).unlink()
        triage.compiled(MIPRO.format(", minibatch_size=1, trials_in_flight=2"), "--lm-max-concurrency=32")
        assert triage.snapshot() == text


@pytest.mark.usefixtures("optuna")
def test_one_demo_is_chosen_and_restored(triage: Any) -> None:
    triage.answers()
    strategy = "BootstrapFewShotWithOptuna(max_bootstrapped_demos=1, num_candidate_programs=3)"
    triage.compiled(strategy).assert_outcomes(passed=4)
    text = triage.snapshot()
    assert text.count("team: billing") + text.count("team: account") >= 1
    calls = triage.calls
    triage.run("--lm-record=none").assert_outcomes(passed=4)
    assert triage.calls == calls


def test_without_optuna_one_message_names_the_extra(triage: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    result = triage.compiled(MIPRO.format(""))
    assert result.ret != 0
    result.stdout.fnmatch_lines(
        ["*MIPROv2 needs the extra 'optuna'*", "*pip install 'pytest-lmprog?optuna?'*"]
    )
    assert triage.calls == 0
    assert "Traceback" not in result.stdout.str()


@pytest.fixture
def optuna() -> Any:
    return pytest.importorskip("optuna")
