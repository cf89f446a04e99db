"""Training, validation and test scores of a compile, side by side, and the warning where they disagree."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pytest_lmprog.cli import main

NUMBERS = """
import json, re
import pytest
import pytest_lmprog as lmp
import support

def answer(request):
    number = int(re.findall(r"q(\\d+)", request.messages[-1]["content"])[-1])
    support.asked.append(number)
    return json.dumps({{"answer": f"a{{number}}" if number < {known} else "no"}})

@pytest.fixture(scope="session")
def lm():
    return lmp.ScriptedLM(answer)

def rows(start, stop):
    return [{{"id": f"e{{i}}", "question": f"q{{i}}", "answer": f"a{{i}}"}} for i in range(start, stop)]

class QA(lmp.Module):
    def __init__(self):
        self.answer = lmp.Predict("question -> answer")
    def forward(self, question):
        return self.answer(question=question)

@pytest.mark.lm_program(program=QA, teleprompter=lmp.{teleprompter}, trainset=rows(0, 12){more})
@pytest.mark.lm_examples(rows(40, 50))
class TestQA:
    def test_a(self, example, prediction):
        assert prediction.answer == example.answer
"""
SEARCH = "BootstrapFewShotWithRandomSearch(num_candidate_programs=0, max_labeled_demos=0)"


def numbers(
    project: Any, *, known: int = 40, more: str = ", valset=rows(20, 30)", teleprompter: str = SEARCH
) -> None:
    project.write("conftest.py", "")
    project.write("support.py", "asked = []\n")
    project.test(NUMBERS.format(known=known, more=more, teleprompter=teleprompter))


def test_the_summary_and_the_reports_have_all_three(project, capsys) -> None:
    numbers(project, known=99)
    result = project.run("--lm-compile", "--lm-report=r.json", "--lm-report=r.html", "--lm-report=r.md")
    assert result.ret == 0
    result.stdout.fnmatch_lines(
        [
            "compiled *train *validation *test",
            "TestQA *1.000 0.76-1.00 (12)  1.000 0.72-1.00 (10)  1.000 0.72-1.00 (10)",
        ]
    )
    result.stdout.no_fnmatch_line("*WARNING*")
    (unit,) = json.loads((project.path / "r.json").read_text())["units"]
    assert [(s["split"], s["score"], s["n"]) for s in unit["compiled"]["splits"]] == [
        ("train", 1.0, 12),
        ("validation", 1.0, 10),
        ("test", 1.0, 10),
    ]
    assert main(["-C", str(project.path), "runs", "show"]) == 0
    assert "1.000 0.72-1.00 (10)" in capsys.readouterr().out
    assert "Compiled program" in (project.path / "r.html").read_text()
    assert "1.000 0.76-1.00 (12)" in (project.path / "r.md").read_text()


def test_a_program_that_is_fitted_to_the_validation_is_a_warning(project) -> None:
    numbers(project)
    result = project.run("--lm-compile", "--lm-report=r.json", "--lm-report=r.html", "--lm-report=r.md")
    assert result.ret == 0
    said = "validation 1.000 (0.72-1.00, n 10) and test 0.000 (0.00-0.28, n 10) differ by more than"
    words = " ".join(result.stdout.str().split())
    assert f"WARNING: TestQA: {said}" in words
    assert f"LmprogWarning: test_support.py::TestQA: {said}" in words
    for name in ("r.json", "r.html", "r.md"):
        assert "differ by more than their intervals" in (project.path / name).read_text().replace("\n", " ")


def test_without_a_validation_of_its_own_nothing_more_is_asked(project) -> None:
    numbers(project, known=99, more="")
    result = project.run("--lm-compile")
    result.stdout.fnmatch_lines(
        [
            "TestQA *1.000 0.76-1.00 (12)  1.000 0.76-1.00 (12)  1.000 0.72-1.00 (10)",
            "TestQA, validation: the training examples, their own demos left out",
        ]
    )
    dry = project.run("--lm-compile", "--lm-dry-run")
    dry.stdout.no_fnmatch_line("*train*")


def test_a_compile_that_ranks_nothing_shows_nothing(project) -> None:
    numbers(project, teleprompter="BootstrapFewShot()")
    project.run("--lm-compile").stdout.no_fnmatch_line("*validation*")


def test_selected_on_the_cases_is_said_and_no_warning(project) -> None:
    numbers(project, more=", valset=rows(40, 50)")
    result = project.run("--lm-compile")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["TestQA, validation: selected on these cases"])
    result.stdout.no_fnmatch_line("*WARNING*")


def test_a_partial_run_has_no_test_score(project) -> None:
    numbers(project)
    result = project.run("--lm-compile", "-k", "e40")
    result.stdout.fnmatch_lines(["TestQA * -", "TestQA, test: not all cases ran"])
    result.stdout.no_fnmatch_line("*WARNING*")


def test_a_dry_run_counts_the_training_examples(project) -> None:
    numbers(project)
    result = project.run("--lm-compile", "--lm-dry-run")
    # 12 bootstrap runs and 3 candidates on 10 examples; 12 training examples; the cases before and after
    result.stdout.fnmatch_lines(
        ["unit * compile  train  before  cases  calls *", "*::TestQA  *42     12      10     10     74 *"]
    )


def test_where_the_budget_is_spent_the_training_examples_are_not_scored(project) -> None:
    numbers(project, known=99)
    result = project.run("--lm-compile", "--lm-budget=33calls", "--lm-max-concurrency=1")
    words = " ".join(result.stdout.str().split())
    assert "the training examples were not scored (the budget is spent)" in words
    assert "TestQA -" in words
    assert (project.path / "__lm_snapshots__/test_support/TestQA.yaml").exists()


def test_a_budget_of_nothing_says_so(project) -> None:
    numbers(project)
    words = " ".join(project.run("--lm-compile", "--lm-budget=0calls").stdout.str().split())
    assert "stopped: budget (0 calls allows no live call: nothing but the cache answered)" in words


@pytest.mark.parametrize("concurrency", [1, 64])
def test_the_training_score_does_not_depend_on_concurrency(project, concurrency: int) -> None:
    numbers(project, known=7)
    project.run("--lm-compile", "--lm-report=r.json", f"--lm-max-concurrency={concurrency}")
    (unit,) = json.loads((project.path / "r.json").read_text())["units"]
    assert unit["compiled"]["splits"][0]["score"] == 7 / 12
