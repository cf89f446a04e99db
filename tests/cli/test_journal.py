"""``lmprog journal``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pytest_lmprog.teleprompt.engine.journal import unfinished_path
from tests.cli.conftest import Workplace
from tests.harness.test_journals import END, HEAD, entry, written


def path(place: Workplace, name: str = "tests/test_x/TestX") -> Path:
    return place.root / f".lm_cache/journal/{name}.jsonl"


@pytest.fixture
def two(place: Workplace) -> Workplace:
    written(path(place), HEAD, entry(0, score=0.5, runs=2), entry(3, 0, score=1.0, winner=True), END)
    written(
        path(place, "tests/test_y/TestY"), {**HEAD, "unit": "t.py::TestY"}, entry(1), {**END, "winner": 1}
    )
    return place


def test_the_tree_of_a_unit(two: Workplace) -> None:
    code, out, _ = two.run("journal", "TestX")
    assert code == 0
    assert "t.py::TestX: T(), seed 0" in out
    assert "\n0 c0 " in out
    assert "\n  3 c3     winner  1.000" in out
    assert "winner: 3 c3, 1.000 on 4 examples\nlineage: 0 c0 > 3 c3\n" in out
    assert "TestY" not in out


@pytest.mark.parametrize(
    "name",
    [
        "test_x/TestX",
        "tests/test_x.py::TestX",
        "tests/__lm_snapshots__/test_x/TestX.yaml",
        ".lm_cache/journal/tests/test_x/TestX.jsonl",
    ],
)
def test_a_unit_is_named_in_many_ways(two: Workplace, name: str) -> None:
    assert two.run("journal", name)[:2] == two.run("journal", "TestX")[:2]


def test_one_unit_a_model_is_named_by_its_node_id_or_file(place: Workplace) -> None:
    written(path(place, "tests/test_x/TestX@m"), HEAD, entry(3), END)
    for name in ("TestX@m", "test_x.py::TestX[m]"):
        assert place.run("journal", name)[0] == 0


def test_all_units_without_a_name(two: Workplace) -> None:
    code, out, _ = two.run("journal")
    assert code == 0
    assert "t.py::TestX" in out
    assert "\n\nt.py::TestY" in out


def test_json(two: Workplace) -> None:
    data = json.loads(two.run("journal", "TestX", "--json")[1])
    assert data["finished"] is True
    assert [one["index"] for one in data["candidates"]] == [0, 3]
    assert data["end"] == END
    assert [one["unit"] for one in json.loads(two.run("journal", "--json")[1])] == [
        "t.py::TestX",
        "t.py::TestY",
    ]


def test_an_unfinished_compile_beside_a_finished_one(two: Workplace) -> None:
    written(unfinished_path(path(two)), HEAD, entry(0, score=0.25), rest='{"ind')
    _, out, _ = two.run("journal", "TestX")
    assert "winner: 3 c3" in out
    assert "a later compile of it is not finished" in out
    code, out, _ = two.run("journal", "--unfinished")
    assert code == 0
    assert "0.250" in out
    assert "TestY" not in out
    assert "not finished" in out


def test_where_there_is_none(place: Workplace) -> None:
    said = "no compile journal: pytest --lm-compile writes one for each unit with a teleprompter\n"
    assert place.run("journal") == (0, said, "")
    assert place.run("journal", "--json") == (0, "[]\n", "")
    code, _, err = place.run("journal", "TestX")
    assert code == 2
    assert "no compile journal: pytest --lm-compile" in err


def test_an_unknown_unit_names_those_that_are_near(two: Workplace) -> None:
    code, _, err = two.run("journal", "TestXX")
    assert code == 2
    assert "no compile journal of 'TestXX'" in err
    assert "did you mean TestX or TestY?" in err
    written(path(two, "more/test_z/TestX"), HEAD, entry(0), END)
    code, _, err = two.run("journal", "TestX")
    assert code == 2
    assert "more than one compile journal" in err
    assert ".lm_cache/journal/more/test_z/TestX.jsonl" in err


def test_damage_is_told_with_its_line(two: Workplace) -> None:
    path(two).write_text(json.dumps(HEAD) + "\nnonsense\n{}\n")
    code, _, err = two.run("journal", "TestX")
    assert code == 1
    assert "TestX.jsonl:2: is no JSON" in err


def test_what_a_label_says_cannot_steer_the_terminal(place: Workplace) -> None:
    written(path(place), HEAD, {**entry(3), "label": "\x1b[2Jgone"}, END)
    out = place.run("journal")[1]
    assert "\x1b" not in out
    assert "gone" in out
