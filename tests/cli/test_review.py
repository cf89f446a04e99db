"""``lmprog review`` without a terminal, and as JSON."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from pytest_lmprog.lm.recordings.book import Book
from pytest_lmprog.lm.recordings.usage import CallFigures
from pytest_lmprog.lm.types import LMRequest, LMResponse, Usage
from pytest_lmprog.reports.diff.values import calls_text
from tests.cli.conftest import NEW, OLD


def record(place, snapshot, *, tokens: int, cost: float | None) -> None:
    """Record two calls with the prompt of ``snapshot``."""
    book = Book(place.root / "tests" / "__lm_recordings__" / "test_support.jsonl")
    static = snapshot.predictors["classify"].messages[:-1]
    for ticket in ("x", "y"):
        messages = (*(dict(m) for m in static), {"role": "user", "content": ticket})
        request = LMRequest("openai/gpt-4o-mini", messages)
        book.add(request, LMResponse("{}", usage=Usage(tokens, 10), cost=cost), "e")
    book.flush()


def test_nothing_to_review(place):
    assert place.run("review") == (0, "nothing is pending\n", "")
    assert json.loads(place.run("review", "--json")[1]) == {"format": 1, "reviews": []}


def test_without_a_terminal_it_prints_and_says_how_to_decide(place):
    place.both()
    place.both("TestOther")
    before = place.files()
    code, out, err = place.run("review", "TestTriage")
    assert (code, err) == (0, "")
    path = "tests/__lm_snapshots__/test_support/TestTriage.new.yaml"
    assert out.startswith("\nTestTriage (1 of 1)  score 0.500 -> 1.000 (+0.500), flips 1 of 2: 1 fixed")
    assert "Decide which [-team-]{+person+} should handle a support ticket." in out
    assert f"to accept it: lmprog accept {path}\nto reject it: lmprog reject {path}\n" in out
    assert "nothing was decided: this is no terminal" in out
    assert "TestOther" not in out
    assert "\x1b" not in out
    assert place.files() == before


def test_a_damaged_one_without_a_terminal_is_exit_code_1(place):
    place.both().write_text("format: 2\n", encoding="utf-8")
    code, out, _ = place.run("review")
    assert code == 1
    assert "cannot be read: " in out


def test_tokens_and_cost_per_call_come_from_recordings(place):
    place.both()
    record(place, OLD, tokens=200, cost=0.0004)
    record(place, NEW, tokens=150, cost=None)
    _, out, _ = place.run("review")
    assert "per call: 200 + 10 tokens -> 150 + 10 tokens, $0.0004 -> price unknown\n" in out
    review = json.loads(place.run("review", "--json")[1])["reviews"][0]
    assert review["diff"]["predictors"][0]["calls"] == {
        "old": {"calls": 2, "prompt_tokens": 200, "completion_tokens": 10, "cost": 0.0004},
        "new": {"calls": 2, "prompt_tokens": 150, "completion_tokens": 10, "cost": None},
    }


@pytest.mark.parametrize(
    ("cost", "shown"),
    [(0.0, "free"), (0.0000149, "$0.0000149"), (0.0123456, "$0.0123"), (1.5, "$1.5"), (12.0, "$12")],
)
def test_cost_in_few_digits(cost, shown):
    assert calls_text(CallFigures(1, cost=cost), CallFigures(1, cost=cost)) == f"tokens unknown, {shown}"


def test_calls_of_another_model_do_not_count(place):
    place.both()
    record(place, replace(OLD, header=OLD.header), tokens=200, cost=0.0)
    other = replace(NEW, header=replace(NEW.header, model=replace(NEW.header.model, name="x/y")))
    place.pending(snapshot=other)
    assert "per call: before 200 + 10 tokens, free; after unknown\n" in place.run("review")[1]


def test_a_damaged_recording_is_a_warning(place):
    place.both()
    record(place, OLD, tokens=200, cost=0.0)
    path = place.root / "tests" / "__lm_recordings__" / "test_support.jsonl"
    path.write_text(path.read_text(encoding="utf-8").replace("[200,10]", "[201,10]"), encoding="utf-8")
    code, out, _ = place.run("review")
    assert code == 0
    assert "warning: tokens and cost per call are not known" in out
    assert "per call: no recorded call, price unknown" in out


def test_json_holds_every_figure(place):
    place.both()
    code, out, _ = place.run("review", "--json")
    data = json.loads(out)
    assert (code, data["format"]) == (0, 1)
    [review] = data["reviews"]
    assert review["unit"] == "TestTriage"
    assert review["accepted"] == "tests/__lm_snapshots__/test_support/TestTriage.yaml"
    assert (review["new"], review["problem"], review["refused"], review["notes"]) == (False, None, None, [])
    diff = review["diff"]
    assert diff["score"] == {"old": 0.5, "new": 1.0, "delta": 0.5}
    assert diff["flips"] == {"fixed": 1, "regressed": 0, "compared": 2}
    assert diff["metrics"][0]["cases"] == [
        {
            "case": "login-1",
            "kind": "fixed",
            "old": {"status": "fail", "score": None, "error": None, "passes": None, "n": 1},
            "new": {"status": "pass", "score": None, "error": None, "passes": None, "n": 1},
            "edited": False,
        }
    ]
    assert diff["predictors"][0]["instructions"] == {
        "old": "Decide which team should handle a support ticket.",
        "new": "Decide which person should handle a support ticket.",
        "words": [
            ["same", "Decide which "],
            ["removed", "team"],
            ["added", "person"],
            ["same", " should handle a support ticket."],
        ],
    }
    assert diff["predictors"][0]["tokens"] == {"old": 24, "new": 25}


def test_json_tells_what_is_damaged_or_refused(place):
    place.both("A").write_text("format: 2\n", encoding="utf-8")
    place.both("B")
    place.accepted("B", snapshot=replace(OLD, baseline={}))
    one, other = json.loads(place.run("review", "--json")[1])["reviews"]
    assert one["diff"] is None
    assert "newer pytest-lmprog" in one["problem"]
    assert other["diff"]["changed"]
    assert "has changed since" in other["refused"]
