"""--lm-report: which reports are written, when, and what they say of a run that went wrong."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from pytest_lmprog.harness.saved.run import SavedRun
from pytest_lmprog.harness.saved.store import list_runs, load_run_file
from tests.plugin.conftest import UNIT

pytestmark = pytest.mark.filterwarnings("ignore")


def read(project: Any, name: str = "r.json") -> SavedRun:
    return load_run_file(project.path / name)


def test_the_report_holds_what_ran(project) -> None:
    project.answers(dark="bug")
    project.test()
    result = project.run("--lm-report=out/deep/r.json")
    assert result.ret == 1
    result.stdout.fnmatch_lines(["report: out/deep/r.json"])
    run = read(project, "out/deep/r.json")
    assert not run.passed
    assert run.complete
    (unit,) = run.units
    assert [case.example for case in unit.cases] == ["refund-1", "login-1", "crash-1", "dark-1"]
    assert [o.status for o in unit.outcomes] == ["pass", "pass", "pass", "fail"]
    assert unit.case_of["dark-1", 0].prediction == {"team": "bug"}
    assert unit.example_of["login-1"].inputs == ("ticket",)
    assert unit.example_of["login-1"].split == "dev"
    (call,) = unit.cases[0].calls
    assert call.predictor == "classify"
    assert "I was charged twice" in call.messages[-1]["content"]
    assert json.loads(call.answer) == {"team": "billing"}
    assert unit.calls.live == 4
    assert unit.after is not None
    assert "Decide which team" in unit.after
    assert unit.before is None


def test_a_run_that_passed_says_so(project) -> None:
    project.test()
    assert project.run("--lm-report=r.json").ret == 0
    assert read(project).passed


def test_a_failed_gate_fails_the_report_too(project) -> None:
    project.answers(dark="bug")
    project.test(UNIT.replace("class Test", "@pytest.mark.lm_gate(min_score=0.9)\nclass Test"))
    project.run("--lm-compile", "--lm-report=r.json")
    run = read(project)
    assert run.units[0].verdicts["test_team"].state == "failed"
    assert not run.passed


@pytest.mark.parametrize("given", ["r.pdf", "r", "r.json.gz"])
def test_another_suffix_is_a_usage_error_that_lists_them(project, given) -> None:
    project.test()
    result = project.run(f"--lm-report={given}")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert ".html, .json or .md" in result.stderr.str()
    assert project.calls == 0


def test_several_from_every_source(project, monkeypatch) -> None:
    project.test()
    project.run("--lm-report=a.json", "--lm-report=b.json")
    monkeypatch.setenv("PYTEST_LMPROG_REPORT", "c.json, d.json")
    project.run()
    assert all((project.path / f"{name}.json").is_file() for name in "abcd")


def test_the_ini_files_report_lies_in_the_rootdir(project, monkeypatch) -> None:
    project.write("pytest.ini", "[pytest]\npythonpath = .\nlm_report = out/x.json\n")
    (project.path / "sub").mkdir()
    project.test()
    monkeypatch.chdir(project.path / "sub")
    project.run("..")
    assert (project.path / "out/x.json").is_file()


def test_a_report_that_cannot_be_written_is_one_error_and_fails(project) -> None:
    project.write("file", "")
    project.test()
    result = project.run("--lm-report=file/r.json", "--lm-report=ok.json")
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*file/r.json: the report cannot be written: *"])
    assert read(project, "ok.json").units
    result.assert_outcomes(passed=4, errors=1)


def test_a_report_replaces_the_one_before_whole(project) -> None:
    project.write("r.json", "x" * 100_000)
    project.test()
    project.run("--lm-report=r.json")
    assert read(project).passed
    assert sorted(p.name for p in project.path.glob(".r.json*")) == []


def test_the_first_failure_stops_and_the_report_lists_what_did_not_run(project) -> None:
    project.answers(charged="bug")
    project.test()
    result = project.run("-x", "--lm-report=r.json")
    assert result.ret == 1
    run = read(project)
    assert not run.passed
    assert not run.complete
    assert run.missing == tuple(
        f"test_support.py::TestTriage::test_team[{i}]" for i in ("login-1", "crash-1", "dark-1")
    )
    assert run.problems == ("stopped early: stopping after 1 failures",)


def test_collection_errors_do_not_pass(project) -> None:
    project.test()
    project.write("test_broken.py", "import nothing_of_the_kind\n")
    result = project.run("--lm-report=r.json")
    assert result.ret == pytest.ExitCode.INTERRUPTED
    run = read(project)
    assert not run.passed
    assert "1 error during collection" in run.problems[0]
    assert len(run.missing) == 4


def test_collect_only_and_dry_runs_write_none(project) -> None:
    project.test()
    project.run("--collect-only", "--lm-report=r.json")
    project.run("--lm-compile", "--lm-dry-run", "--lm-report=r.json")
    assert not (project.path / "r.json").exists()


def test_a_run_without_units_has_an_empty_report(project) -> None:
    project.write("test_plain.py", "def test_plain():\n    pass\n")
    project.run("--lm-report=r.json")
    assert read(project).units == ()
    assert read(project).passed


def test_replay_and_ci_have_reports_but_are_not_saved(project, monkeypatch) -> None:
    project.test()
    project.run()
    monkeypatch.setenv("CI", "true")
    project.run("--lm-report=r.json")
    assert read(project).settings["record"] == "none"
    assert read(project).units[0].cases[0].calls[0].source == "recording"
    assert len(list_runs(project.path / ".lm_cache")) == 1


def test_runs_are_saved_and_the_oldest_go(project) -> None:
    project.write("pytest.ini", "[pytest]\npythonpath = .\nlm_keep_runs = 2\n")
    project.test()
    results = [project.run() for _ in range(3)]
    results[-1].stdout.fnmatch_lines(["saved as run 3 *"])
    assert [run.number for run in list_runs(project.path / ".lm_cache")] == [2, 3]
    project.write("pytest.ini", "[pytest]\npythonpath = .\nlm_keep_runs = 0\n")
    project.run().stdout.no_fnmatch_line("saved as run*")


def test_plain_tests_alone_are_not_saved(project) -> None:
    project.write("test_plain.py", "def test_plain(lm):\n    assert lm\n")
    project.run()
    assert not list_runs(project.path / ".lm_cache")


def test_nothing_is_collected_where_nothing_wants_it(project, monkeypatch) -> None:
    from pytest_lmprog.harness.saved import collector

    project.test()
    project.run()
    monkeypatch.setattr(collector, "Collector", None)
    monkeypatch.setattr(collector, "Collection", None)
    assert project.run("--lm-record=none").ret == 0


def test_a_compile_tells_of_its_candidates_and_both_prompts(project) -> None:
    project.write(
        "test_support.py",
        UNIT.replace(
            "program=Triage)",
            "program=Triage, teleprompter=pytest.lm, trainset='tickets.yaml', train_split='train')",
        ).replace(
            "import pytest\n",
            "import pytest\nfrom pytest_lmprog.teleprompt import BootstrapFewShotWithRandomSearch as S\n"
            "pytest.lm = S(num_candidate_programs=1, max_bootstrapped_demos=1, max_labeled_demos=1)\n",
        ),
    )
    project.run("--lm-compile", "--lm-report=r.json")
    (unit,) = read(project).units
    assert unit.before is None
    assert unit.after is not None
    assert "baseline:" in unit.after
    assert len(unit.candidates) == 4
    assert [c.winner for c in unit.candidates].count(True) == 1
    evaluated = [c for c in unit.candidates if c.score is not None]
    assert evaluated
    assert all(c.runs == 2 and c.calls == 1.0 and c.tokens is None for c in evaluated)
    assert unit.compiled is not None
    assert unit.compiled["teleprompter"] == "BootstrapFewShotWithRandomSearch"
    assert read(project).written[0].state == "created"


def test_secrets_are_in_no_report(project, monkeypatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-0123456789abcdef")
    project.write(
        "tickets.yaml", '- {id: a, ticket: "my key is sk-0123456789abcdef", team: bug, split: dev}\n'
    )
    project.test()
    project.run("--lm-report=r.json")
    text = (project.path / "r.json").read_text()
    assert "sk-0123456789abcdef" not in text
    assert "[secret]" in text


def test_workers_tell_the_same(project) -> None:
    project.answers(dark="bug")
    project.test()
    project.run_apart("--lm-report=one.json")
    project.run_apart("-n", "2", "--lm-report=two.json")
    one, two = (json.loads((project.path / f"{name}.json").read_text()) for name in ("one", "two"))
    for data in (one, two):
        for case in data["units"][0]["cases"]:
            for call in case["calls"]:
                call.pop("source", None)
                call.pop("latency", None)
        data["units"][0].pop("calls")
        for outcome in data["units"][0]["outcomes"]:
            outcome.pop("live", None)
    assert one == two


def test_a_worker_killed_in_the_middle_is_told_of(project) -> None:
    crash = (
        "\n    def test_crash(self, example):\n        import os, signal\n"
        "        if example.id == 'crash-1':\n            os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    project.test(UNIT + crash)
    result = project.run_apart("-n", "4", "--max-worker-restart=0", "--lm-report=r.json")
    assert result.ret == 1
    run = read(project)
    assert not run.passed
    assert not run.complete
    assert "test_support.py::TestTriage::test_crash[crash-1]" in run.missing
    assert len(run.lost_workers) == 1
    assert run.units[0].verdicts["test_crash"].state == "not_judged"


@pytest.mark.skipif(os.name == "nt", reason="signals")
def test_ctrl_c_leaves_a_report_that_says_it_is_incomplete(project) -> None:
    slow = (
        "\n    def test_slow(self, example):\n        import pathlib, time\n"
        "        if example.id == 'crash-1':\n            pathlib.Path('here').touch()\n"
        "            time.sleep(30)\n"
    )
    project.test(UNIT + slow)
    command = [sys.executable, "-m", "pytest", "-p", "no:randomly", "--lm-report=r.json"]
    process = subprocess.Popen(command, cwd=project.path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert _appears(project.path / "here")
    process.send_signal(signal.SIGINT)
    output = process.communicate(timeout=60)[0].decode()
    assert process.returncode == pytest.ExitCode.INTERRUPTED
    assert "report: r.json" in output
    run = read(project)
    assert run.interrupted
    assert not run.passed
    assert "stopped early: KeyboardInterrupt" in run.problems
    assert len(run.missing) >= 2
    assert run.units[0].cases


def _appears(path: Path) -> bool:
    end = time.monotonic() + 60
    while time.monotonic() < end:
        if path.exists():
            return True
        time.sleep(0.05)
    return False
