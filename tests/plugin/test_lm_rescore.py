"""--lm-rescore: the metrics as they are now, on saved predictions, without a call."""

from __future__ import annotations

import json
import socket
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from pytest_lmprog.harness.saved.store import list_runs
from tests.plugin.conftest import CONFTEST, UNIT
from tests.support.pace import slowness

pytestmark = pytest.mark.filterwarnings("ignore")

BROKEN = """
import pytest

@pytest.fixture(scope="session")
def lm():
    raise RuntimeError("there is no LM here")
"""

SHORT = "\n    def test_short(self, prediction):\n        return 1.0 if len(prediction.team) < 5 else 0.25\n"


@pytest.fixture
def saved(project, monkeypatch) -> Any:
    """A project with a saved run, and neither an LM nor a network any more."""
    project.answers(dark="bug")
    project.test()
    project.run("--lm-report=r.json")
    project.write("conftest.py", BROKEN)
    monkeypatch.setattr(socket.socket, "connect", _refused)
    return project


def _refused(*args: object) -> None:
    raise AssertionError("a socket was opened")


def files(project: Any) -> dict[str, bytes]:
    # sqlite's own files beside the cache come and go with connections
    passing = ("cache.db-wal", "cache.db-shm")
    found = (p for p in project.path.rglob("*") if p.is_file() and "__pycache__" not in p.parts)
    found = (p for p in found if p.name not in passing)
    return {p.relative_to(project.path).as_posix(): held(p) for p in found}


def held(path: Path) -> bytes:
    """The file's bytes; of the cache the rows, which sqlite may move between its files at any time."""
    if path.name != "cache.db":
        return path.read_bytes()
    with closing(sqlite3.connect(path)) as connection:
        return "\n".join(connection.iterdump()).encode()


def test_new_metrics_and_thresholds_without_an_lm(saved) -> None:
    saved.test(UNIT.replace("class Test", "@pytest.mark.lm_gate(min_score=0.7)\nclass Test") + SHORT)
    before = files(saved)
    result = saved.run("--lm-rescore=last", "-v")
    result.stdout.fnmatch_lines(
        [
            "lmprog: rescoring run 1; nothing is asked",
            "*test_team * 4 *0.750*",
            "*test_short * 4 *0.625*",
            "*rescored from run 1: the program was not run*",
            "TestTriage: no calls",
        ]
    )
    result.assert_outcomes(passed=7, failed=2)  # dark-1, and the gate of test_short
    result.stdout.fnmatch_lines(["*score 0.625 * is below min_score 0.7"])
    assert saved.calls == 4
    assert files(saved) == before


def test_a_thousand_cases_and_a_new_metric_are_judged_soon(project) -> None:
    rows = (f'{{"id": "e{n}", "ticket": "charged {n} times", "team": "billing"}}\n' for n in range(1000))
    project.write("rows.jsonl", "".join(rows))
    unit = UNIT.replace('"tickets.yaml", split="dev"', '"rows.jsonl"')
    project.test(unit)
    project.run("-q").assert_outcomes(passed=1000)
    project.write("conftest.py", BROKEN)
    project.test(unit + SHORT)
    pace, start = slowness(), time.process_time()  # what others take of the machine is not ours
    result = project.run("-q", "--lm-rescore=last")
    took = time.process_time() - start
    result.assert_outcomes(passed=2000)
    assert project.calls == 1000
    assert took < 4 * max(pace, slowness())  # the benchmark "rescore" holds it to 2 seconds


def test_by_number_and_path_and_under_workers(saved) -> None:
    saved.run("--lm-rescore=1").assert_outcomes(passed=3, failed=1)
    saved.run("--lm-rescore=r.json").assert_outcomes(passed=3, failed=1)
    saved.run_apart("-n", "2", "--lm-rescore=1").assert_outcomes(passed=3, failed=1)


def test_a_run_from_ci_through_its_report(saved, monkeypatch) -> None:
    monkeypatch.setenv("CI", "true")
    saved.run("--lm-rescore=r.json").assert_outcomes(passed=3, failed=1)


def test_the_baseline_is_that_of_now(project) -> None:
    project.answers(dark="bug")
    project.test()
    project.run()
    project.run("--lm-rescore=1").assert_outcomes(passed=3, failed=1)
    project.run("--lm-compile")  # the baseline has a known miss now
    result = project.run("--lm-rescore=1")
    assert result.ret == 0
    result.assert_outcomes(passed=3, xfailed=1)
    result.stdout.no_fnmatch_line("*prompts are not those*")
    snapshot = project.path / "__lm_snapshots__/test_support/TestTriage.yaml"
    snapshot.write_text(snapshot.read_text().replace("Decide which team", "Tell which team"))
    result = project.run("--lm-rescore=1")
    result.stdout.fnmatch_lines(["*its prompts are not those of the accepted snapshot"])


def test_a_regression_beside_the_baseline_of_now(project) -> None:
    project.answers(dark="bug")
    project.test()
    project.run()
    project.answers()
    (project.path / "__lm_recordings__/test_support.jsonl").unlink()
    for path in (project.path / ".lm_cache").glob("cache.db*"):
        path.unlink(missing_ok=True)  # sqlite removes files beside it when a connection closes
    project.run("--lm-compile")
    result = project.run("--lm-rescore=1", "-v")
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*worse than the baseline*: dark-1"])


