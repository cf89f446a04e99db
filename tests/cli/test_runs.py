"""``lmprog runs list|show|compare`` and ``lmprog rescore``."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest

from pytest_lmprog.harness.saved.run import SavedRun
from pytest_lmprog.harness.saved.store import run_json, save_run
from tests.cli.conftest import Workplace
from tests.harness.saved_runs import small_run

OLD = small_run({"a": "billing", "b": "bug", "c": "billing"})
NEW = small_run({"a": "billing", "b": "billing", "c": "bug"})


@pytest.fixture
def runs(place: Workplace) -> Workplace:
    for run in (OLD, NEW):
        save_run(place.root / ".lm_cache", run, keep=9)
    os.utime(place.root / ".lm_cache/runs/0001.json", (0, 1_700_000_000))
    return place


def test_list_says_when_what_and_how_well(runs: Workplace) -> None:
    code, out, _ = runs.run("runs", "list")
    assert code == 0
    lines = [line.split() for line in out.splitlines()]
    assert lines[0] == ["run", "when", "result", "calls", "unit,", "metric", "score"]
    assert lines[1][0] == "1"
    assert lines[1][1].startswith("2023-11-1")
    assert lines[1][3:] == ["passed", "3", "(3", "live)", "TestX", "test_team", "0.667"]
    assert lines[2][0] == "2"
    assert len(lines) == 3


def test_list_as_json(runs: Workplace) -> None:
    code, out, _ = runs.run("runs", "list", "--json")
    rows = json.loads(out)
    assert code == 0
    assert [row["number"] for row in rows] == [1, 2]
    assert rows[0]["path"] == ".lm_cache/runs/0001.json"
    assert rows[0]["when"].startswith("2023-11-1")
    (unit,) = rows[0]["units"]
    assert unit["scores"] == {"test_team": pytest.approx(2 / 3)}
    assert (unit["cases"], unit["calls"], unit["live"]) == (3, 3, 3)


def test_no_runs_and_a_damaged_one(place: Workplace) -> None:
    assert place.run("runs", "list")[:2] == (0, "no run is saved; pytest saves each that may ask an LM\n")
    path = save_run(place.root / ".lm_cache", OLD, keep=9).path
    path.write_text("{")
    code, _, err = place.run("runs", "list")
    assert code == 1
    assert "0001.json:1: is not JSON" in err


def test_show_is_the_summary(runs: Workplace) -> None:
    code, out, _ = runs.run("runs", "show", "1")
    assert code == 0
    assert out.splitlines()[0] == "passed (record new)"
    assert "test_x.py::TestX (openai/x)" in out
    assert "TestX: 3 calls, all live" in out


def test_show_says_what_is_missing_first(place: Workplace) -> None:
    run = replace(OLD, passed=False, missing=("test_x.py::TestX::test_team[z]",), lost_workers=("gw1",))
    (place.root / "r.json").write_bytes(run_json(run))
    code, out, _ = place.run("runs", "show", "r.json")
    assert code == 0
    assert out.startswith("INCOMPLETE")
    assert "worker lost: gw1" in out
    assert "without a result: 1 test\n  test_x.py::TestX::test_team[z]" in out


@pytest.mark.parametrize("name", ["b", "test_x.py::TestX::test_team[b]", "TestX[b]", "test_team[b]"])
def test_show_a_case(runs: Workplace, name: str) -> None:
    code, out, _ = runs.run("runs", "show", "1", "--case", name)
    assert code == 0
    for words in (
        "test_x.py::TestX [b]",
        "inputs\n  ticket: b",
        "labels\n  team: billing",
        "prediction\n  team: bug",
        "test_team: fail",
        "call 1 of 1: classify (json, live, 100 + 10 tokens, 0.50 s, $0.001000)",
        "  [system]\n    Decide.\n  [user]\n    I was charged twice\n  [answer]\n    {",
    ):
        assert words in out


def test_show_a_case_as_json_has_its_messages(runs: Workplace) -> None:
    _, out, _ = runs.run("runs", "show", "--case", "b", "--json")
    ((case),) = json.loads(out)
    assert case["unit"] == "test_x.py::TestX"
    assert case["prediction"] == {"team": "billing"}  # the last run
    assert case["calls"][0]["messages"][0] == {"role": "system", "content": "Decide."}


def test_show_one_rollout(place: Workplace) -> None:
    (unit,) = OLD.units
    cases = (unit.cases[0], replace(unit.cases[0], rollout=1, prediction={"team": "second"}))
    run = SavedRun((replace(unit, cases=cases, info=replace(unit.info, repeat=2)),), passed=True)
    (place.root / "r.json").write_bytes(run_json(run))
    _, out, _ = place.run("runs", "show", "r.json", "--case", "a-r2")
    assert "test_x.py::TestX [a-r2]" in out
    assert "team: second" in out
    assert place.run("runs", "show", "r.json", "--case", "a")[1].count("prediction\n") == 2


def test_no_such_case_names_those_that_are_near(runs: Workplace) -> None:
    code, _, err = runs.run("runs", "show", "1", "--case", "zz")
    assert code == 2
    assert "no case 'zz'" in err
    assert "there are: a, b, c" in err


def test_what_an_answer_says_cannot_steer_the_terminal(place: Workplace) -> None:
    (unit,) = OLD.units
    call = replace(unit.cases[0].calls[0], answer="\x1b[2J\x07gone")
    run = SavedRun((replace(unit, cases=(replace(unit.cases[0], calls=(call,)),)),))
    (place.root / "r.json").write_bytes(run_json(run))
    _, out, _ = place.run("runs", "show", "r.json", "--case", "a")
    assert "\x1b[2J" not in out
    assert "gone" in out


def test_show_the_whole_run_as_json(runs: Workplace) -> None:
    _, out, _ = runs.run("runs", "show", "1", "--json")
    assert SavedRun.from_plain(json.loads(out)) == OLD


@pytest.mark.parametrize("suffix", ["html", "json", "md"])
def test_a_saved_run_becomes_a_report_later(runs: Workplace, suffix: str) -> None:
    assert runs.run("runs", "show", "1", "-o", f"out/r.{suffix}")[0] == 0
    text = (runs.root / f"out/r.{suffix}").read_text(encoding="utf-8")
    assert "test_team" in text
    assert runs.run("runs", "show", "1", "-o", "r.pdf")[0] == 2


def test_compare_pairs_by_example(runs: Workplace) -> None:
    code, out, _ = runs.run("runs", "compare", "1", "2")
    assert code == 0
    assert out.splitlines()[2].split()[:7] == ["test_team", "3", "0.667", "0.667", "0.000", "1", "1"]
    assert "  worse: c\n  better: b\n" in out


def test_compare_as_json_and_by_exit_code(place: Workplace) -> None:
    good = {f"e{n}": "billing" for n in range(20)}
    bad = dict.fromkeys(good, "bug")
    for number, teams in enumerate((good, bad)):
        run = small_run({**teams, f"only-{number}": "billing"})
        (place.root / f"{number}.json").write_bytes(run_json(run))
    code, out, _ = place.run("runs", "compare", "0.json", "1.json", "--json", "--exit-code")
    data: dict[str, Any] = json.loads(out)
    assert code == 1
    assert data["worse"] is True
    found = data["units"][0]["metrics"]["test_team"]
    assert found["verdict"] == "FAIL"
    assert found["n"] == 20
    assert len(found["worse"]) == 20
    assert (found["added"], found["removed"]) == (["only-1"], ["only-0"])
    assert place.run("runs", "compare", "1.json", "0.json", "--exit-code")[0] == 0


def test_compare_tells_other_models_examples_and_units(place: Workplace) -> None:
    (unit,) = NEW.units
    info = replace(unit.info, model="openai/y")
    rows = tuple(replace(row, digest="f" * 12) if row.id == "b" else row for row in unit.examples)
    new = SavedRun((replace(unit, info=info, examples=rows), *small_run({"q": "bug"}, unit="t.py::Q").units))
    for name, run in (("old", OLD), ("new", new)):
        (place.root / f"{name}.json").write_bytes(run_json(run))
    _, out, _ = place.run("runs", "compare", "old.json", "new.json")
    assert "changed between the runs: the model: openai/x before, openai/y after" in out
    assert "changed between the runs: 1 example: b" in out
    assert "only in the second run: t.py::Q::test_team" in out


def test_runs_with_nothing_in_common(place: Workplace) -> None:
    for name, run in (("old", OLD), ("new", small_run({"q": "bug"}, unit="t.py::Q"))):
        (place.root / f"{name}.json").write_bytes(run_json(run))
    code, out, _ = place.run("runs", "compare", "old.json", "new.json")
    assert code == 0
    assert "the runs have no unit in common" in out


# --- rescore --------------------------------------------------------------------------------------------

TESTS = """
import pytest
import pytest_lmprog as lmp

