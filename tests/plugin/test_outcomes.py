"""What a test function says: assertions, numbers, skips, errors, coroutines."""

from __future__ import annotations

import pytest

from tests.plugin.conftest import UNIT

SHOW = """
import pytest_lmprog as lmp

def pytest_lmprog_case_finished(config, case):
    for name, score in case.scores.items():
        print(f"CASE {case.example.id} {name} {score.value} {score.graded} {score.feedback!r}")
    if case.error:
        print(f"CASE {case.example.id} error {case.error.kind}")
"""


def body(project, *lines: str, signature: str = "self, example, prediction", head: str = "") -> None:
    """Write a unit of one case whose metric has these lines."""
    text = UNIT.replace('split="dev"', 'split="dev", limit=1').replace("self, example, prediction", signature)
    text = text.replace("    def test_team", head + "    def test_team")
    project.test(
        text.replace(
            "        assert prediction.team == example.team\n", "".join(f"        {x}\n" for x in lines)
        )
    )
    conftest = project.path / "conftest.py"
    conftest.write_text(conftest.read_text() + SHOW)


@pytest.mark.parametrize(
    ("line", "said", "outcome"),
    [
        ("pass", "1.0 False ''", "passed"),
        ("return 0.25", "0.25 True ''", "passed"),
        ("return True", "1.0 True ''", "passed"),
        ("return False", "0.0 True 'the metric returned False'", "failed"),
        ("return 0", "0.0 True ''", "failed"),
        ("assert 1 == 2, 'why'", "0.0 False 'why\\nassert 1 == 2'", "failed"),
        ("pytest.fail('because')", "0.0 False 'because'", "failed"),
        ("pytest.skip('no')", "None False ''", "skipped"),
        ("pytest.xfail('no')", "None False ''", "xfailed"),
    ],
)
def test_what_is_said(project, line: str, said: str, outcome: str) -> None:
    body(project, line)
    result = project.run("-s")
    result.stdout.fnmatch_lines([f"*CASE refund-1 test_team {said}*"])
    result.assert_outcomes(**{outcome: 1})
    assert "PytestReturnNotNoneWarning" not in result.stdout.str()


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("return 2", "a score must be finite and within ?0, 1?, not 2.0"),
        ("return float('nan')", "must be finite"),
        ("return 'good'", "must be given a number or a bool, not str"),
        ("return prediction", "not Prediction"),
    ],
)
def test_a_score_that_is_none(project, line: str, message: str) -> None:
    body(project, line)
    result = project.run()
    assert result.ret == 1
    result.stdout.fnmatch_lines([f"*{message}*"])
    assert "pytest_lmprog/" not in result.stdout.str()


def test_record_score(project) -> None:
    body(project, "record_score(0.7, feedback='nearly')", signature="self, example, prediction, record_score")
    result = project.run("-s")
    result.stdout.fnmatch_lines(["*CASE refund-1 test_team 0.7 True 'nearly'*"])
    result.assert_outcomes(passed=1)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["record_score(0.7)", "record_score(0.8)"], "record_score was called twice"),
        (["record_score(0.7)", "return 0.7"], "returned a score and called record_score too"),
        (["record_score(7)"], "record_score: a score must be finite"),
    ],
)
def test_record_score_used_wrongly(project, lines: list[str], message: str) -> None:
    body(project, *lines, signature="self, prediction, record_score")
    result = project.run()
    assert result.ret == 1
    result.stdout.fnmatch_lines([f"*{message}*"])
    assert "pytest_lmprog/" not in result.stdout.str()


def test_a_recorded_score_with_a_failing_assertion_is_a_failure(project) -> None:
    body(project, "record_score(0.7)", "assert False", signature="self, prediction, record_score")
    result = project.run("-s")
    result.stdout.fnmatch_lines(["*CASE refund-1 test_team 0.0 *"])


def test_a_metric_that_raises_is_no_score(project) -> None:
    body(project, "{}['key']")
    result = project.run()
    assert result.ret == 1
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*KeyError: 'key'*", "*not judged (0 of 1 ran)*"])
    assert "pytest_lmprog/" not in result.stdout.str()


def test_an_answer_that_does_not_parse_is_a_failure_that_shows_it(project) -> None:
    project.answers(charged="!I think it is money")
    project.test()
    result = project.run()
    assert result.ret == 1
    result.assert_outcomes(passed=3, failed=1)
    result.stdout.fnmatch_lines(
        [
            "E   there is no JSON object in the answer",
            "E*the answer was: 'I think it is money'",
            "*- LM program -*",
            "example refund-1",
            "  ticket: 'I was charged twice'",
            "call of classify*",
            "*I think it is money",
        ]
    )
    assert "pytest_lmprog/" not in result.stdout.str()
    verbose = project.run("-v")
    verbose.stdout.fnmatch_lines(
        ["  [[]system[]]", "*Decide which team should handle a support ticket.*", "  [[]answer[]]"]
    )


