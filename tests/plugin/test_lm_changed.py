"""``--lm-changed``: only the cases that run something that changed since the snapshot."""

from __future__ import annotations

import json
import re

import pytest

from tests.plugin.conftest import Project

PROGRAM = '''
from typing import Literal
import pytest_lmprog as lmp

Tone = Literal["calm", "angry"]
GREETING = "Hello"


class Mood(lmp.Signature):
    """Tell the mood of a text."""

    text: str = lmp.InputField()
    tone: Tone = lmp.OutputField()


class Soothe(lmp.Signature):
    """Calm the customer down."""

    text: str = lmp.InputField()
    answer: str = lmp.OutputField()


class Desk(lmp.Module):
    def __init__(self):
        self.mood = lmp.Predict(Mood)
        self.soothe = lmp.Predict(Soothe)
        self.limit = 80

    def forward(self, text):
        if self.mood(text=text).tone == "angry":
            return lmp.Prediction(answer=shorten(self.soothe(text=text).answer))
        return greeting()


def shorten(text):
    return text[:80]


def greeting():
    return lmp.Prediction(answer=GREETING)
'''

TEXTS = """
- {id: a1, text: "I am angry", answer: "Sorry."}
- {id: a2, text: "so angry!", answer: "Sorry."}
- {id: c1, text: "fine", answer: "Hello"}
- {id: c2, text: "all good", answer: "Hello"}
- {id: c3, text: "great", answer: "Hi"}
"""

CONFTEST = """
import json
import pathlib
import pytest
import pytest_lmprog as lmp

def answer(request):
    with pathlib.Path({log!r}).open("a") as log:
        log.write("call\\n")
    text = request.messages[-1]["content"]
    if "Calm" in request.messages[0]["content"]:
        return json.dumps({{"answer": "Sorry."}})
    return json.dumps({{"tone": "angry" if "angry" in text else "calm"}})

@pytest.fixture(scope="session")
def lm():
    return lmp.ScriptedLM(answer)
"""

UNIT = """
import pytest
from program import Desk

@pytest.mark.lm_program(program=Desk)
@pytest.mark.lm_examples("texts.yaml")
class TestDesk:
    def test_answer(self, example, prediction):
        assert prediction.answer == example.answer

    def test_short(self, prediction):
        assert len(prediction.answer) < 80

    def test_text(self, example):
        assert example.text

def test_plain():
    pass
"""


class Desk:
    def __init__(self, project: Project) -> None:
        self.project = project
        self.files = {"program.py": PROGRAM, "texts.yaml": TEXTS, "test_support.py": UNIT}
        for name, text in self.files.items():
            project.write(name, text)
        project.write("conftest.py", CONFTEST.format(log=str(project.calls_log)))

    def accept(self) -> None:
        assert self.project.run("--lm-update").ret == 0

    def edit(self, old: str, new: str, name: str = "program.py") -> None:
        assert old in self.files[name]
        self.files[name] = self.files[name].replace(old, new)
        self.project.write(name, self.files[name])

    def changed(self, *args: str) -> tuple[set[str], str]:
        """The cases that run with --lm-changed, and the text of the section that tells of it."""
        result = self.project.run("--lm-changed", "-v", "-rA", "-p", "no:terminalprogress", *args)
        said = "\n".join(result.outlines)
        self.result = result
        return cases(result), " ".join(said.partition("changed since the snapshot ==")[2].split())


def cases(result: pytest.RunResult) -> set[str]:
    """``answer[a1]`` for each item that has an outcome."""
    found = re.findall(
        r"^(?:PASSED|FAILED|KNOWN MISS|XFAIL|ERROR|REGRESSION|SKIPPED) \S*test_(\w+\[\w+\])",
        "\n".join(result.outlines),
        re.M,
    )
    return set(found)


ANGRY = {f"{metric}[{case}]" for metric in ("answer", "short") for case in ("a1", "a2")}
CALM = {f"{metric}[{case}]" for metric in ("answer", "short") for case in ("c1", "c2", "c3")}
TEXT = {f"text[{case}]" for case in ("a1", "a2", "c1", "c2", "c3")}
ALL = ANGRY | CALM | TEXT


_ACCEPTED: dict[str, bytes] = {}


@pytest.fixture
def desk(project: Project) -> Desk:
    made = Desk(project)
    if not _ACCEPTED:  # the same for every test
        made.accept()
        for folder in ("__lm_snapshots__", "__lm_recordings__"):
            files = (path for path in (project.path / folder).rglob("*") if path.is_file())
            _ACCEPTED.update({str(path.relative_to(project.path)): path.read_bytes() for path in files})
    for name, data in _ACCEPTED.items():
        (project.path / name).parent.mkdir(parents=True, exist_ok=True)
        (project.path / name).write_bytes(data)
    return made


