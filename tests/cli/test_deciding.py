from __future__ import annotations

import json
import os

import pytest

from pytest_lmprog.snapshots import store
from tests.cli.conftest import NEW, OLD


def test_nothing_pending(place):
    place.accepted()
    assert place.run("pending") == (0, "nothing is pending\n", "")
    assert place.run("accept", "--all") == (0, "nothing is pending\n", "")


def test_pending_lists_with_scores(place):
    place.both()
    place.pending("test_new")
    code, out, _ = place.run("pending")
    assert code == 0
    assert "tests/__lm_snapshots__/test_support/TestTriage.new.yaml  test_team 0.500 -> 1.000" in out
    assert "test_new.new.yaml  new" in out
    assert "2 pending" in out
    assert place.run("pending", "--exit-code")[0] == 1


def test_pending_as_json(place):
    place.both()
    row = json.loads(place.run("pending", "--json")[1])[0]
    assert row["unit"] == "TestTriage"
    assert row["pending"] == "tests/__lm_snapshots__/test_support/TestTriage.new.yaml"
    assert row["new"] is False
    assert row["metrics"][0] == {"metric": "test_team", "old": 0.5, "new": 1.0, "regressed": 0, "fixed": 1}


def test_pending_survives_a_damaged_file(place):
    place.both("TestOther")
    place.both().write_text("<<<<<<< HEAD\n", encoding="utf-8")
    code, out, _ = place.run("pending")
    assert code == 0
    assert "conflict markers" in out
    assert "TestOther" in out
    assert "problem" in json.loads(place.run("pending", "--json")[1])[1]


@pytest.mark.parametrize(
    "name",
    [
        "TestTriage",
        "test_support/TestTriage",
        "tests/test_support.py::TestTriage",
        "tests/__lm_snapshots__/test_support/TestTriage.yaml",
        "tests/__lm_snapshots__/test_support/TestTriage.new.yaml",
        "tests",
        "tests/test_support.py",
    ],
)
def test_accept_by_any_name(place, name):
    place.both()
    (place.root / "tests" / "test_support.py").touch()
    code, out, err = place.run("accept", name)
    assert (code, err) == (0, "")
    assert out == "accepted tests/__lm_snapshots__/test_support/TestTriage.yaml\n"
    assert store.read(place.path()) == NEW
    assert store.find_pending(place.root) == []


def test_names_are_relative_to_where_one_is(place):
    place.both()
    assert place.run("accept", "TestTriage.yaml", cwd="tests/__lm_snapshots__/test_support")[0] == 0


def test_accept_takes_only_what_is_named(place):
    place.both()
    place.both("TestOther")
    assert place.run("accept", "TestTriage")[0] == 0
    assert [p.name for p in store.find_pending(place.root)] == ["TestOther.new.yaml"]
    assert place.run("accept", "--all")[0] == 0
    assert store.find_pending(place.root) == []


def test_reject(place):
    place.both()
    code, out, _ = place.run("reject", "TestTriage")
    assert (code, out) == (0, "rejected tests/__lm_snapshots__/test_support/TestTriage.new.yaml\n")
    assert store.read(place.path()) == OLD


@pytest.mark.parametrize("verb", ["accept", "reject"])
def test_what_to_decide_must_be_said(place, verb):
    place.both()
    before = place.files()
    code, _, err = place.run(verb)
    assert code == 2
    assert "--all" in err
    assert place.run(verb, "--all", "TestTriage")[0] == 2
    assert place.files() == before


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("TestTriag", "did you mean TestTriage?"),
        ("Zzz", "there are: TestTriage"),
        ("other.yaml", "no pending snapshot"),
        ("other.new.yaml", "no such file"),
    ],
)
def test_an_unknown_name_is_one_error_with_what_there_is(place, name, message):
    place.both()
    code, out, err = place.run("accept", name)
    assert (code, out) == (2, "")
    assert message in err


def test_an_ambiguous_name_is_refused(place):
    place.both()
    place.both(module="test_other")
    code, _, err = place.run("accept", "TestTriage")
    assert code == 2
    assert "more than one" in err
    assert "test_other/TestTriage.new.yaml" in err
    assert place.run("accept", "test_other/TestTriage")[0] == 0


def test_one_refusal_does_not_stop_the_others(place):
    place.both("A")
    place.both("B")
    place.both("C")
    place.path("B").write_text("# edited\n" + place.path("B").read_text(), encoding="utf-8")
    code, out, err = place.run("accept", "--all")
    assert code == 1
    assert out.count("accepted") == 2
    assert "has changed since" in err
    assert [p.name for p in store.find_pending(place.root)] == ["B.new.yaml"]


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_project_is_one_error(place):
    pending = place.both()
    pending.parent.chmod(0o555)
    try:
        code, _, err = place.run("accept", "--all")
    finally:
        pending.parent.chmod(0o755)
    assert code == 1
    assert "cannot be written" in err