def test_a_program_that_raises_is_a_failure_of_its_kind(project) -> None:
    project.write(
        "program.py",
        "import pytest_lmprog as lmp\nclass Triage(lmp.Module):\n    def forward(self, ticket):\n        return {}[ticket]\n",
    )
    body(project, "pass")
    result = project.run("-s")
    assert result.ret == 1
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["*CASE refund-1 error KeyError*", "*the program raised KeyError: 'I was charged twice'*"]
    )


def test_a_replay_miss_is_an_error_and_names_the_nearest(project) -> None:
    project.test()
    project.run()
    project.write(
        "tickets.yaml",
        (project.path / "tickets.yaml").read_text().replace("I was charged twice", "I was charged 3x"),
    )
    result = project.run("--lm-record=none")
    assert result.ret == 1
    result.assert_outcomes(passed=3, errors=1)
    result.stdout.fnmatch_lines(["*no recorded answer*refund-1*"])
    assert "Traceback" not in result.stdout.str()
    assert "pytest_lmprog/" not in result.stdout.str()


def test_no_lm_is_one_clear_error(project) -> None:
    project.write("conftest.py", "")
    project.test()
    result = project.run()
    assert result.ret == 1
    result.assert_outcomes(errors=1, skipped=3)
    result.stdout.fnmatch_lines(["*there is no LM to test with*", "*hint: pytest --lm-model=*"])
    assert "pytest_lmprog/" not in result.stdout.str()


def test_a_fixture_that_fails_shows_only_the_users_frames(project) -> None:
    project.write(
        "conftest.py", "import pytest\n\n@pytest.fixture(scope='session')\ndef lm():\n    return {}['key']\n"
    )
    project.test()
    result = project.run()
    result.assert_outcomes(errors=4)
    result.stdout.fnmatch_lines(["*conftest.py:5: KeyError*"])
    assert "pytest_lmprog/" not in result.stdout.str()


def test_coroutines_are_awaited(project) -> None:
    body(project, "return 0.5")
    path = project.path / "test_support.py"
    path.write_text(path.read_text().replace("    def test_team", "    async def test_team"))
    result = project.run("-s")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["*CASE refund-1 test_team 0.5 True*"])


def test_coroutines_of_anyio_keep_their_score(project) -> None:
    body(project, "return 0.5", head="    @pytest.mark.anyio\n")
    path = project.path / "test_support.py"
    path.write_text(path.read_text().replace("    def test_team", "    async def test_team"))
    result = project.run("-s", "-k", "asyncio")
    result.stdout.fnmatch_lines(["*CASE refund-1 test_team* 0.5 True*"])


def test_each_metric_gets_its_own_copy_and_the_program_runs_once(project) -> None:
    project.write(
        "program.py",
        "import pytest_lmprog as lmp\nclass Triage(lmp.Module):\n    def forward(self, ticket):\n"
        "        return lmp.Prediction(team='bug', words=[ticket])\n",
    )
    project.test(
        UNIT.replace("        assert prediction.team == example.team", "        prediction.words.append(1)")
        + "\n    def test_b(self, prediction):\n        assert len(prediction.words) == 1\n"
    )
    project.run().assert_outcomes(passed=8)


def test_the_trace_tells_each_call(project) -> None:
    body(
        project,
        "[call] = trace",
        "assert (call.name, dict(call.inputs)) == ('classify', {'ticket': 'I was charged twice'})",
        "assert call.outputs.team == 'billing' and call.messages and call.answer",
        signature="self, trace",
    )
    project.run().assert_outcomes(passed=1)


def test_lm_program_is_the_program_as_tested(project) -> None:
    body(
        project,
        "assert type(lm_program).__name__ == 'Triage'",
        "assert lm_program(ticket=example.ticket).team == prediction.team",
        signature="self, example, prediction, lm_program",
    )
    project.run().assert_outcomes(passed=1)


def test_metrics_of_a_unit_may_have_different_rollouts(project) -> None:
    once = "\n    def test_once(self, prediction):\n        assert prediction\n"
    project.test(UNIT.replace("    def test_team", "    @pytest.mark.lm_repeat(2)\n    def test_team") + once)
    result = project.run()
    result.assert_outcomes(passed=12)
    assert project.calls == 8
    result.stdout.no_fnmatch_line("*not judged*")


def test_rollouts_are_items_with_answers_of_their_own(project) -> None:
    project.test(UNIT.replace("class Test", "@pytest.mark.lm_repeat(3)\nclass Test"))
    result = project.run()
    result.assert_outcomes(passed=12)
    assert project.calls == 12
    result.stdout.fnmatch_lines(["*4x3*", "*3 rollouts: pass rate*"])
