"""Gates on a metric as a whole: reports of their own, and only where all of its cases ran."""

from __future__ import annotations

import json

from tests.plugin.conftest import UNIT


def gated(project, gate: str, **answers: str) -> None:
    project.answers(**answers)
    project.test(UNIT.replace("class Test", f"@pytest.mark.lm_gate({gate})\nclass Test"))


KNOWN = "--lm-compile"


def test_a_gate_fails_the_run_with_the_figures(project) -> None:
    gated(project, "min_score=0.9", dark="bug")
    project.run(KNOWN)
    result = project.run("-v")
    assert result.ret == 1
    result.assert_outcomes(passed=3, xfailed=1, failed=1)
    result.stdout.fnmatch_lines(
        [
            "test_support.py::TestTriage::test_team FAILED*",
            "*score 0.750 over 4 cases is below min_score 0.9*",
            "FAILED test_support.py::TestTriage::test_team - *",
        ]
    )


def test_a_gate_fails_a_compile_run_too(project) -> None:
    gated(project, "min_score=0.9", dark="bug")
    result = project.run("--lm-compile")
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*below min_score 0.9*"])


def test_a_gate_that_is_reached_says_nothing(project) -> None:
    gated(project, "min_score=0.75", dark="bug")
    project.run(KNOWN)
    result = project.run()
    assert result.ret == 0
    result.stdout.no_fnmatch_line("*gate:*")


def test_a_partial_run_is_not_judged(project) -> None:
    gated(project, "min_score=0.9", dark="bug")
    project.run(KNOWN)
    for selection in (["-k", "refund or dark"], ["--lm-limit=2"]):
        result = project.run(*selection)
        assert result.ret == 0
        result.stdout.fnmatch_lines(["*not judged (2 of 4 ran)*"])


def test_the_metric_id_runs_the_metric_again(project) -> None:
    gated(project, "min_score=0.9", dark="bug")
    project.run(KNOWN)
    result = project.run("test_support.py::TestTriage::test_team")
    assert result.ret == 1
    result.assert_outcomes(passed=3, xfailed=1, failed=1)


def test_the_id_of_a_parameter_set_runs_it_again(project) -> None:
    project.answers(dark="bug")
    project.test(
        UNIT.replace("class Test", "@pytest.mark.lm_gate(min_score=0.9)\nclass Test").replace(
            "    def test_team(self,", "    @pytest.mark.parametrize('n', [1, 2])\n    def test_team(self, n,"
        )
    )
    project.run(KNOWN)
    result = project.run()
    result.stdout.fnmatch_lines(["FAILED test_support.py::TestTriage::test_team?1? - *"])
    result = project.run("test_support.py::TestTriage::test_team[1]")
    assert result.ret == 1
    result.assert_outcomes(passed=3, xfailed=1, failed=1)


def test_last_failed_runs_a_failed_metric_again_and_forgets_it_once_it_passes(project) -> None:
    gated(project, "min_score=0.9", dark="bug")
    project.run(KNOWN)
    project.run_cached()
    result = project.run_cached("--lf")
    result.assert_outcomes(passed=3, xfailed=1, failed=1)
    gated(project, "min_score=0.7", dark="bug")
    assert project.run_cached("--lf").ret == 0
    failed = project.path / ".pytest_cache/v/cache/lastfailed"
    assert not failed.exists() or json.loads(failed.read_text()) == {}


def test_a_gate_is_in_junits_file(project) -> None:
    gated(project, "min_score=0.9", dark="bug")
    project.run(KNOWN)
    project.run("--junitxml=junit.xml")
    text = (project.path / "junit.xml").read_text()
    assert 'tests="5"' in text
    assert 'failures="1"' in text
    assert "below min_score 0.9" in text


def test_a_graded_metric_passes_at_its_threshold(project) -> None:
    project.answers()
    project.test(
        UNIT.replace("class Test", "@pytest.mark.lm_gate(pass_at=0.5)\nclass Test").replace(
            "assert prediction.team == example.team", "return 0.4 if example.team == 'bug' else 0.6"
        )
    )
    result = project.run()
    assert result.ret == 1
    result.assert_outcomes(passed=3, failed=1)
    result.stdout.fnmatch_lines(["*score 0.4*"])


def test_an_unscored_case_does_not_count(project) -> None:
    gated(project, "min_score=1", dark="bug")
    project.test(
        UNIT.replace("class Test", "@pytest.mark.lm_gate(min_score=1)\nclass Test").replace(
            "        assert",
            "        if example.id == 'dark-1':\n            pytest.skip('not mine')\n        assert",
        )
    )
    result = project.run()
    assert result.ret == 0
    result.assert_outcomes(passed=3, skipped=1)
