"""A mark whose only argument is a class or function decorates it; that is told, with what to write."""

from __future__ import annotations

import pytest

EXAMPLES = '@pytest.mark.lm_examples("tickets.yaml", split="dev")'
BODY = "class TestTriage:\n    def test_team(self, example, prediction):\n        pass\n"


def assert_told(result: pytest.RunResult, *lines: str) -> None:
    assert result.ret == 2
    result.stdout.fnmatch_lines(list(lines))
    assert "Traceback" not in result.stdout.str()
    assert "pytest_lmprog/" not in result.stdout.str()


def test_an_import_that_fails_by_it(project) -> None:
    project.test(
        f"import pytest\nfrom program import Triage\n\n@pytest.mark.lm_program(Triage)\n{EXAMPLES}\n{BODY}"
    )
    assert_told(
        project.run(),
        "test_support.py:4: lm_program marks the class Triage, which is no test: *",
        "*hint: @pytest.mark.lm_program(program=Triage)*",
    )


def test_a_program_that_takes_an_argument(project) -> None:
    project.write(
        "program.py",
        "import pytest_lmprog as lmp\nclass Triage(lmp.Module):\n    def __init__(self, x=1): ...\n",
    )
    project.test(f"import pytest\nfrom program import Triage\n\n@pytest.mark.lm_program(Triage)\n{BODY}")
    assert_told(project.run(), "*lm_program marks the class Triage*")


def test_a_program_reached_through_its_module(project) -> None:
    project.test(f"import pytest\nimport program\n\n@pytest.mark.lm_program(program.Triage)\n{BODY}")
    assert_told(project.run(), "test_support.py:4: lm_program marks the class Triage*")


def test_module_marks(project) -> None:
    project.test(
        f"import pytest\nfrom program import Triage\npytestmark = pytest.mark.lm_program(Triage)\n{BODY}"
    )
    assert_told(project.run(), "test_support.py:3: lm_program marks the class Triage*")


def test_a_source_function(project) -> None:
    project.test(
        "import pytest\nfrom program import Triage\n\ndef rows():\n    return []\n\n"
        f"@pytest.mark.lm_program(program=Triage)\n@pytest.mark.lm_examples(rows)\n{BODY}"
    )
    assert_told(
        project.run(),
        "*lm_examples marks the function rows*",
        "*hint: @pytest.mark.lm_examples(source=rows)*",
    )


def test_a_helper_function_that_is_no_test(project) -> None:
    project.test("import pytest\n@pytest.mark.lm_metric(weight=2)\ndef helper(): ...\n\ndef test_a(): ...\n")
    assert_told(
        project.run(),
        "test_support.py:3: lm_metric marks the function helper, which is no test*",
        "*hint: put lm_metric on a test*",
    )


def test_another_module_with_the_same_program_is_not_told_again(project) -> None:
    project.test(
        f"import pytest\nfrom program import Triage\n\n@pytest.mark.lm_program(Triage)\n{BODY}", "test_a.py"
    )
    project.test("from program import Triage\n\ndef test_b():\n    pass\n", "test_b.py")
    result = project.run("--continue-on-collection-errors")
    result.assert_outcomes(errors=1, passed=1)


def test_an_unrelated_import_error_is_left_alone(project) -> None:
    project.test("import pytest\nraise TypeError('mine')\n")
    result = project.run()
    result.stdout.fnmatch_lines(["*TypeError: mine*"])


def test_a_unittest_class_is_refused(project) -> None:
    project.test(
        "import unittest\nimport pytest\nfrom program import Triage\n\n"
        f"@pytest.mark.lm_program(program=Triage)\n{EXAMPLES}\n"
        "class TestTriage(unittest.TestCase):\n    def test_team(self):\n        pass\n"
    )
    assert_told(project.run(), "*TestTriage is a unittest.TestCase, whose tests take no fixtures*")