def test_a_case_that_is_not_in_the_run_says_so(saved) -> None:
    text = (saved.path / "tickets.yaml").read_text()
    saved.write("tickets.yaml", text + '- {id: new-1, ticket: "Hello", team: bug, split: dev}\n')
    result = saved.run("--lm-rescore=1")
    assert result.ret == 1
    result.stdout.fnmatch_lines(
        ["*run 1 has no prediction for test_team[[]new-1[]]*", "*hint: pytest runs *"]
    )
    result.stdout.fnmatch_lines(["*not judged (4 of 5 ran)*"])
    result.assert_outcomes(passed=3, failed=1, errors=1)


def test_a_case_whose_example_changed_since_says_which_field(saved) -> None:
    text = (saved.path / "tickets.yaml").read_text()
    saved.write("tickets.yaml", text.replace("I cannot log in", "I can log in"))
    result = saved.run("--lm-rescore=1")
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*the example 'login-1' is not the one that run 1 ran on: ticket changed*"])


def test_a_unit_that_is_not_in_the_run_says_which_are(saved) -> None:
    saved.test(UNIT.replace("TestTriage", "TestOther"))
    result = saved.run("--lm-rescore=1")
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*TestOther is not in run 1; the units there are: *::TestTriage*"])


def test_program_errors_and_traces_come_back(project) -> None:
    project.answers(dark="!no json")
    project.test()
    project.run()
    project.write("conftest.py", BROKEN)
    more = "\n    def test_asked(self, trace):\n        assert 'team' in trace[0].messages[0]['content']\n"
    project.test(UNIT + more)
    result = project.run("--lm-rescore=1")
    result.stdout.fnmatch_lines(["*there is no JSON object in the answer*", "*test_team * 4 * 1"])
    result.stdout.fnmatch_lines(["*test_asked * 4 *"])


def test_plain_tests_take_no_part(saved) -> None:
    saved.write("test_plain.py", "def test_plain():\n    raise SystemError\n")
    saved.run("--lm-rescore=1").assert_outcomes(passed=3, failed=1)  # its module is not collected
    saved.run("--lm-rescore=1", ".").assert_outcomes(passed=3, failed=1, deselected=1)


def test_a_metric_that_asks_has_recorded_answers_only(saved) -> None:
    asks = (
        "\n    def test_judge(self, prediction):\n        import pytest_lmprog as lmp\n"
        "        return float(lmp.Predict('team -> score: float')(team=prediction.team).score)\n"
    )
    saved.test(UNIT + asks)
    result = saved.run("--lm-rescore=1", "-k", "judge")
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*a metric asked scripted, and it cannot be had: RuntimeError*"])
    saved.write("conftest.py", CONFTEST.format(words={}, calls=str(saved.calls_log)))
    result = saved.run("--lm-rescore=1", "-k", "judge")
    result.stdout.fnmatch_lines(["*no recorded answer*"])
    assert saved.calls == 4


@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["alone", "xdist"])
def test_a_metric_that_asks_after_others_has_its_recorded_answers(project, workers) -> None:
    project.test(
        UNIT + "\n    def test_judge(self, prediction):\n        import pytest_lmprog as lmp\n"
        "        return lmp.Predict('judged -> team')(judged=prediction.team).team == 'bug'\n"
    )
    project.run("--lm-report=r.json").assert_outcomes(passed=8)
    calls = project.calls
    result = project.run("--lm-rescore=1", *workers)
    result.assert_outcomes(passed=8)
    assert project.calls == calls


def test_whatever_addopts_says_nothing_is_asked(saved) -> None:
    saved.write("pytest.ini", "[pytest]\npythonpath = .\naddopts = --lm-record=all\n")
    saved.run("--lm-rescore=1").assert_outcomes(passed=3, failed=1)


def test_limit_and_rollouts_are_those_of_the_run_unless_given(project) -> None:
    project.test()
    project.run("--lm-repeat=2", "--lm-limit=3")
    project.write("conftest.py", BROKEN)
    project.run("--lm-rescore=last").assert_outcomes(passed=6)
    project.run("--lm-rescore=last", "--lm-repeat=1", "--lm-limit=2").assert_outcomes(passed=2)
    result = project.run("--lm-repeat=3", "--lm-rescore=last")
    result.stdout.fnmatch_lines(["*no prediction for test_team[[]refund-1-r3[]]*"])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--lm-rescore=7"], "there is no run '7'"),
        (["--lm-rescore=tickets.yaml"], "is not JSON"),
        (["--lm-rescore=1", "--lm-update"], "it neither compiles nor writes snapshots"),
        (["--lm-rescore=1", "--lm-compile"], "it neither compiles nor writes snapshots"),
    ],
)
def test_what_cannot_be_is_a_usage_error(saved, arguments, words) -> None:
    result = saved.run(*arguments)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert words in result.stderr.str()


def test_a_rescored_run_is_not_saved_but_can_be_reported_and_rescored(saved) -> None:
    saved.run(f"--lm-rescore={saved.path / '.lm_cache/runs/0001.json'}", "--lm-report=again.json")
    assert len(list_runs(saved.path / ".lm_cache")) == 1
    data = json.loads((saved.path / "again.json").read_text())
    assert data["settings"]["rescored"] == "run 1"
    assert str(saved.path) not in json.dumps(data)
    assert data["units"][0]["after"]
    saved.run("--lm-rescore=again.json").assert_outcomes(passed=3, failed=1)
