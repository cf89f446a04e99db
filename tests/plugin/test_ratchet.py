"""Known misses, regressions and fixed cases, as pytest reports them."""

from __future__ import annotations

from tests.plugin.conftest import UNIT


def baseline(project, **answers: str) -> None:
    """Accept a snapshot of the program as written, with these answers; then forget what was recorded."""
    project.answers(**answers)
    project.test()
    result = project.run("--lm-compile")
    assert (project.path / "__lm_snapshots__/test_support/TestTriage.yaml").exists(), result.stdout.str()
    project.forget()


def replayed(project, *args: str):
    """Run once live, to record, and once in replay."""
    project.run()
    return project.run("--lm-record=none", *args)


def test_without_a_snapshot_a_failure_is_a_failure(project) -> None:
    project.answers(dark="bug")
    project.test()
    result = project.run()
    assert result.ret == 1
    result.assert_outcomes(passed=3, failed=1)
    result.stdout.fnmatch_lines(
        ["*assert 'bug' == 'feature'*", "*- LM program -*", "example dark-1", "  team: 'bug'"]
    )


def test_a_known_miss_does_not_fail(project) -> None:
    baseline(project, dark="bug")
    result = project.run("-rx", "-v")
    assert result.ret == 0
    result.assert_outcomes(passed=3, xfailed=1)
    result.stdout.fnmatch_lines(
        ["*test_team?dark-1? KNOWN MISS*", "KNOWN MISS *test_team?dark-1? - *assert 'bug' == 'feature'*"]
    )
    assert "k" in next(line for line in project.run().outlines if line.startswith("test_support.py "))


def test_a_regression_in_replay_fails_at_once(project) -> None:
    baseline(project)
    project.answers(dark="bug")
    result = replayed(project, "-v")
    assert result.ret == 1
    result.assert_outcomes(passed=3, failed=1)
    result.stdout.fnmatch_lines(
        [
            "*test_team?dark-1? REGRESSION*",
            "*assert 'bug' == 'feature'*",
            "*- regression -*",
            "*accepted snapshot*",
        ]
    )
    result.stdout.no_fnmatch_line("*gate:*")


def test_a_live_regression_is_shown_and_the_metric_decides(project) -> None:
    baseline(project)
    project.answers(dark="bug")
    result = project.run("-v")
    assert result.ret == 1
    result.stdout.fnmatch_lines(
        [
            "*test_team?dark-1? REGRESSED*",
            "*INCONCLUSIVE: the score fell by 0.250*p = 0.5 > alpha 0.02*1 worse, 0 better of 4 cases*",
        ]
    )
    result.assert_outcomes(passed=3, xfailed=1, failed=1)


def test_max_regressions_allows_some(project) -> None:
    baseline(project)
    project.answers(dark="bug")
    project.test(UNIT.replace("class Test", "@pytest.mark.lm_gate(max_regressions=1)\nclass Test"))
    result = replayed(project)
    assert result.ret == 0
    result.assert_outcomes(passed=3, xfailed=1)


def test_a_fixed_case_passes_and_is_shown(project) -> None:
    baseline(project, dark="bug")
    project.answers()
    result = replayed(project, "-v")
    assert result.ret == 0
    result.assert_outcomes(passed=4)
    result.stdout.fnmatch_lines(["*test_team?dark-1? FIXED*", "*1 fixed: dark-1*"])


def test_a_strict_metric_wants_fixes_accepted(project) -> None:
    baseline(project, dark="bug")
    project.answers()
    project.test(UNIT.replace("class Test", "@pytest.mark.lm_gate(strict=True)\nclass Test"))
    result = replayed(project)
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*fixed, not accepted*accept it with --lm-update*"])


def test_a_known_error_and_a_new_one(project) -> None:
    baseline(project, dark="!no json")
    result = replayed(project, "-v")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["*test_team?dark-1? KNOWN ERROR*"])
    project.forget()
    project.answers(dark="!no json", charged="!no json either")
    result = replayed(project, "-v")
    assert result.ret == 1
    result.assert_outcomes(passed=2, xfailed=1, failed=1)
    result.stdout.fnmatch_lines(["*test_team?refund-1? REGRESSION*"])


def test_an_added_case_is_an_ordinary_test(project) -> None:
    baseline(project)
    with (project.path / "tickets.yaml").open("a") as file:
        file.write('- {id: late, ticket: "A late one", team: feature, split: dev}\n')
    result = project.run()
    assert result.ret == 1
    result.assert_outcomes(passed=4, failed=1)
    result.stdout.fnmatch_lines(["*1 not baselined: late*"])
    assert "stale" not in result.stdout.str()


def test_exitfirst_stops_at_a_regression_and_not_at_a_known_miss(project) -> None:
    baseline(project, charged="bug")
    project.answers(charged="bug", **{"log in": "bug"})
    result = replayed(project, "-x")
    result.assert_outcomes(xfailed=1, failed=1)


def test_last_failed_runs_the_regression_only(project) -> None:
    baseline(project)
    project.answers(dark="bug")
    project.run()
    project.run_cached("--lm-record=none")
    result = project.run_cached("--lm-record=none", "--lf")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*not judged (1 of 4 ran)*"])


def test_junit_knows_them(project) -> None:
    baseline(project, dark="bug")
    project.answers(dark="bug", charged="bug")
    result = replayed(project, "--junitxml=junit.xml")
    text = (project.path / "junit.xml").read_text()
    assert result.ret == 1
    assert 'failures="1"' in text
    assert 'skipped="1"' in text
    assert 'tests="4"' in text


def test_a_mark_of_pytests_own_leaves_a_case_unscored(project) -> None:
    project.test(
        UNIT.replace("    def test_team", "    @pytest.mark.xfail(reason='later')\n    def test_team")
    )
    project.answers(dark="bug")
    result = project.run()
    result.assert_outcomes(xpassed=3, xfailed=1)
    assert result.ret == 0
