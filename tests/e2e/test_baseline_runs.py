"""Known misses, regressions, fixes and gates in whole runs: selected, shuffled, shared out or killed."""

from __future__ import annotations

import shutil
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from tests.e2e.desk import Desk

BARE = "test_support.py::TestTriage::test_team"
GATE = "score 0.800 over 5 cases is below min_score 0.9"


@pytest.fixture(scope="module")
def worse(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The snapshot has dark-1 right and odd-1 wrong; the recordings now say the opposite."""
    desk = Desk(tmp_path_factory.mktemp("worse"))
    code, out = desk.pytest("--lm-compile", "--lm-update")
    assert code == 0, out
    assert desk.pytest(CI="1")[0] == 0
    desk.words |= {"dark": "bug", "odd": "feature"}
    code, out = desk.pytest("--lm-record=all")
    assert code == 0, out
    assert "test_team PASS: the score is the same" in out
    assert "test_team, 1 worse than the baseline: dark-1" in out
    assert "REGRESSION" not in out  # with live calls the metric's verdict decides
    return desk.path


@pytest.fixture(scope="module")
def gated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A gate that the baseline does not reach."""
    desk = Desk(tmp_path_factory.mktemp("gated"))
    desk.edit("test_support.py", "lm_gate()", "lm_gate(min_score=0.9)")
    code, out = desk.pytest("--lm-compile", "--lm-update")
    assert code == 1, out
    assert f"test_team FAIL: {GATE}" in out
    return desk.path


def copy(source: Path, target: Path) -> Desk:
    desk = Desk(target)
    shutil.copytree(source, target, dirs_exist_ok=True)
    return desk


WAYS = [(), ("-p", "no:randomly"), ("-n", "4")]


@pytest.mark.parametrize("way", WAYS, ids=" ".join)
def test_a_regression_fails_and_a_fix_is_shown(worse: Path, tmp_path: Path, way: tuple[str, ...]) -> None:
    code, out = copy(worse, tmp_path).pytest(*way, CI="1")
    assert code == 1
    assert f"REGRESSION {BARE}[dark-1]" in out
    assert "test_team, 1 fixed: odd-1" in out
    assert "2 failed, 8 passed" in out  # test_size, a float, is worse at dark-1 too


@pytest.mark.parametrize(
    ("way", "told"),
    [
        (("-k", "refund"), "test_team: not judged (1 of 5 ran)"),
        (("--deselect", f"{BARE}[dark-1]", "-k", "test_team"), "test_team: not judged (4 of 5 ran)"),
    ],
)
def test_what_is_not_selected_does_not_fail(
    worse: Path, tmp_path: Path, way: tuple[str, ...], told: str
) -> None:
    code, out = copy(worse, tmp_path).pytest(*way, CI="1")
    assert code == 0, out
    assert told in out


def test_a_strict_metric_wants_a_fix_accepted(worse: Path, tmp_path: Path) -> None:
    desk = copy(worse, tmp_path)
    desk.edit("test_support.py", "lm_gate()", "lm_gate(max_regressions=1, strict=True)")
    code, out = desk.pytest("-k", "test_team", CI="1")
    assert code == 1
    assert f"FIXED, NOT ACCEPTED {BARE}[odd-1]" in out
    assert "1 failed, 3 passed, 5 deselected, 1 xfailed" in out
    desk.pytest("--lm-update")
    code, out = desk.pytest(CI="1")
    assert code == 0, out
    assert "8 passed, 1 xfailed" in out or "9 passed, 1 xfailed" in out


def test_last_failed_runs_the_regression_again(worse: Path, tmp_path: Path) -> None:
    desk = copy(worse, tmp_path)
    desk.with_cache("-q", CI="1")
    code, out = desk.with_cache("--lf", CI="1")
    assert code == 1
    assert "2 failed" in out
    assert "passed" not in out.splitlines()[-1]


def test_stopping_at_the_first_regression(worse: Path, tmp_path: Path) -> None:
    code, out = copy(worse, tmp_path).pytest("-x", "-p", "no:randomly", CI="1")
    assert code == 1
    assert "stopping after 1 failures" in out
    assert "test_team: not judged (4 of 5 ran)" in out


@pytest.mark.parametrize("way", [*WAYS, (BARE,)], ids=" ".join)
def test_a_gate_fails_the_run_with_its_figures(gated: Path, tmp_path: Path, way: tuple[str, ...]) -> None:
    code, out = copy(gated, tmp_path).pytest(*way, CI="1")
    assert code == 1
    assert f"FAILED {BARE} - gate: {GATE}" in out
    assert "1 failed" in out.splitlines()[-1]


def test_a_gate_without_all_cases_is_not_judged(gated: Path, tmp_path: Path) -> None:
    code, out = copy(gated, tmp_path).pytest("-k", "login or odd", CI="1")
    assert code == 0, out
    assert "test_team: not judged (2 of 5 ran)" in out


def test_a_failed_gate_can_be_run_again_by_last_failed(gated: Path, tmp_path: Path) -> None:
    desk = copy(gated, tmp_path)
    desk.with_cache("-q", CI="1")
    code, out = desk.with_cache("--lf", CI="1")
    assert code == 1
    assert GATE in out
    assert "1 failed, 4 passed, 5 deselected, 1 xfailed" in out


def test_junit(gated: Path, tmp_path: Path) -> None:
    copy(gated, tmp_path).pytest("--junitxml=report.xml", CI="1")
    [suite] = ET.parse(tmp_path / "report.xml").getroot()
    assert (suite.get("tests"), suite.get("failures"), suite.get("skipped")) == ("11", "1", "1")
    cases = {case.get("name"): case for case in suite}
    assert cases["test_team"].find("failure").get("message") == f"gate: {GATE}"
    assert cases["test_team[odd-1]"].find("skipped").get("type") == "pytest.xfail"


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
@pytest.mark.parametrize("restarts", [(), ("--max-worker-restart=0",)], ids=["restarted", "given up"])
def test_a_killed_worker_is_told_and_nothing_is_judged_without_it(
    gated: Path, tmp_path: Path, restarts: tuple[str, ...]
) -> None:
    code, out = copy(gated, tmp_path).pytest("-n", "2", *restarts, CI="1", KILL="login-1")
    assert code == 1
    assert "worker lost: gw" in out
    assert "test_team: not judged (" in out
    assert "crashed while running 'test_support.py::TestTriage::test_team[login-1]'" in out
    assert GATE not in out