def test_runs_nothing_where_nothing_changed(desk: Desk) -> None:
    run, said = desk.changed()
    assert run == set()
    assert (
        "--lm-changed: 0 of 15 cases run, 15 unchanged left out: nothing that they run, read or ask has changed"
        in said
    )
    desk.result.assert_outcomes(passed=1, deselected=15)
    assert desk.result.ret == 0


def test_runs_nothing_and_passes_where_there_is_nothing_else(desk: Desk) -> None:
    result = desk.project.run("--lm-changed", "-k", "TestDesk")
    assert result.ret == 0
    result.assert_outcomes(deselected=16)


@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["alone", "xdist"])
def test_what_is_left_out_is_not_missing_in_a_report(desk: Desk, workers: tuple[str, ...]) -> None:
    desk.edit("Calm the customer down.", "Calm the customer down, please.")
    desk.changed("--lm-report=run.md", "--lm-report=run.json", *workers)
    told = (desk.project.path / "run.md").read_text(encoding="utf-8").splitlines()[0]
    assert told.startswith("**LM programs: PASS**")
    assert told.endswith("; 11 unchanged cases left out")
    run = json.loads((desk.project.path / "run.json").read_text(encoding="utf-8"))
    assert run["passed"]
    assert run["complete"]
    assert run["missing"] == []
    assert run["settings"]["left_out"] == 11


@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["alone", "xdist"])
def test_runs_the_cases_that_reach_an_edited_signature(desk: Desk, workers: tuple[str, ...]) -> None:
    desk.edit("Calm the customer down.", "Calm the customer down, please.")
    before = desk.project.calls
    run, said = desk.changed(*workers)
    assert run == ANGRY
    assert "signature of soothe: instructions changed" in said
    assert "--lm-changed: 4 of 15 cases run, 11 unchanged left out" in said
    assert desk.project.calls == before  # the snapshot's prompts are tested, as in a full run
    desk.result.assert_outcomes(passed=5, deselected=11, warnings=1)


def test_their_results_are_those_of_the_full_run(desk: Desk) -> None:
    desk.edit("Calm the customer down.", "Be brief.")  # the answer cannot be parsed now
    some = desk.project.run("--lm-changed", "-rA")
    full = desk.project.run("-rA")
    ours = [line for line in some.outlines if re.match(r"(PASSED|FAILED|REGRESSION|KNOWN|XFAIL)", line)]
    theirs = [line for line in full.outlines if re.match(r"(PASSED|FAILED|REGRESSION|KNOWN|XFAIL)", line)]
    assert set(ours) <= set(theirs)
    assert not any("[a" in line for line in set(theirs) - set(ours) if "test_text" not in line)


EDITS = {
    "a predictor that all call": (("Tell the mood", "Say the mood"), ANGRY | CALM),
    "a field": (
        ("    answer: str = lmp.OutputField()", '    answer: str = lmp.OutputField(desc="x")'),
        ANGRY,
    ),
    "a function": (("text[:80]", "text[:70]"), ANGRY),
    "another function": (("answer=GREETING)", "answer=GREETING, x=1)"), CALM),
    "a constant that one function uses": (('GREETING = "Hello"', 'GREETING = "Hallo"'), CALM),
    "the program's own function": (
        ("def forward(self, text):", "def forward(self, text, x=1):"),
        ANGRY | CALM,
    ),
    "a predictor's settings": (("lmp.Predict(Soothe)", "lmp.Predict(Soothe, max_tokens=9)"), ANGRY),
    "an attribute": (("self.limit = 80", "self.limit = 90"), ALL),
    "making it, to no effect": (
        ("        self.limit = 80", "        limit = 80\n        self.limit = limit"),
        set(),
    ),
    "formatting": (("    return text[:80]", "    # shorter\n    return text[:80]"), set()),
    "a class": (("class Desk(lmp.Module):", "class Desk(lmp.Module):\n    size = 3"), ALL),
}


@pytest.mark.parametrize("what", EDITS)
def test_runs_what_an_edit_of_the_program_reaches(desk: Desk, what: str) -> None:
    (old, new), expected = EDITS[what]
    desk.edit(old, new)
    run, said = desk.changed()
    assert run == expected, said


def test_runs_all_cases_of_an_edited_metric(desk: Desk) -> None:
    desk.edit("len(prediction.answer) < 80", "len(prediction.answer) < 70", "test_support.py")
    run, said = desk.changed()
    assert run == {case for case in ALL if case.startswith("short")}
    assert "metric test_short changed" in said


def test_runs_edited_and_new_examples(desk: Desk) -> None:
    desk.edit('id: c1, text: "fine"', 'id: c1, text: "fine, thanks"', "texts.yaml")
    desk.edit("- {id: a1", '- {id: n1, text: "hm", answer: "Hello"}\n- {id: a1', "texts.yaml")
    run, _ = desk.changed()
    assert run == {f"{metric}[{case}]" for metric in ("answer", "short", "text") for case in ("c1", "n1")}


