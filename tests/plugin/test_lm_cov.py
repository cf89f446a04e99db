"""``--lm-cov``: what no example exercises, beside pytest-cov and its figures."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.plugin.conftest import Project

PROGRAM = '''
import pytest_lmprog as lmp


class Detect(lmp.Signature):
    """Tell the language."""

    text: str = lmp.InputField()
    language: str = lmp.OutputField()


class Reply(lmp.Signature):
    """Answer the customer."""

    text: str = lmp.InputField()
    answer: str = lmp.OutputField()


class Desk(lmp.Module):
    def __init__(self, polite=True):
        self.detect = lmp.Predict(Detect)
        self.reply = lmp.Predict(Reply)
        self.translate = lmp.Predict("text, language -> translated")

    def forward(self, text):
        language = self.detect(text=text).language
        if language == "de":
            text = self.translate(text=text, language=language).translated
            text = tidy(text)
        if text.isupper():
            return lmp.Prediction(answer="Don't shout.")
        return self.reply(text=text)


def tidy(text):
    return text.strip()


def unused(text):  # nobody refers to it: no part of the program
    return text
'''

TEXTS = """
- {id: hi, text: "hello there", answer: "Hi."}
- {id: loud, text: "HELLO", answer: "Don't shout."}
- {id: hi2, text: "hello you", answer: "Hi."}
"""

CONFTEST = """
import json
import pytest
import pytest_lmprog as lmp

def answer(request):
    if "Answer the customer" in request.messages[0]["content"]:
        return json.dumps({"answer": "Hi."})
    return json.dumps({"language": "de" if "hallo" in request.messages[-1]["content"] else "en"})

@pytest.fixture(scope="session")
def lm():
    return lmp.ScriptedLM(answer)
"""

UNIT = """
import pytest
from program import Desk, unused

@pytest.mark.lm_program(program=Desk)
@pytest.mark.lm_examples("texts.yaml")
class TestDesk:
    def test_answer(self, example, prediction):
        assert prediction.answer == example.answer

    def test_short(self, prediction):
        assert len(prediction.answer) < 80

def test_plain():
    assert unused("x") == "x"
