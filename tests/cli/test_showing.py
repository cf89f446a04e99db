from __future__ import annotations

import json
from dataclasses import replace

import pytest

from pytest_lmprog.snapshots.artifact import PredictorSnapshot
from tests.cli.conftest import NEW, OLD


def test_show_prints_the_messages(place):
    place.accepted()
    code, out, _ = place.run("show", "TestTriage")
    assert code == 0
    assert "support.program.Triage for openai/gpt-4o-mini, compiled with BootstrapFewShot" in out
    assert "=== classify (json, 1 demo, about" in out
    assert "--- system ---\nDecide which team should handle a support ticket.\n" in out
    assert "--- user ---\n{ticket}\n" in out


def test_show_as_json(place):
    path = place.accepted()
    _, out, _ = place.run("show", str(path), "--json")
    assert json.loads(out) == {"classify": [dict(m) for m in OLD.predictors["classify"].messages]}


def test_show_one_predictor(place):
    place.accepted(
        snapshot=replace(OLD, predictors={"a": PredictorSnapshot("A.", ()), "b": PredictorSnapshot("B.", ())})
    )
    _, out, _ = place.run("show", "TestTriage", "--predictor", "b")
    assert "=== b" in out
    assert "=== a" not in out
    code, _, err = place.run("show", "TestTriage", "--predictor", "c")
    assert code == 2
    assert "there are: a, b" in err


@pytest.mark.parametrize(
    "change",
    [
        {"instructions": "Something else."},
        {"demos": ()},
        {"demos": ({"ticket": "I was\nbilled twice", "team": "account"},)},
    ],
)
def test_show_tells_a_hand_edit(place, change):
    place.accepted()
    assert "edited by hand" not in place.run("show", "TestTriage")[1]
    edited = replace(OLD.predictors["classify"], **change)
    place.accepted(snapshot=replace(OLD, predictors={"classify": edited}))
    assert "edited by hand" in place.run("show", "TestTriage")[1]


def test_control_characters_do_not_reach_the_terminal(place):
    evil = PredictorSnapshot(
        "x\x1b]0;title\x07\x1b[31m", (), (), ({"role": "system", "content": "a\x1b[2Jb\x9b"},)
    )
    place.accepted(snapshot=replace(OLD, predictors={"p": evil}))
    _, out, _ = place.run("show", "TestTriage")
    assert "\x1b" not in out
    assert "\x9b" not in out
    assert r"a\x1b[2Jb\x9b" in out
    colored = place.run("--color", "always", "show", "TestTriage")[1]
    assert "\x1b[1m=== p" in colored
    assert "\x1b[2J" not in colored


def test_diff_against_the_pending_one(place):
    place.both()
    code, out, _ = place.run("diff", "TestTriage")
    assert code == 0
    assert "Decide which [-team-]{+person+} should" in out
    assert "fixed login-1: fail -> pass" in out
    assert place.run("diff", "TestTriage", "--exit-code")[0] == 1


def test_diff_of_two_paths(place):
    pending = place.both()
    _, out, _ = place.run("diff", str(pending), str(place.path()))
    assert "[-person-]{+team+}" in out
    code, out, _ = place.run("diff", str(pending), str(pending), "--exit-code")
    assert (code, out) == (0, "no difference\n")


def test_diff_of_a_pending_one_alone(place):
    pending = place.both()
    assert "[-team-]{+person+}" in place.run("diff", str(pending))[1]
    place.path().unlink()
    code, out, _ = place.run("diff", "TestTriage", "--exit-code")
    assert code == 1
    assert "TestTriage  new, score 1.000" in out
    assert "edited by hand" not in out


def test_diff_tells_a_hand_edit(place):
    pending = place.both()
    pending.write_text(pending.read_text().replace("which person should", "who should", 1), encoding="utf-8")
    assert "TestTriage.new.yaml: classify was edited by hand" in place.run("diff", "TestTriage")[1]


def test_diff_in_colour(place):
    place.both()
    assert "\x1b[31m[-team-]\x1b[0m" in place.run("--color", "always", "diff", "TestTriage")[1]


def test_diff_alone_or_of_a_folder_shows_all_that_is_pending(place):
    place.both()
    place.pending("test_new")
    for args in ([], ["tests"], ["."]):
        code, out, _ = place.run("diff", *args)
        assert code == 0
        assert "TestTriage.yaml  score 0.500 -> 1.000" in out
        assert "test_new.yaml  new, score 1.000" in out
    assert place.run("diff", "--exit-code")[0] == 1
    place.run("reject", "--all")
    assert place.run("diff", "--exit-code") == (0, "no difference\n", "")


def test_diff_of_two_folders(place):
    place.accepted("A", "one")
    place.accepted("A", "two", NEW)
    place.accepted("B", "two")
    folder = "tests/__lm_snapshots__"
    out = place.run("diff", f"{folder}/one", f"{folder}/two")[1]
    assert "A.yaml  score 0.500 -> 1.000" in out
    assert "B.yaml  new, " in out


@pytest.mark.parametrize(
    ("args", "start"),
    [
        (["--markdown"], "### TestTriage\n\n**score 0.500 → 1.000"),
        (["--format", "markdown"], "### TestTriage\n"),
        (["--html"], "<!doctype html>\n"),
        (["--json"], '{\n  "format": 1,'),
    ],
    ids=" ".join,
)
def test_diff_in_other_forms(place, args, start):
    place.both()
    code, out, _ = place.run("diff", "TestTriage", *args)
    assert code == 0
    assert out.startswith(start)


@pytest.mark.parametrize("name", ["x.md", "x.html", "x.json", "x.txt"])
def test_diff_to_a_file_by_its_suffix(place, name):
    place.both()
    assert place.run("diff", "TestTriage", "-o", name)[:2] == (0, "")
    starts = {"x.md": "### ", "x.html": "<!doctype", "x.json": "{", "x.txt": "TestTriage  score"}
    text = (place.root / name).read_bytes().decode()
    assert text.startswith(starts[name])
    assert "person" in text
    assert "\r" not in text
    code, _, err = place.run("diff", "TestTriage", "-o", "no/such/folder.md")
    assert (code, "cannot be written" in err) == (1, True)


def test_diff_without_a_pending_one(place):
    place.accepted()
    code, _, err = place.run("diff", "TestTriage")
    assert code == 2
    assert "no pending snapshot" in err


@pytest.mark.parametrize("command", ["show", "diff"])
@pytest.mark.parametrize(("name", "message"), [("x.yaml", "no such file"), ("TestTriaje", "did you mean")])
def test_unknown_snapshots(place, command, name, message):
    place.accepted()
    code, _, err = place.run(command, name)
    assert code == 2
    assert message in err


def test_a_damaged_snapshot_is_one_line_with_its_place(place):
    path = place.accepted()
    path.write_text(path.read_text().replace("role: input", "role: none"), encoding="utf-8")
    code, out, err = place.run("show", "TestTriage")
    assert (code, out) == (1, "")
    assert "TestTriage.yaml:" in err
    assert "must be one of" in err
