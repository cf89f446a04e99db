from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_lmprog.cli import main
from pytest_lmprog.snapshots import store
from tests.cli.conftest import Workplace

EXAMPLE = Path(__file__).parents[2] / "example_project"
SNAPSHOT = "tests/__lm_snapshots__/test_support/TestTriage.yaml"


class Copy:
    """A copy of the example project, which was stamped by a real run, to edit and check."""

    def __init__(self, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.root = root
        self._capsys = capsys

    def edit(self, path: str, change: Callable[[str], str]) -> None:
        file = self.root / path
        text = file.read_text(encoding="utf-8")
        assert change(text) != text
        file.write_text(change(text), encoding="utf-8", newline="\n")

    def check(self, *args: str, cwd: str = ".") -> tuple[int, str]:
        self._capsys.readouterr()
        code = main(["-C", str(self.root / cwd), "check", *args])
        captured = self._capsys.readouterr()
        assert "Traceback" not in captured.err
        return code, captured.out + captured.err

    def findings(self, *args: str) -> list[str]:
        code, out = self.check("--json", *args)
        found = json.loads(out)["findings"]
        assert code == (1 if found else 0)
        return [f"{f['kind']}: {f['message']}" for f in found]


@pytest.fixture
def copy(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Copy:
    ignored = shutil.ignore_patterns(".*cache", "__pycache__")
    shutil.copytree(EXAMPLE, tmp_path / "project", ignore=ignored)
    return Copy(tmp_path / "project", capsys)


def test_clean(copy: Copy) -> None:
    code, out = copy.check()
    assert code == 0
    assert out.splitlines() == [
        "1 snapshot checked: nothing pending, stale, edited or damaged",
        "only a pytest run can judge the models, the teleprompters' settings, values that only running code "
        "has, scores and baselines",
    ]


def swap(old: str, new: str) -> Callable[[str], str]:
    return lambda text: text.replace(old, new)


PROGRAM, TEST, DATA = "support/program.py", "tests/test_support.py", "tests/tickets.yaml"
FORWARD = "def forward(self, ticket):\n"


@pytest.mark.parametrize(
    ("path", "change"),
    [
        (PROGRAM, swap(FORWARD, "# why\n    def forward(  self, ticket  ):\n\n")),
        (PROGRAM, lambda text: text + "\n\ndef unrelated():\n    return 1\n"),
        (PROGRAM, lambda text: text.replace("\n", "\r\n")),
        (PROGRAM, lambda text: "import json\n" + text),
        (TEST, lambda text: "import json\n" + text + "\n    # the end\n"),
        (TEST, swap("    def test_team", "    @pytest.mark.lm_gate(min_score=0.5)\n    def test_team")),
        (TEST, lambda text: text + "\n    def helper(self):\n        return 1\n"),
        (DATA, lambda text: text + "\n  - {id: new-1, split: dev, ticket: Why, team: bug, priority: low}\n"),
        (SNAPSHOT, lambda text: text.replace("\n", "\r\n")),
        (SNAPSHOT, lambda text: "# a remark\n" + text),
    ],
)
def test_what_does_not_make_it_stale(copy: Copy, path: str, change: Callable[[str], str]) -> None:
    copy.edit(path, change)
    assert copy.findings() == []


@pytest.mark.parametrize(
    ("path", "change", "finding"),
    [
        (PROGRAM, swap(FORWARD, FORWARD + "        ticket = ticket.strip()\n"), "program code: support.pr"),
        (PROGRAM, swap('"normal"', '"medium"'), "program code: support.program.TriageTicket changed"),
        (
            PROGRAM,
            swap("    def forward", "    def extra(self):\n        pass\n\n    def forward"),
            "program code: support.program.Triage.extra added",
        ),
        (PROGRAM, swap("class Triage(", "class Sorting("), "program code: support.program.Triage removed"),
        (PROGRAM, lambda text: text + "x = (\n", "the module support.program (support/program.py) cannot be"),
        (TEST, swap("team == example.team", "team"), "metric test_team changed"),
        (TEST, swap('"normal"', '"medium"'), "code that a metric uses: test_support.PRIORITIES changed"),
        (TEST, swap("def test_team", "def test_crew"), "metric test_team removed"),
        (
            TEST,
            lambda text: text + "\n    def test_new(self, prediction):\n        assert prediction\n",
            "metric test_new added",
        ),
        (
            TEST,
            lambda text: text + "\n    def setup_method(self):\n        self.x = 1\n",
            "code that a metric uses: test_support.TestTriage.setup_method added",
        ),
        (
            DATA,
            lambda text: text.replace("    split: train", "    split: dev", 1),
            "training example 'idea-3",
        ),
        (DATA, lambda text: text.replace("split: train", "split: other"), "the training data: "),
        (DATA, lambda text: "<<<<<<< HEAD\n" + text, "the training data: "),
    ],
)
def test_what_makes_it_stale(copy: Copy, path: str, change: Callable[[str], str], finding: str) -> None:
    copy.edit(path, change)
    found = copy.findings()
    assert any(f.startswith(f"stale: {finding}") for f in found), found
    assert all(f.startswith("stale: ") for f in found)


def test_a_name_that_comes_from_elsewhere_now(copy: Copy) -> None:
    (copy.root / "support/other.py").write_text("class TriageTicket: pass\n", encoding="utf-8")
    copy.edit(
        PROGRAM,
        lambda t: t.replace("class TriageTicket", "class Old") + "\nfrom .other import TriageTicket\n",
    )
    found = copy.findings()
    assert "stale: program code: support.other.TriageTicket added" in found
    assert "stale: program code: support.program.TriageTicket removed" in found


@pytest.mark.parametrize("path", [PROGRAM, DATA])
def test_a_file_that_is_gone(copy: Copy, path: str) -> None:
    (copy.root / path).unlink()
    (found,) = copy.findings()
    assert found.startswith("stale: ")
    assert found.endswith(f"is gone: there is no {path}")


@pytest.mark.parametrize("word", ["Decide which team handles a support ticket", "normal"])
def test_a_hand_edit(copy: Copy, word: str) -> None:
    def change(text: str) -> str:
        head, sep, prompts = text.partition("\npredictors:\n")
        return head + sep + prompts.replace(word, "another", 1)

    copy.edit(SNAPSHOT, change)
    assert copy.findings() == ["edited: the prompt of classify was edited by hand"]


def test_a_pending_snapshot(copy: Copy) -> None:
    path = copy.root / SNAPSHOT
    store.write_pending(path, store.read(path))
    code, out = copy.check()
    assert code == 1
    assert out.splitlines()[0] == (
        "tests/__lm_snapshots__/test_support/TestTriage.new.yaml: pending: a compiled prompt awaits review"
    )
    assert "1 finding; 1 snapshot checked" in out
    assert "`lmprog review` shows and decides it" in out


def test_a_pending_file_renamed_by_hand(copy: Copy) -> None:
    path = copy.root / SNAPSHOT
    store.write_pending(path, store.read(path)).replace(path)
    (found,) = copy.findings()
    assert found == "damaged: it has the key 'base', which only a pending snapshot has"


@pytest.mark.parametrize(
    ("change", "finding"),
    [
        (
            swap("\nseed: 0\n", "\n<<<<<<< HEAD\nseed: 0\n=======\nseed: 1\n>>>>>>> other\n"),
            "conflict: there are",
        ),
        (
            swap("format: 1\nprompt", "format: 9\nprompt"),
            "damaged: format is 9: the file was written by a newer",
        ),
        (swap("seed: 0", "seed: [0"), "damaged: not valid YAML"),
        (lambda text: text[:400], "damaged: "),
        (lambda text: "", "damaged: the file is empty"),
    ],
)
def test_damage(copy: Copy, change: Callable[[str], str], finding: str) -> None:
    copy.edit(SNAPSHOT, change)
    (found,) = copy.findings()
    assert found.startswith(finding)


def test_conflict_markers_in_a_recording(copy: Copy) -> None:
    copy.edit("tests/__lm_recordings__/test_support.jsonl", lambda text: text + "<<<<<<< HEAD\n")
    code, out = copy.check()
    assert code == 1
    lines = len((copy.root / "tests/__lm_recordings__/test_support.jsonl").read_text().splitlines())
    assert f"test_support.jsonl:{lines}: conflict: there are git conflict markers in the file" in out


def test_many_changes_are_few_lines(copy: Copy) -> None:
    copy.edit(DATA, lambda text: text.replace("team: login", "team: payment"))
    found = copy.findings()
    assert len(found) == 4
    assert found[-1].startswith("stale: and ")
    assert found[-1].endswith(" more training examples")


def test_paths_are_what_depends_on_them(copy: Copy) -> None:
    copy.edit(PROGRAM, swap(FORWARD, FORWARD + "        ticket = ticket.strip()\n"))
    for args in ([PROGRAM], [DATA], [TEST, "README.md"], [SNAPSHOT], ["tests"]):
        assert len(copy.findings(*args)) == 1, args
    for args in (["README.md"], ["support"], ["support/__init__.py"]):
        assert copy.findings(*args) == [], args


def test_a_path_that_is_nothing(copy: Copy) -> None:
    code, out = copy.check("nowhere")
    assert code == 2
    assert "there is no such file or folder" in out


def test_a_deleted_file_means_what_depended_on_it(copy: Copy) -> None:
    (copy.root / PROGRAM).unlink()
    assert len(copy.findings(PROGRAM)) == 1


def test_from_above_and_from_within(copy: Copy) -> None:
    copy.edit(PROGRAM, swap(FORWARD, FORWARD + "        ticket = ticket.strip()\n"))
    (copy.root.parent / "pytest.ini").write_text("[pytest]\n")
    code, out = copy.check(cwd="..")
    assert code == 1
    assert out.startswith(f"project/{SNAPSHOT}: stale: program code: support.program.Triage.forward changed")
    assert copy.check("../" + PROGRAM, cwd="tests")[0] == 1


def test_a_placed_snapshot_is_found(copy: Copy) -> None:
    text = (copy.root / SNAPSHOT).read_text(encoding="utf-8")
    (copy.root / "support/placed.yaml").write_text(text[:600], encoding="utf-8")
    (copy.root / "support/values.new.yaml").write_text("replicas: 3\n", encoding="utf-8")
    (found,) = copy.findings()
    assert found.startswith("damaged: ")


def test_a_snapshot_from_before_sources_were_noted(place: Workplace) -> None:
    place.accepted()
    code, out, _ = place.run("check")
    assert code == 0
    assert "and of tests/__lm_snapshots__/test_support/TestTriage.yaml: code and data" in out


def test_nothing_to_check(place: Workplace) -> None:
    assert place.run("check")[:2] == (0, "0 snapshots checked: nothing pending, stale, edited or damaged\n")


def test_json(copy: Copy) -> None:
    data = json.loads(copy.check("--json")[1])
    assert data["checked"] == [SNAPSHOT]
    assert data["findings"] == []
    assert "the models" in data["pytest_only"]["always"]