class Triage(lmp.Module):
    def __init__(self):
        self.classify = lmp.Predict("ticket -> team")
    def forward(self, ticket):
        raise AssertionError("the program was run")

@pytest.mark.lm_program(program=Triage)
@pytest.mark.lm_examples([{"id": name, "ticket": name, "team": "billing"} for name in "abc"])
class TestX:
    def test_new(self, prediction):
        return float(prediction.team == "billing")
"""


@pytest.fixture
def project(place: Workplace, monkeypatch: pytest.MonkeyPatch) -> Workplace:
    from pytest_lmprog.programs import Example

    monkeypatch.setenv("PYTEST_ADDOPTS", "-p no:randomly -p no:cacheprovider")
    (unit,) = OLD.units
    rows = tuple(
        replace(row, digest=Example(dict(row.fields)).with_inputs("ticket").digest()[:12])
        for row in unit.examples
    )
    save_run(place.root / ".lm_cache", SavedRun((replace(unit, examples=rows),)), keep=9)
    (place.root / "test_x.py").write_text(TESTS)
    (place.root / "test_other.py").write_text("raise RuntimeError('not to be collected')\n")
    return place


def rescore(project: Workplace, *args: str) -> tuple[int, str]:
    """Run the command in a process of its own, whose pytest writes to the same output."""
    code = "import sys; from pytest_lmprog.cli import main; sys.exit(main())"
    done = subprocess.run(
        [sys.executable, "-c", code, "-C", str(project.root), "rescore", *args],
        capture_output=True,
        text=True,
    )
    assert not done.stderr
    return done.returncode, done.stdout


def test_rescore_runs_todays_metrics_on_the_last_run(project: Workplace) -> None:
    code, out = rescore(project)
    assert code == 1
    assert "rescoring run 1; nothing is asked" in out
    assert "1 failed, 2 passed" in out


def test_rescore_hands_pytests_arguments_on(project: Workplace) -> None:
    code, out = rescore(project, "1", "-q", "--deselect", "test_x.py::TestX::test_new[b]")
    assert code == 0
    assert "2 passed, 1 deselected" in out
    assert "1 passed" in rescore(project, "-q", "test_x.py::TestX::test_new[a]")[1]


def test_rescore_help_and_no_such_run(project: Workplace) -> None:
    code, out, _ = project.run("rescore", "--help")
    assert code == 0
    assert out.startswith("usage: lmprog rescore [RUN]")
    code, _, err = project.run("rescore", "7")
    assert code == 2
    assert "there is no run '7', and no such file; saved are 1" in err
