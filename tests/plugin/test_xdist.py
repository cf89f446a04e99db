"""Under xdist: one report, one summary, nothing lost with a worker. Each run is a process of its own."""

from __future__ import annotations

import pytest

from tests.plugin.conftest import UNIT

pytestmark = pytest.mark.filterwarnings("ignore")


def counted(project) -> list[str]:
    return (project.path / "__lm_recordings__/test_support.jsonl").read_text().splitlines()


def test_one_summary_and_all_recordings(project) -> None:
    project.test()
    result = project.run_apart("-n", "2")
    result.assert_outcomes(passed=4)
    assert result.stdout.str().count("= LM programs =") == 1
    result.stdout.fnmatch_lines(["lmprog: model *record new*", "*test_team * 4 *1.000*"])
    assert project.calls == 4
    replay = project.run_apart("-n", "2", "--lm-record=none")
    replay.assert_outcomes(passed=4)
    assert project.calls == 4


def test_ratchet_and_gate(project) -> None:
    project.answers(dark="bug")
    project.test(UNIT.replace("class Test", "@pytest.mark.lm_gate(min_score=0.9)\nclass Test"))
    project.run("--lm-compile")
    result = project.run_apart("-n", "2", "-v")
    assert result.ret == 1
    result.assert_outcomes(passed=3, xfailed=1, failed=1)
    result.stdout.fnmatch_lines(["*KNOWN MISS*", "*below min_score 0.9*"])
    assert result.stdout.str().count("below min_score 0.9") == 2  # the report and the summary's remark


def test_a_compile_leaves_xdist(project) -> None:
    project.test()
    result = project.run_apart("-n", "2", "--lm-compile")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["*-n is set aside*", "*new snapshot: *TestTriage.yaml*"])
    result.stdout.no_fnmatch_line("*workers*")


def test_a_lost_worker(project) -> None:
    project.test(
        UNIT + "\n    def test_crash(self, example):\n        import os\n"
        "        if example.id == 'dark-1':\n            os._exit(9)\n"
    )
    result = project.run_apart("-n", "2", "--max-worker-restart=1")
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*worker lost: gw*"])
    result.stdout.no_fnmatch_line("*INTERNALERROR*")
    assert len(counted(project)) > 0


def test_a_dataset_error_is_told_once(project) -> None:
    project.write("tickets.yaml", "- {id: a, ticket: [}\n")
    project.test()
    result = project.run_apart("-n", "2")
    assert result.ret == 1
    assert result.stdout.str().count("tickets.yaml:1") == 1
    result.stdout.no_fnmatch_line("*INTERNALERROR*")
