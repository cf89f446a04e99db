"""The data of a run: what is written is read back equal."""

from __future__ import annotations

import json
from dataclasses import fields, replace

import jsonschema
import pytest
from hypothesis import given

from pytest_lmprog.harness.results import CaseOutcome, MetricInfo, UnitInfo
from pytest_lmprog.harness.saved.cases import SavedCall, SavedCase, SavedExample
from pytest_lmprog.harness.saved.run import SavedCandidate, SavedRun, SavedUnit, SavedWritten
from pytest_lmprog.harness.verdicts.gates import MetricVerdict
from pytest_lmprog.lm.tally import TallyCount
from pytest_lmprog.reports.json_report import json_report, json_schema
from tests.harness.saved_runs import case, saved_runs, small_run

validate = jsonschema.Draft202012Validator(json_schema()).validate


@given(saved_runs)
def test_what_is_written_is_read_back_equal(run: SavedRun) -> None:
    text = json.dumps(run.to_plain(), allow_nan=False)
    assert SavedRun.from_plain(json.loads(text)) == run


def test_messages_that_many_calls_share_are_stored_once() -> None:
    run = small_run({f"e{n}": "billing" for n in range(50)})
    data = run.to_plain()
    assert [m["content"] for m in data["messages"]] == ["Decide.", "I was charged twice"]
    calls = [call for case in data["units"][0]["cases"] for call in case["calls"]]
    assert all(call["messages"] == [0, 1] for call in calls)
    assert SavedRun.from_plain(data).units[0].cases[7].calls[0].messages[0]["role"] == "system"


def test_a_case_that_travels_alone_carries_its_messages() -> None:
    one = case("e1", "bug")
    assert SavedCase.from_plain(json.loads(json.dumps(one.to_plain()))) == one


def test_results_are_those_that_the_harness_collected() -> None:
    run = replace(small_run({"a": "billing", "b": "bug"}), lost_workers=("gw1",))
    run = replace(run, plain_calls=TallyCount(live=3))
    results = run.results
    (unit,) = results
    assert unit.metrics[0].score == 0.5
    assert unit.complete
    assert results.calls.live == 5
    assert results.lost_workers == ("gw1",)


def test_a_unit_is_found_by_its_id_and_its_cases_by_example_and_rollout() -> None:
    run = small_run({"a": "billing", "b": "bug"})
    unit = run.unit("test_x.py::TestX")
    assert unit is not None
    assert unit.case_of["b", 0].prediction == {"team": "bug"}
    assert unit.example_of["a"].fields["ticket"] == "a"
    assert run.unit("test_x.py::TestY") is None


def test_the_unit_of_an_outcome_is_not_repeated() -> None:
    data = small_run({"a": "bug"}).to_plain()
    assert data["units"][0]["outcomes"] == [
        {"metric": "test_team", "case": "a", "digest": "0" * 12, "status": "fail"}
    ]
    (outcome,) = SavedRun.from_plain(data).units[0].outcomes
    assert outcome == CaseOutcome("test_x.py::TestX", "test_team", "a", "0" * 12, "fail")


@pytest.mark.parametrize(
    ("changes", "words"),
    [({"format": 2}, "its format is 2; this version reads 1"), ({"kind": "x"}, "no pytest-lmprog run")],
)
def test_another_format_is_refused(changes: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        SavedRun.from_plain({**small_run({"a": "bug"}).to_plain(), **changes})


@pytest.mark.parametrize("changes", [{"missing": ("x",)}, {"lost_workers": ("gw0",)}, {"interrupted": True}])
def test_a_run_that_lacks_something_is_not_complete(changes: dict[str, object]) -> None:
    run = small_run({"a": "bug"})
    assert run.complete
    assert not replace(run, **changes).complete  # type: ignore[arg-type]
    assert replace(run, **changes).to_plain()["complete"] is False  # type: ignore[arg-type]


@given(saved_runs)
def test_a_report_fits_the_schema(run: SavedRun) -> None:
    validate(json.loads(json_report(run)))


def test_the_schema_refuses_what_is_none() -> None:
    data = json.loads(json_report(small_run({"a": "bug"})))
    validate(data)
    for broken in ({**data, "format": 2}, {**data, "units": [{}]}, {**data, "more": 1}):
        with pytest.raises(jsonschema.ValidationError):
            validate(broken)


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (CaseOutcome, "outcome"),
        (MetricVerdict, "verdict"),
        (SavedCall, "call"),
        (SavedCandidate, "candidate"),
        (SavedCase, "case"),
        (SavedExample, "example"),
        (SavedUnit, "unit"),
        (SavedWritten, "written"),
        (MetricInfo, "metric"),
        (UnitInfo, "info"),
    ],
)
def test_the_schema_knows_every_field(kind: type, name: str) -> None:
    known = set(json_schema()["$defs"][name]["properties"])
    assert known == {field.name for field in fields(kind)} - ({"unit"} if kind is CaseOutcome else set())
