"""Marks: what they accept, and the one line that says why not."""

from __future__ import annotations

import pytest

HEAD = "import pytest\nimport pytest_lmprog as lmp\nfrom program import Triage\n"


def unit(marks: str, body: str = "assert prediction") -> str:
    return (
        f"{HEAD}\n{marks}\nclass TestTriage:\n    def test_team(self, example, prediction):\n        {body}\n"
    )


EXAMPLES = '@pytest.mark.lm_examples("tickets.yaml", split="dev")'
PROGRAM = "@pytest.mark.lm_program(program=Triage)"


def test_all_marks_are_registered(project) -> None:
    out = project.run("--markers").stdout.str()
    for name in ("lm_program(", "lm_examples(", "lm_metric(", "lm_gate(", "lm_repeat("):
        assert f"@pytest.mark.{name}" in out


def test_strict_markers_accept_them(project) -> None:
    project.test(unit(f"{PROGRAM}\n{EXAMPLES}\n@pytest.mark.lm_repeat(2)"))
    result = project.run("--strict-markers", "--collect-only", "-q")
    assert result.ret == 0


@pytest.mark.parametrize(
    ("marks", "message"),
    [
        (
            f"@pytest.mark.lm_program(program=Triage, telepromter=1)\n{EXAMPLES}",
            "lm_program has no argument 'telepromter'; did you mean 'teleprompter'?",
        ),
        (f'{PROGRAM}\n@pytest.mark.lm_examples("tickets.yaml", spilt="dev")', "did you mean 'split'?"),
        (f"@pytest.mark.lm_program(program=3)\n{EXAMPLES}", "program must be a Module class"),
        (f"@pytest.mark.lm_program(lm='x')\n{EXAMPLES}", "lm_program lacks program="),
        (f"@pytest.mark.lm_program(program=Triage, lm=[])\n{EXAMPLES}", "lm must be not empty"),
        (f"@pytest.mark.lm_program(program=Triage, lm=['a/m', 'a/m'])\n{EXAMPLES}", "is named twice"),
        (f"@pytest.mark.lm_program(program=Triage, max_calls=0)\n{EXAMPLES}", "max_calls must be 1 or more"),
        (
            f"@pytest.mark.lm_program(program=Triage, name='a/b')\n{EXAMPLES}",
            "name must be a plain file name",
        ),
        (
            f"@pytest.mark.lm_program(program=Triage, teleprompter=lmp.BootstrapFewShot)\n{EXAMPLES}",
            "teleprompter must be an instance, not the class BootstrapFewShot",
        ),
        (
            f"@pytest.mark.lm_program(program=Triage, teleprompter=lmp.BootstrapFewShot())\n{EXAMPLES}",
            "a teleprompter and nothing to learn from",
        ),
        (f"@pytest.mark.lm_program(program=lambda: 3)\n{EXAMPLES}", "gave int, which is no Module"),
        (f"@pytest.mark.lm_program(program=lambda: 1 / 0)\n{EXAMPLES}", "raised ZeroDivisionError"),
        (f"{PROGRAM}\n{EXAMPLES}\n@pytest.mark.lm_repeat(0)", "n must be a whole number, 1 or more"),
        (f"{PROGRAM}\n{EXAMPLES}\n@pytest.mark.lm_repeat()", "lm_repeat lacks n="),
        (
            f"{PROGRAM}\n{EXAMPLES}\n@pytest.mark.lm_gate(min_score=7)",
            "min_score must be a number from 0 to 1",
        ),
        (f"{PROGRAM}\n{EXAMPLES}\n@pytest.mark.lm_gate(max_regression=1)", "did you mean 'max_regressions'?"),
        (f"{PROGRAM}\n{EXAMPLES}\n@pytest.mark.lm_metric(weight=0)", "weight must be a number above 0"),
        (f"{PROGRAM}\n{EXAMPLES}\n@pytest.mark.lm_metric(1, True, 3)", "takes 2 positional arguments, not 3"),
        (f"{PROGRAM}\n{PROGRAM}\n{EXAMPLES}", "lm_program is given 2 times"),
        (
            f"{PROGRAM}\n{EXAMPLES}\n@pytest.mark.lm_exmples('x')",
            "no mark 'lm_exmples'; did you mean 'lm_examples'?",
        ),
        (PROGRAM, "lm_program without lm_examples"),
        (EXAMPLES, "lm_examples without lm_program"),
        ('@pytest.mark.lm_examples("tickets.yaml", limit=0)\n' + PROGRAM, "limit must be 1 or more"),
    ],
)
def test_a_mark_that_cannot_be_used_is_one_line_with_its_place(project, marks: str, message: str) -> None:
    project.test(unit(marks))
    result = project.run()
    out = result.stdout.str()
    assert result.ret == 2
    assert message in out
    assert "test_support.py:" in out
    assert "TestTriage.test_team: " in out
    assert "Traceback" not in out
    assert "pytest_lmprog/" not in out
    result.assert_outcomes(errors=1)


def test_a_metric_mark_on_a_plain_test_is_an_error(project) -> None:
    project.test(
        f"{HEAD}\n{PROGRAM}\n{EXAMPLES}\nclass TestTriage:\n"
        "    @pytest.mark.lm_gate(min_score=1)\n    def test_plain(self):\n        pass\n"
    )
    result = project.run()
    assert result.ret == 2
    result.stdout.fnmatch_lines(["*lm_gate is for a metric, and this test requests none of*"])


def test_examples_on_a_method_of_a_unit_are_an_error(project) -> None:
    project.test(
        f"{HEAD}\n{PROGRAM}\n{EXAMPLES}\nclass TestTriage:\n"
        f"    {EXAMPLES}\n    def test_team(self, example):\n        pass\n"
    )
    result = project.run()
    assert result.ret == 2
    result.stdout.fnmatch_lines(["*lm_examples on a method of a unit*"])
