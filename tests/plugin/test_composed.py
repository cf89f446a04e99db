"""Strategies made of others under ``--lm-compile``: snapshot, show, dry run, replay."""

from __future__ import annotations

from typing import Any

from pytest_lmprog.cli import main
from tests.plugin.conftest import UNIT

SNAPSHOT = "__lm_snapshots__/test_support/TestTriage.yaml"
SEARCH = "lmp.BootstrapFewShotWithRandomSearch(max_labeled_demos=1, num_candidate_programs=1)"


def learning(project: Any, teleprompter: str, head: str = "", more: str = "") -> None:
    mark = f"program=Triage, teleprompter={teleprompter}, trainset='tickets.yaml', train_split='train'{more}"
    text = UNIT.replace("program=Triage", mark)
    project.test(text.replace("import pytest\n", f"import pytest\nimport pytest_lmprog as lmp\n{head}\n", 1))


def shown(project: Any, capsys: Any, monkeypatch: Any) -> str:
    monkeypatch.chdir(project.path)
    capsys.readouterr()
    assert main(["show", SNAPSHOT]) == 0
    return str(capsys.readouterr().out)


def test_an_ensemble(project, capsys, monkeypatch) -> None:
    learning(project, f"lmp.Ensemble(of={SEARCH}, size=2)")
    dry = project.run("--lm-compile", "--lm-dry-run")
    # The search: bootstraps 2 x 2, evaluations 4 x 2, the ensemble 2 x 2: 16 runs, and 4 cases as written;
    # the cases of the ensemble of two: 8.
    dry.stdout.fnmatch_lines(["*::TestTriage  *16 *4 *8 *28 *"])
    result = project.run("--lm-compile")
    assert result.ret == 0
    result.assert_outcomes(passed=4)
    text = (project.path / SNAPSHOT).read_text()
    assert "ensemble:\n  members: 2\n  reduce: majority\n" in text
    assert "programs[0].classify:" in text
    assert "programs[1].classify:" in text
    assert "an ensemble of 2, reduced by majority" in shown(project, capsys, monkeypatch)
    before = project.calls
    replay = project.run("--lm-record=none")
    assert replay.ret == 0
    replay.stdout.no_fnmatch_line("*stale*")
    assert project.calls == before


def test_an_ensemble_keeps_to_the_calls_that_were_promised(project) -> None:
    learning(project, f"lmp.Ensemble(of={SEARCH}, size=2)", more=", max_calls=1")
    assert project.run("--lm-compile").ret == 0
    assert project.run("--lm-record=none").ret == 0


def test_its_training_examples_are_scored_by_all_members(project) -> None:
    rows = "- {id: val-1, ticket: 'They charged me', team: billing, split: val}\n"
    with (project.path / "tickets.yaml").open("a") as file:
        file.write(rows)
    more = ", max_calls=1, valset='tickets.yaml', val_split='val'"
    learning(project, f"lmp.Ensemble(of={SEARCH}, size=2)", more=more)
    # The search: bootstraps 2 x 2, evaluations 4 x 1; the ensemble 1 x 2. Its training examples: 2 x 2.
    dry = project.run("--lm-compile", "--lm-dry-run")
    dry.stdout.fnmatch_lines(["*::TestTriage  *10 *4 *4 *8 *26 *"])
    assert project.run("--lm-compile").ret == 0


def test_a_function_of_the_users_reduces(project) -> None:
    learning(project, f"lmp.Ensemble(of={SEARCH}, size=2, reduce_fn=first)", "from program import first")
    program = (project.path / "program.py").read_text()
    project.write("program.py", program + "\ndef first(outputs):\n    return outputs[0]\n")
    assert project.run("--lm-compile").ret == 0
    assert "reduce: program.first" in (project.path / SNAPSHOT).read_text()
    assert project.run("--lm-record=none").ret == 0
    learning(project, SEARCH)
    result = project.run("--lm-record=none")
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*names the function 'program.first', which was not given*"])


