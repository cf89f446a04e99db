"""``lm_gate``: what it takes, and what its verdicts do to a run."""

from __future__ import annotations

import json

import pytest

from tests.plugin.conftest import UNIT
from tests.plugin.test_ratchet import baseline, replayed

MANY = [f"- {{id: t{i}, ticket: 'word{i} please', team: bug, split: dev}}" for i in range(20)]


def gated(project, gate: str, text: str = UNIT) -> None:
    project.test(text.replace("class Test", f"@pytest.mark.lm_gate({gate})\nclass Test"))


def accepted(project, gate: str, **answers: str) -> None:
    """Accept a baseline of twenty tickets that all pass, and then answer some of them otherwise."""
    project.write("tickets.yaml", "\n".join(MANY) + "\n")
    project.answers({})
    project.test()
    project.run("--lm-compile")
    project.forget()
    project.answers({}, **answers)
    gated(project, gate)


def wrong(count: int, first: int = 10) -> dict[str, str]:
    return {f"word{i}": "billing" for i in range(first, first + count)}


# --- what it takes ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("gate", "message"),
    [
        ("max_drop=1.5", "lm_gate: max_drop must be a number from 0 to 1, not 1.5"),
        ("max_drop=True", "lm_gate: max_drop must be a number from 0 to 1, not True"),
        ("max_drop=float('nan')", "max_drop must be a number from 0 to 1, not nan"),
        ("alpha=0", "lm_gate: alpha must be a number above 0 and below 0.5, not 0"),
        ("alpha=0.5", "lm_gate: alpha must be a number above 0 and below 0.5, not 0.5"),
        ("alpha=None", "lm_gate: alpha must be a number above 0 and below 0.5, not None"),
        ("on_inconclusive='ignore'", "on_inconclusive must be one of 'pass', 'fail', 'warn', not 'ignore'"),
        ("max_regressions=-1", "max_regressions must be a whole number, 0 or more, or None, not -1"),
        ("must_pass='dark-1'", "must_pass must be a list of example ids, not 'dark-1'"),
        ("must_pass=[1.5]", "must_pass must be a list of example ids"),
        ("max_drp=0.1", "lm_gate has no argument 'max_drp'; did you mean 'max_drop'?"),
        ("must_pass=['dark-2']", "must_pass names 'dark-2', which is no example of this unit"),
        ("must_pass=['dark-2']", "hint: did you mean 'dark-1'?"),
        ("must_pass=['zzz']", "hint: its examples are: refund-1, login-1, crash-1, dark-1"),
    ],
)
def test_what_cannot_be_used_is_told_at_collection(project, gate: str, message: str) -> None:
    gated(project, gate)
    result = project.run()
    assert result.ret == 2
    assert message in result.stdout.str()
    assert "Traceback" not in result.stdout.str()
    assert project.calls == 0


# --- must_pass ----------------------------------------------------------------------------------------


def test_a_case_that_must_pass_fails_although_it_is_a_known_miss(project) -> None:
    baseline(project, dark="bug")
    gated(project, "must_pass=['dark-1']")
    result = replayed(project, "-v")
    assert result.ret == 1
    result.assert_outcomes(passed=3, failed=1)
    result.stdout.fnmatch_lines(["*assert 'bug' == 'feature'*", "*test_team FAIL: 1 case failed: dark-1*"])
    gated(project, "must_pass=['refund-1']")
    assert replayed(project).ret == 0


def test_it_fails_in_a_partial_run_and_while_compiling(project) -> None:
    project.answers(dark="bug")
    gated(project, "must_pass=['dark-1'], max_regressions=9")
    assert project.run("--lm-compile").ret == 1
    assert project.run("-k", "dark").ret == 1
    assert project.run("-k", "refund").ret == 0


def test_it_fails_at_once_with_live_calls(project) -> None:
    baseline(project)
    project.answers(dark="bug")
    gated(project, "must_pass=['dark-1'], on_inconclusive='pass'")
    result = project.run("-v")
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*test_team?dark-1? REGRESSION*"])


def test_whole_numbers_are_ids_too(project) -> None:
    project.write("tickets.yaml", "- {id: 7, ticket: 'I was charged twice', team: bug, split: dev}\n")
    gated(project, "must_pass=[7]")
    assert project.run("--lm-compile").ret == 1


# --- replay: every flip counts ------------------------------------------------------------------------


def test_max_drop_leaves_single_cases_to_the_metric(project) -> None:
    accepted(project, "max_drop=0.1", **wrong(2))
    result = replayed(project, "-v")
    assert result.ret == 0
    result.assert_outcomes(passed=18, xfailed=2)
    accepted(project, "max_drop=0.1", **wrong(3))
    result = replayed(project)
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*gate: the score fell by 0.150 over 20 cases, max_drop is 0.1*"])


def test_max_regressions_beside_max_drop_counts_too(project) -> None:
    accepted(project, "max_drop=0.5, max_regressions=1", **wrong(2))
    result = replayed(project)
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*2 cases got worse than the baseline, max_regressions is 1: t10, t11*"])