def test_runs_what_a_prompt_edited_by_hand_reaches(desk: Desk) -> None:
    (snapshot,) = desk.project.path.glob("__lm_snapshots__/*/*.yaml")
    text = snapshot.read_text(encoding="utf-8")
    assert "Calm the customer down." in text
    edited = text.replace("instructions: Calm the customer down.", "instructions: Calm them down.", 1)
    assert edited != text
    snapshot.write_text(edited, encoding="utf-8")
    run, _ = desk.changed()
    assert run == ANGRY


def test_runs_what_cannot_be_replayed(desk: Desk) -> None:
    (recording,) = desk.project.path.glob("__lm_recordings__/*.jsonl")
    recording.unlink()
    run, _ = desk.changed()
    assert run == ANGRY | CALM


def test_runs_everything_without_a_snapshot(project: Project) -> None:
    desk = Desk(project)
    run, said = desk.changed()
    assert run == ALL
    assert "there is no snapshot" in said


def test_runs_everything_where_a_helper_remembers(desk: Desk) -> None:
    desk.edit("def shorten", "import functools\n\n@functools.cache\ndef shorten")
    desk.accept()
    desk.edit("text[:80]", "text[:70]")
    run, said = desk.changed()
    assert run == ALL
    assert "may remember" in said


def test_runs_everything_where_runs_depend_on_each_other(desk: Desk) -> None:
    desk.edit("def shorten(text):", "SEEN = {}\n\ndef shorten(text):\n    SEEN[text] = 1")
    desk.accept()
    desk.edit("text[:80]", "text[:70]")
    run, said = desk.changed()
    assert run == ALL
    assert "running the program changes program.SEEN" in said


def test_runs_everything_where_the_model_changed(desk: Desk) -> None:
    desk.project.write(
        "conftest.py", CONFTEST.format(log="calls.log").replace("(answer)", "(answer, model='b')")
    )
    run, said = desk.changed()
    assert run == ALL
    assert "model: " in said


def test_with_k_and_first_the_left_out_ones_tear_down(desk: Desk) -> None:
    desk.edit("Calm the customer down.", "Calm the customer down, please.")
    run, _ = desk.changed("-k", "a1 or c1 or plain")
    assert run == {"answer[a1]", "short[a1]"}
    assert desk.result.ret == 0


def test_fixtures_of_a_program_are_there_when_it_is_replayed(desk: Desk) -> None:
    desk.edit(
        "@pytest.mark.lm_program",
        "@pytest.fixture(autouse=True)\ndef surroundings(monkeypatch):\n"
        "    monkeypatch.setattr('program.GREETING', 'Hi')\n\n@pytest.mark.lm_program",
        "test_support.py",
    )
    desk.edit(
        "    return lmp.Prediction(answer=GREETING)",
        "    assert GREETING == 'Hi'\n    return lmp.Prediction(answer=GREETING)",
    )
    desk.accept()
    run, _ = desk.changed()
    assert run == set()


@pytest.mark.parametrize("edited", ["GREETING', 'Hi'", "return 'loud'", "return voice"])
def test_runs_everything_where_a_fixture_changed_that_is_asked_for_by_name_or_not(
    desk: Desk, edited: str
) -> None:
    fixtures = """
@pytest.fixture(autouse=True)
def surroundings(monkeypatch):
    monkeypatch.setattr('program.GREETING', 'Hi')

@pytest.fixture(scope="module")
def voice():
    return 'loud'

@pytest.fixture(scope="module")
def tone(voice):
    return voice

@pytest.mark.lm_program"""
    desk.edit("\n@pytest.mark.lm_program", fixtures, "test_support.py")
    desk.edit("def test_short(self, prediction)", "def test_short(self, prediction, tone)", "test_support.py")
    desk.accept()
    assert desk.changed()[0] == set()
    desk.edit(
        edited,
        edited.replace("Hi", "Hey").replace("loud", "low").replace("voice", "voice * 2"),
        "test_support.py",
    )
    run, said = desk.changed()
    assert run == ALL
    name = {"G": "surroundings", "return '": "voice", "return v": "tone"}
    assert f"test_support.{next(n for start, n in name.items() if edited.startswith(start))} changed" in said


def test_refuses_to_make_a_baseline_of_a_part(desk: Desk) -> None:
    result = desk.project.run("--lm-changed", "--lm-update")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*--lm-changed leaves cases out, and --lm-update needs them all*"])


def test_gates_are_not_judged_on_a_part(desk: Desk) -> None:
    desk.edit(
        "    def test_answer",
        "    @pytest.mark.lm_gate(min_score=0.99)\n    def test_answer",
        "test_support.py",
    )
    desk.edit("Calm the customer down.", "Calm the customer down, please.")
    run, said = desk.changed()
    assert run == ANGRY
    assert "thresholds are judged where all cases of a metric run" in said
    assert desk.result.ret == 0
