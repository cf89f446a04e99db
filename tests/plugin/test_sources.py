"""What a real run notes of where code and data lie: nothing unchanged looks stale, what is changed does."""

from __future__ import annotations

import json

import pytest
import yaml

from pytest_lmprog.cli import main
from tests.plugin.conftest import PROGRAM, UNIT, Project

LEARNING = UNIT.replace(
    "lm_program(program=Triage)",
    'lm_program(program=Triage, teleprompter=LabeledFewShot(k=2), trainset="tickets.yaml", train_split="train")',
).replace("import pytest\n", "import pytest\nfrom pytest_lmprog import LabeledFewShot\n")


class Checked:
    def __init__(self, project: Project, capsys: pytest.CaptureFixture[str]) -> None:
        self.project = project
        self._capsys = capsys

    def stamp(self, *args: str) -> None:
        result = self.project.run("--lm-compile", *args)
        assert result.ret == 0, result.outlines
        assert self.findings() == []

    def report(self) -> dict[str, object]:
        self._capsys.readouterr()
        code = main(["-C", str(self.project.path), "check", "--json"])
        data = json.loads(self._capsys.readouterr().out)
        assert code == (1 if data["findings"] else 0)
        return data

    def findings(self) -> list[str]:
        return [f["message"] for f in self.report()["findings"]]  # type: ignore[attr-defined]

    def unjudged(self) -> list[str]:
        found = self.report()["pytest_only"]["snapshots"]  # type: ignore[index]
        return [item for items in found.values() for item in items]

    def edit(self, path: str, old: str, new: str) -> None:
        text = (self.project.path / path).read_text(encoding="utf-8")
        assert old in text
        self.project.write(path, text.replace(old, new))

    def sources(self, path: str = "__lm_snapshots__/test_support/TestTriage.yaml") -> dict[str, object]:
        text = (self.project.path / path).read_text(encoding="utf-8")
        found: dict[str, object] = yaml.safe_load(text)["sources"]
        return found

    def stale_in_pytest(self) -> str:
        """What a run says is stale, to compare with."""
        return "\n".join(line for line in self.project.run("-q").outlines if "stale" in line)


@pytest.fixture
def checked(project: Project, capsys: pytest.CaptureFixture[str]) -> Checked:
    return Checked(project, capsys)


def test_what_is_noted(checked: Checked) -> None:
    checked.project.test(LEARNING)
    checked.stamp()
    sources = checked.sources()
    assert sources.pop("prompts").keys() == {"classify"}  # type: ignore[attr-defined]
    assert sources == {
        "modules": {"program": "../../program.py", "test_support": "../../test_support.py"},
        "metrics": {"test_team": "test_support:TestTriage.test_team"},
        "data": {"trainset": {"path": "../../tickets.yaml", "split": "train", "inputs": ["ticket"]}},
    }


def test_the_same_as_a_run_says(checked: Checked) -> None:
    checked.project.test(LEARNING)
    checked.stamp()
    checked.edit("program.py", "return self.classify(", "return self.classify(  # why\n            ")
    assert checked.findings() == []
    assert checked.stale_in_pytest() == ""
    checked.edit("program.py", "ticket=ticket", "ticket=ticket.strip()")
    checked.edit("tickets.yaml", "Refund my last", "Refund the last")
    found = checked.findings()
    assert found == ["program code: program.Triage.forward changed", "training example 'refund-2' edited"]
    said = checked.stale_in_pytest()
    assert all(words in said for words in found)


def test_a_src_layout_and_a_helper_in_a_package(checked: Checked) -> None:
    project = checked.project
    (project.path / "program.py").unlink()
    project.write("pytest.ini", "[pytest]\npythonpath = src\n")
    project.write("src/desk/__init__.py", "from .triage import Triage\n")
    project.write("src/desk/words.py", "LIMIT = 500\ndef clean(text):\n    return text[:LIMIT]\n")
    project.write(
        "src/desk/triage.py",
        PROGRAM.replace("ticket=ticket", "ticket=words.clean(ticket)").replace(
            "import pytest_lmprog", "from . import words\nimport pytest_lmprog"
        ),
    )
    project.test(UNIT.replace("from program import", "from desk import"))
    checked.stamp()
    checked.edit("src/desk/words.py", "500", "400")
    assert checked.findings() == ["program code: desk.words.LIMIT changed"]
    checked.edit("src/desk/words.py", "400", "500")
    project.write("src/desk/other.py", "def clean(text):\n    return text\n")
    checked.edit("src/desk/triage.py", "from . import words", "from . import other as words")
    found = checked.findings()
    assert "program code: desk.words.clean removed" in found
    assert "program code: desk.other.clean added" in found