"""


@pytest.fixture
def desk(project: Project) -> Project:
    project.write("program.py", PROGRAM)
    project.write("texts.yaml", TEXTS)
    project.write("conftest.py", CONFTEST)
    project.test(UNIT)
    return project


def line_of(text: str) -> int:
    return PROGRAM[: PROGRAM.index(text)].count("\n") + 1


def section(result: pytest.RunResult) -> list[str]:
    """The lines of our section."""
    lines = result.outlines
    start = next(i for i, line in enumerate(lines) if "LM program coverage" in line)
    end = next(i for i, line in enumerate(lines[start + 1 :], start + 1) if line.startswith("==="))
    return lines[start + 1 : end]


IF = line_of('if language == "de"')
EXPECTED = [
    "program.py  lines 8/11, branches 3/4",
    f'  Desk.forward  {IF}->{IF + 1}  if language == "de": never true, {IF + 1}-{IF + 2} not run',
    f"  tidy          {line_of('return text.strip()')}      never called",
    "test_support.py::TestDesk: 3 runs; predictors never called: translate",
    "lmprog cov PATH:LINE lists the examples that reach a line",
]


def test_names_the_branch_that_no_example_takes(desk: Project) -> None:
    result = desk.run("--lm-cov")
    result.assert_outcomes(passed=7)
    assert section(result) == EXPECTED


def test_the_same_in_replay_and_across_workers(desk: Project) -> None:
    desk.run()
    assert section(desk.run("--lm-cov", "--lm-record=none")) == EXPECTED
    result = desk.run("--lm-cov", "-n", "2")
    result.assert_outcomes(passed=7)
    assert section(result) == EXPECTED


def test_the_same_outcomes_and_calls_as_without(desk: Project) -> None:
    plain = desk.run("-rA", "--lm-record=new")
    desk.forget()
    watched = desk.run("-rA", "--lm-record=new", "--lm-cov")
    assert watched.parseoutcomes() == plain.parseoutcomes()
    for result in (plain, watched):
        result.stdout.fnmatch_lines(["*TestDesk: 5 calls, all live*"])


def test_everything_is_covered(desk: Project) -> None:
    desk.write("texts.yaml", TEXTS + '- {id: de, text: "hallo", answer: "Hi."}\n')
    conftest = CONFTEST.replace(
        'return json.dumps({"language"', 'return json.dumps({"translated": "x", "language"'
    )
    desk.write("conftest.py", conftest)
    lines = section(desk.run("--lm-cov"))
    assert lines[:2] == ["program.py  lines 11/11, branches 4/4", "test_support.py::TestDesk: 4 runs"]


def test_a_case_that_runs_the_program_itself_counts(desk: Project) -> None:
    own = (
        "    def test_own(self, example, lm_program):\n        assert lm_program(text=example.text).answer\n"
    )
    desk.test(
        UNIT.replace(
            "    def test_answer(self, example, prediction):\n", own + "    def test_no(self, example):\n"
        )
        .replace("prediction.answer == example.answer", "example")
        .replace("    def test_short(self, prediction):\n        assert len(prediction.answer) < 80\n", "")
    )
    lines = section(desk.run("--lm-cov"))
    assert lines == EXPECTED


def test_a_part_of_the_cases(desk: Project) -> None:
    said = squeezed(section(desk.run("--lm-cov", "-k", "loud")))
    assert "test_support.py::TestDesk: 1 of 3 runs; predictors never called: reply, translate" in said


def test_demos_that_are_in_no_prompt(desk: Project) -> None:
    made = (
        "def made():\n"
        "    desk = Desk()\n"
        "    desk.reply.demos = [{'text': 'a', 'answer': 'b'}, {'text': 'c', 'answer': 'd'}]\n"
        "    desk.translate.demos = [{'text': 'a', 'language': 'b', 'translated': 'c'}]\n"
        "    return desk\n\n"
    )
    mark = "@pytest.mark.lm_program"
    desk.test(UNIT.replace("program=Desk", "program=made").replace(mark, made + mark))
    lines = section(desk.run("--lm-cov"))
    assert "test_support.py  lines 4/4" in lines  # the factory is a part of the program
    assert "; demos never used: translate 1 (of 1) lmprog" in squeezed(lines)
    lines = section(desk.run("--lm-cov", "-k", "loud"))
    assert "demos never used: reply 1, 2 (of 2); translate 1 (of 1) lmprog" in squeezed(lines)


def squeezed(lines: list[str]) -> str:
    return " ".join(" ".join(lines).split())


def test_pragmas_and_configured_exclusions_count(desk: Project) -> None:
    desk.write(
        "program.py", PROGRAM.replace('if language == "de":', 'if language == "de":  # pragma: no cover')
    )
    desk.write(".coveragerc", "[report]\nexclude_also =\n    def tidy\n")
    lines = section(desk.run("--lm-cov"))
    assert lines[0] == "program.py  lines 7/7, branches 2/2"


def test_says_so_where_no_program_ran(project: Project) -> None:
    project.test("def test_plain():\n    pass\n")
    assert section(project.run("--lm-cov")) == ["no program was run on an example"]


def test_a_compile_run_covers_the_new_program(desk: Project) -> None:
    result = desk.run("--lm-cov", "--lm-compile")
    assert result.ret == 0
    assert section(result) == EXPECTED


def test_without_the_option_nothing_is_loaded(desk: Project) -> None:
    desk.write(
        "test_z.py",
        "import sys\ndef test_modules():\n    loaded = [m for m in sys.modules if 'lmprog.harness.coverage' in m]\n"
        "    assert loaded == []\n    assert 'coverage' not in sys.modules\n",
    )
    desk.run_apart().assert_outcomes(passed=8)


# --- beside pytest-cov ------------------------------------------------------------------------------------

FIGURES = """
import coverage, json, sys
data = coverage.CoverageData(sys.argv[1])
data.read()
files = sorted(data.measured_files())
print(json.dumps({
    "report": {k: v for k, v in json.load(open(sys.argv[2])).items() if k != "meta"},
    "data": {f: [sorted(data.lines(f) or []), sorted(data.arcs(f) or [])] for f in files},
    "contexts": {f: {k: sorted(v) for k, v in data.contexts_by_lineno(f).items()} for f in files},
}))
"""


def figures(project: Project, *args: str) -> dict[str, Any]:
    """All that pytest-cov has found."""
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:randomly",
        "--cov-report=json",
        "--cov-report=",
    ]
    done = subprocess.run(
        [*command, "--lm-record=none", *args], cwd=project.path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found = subprocess.run(
        [sys.executable, "-c", FIGURES, ".coverage", "coverage.json"],
        cwd=project.path,
        capture_output=True,
        text=True,
        check=True,
    )
    read: dict[str, Any] = json.loads(found.stdout)
    assert read["data"]
    return read


@pytest.mark.parametrize(
    "options",
    [
        ("--cov=.", "--cov-branch", "--cov-context=test"),
        pytest.param(("--cov=program",), marks=pytest.mark.slow),
        pytest.param(("--cov=test_support", "--cov-branch"), marks=pytest.mark.slow),
        pytest.param(("--cov=.", "--cov-branch", "-n2"), marks=pytest.mark.slow),
    ],
    ids=str,
)
def test_pytest_cov_finds_the_same_beside_it(desk: Project, options: tuple[str, ...]) -> None:
    pytest.importorskip("pytest_cov")
    desk.run()
    without = figures(desk, *options)
    with_it = figures(desk, *options, "--lm-cov")
    assert with_it == without
    kept = json.loads(Path(desk.path / ".lm_cache/coverage/last.json").read_text(encoding="utf-8"))
    (file,) = kept["files"]
    assert [gap["line"] for gap in file["gaps"]] == [IF, line_of("return text.strip()")]
