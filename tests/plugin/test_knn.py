"""KNNFewShot under ``--lm-compile``: what stands in the snapshot, what is shown, what a replay takes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pytest_lmprog.cli import main
from tests.plugin.test_composed import SNAPSHOT, learning, shown

TRAIN = """
- {id: crash-2, ticket: "It crashes when I print", team: bug, split: train}
- {id: dark-2, ticket: "Dark colours would be nice", team: feature, split: train}
"""


@pytest.fixture
def tickets(project: Any) -> Any:
    (project.path / "tickets.yaml").open("a").write(TRAIN.lstrip())
    return project


def test_the_way_of_a_bank(tickets, capsys, monkeypatch) -> None:
    project = tickets
    learning(project, "lmp.KNNFewShot(k=2)")
    dry = project.run("--lm-compile", "--lm-dry-run")
    dry.stdout.fnmatch_lines(["*::TestTriage  *4 *4 *4 *12 *"])
    result = project.run("--lm-compile")
    assert result.ret == 0
    text = (project.path / SNAPSHOT).read_text()
    assert "nearest:\n      k: 2\n      vectorizer: lexical\n      keys:\n" in text
    assert "ticket: It crashes when I print" in text
    about = shown(project, capsys, monkeypatch)
    assert "=== classify (json, the 2 nearest of 4 demos, " in about
    assert (
        "each call shows the demos nearest to the program's inputs, by lexical similarity; here, the" in about
    )
    assert about.count("--- assistant ---") == 2
    before = project.calls
    replay = project.run("--lm-record=none")
    assert replay.ret == 0
    replay.stdout.no_fnmatch_line("*stale*")
    replay.stdout.no_fnmatch_line("*edited*")
    assert project.calls == before


def test_the_calls_show_what_is_near(tickets) -> None:
    project = tickets
    learning(project, "lmp.KNNFewShot(k=1)", more=", name='near'")
    text = (project.path / "test_support.py").read_text()
    text = text.replace("(self, example, prediction)", "(self, example, prediction, trace)")
    project.test(
        text + "        assert any('crashes when' in m['content'] for m in trace[0].messages) "
        "== (example.id.startswith('crash'))\n"
    )
    assert project.run("--lm-compile").ret == 0
    assert project.run("--lm-record=none").ret == 0


VECTORS = """
LOG = {log!r}

def letters(texts):
    with open(LOG, "a") as log:
        log.write(f"{{len(texts)}}\\n")
    return [[float(text.count(letter)) for letter in "acdhlmp"] for text in texts]
"""


def test_a_function_of_the_users_chooses(tickets) -> None:
    project = tickets
    log = project.path / "vectors.log"
    program = (project.path / "program.py").read_text()
    project.write("program.py", program + VECTORS.format(log=str(log)))
    learning(project, "lmp.KNNFewShot(k=1, vectorizer=letters)", "from program import letters")
    assert project.run("--lm-compile").ret == 0
    assert "function: program.letters" in (project.path / SNAPSHOT).read_text()
    assert log.read_text().split().count("4") == 1  # all keys at once, once
    assert project.run("--lm-record=none").ret == 0
    learning(project, "lmp.KNNFewShot(k=1)")
    result = project.run("--lm-record=none")
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*the function 'program.letters', which was not given*"])


def test_an_edited_snapshot_is_told(tickets, capsys, monkeypatch) -> None:
    project = tickets
    learning(project, "lmp.KNNFewShot(k=2)")
    assert project.run("--lm-compile").ret == 0
    path = Path(project.path / SNAPSHOT)
    path.write_text(path.read_text().replace("      k: 2\n", "      k: 1\n"))
    project.run().stdout.fnmatch_lines(["*edited by hand: classify*"])
    monkeypatch.chdir(project.path)
    capsys.readouterr()
    main(["check"])
    assert "edited" in capsys.readouterr().out


def test_another_k_is_a_difference(tickets, capsys, monkeypatch) -> None:
    project = tickets
    learning(project, "lmp.KNNFewShot(k=2)")
    project.run("--lm-compile")
    learning(project, "lmp.KNNFewShot(k=1)")
    assert project.run("--lm-compile").ret == 0
    monkeypatch.chdir(project.path)
    capsys.readouterr()
    main(["diff", SNAPSHOT, SNAPSHOT.replace(".yaml", ".new.yaml")])
    assert "demos shown: the 2 nearest by lexical similarity -> the 1 nearest by" in capsys.readouterr().out


MODEL = """
from array import array
import pytest_lmprog as lmp

def vectors(texts):
    return [array("f", row) for row in letters(texts)]

model = lmp.Embedder("openai/fake", dimensions=7, api_base="http://127.0.0.1:9/v1")
model._target.ask = vectors  # in the place of the network
"""


def test_a_models_vectors_are_recorded_and_replayed_without_it(tickets) -> None:
    project = tickets
    log = project.path / "vectors.log"
    program = (project.path / "program.py").read_text()
    project.write("program.py", program + VECTORS.format(log=str(log)) + MODEL)
    learning(project, "lmp.KNNFewShot(k=1, vectorizer=model)", "from program import model")
    assert project.run("--lm-compile").ret == 0
    assert sorted(log.read_text().split()) == sorted("41111")  # all keys at once, then case by case
    text = (project.path / SNAPSHOT).read_text()
    assert "vectorizer:\n        model: openai/fake\n        dimensions: 7\n" in text
    assert "127.0.0.1" not in text
    (project.path / ".lm_cache").rename(project.path / "elsewhere")
    log.unlink()
    assert project.run("--lm-record=none").ret == 0
    assert project.run("--lm-record=none", "-k", "dark-1").ret == 0
    assert not log.exists()


def test_a_bank_is_kept_by_an_update_and_its_unused_demos_are_named(tickets) -> None:
    project = tickets
    learning(project, "lmp.KNNFewShot(k=1)")
    assert project.run("--lm-compile").ret == 0
    text = (project.path / "test_support.py").read_text()
    project.test(text.replace("== example.team", "== example.team and example.id"))
    assert project.run("--lm-update").ret == 0
    assert "nearest:\n      k: 1\n" in (project.path / SNAPSHOT).read_text()
    covered = project.run("--lm-record=none", "--lm-cov")
    assert covered.ret == 0
    covered.stdout.fnmatch_lines(["*demos never used: classify 1, 2 (of 4)"])


def test_a_sequence_after_a_bank_examines_no_example_with_its_own_answer(tickets) -> None:
    project = tickets
    learning(project, "lmp.BetterTogether(knn=lmp.KNNFewShot(k=2), strategy='knn')")
    assert project.run("--lm-compile").ret == 0
    assert project.run("--lm-record=none").ret == 0