def test_import_mode_importlib(checked: Checked) -> None:
    checked.project.write("pytest.ini", "[pytest]\npythonpath = .\naddopts = --import-mode=importlib\n")
    test = checked.project.test(LEARNING)
    test.rename(checked.project.write("tests/unit/test_support.py", ""))
    (checked.project.path / "tickets.yaml").rename(checked.project.path / "tests/unit/tickets.yaml")
    checked.stamp()
    checked.edit("tests/unit/test_support.py", "== example.team", "!= example.team")
    assert checked.findings() == ["metric test_team changed"]


FIXTURES = """
import functools
import pytest
from program import Triage

WORDS = {"billing"}

def known(team):
    return team in WORDS or True

def twice(function):
    @functools.wraps(function)
    def inner(*args, **kwargs):
        return function(*args, **kwargs)
    return inner

class Base:
    def setup_method(self):
        self.limit = 400

    def helper(self, team):
        return known(team)

    def test_inherited(self, prediction):
        assert self.helper(prediction.team)

@pytest.fixture(scope="session")
def limits():
    return {"x": 3}

@pytest.mark.lm_program(program=Triage)
@pytest.mark.lm_examples("tickets.yaml", split="dev")
class TestTriage(Base):
    @twice
    def test_team(self, example, prediction):
        assert prediction.team

    @pytest.mark.parametrize("least", [0, 1])
    def test_length(self, prediction, least, limits):
        assert len(prediction.team) > least
"""


def test_fixtures_inheritance_decorators_and_parameters(checked: Checked) -> None:
    checked.project.test(FIXTURES)
    checked.stamp()
    noted = checked.sources()["metrics"]
    assert noted == {
        "test_inherited": "test_support:Base.test_inherited",
        "test_team": "test_support:TestTriage.test_team",
        "test_length[0]": "test_support:TestTriage.test_length",
        "test_length[1]": "test_support:TestTriage.test_length",
    }
    for old, new, words in [
        ('"x": 3', '"x": 4', "test_support.limits changed"),
        ("self.limit = 400", "self.limit = 500", "test_support.Base.setup_method changed"),
        ("return known(team)", "return bool(known(team))", "test_support.Base.helper changed"),
        ('{"billing"}', '{"bug"}', "test_support.WORDS changed"),
        ("[0, 1]", "[0, 2]", "metric test_length[0] changed"),
        ("assert self.helper(", "assert bool(self.helper)(", "metric test_inherited changed"),
    ]:
        checked.edit("test_support.py", old, new)
        assert any(words in found for found in checked.findings()), words
        checked.edit("test_support.py", new, old)
    assert checked.findings() == []


@pytest.mark.parametrize(
    ("file", "text", "reading", "new"),
    [
        ("rules.txt", "Be kind.\n", 'Path(__file__).with_name("rules.txt").read_text()', "Be rude.\n"),
        (
            "prompts/a.txt",
            "Be kind.\n",
            '(Path(__file__).parent / "prompts" / "a.txt").read_text().strip()',
            "No.",
        ),
        ("rules.json", '{"a": [1]}', 'json.loads(open("rules.json").read())', '{"a": [2]}'),
        ("rules.yaml", "- Be kind\n", 'yaml.safe_load(open("rules.yaml"))', "- Be rude\n"),
    ],
)
def test_a_constant_that_is_read_from_a_file(
    checked: Checked, file: str, text: str, reading: str, new: str
) -> None:
    checked.project.write(file, text)
    checked.edit(
        "program.py",
        "class TriageTicket",
        f"import json, yaml\nfrom pathlib import Path\nRULES = {reading}\n\nclass TriageTicket",
    )
    checked.edit("program.py", "ticket=ticket)", "ticket=ticket + str(RULES)[:0])")
    checked.project.test()
    checked.stamp()
    assert checked.sources()["texts"] == {"program.RULES": f"../../{file}"}
    assert checked.unjudged() == []
    checked.project.write(file, new)
    assert checked.findings() == ["program code: program.RULES changed"]
    (checked.project.path / file).unlink()
    assert checked.findings() == ["program code: program.RULES changed"]