def test_without_max_drop_a_flip_in_replay_fails_at_once(project) -> None:
    accepted(project, "alpha=0.001, on_inconclusive='pass'", **wrong(1))
    result = replayed(project)
    assert result.ret == 1
    result.assert_outcomes(passed=19, failed=1)
    assert "p = " not in result.stdout.str()


# --- live: statistics decide --------------------------------------------------------------------------


@pytest.mark.parametrize(("policy", "code"), [("fail", 1), ("pass", 0), ("warn", 0)])
def test_inconclusive(project, policy: str, code: int) -> None:
    accepted(project, f"on_inconclusive={policy!r}", **wrong(3))
    result = project.run()
    text = result.stdout.str()
    assert result.ret == code
    assert "test_team INCONCLUSIVE" in text
    assert ("LmprogWarning: test_support.py::TestTriage::test_team: gate: INCONCLUSIVE" in text) == (
        policy == "warn"
    )
    assert ("FAILED test_support.py::TestTriage::test_team - gate: INCONCLUSIVE" in text) == (
        policy == "fail"
    )
    assert "p = 0.12 > alpha 0.02" in " ".join(text.split())


def test_a_warning_can_be_made_an_error(project) -> None:
    accepted(project, "on_inconclusive='warn'", **wrong(3))
    assert project.run("-W", "error::pytest_lmprog.errors.LmprogWarning").ret == 1


def test_a_drop_beyond_noise_fails(project) -> None:
    accepted(project, "on_inconclusive='pass'", **wrong(6))
    result = project.run()
    assert result.ret == 1
    text = " ".join(result.stdout.str().split())
    assert "gate: the score fell by 0.300 (96% CI" in text
    assert "which noise does not explain (p = 0.016 <= alpha 0.02); 6 worse, 0 better of 20 cases" in text


def test_no_drop_passes_with_its_figures(project) -> None:
    accepted(project, "")
    result = project.run()
    assert result.ret == 0
    assert "test_team PASS: no case got worse (96% CI -0.174 to +0.174)" in " ".join(
        result.stdout.str().split()
    )


def test_two_metrics_are_corrected(project) -> None:
    accepted(project, "on_inconclusive='pass'", **wrong(6))
    second = (
        UNIT
        + "    def test_again(self, example, prediction):\n        assert prediction.team == example.team\n"
    )
    project.answers({})
    project.test(second)
    project.run("--lm-update")
    project.forget()
    project.answers({}, **wrong(6))
    gated(project, "on_inconclusive='pass'", second)
    result = project.run()
    assert result.ret == 0
    assert "p = 0.031 corrected > alpha 0.02" in " ".join(result.stdout.str().split())


def test_xdist_says_the_same(project) -> None:
    accepted(project, "on_inconclusive='fail', must_pass=['t1']", **wrong(3))
    result = project.run_apart("-n", "2", "-p", "no:cacheprovider")
    assert result.ret == 1
    text = " ".join(result.stdout.str().split())
    assert "p = 0.12 > alpha 0.02" in text
    result.assert_outcomes(passed=17, xfailed=3, failed=1)


def test_a_saved_run_holds_the_verdict(project) -> None:
    accepted(project, "max_drop=0.01, must_pass=['t1']", **wrong(6))
    project.run("--lm-report=run.json")
    data = json.loads((project.path / "run.json").read_text())
    verdict = data["units"][0]["verdicts"]["test_team"]
    assert verdict["state"] == "failed"
    assert verdict["figures"]["worse"] == [f"t{i}" for i in range(10, 16)]
    assert verdict["figures"]["p_value"] == pytest.approx(1 / 64)
    assert verdict["figures"]["max_drop"] == 0.01


# --- rollouts -----------------------------------------------------------------------------------------


def test_flaky_cases_are_named(project) -> None:
    project.write(
        "conftest.py",
        "import json, pytest, pytest_lmprog as lmp\n"
        "def answer(request):\n"
        "    wrong = 'charged' in request.messages[-1]['content'] and request.rollout == 1\n"
        "    teams = {'charged': 'billing', 'log in': 'account', 'crash': 'bug', 'dark': 'feature'}\n"
        "    team = next(t for w, t in teams.items() if w in request.messages[-1]['content'])\n"
        "    return json.dumps({'team': 'bug' if wrong else team})\n"
        "@pytest.fixture(scope='session')\n"
        "def lm():\n"
        "    return lmp.ScriptedLM(answer)\n",
    )
    project.test(UNIT.replace("class Test", "@pytest.mark.lm_repeat(3)\nclass Test"))
    result = project.run()
    result.stdout.fnmatch_lines(
        [
            "*test_team, 1 flaky: refund-1 2/3*",
            "*test_team, 3 rollouts: pass rate 0.917, pass@3 1.000, pass^3 0.750*",
        ]
    )