def test_a_change_of_the_function_is_told(project) -> None:
    program = (project.path / "program.py").read_text()
    project.write("program.py", program + "\nAT = 0\n\ndef first(outputs):\n    return outputs[AT]\n")
    search = f"lmp.BetterTogether(e=lmp.Ensemble(of={SEARCH}, size=2, reduce_fn=first), strategy='e')"
    learning(project, search, "from program import first")
    assert project.run("--lm-compile").ret == 0
    replay = project.run("--lm-record=none", "--lm-changed")
    replay.stdout.no_fnmatch_line("*stale*")
    replay.stdout.fnmatch_lines(["--lm-changed: 0 of 4 cases run*"])
    text = (project.path / "program.py").read_text()
    project.write("program.py", text.replace("AT = 0", "AT = -1"))
    changed = project.run("--lm-record=none", "--lm-changed")
    told = "code of the teleprompter's parts[0].reduce_fn changed"
    assert told in " ".join(changed.stdout.str().split())
    changed.assert_outcomes(passed=4)


def test_a_sequence(project, capsys, monkeypatch) -> None:
    parts = f"labels=lmp.LabeledFewShot(k=1), search={SEARCH}"
    learning(project, f"lmp.BetterTogether({parts}, strategy='labels -> search')")
    dry = project.run("--lm-compile", "--lm-dry-run")
    # As written and after each step 2 runs: 6. The search 12. Before and after: 4 cases each.
    dry.stdout.fnmatch_lines(["*::TestTriage  *18 *4 *4 *26 *"])
    assert project.run("--lm-compile").ret == 0
    text = (project.path / SNAPSHOT).read_text()
    assert "strategy: labels -> search" in text
    assert "class: LabeledFewShot" in text
    assert "compiled with BetterTogether" in shown(project, capsys, monkeypatch)
    before = project.calls
    assert project.run("--lm-record=none").ret == 0
    assert project.calls == before


def test_the_metric_of_a_step_is_part_of_the_fingerprint(project) -> None:
    metric = "def short(example, prediction, trace=None):\n    return len(prediction.team) < {}\n"
    step = "lmp.BootstrapFewShot(metric=short, max_bootstrapped_demos=1)"
    learning(project, f"lmp.BetterTogether(b={step}, strategy='b')", metric.format(9))
    assert project.run("--lm-compile").ret == 0
    project.run().stdout.no_fnmatch_line("*stale*")
    learning(project, f"lmp.BetterTogether(b={step}, strategy='b')", metric.format(8))
    project.run().stdout.fnmatch_lines(["*stale*"])


def test_an_ensemble_is_updated_and_rescored(project) -> None:
    learning(project, f"lmp.Ensemble(of={SEARCH}, size=2)")
    assert project.run("--lm-compile").ret == 0
    text = (project.path / "test_support.py").read_text()
    project.test(text.replace("== example.team", "== example.team and example.id"))
    result = project.run("--lm-update")
    assert result.ret == 0
    assert "ensemble:\n  members: 2\n" in (project.path / SNAPSHOT).read_text()
    project.run("--lm-record=none").stdout.no_fnmatch_line("*stale*")
    before = project.calls
    assert project.run("--lm-rescore=1").ret == 0
    assert project.calls == before


def test_an_ensemble_as_written_is_a_program(project) -> None:
    head = "def both():\n    return lmp.Ensemble().compile([Triage(), Triage()])\n"
    learning(project, "lmp.LabeledFewShot(k=1)", head)
    text = (project.path / "test_support.py").read_text()
    project.test(text.replace("program=Triage", "program=both"))
    assert project.run("--lm-compile").ret == 0
    text = (project.path / SNAPSHOT).read_text()
    assert "programs[1].classify:" in text
    assert "ensemble:" not in text
    replay = project.run("--lm-record=none")
    assert replay.ret == 0
    replay.stdout.no_fnmatch_line("*stale*")