def test_what_files_cannot_tell_is_named(checked: Checked) -> None:
    checked.project.write("rules.txt", "Be kind.")
    checked.edit(
        "program.py",
        "class TriageTicket",
        'RULES = open("rules.txt").read().split(" ")\n\nclass TriageTicket',
    )
    checked.edit("program.py", "ticket=ticket)", "ticket=ticket + (RULES[0])[:0])")
    checked.project.test(
        LEARNING.replace('trainset="tickets.yaml"', "trainset=rows").replace(
            "import pytest\n",
            'import pytest\nrows = [{"ticket": "a", "team": "bug", "split": "train", "id": "x"}]\n',
        )
    )
    checked.stamp()
    assert checked.unjudged() == ["program.RULES", "training data"]


def test_a_lone_function_a_placed_snapshot_and_models(checked: Checked) -> None:
    checked.project.test(
        """
import pytest
import pytest_lmprog as lmp
from program import Triage

def one(request):
    return {"team": "bug"}

@pytest.mark.lm_program(program=lambda: Triage(), lm=[lmp.ScriptedLM(one, model="x/a"), lmp.ScriptedLM(one, model="x/b")])
@pytest.mark.lm_examples("tickets.yaml", split="dev")
def test_team(example, prediction):
    assert prediction.team

@pytest.mark.lm_program(program=Triage, snapshot="placed/triage.yaml")
@pytest.mark.lm_examples("tickets.yaml", split="dev")
def test_other(example, prediction):
    assert prediction.team
"""
    )
    checked.stamp()
    assert len(checked.report()["checked"]) == 3  # type: ignore[arg-type]
    checked.edit(
        "test_support.py",
        "def test_team(example, prediction):\n    assert",
        "def test_team(example, prediction):\n    assert not",
    )
    assert checked.findings() == ["metric test_team changed"] * 2
    checked.edit("program.py", "ticket=ticket", "ticket=ticket.strip()")
    assert checked.findings().count("program code: program.Triage.forward changed") == 3


def test_a_metric_of_the_teleprompter(checked: Checked) -> None:
    checked.project.write("metrics.py", "def same(example, prediction, trace=None):\n    return True\n")
    checked.project.test(
        LEARNING.replace("LabeledFewShot(k=2)", "BootstrapFewShot(metric=same)").replace(
            "import LabeledFewShot", "import BootstrapFewShot\nfrom metrics import same"
        )
    )
    checked.stamp()
    checked.edit("metrics.py", "True", "False")
    assert checked.findings() == ["metric same (the teleprompter's) changed"]


def test_circular_imports_and_fallbacks_end(checked: Checked) -> None:
    checked.project.write("one.py", "from two import *\nfrom two import b\ndef a():\n    return b\n")
    checked.project.write(
        "two.py", "try:\n    import nothing as b\nexcept ImportError:\n    b = 1\nfrom one import *\n"
    )
    checked.edit("program.py", "class TriageTicket", "import one\n\nclass TriageTicket")
    checked.edit("program.py", "ticket=ticket)", "ticket=ticket if one.a() else one.b)")
    checked.project.test()
    checked.stamp()
    checked.edit("two.py", "b = 1", "b = 2")
    assert checked.findings() == ["program code: two.b changed"]


def test_a_moved_file_is_nothing_to_review(checked: Checked) -> None:
    checked.project.test(LEARNING)
    checked.stamp()
    before = (checked.project.path / "__lm_snapshots__/test_support/TestTriage.yaml").read_bytes()
    checked.project.write("data/tickets.yaml", (checked.project.path / "tickets.yaml").read_text())
    checked.edit("test_support.py", 'trainset="tickets.yaml"', 'trainset="data/tickets.yaml"')
    checked.project.run("--lm-compile")
    assert (checked.project.path / "__lm_snapshots__/test_support/TestTriage.yaml").read_bytes() == before
    assert not list(checked.project.path.rglob("*.new.yaml"))
    checked.project.run("--lm-update")
    assert checked.sources()["data"]["trainset"]["path"] == "../../data/tickets.yaml"  # type: ignore[index]
    assert checked.findings() == []
