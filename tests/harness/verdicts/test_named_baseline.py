"""What ``--lm-baseline`` names, unit by unit."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pytest_lmprog.errors import ConfigurationError, SnapshotError
from pytest_lmprog.harness.results import CaseOutcome, MetricInfo, UnitInfo
from pytest_lmprog.harness.saved.run import SavedRun, SavedUnit
from pytest_lmprog.harness.unit import Unit
from pytest_lmprog.harness.verdicts.named_baseline import Against, open_baselines
from pytest_lmprog.snapshots.artifact import CaseBaseline, Header, MetricBaseline, Snapshot
from pytest_lmprog.snapshots.store import write_accepted


def unit(root: Path, name: str = "TestTriage") -> Unit:
    return Unit(
        id=f"tests/test_support.py::{name}",
        name=name,
        module_id="tests/test_support.py",
        module_path=root / "tests/test_support.py",
        program=lambda: None,  # type: ignore[arg-type, return-value]
        snapshot=root / f"tests/__lm_snapshots__/test_support/{name}.yaml",
        cases=(),
        metrics=(),
    )


def snapshot(score: float, program: str = "support.Triage") -> Snapshot:
    cases = {"a": CaseBaseline("pass", "0" * 12)}
    header = Header(program, None, "chat", 1)
    return Snapshot(header, {}, {"test_team": MetricBaseline(score, 1, cases)})


def scores(found: Any, root: Path, name: str = "TestTriage", program: str = "other.Program") -> Any:
    metrics = found.of(unit(root, name), program)
    return None if metrics is None else {name: metric.score for name, metric in metrics.items()}


PLACES = ("tests/__lm_snapshots__/test_support", "test_support", "")


@pytest.mark.parametrize("place", PLACES)
def test_a_folder_is_a_checkout_or_a_copy_of_the_snapshots(tmp_path: Path, place: str) -> None:
    write_accepted(tmp_path / "old" / place / "TestTriage.yaml", snapshot(0.25))
    found = open_baselines("old", tmp_path)
    assert scores(found, tmp_path) == {"test_team": 0.25}
    assert scores(found, tmp_path, "TestOther") is None


def test_a_snapshot_is_for_the_unit_of_its_name_or_program(tmp_path: Path) -> None:
    write_accepted(tmp_path / "TestTriage.yaml", snapshot(0.5))
    found = open_baselines("TestTriage.yaml", tmp_path)
    assert scores(found, tmp_path) == {"test_team": 0.5}
    assert scores(found, tmp_path, "TestOther") is None
    assert scores(found, tmp_path, "TestOther", "support.Triage") == {"test_team": 0.5}


def test_a_pending_snapshot_can_be_named(tmp_path: Path) -> None:
    write_accepted(tmp_path / "TestTriage.new.yaml", snapshot(0.5))
    assert scores(open_baselines("TestTriage.new.yaml", tmp_path), tmp_path) == {"test_team": 0.5}


def test_a_path_is_seen_from_where_pytest_was_started_first(tmp_path: Path) -> None:
    for folder, score in (("", 0.1), ("here", 0.9)):
        write_accepted(tmp_path / folder / "TestTriage.yaml", snapshot(score))
    name = "TestTriage.yaml"
    assert scores(open_baselines(name, tmp_path, cwd=tmp_path / "here"), tmp_path) == {"test_team": 0.9}
    assert scores(open_baselines(name, tmp_path, cwd=tmp_path / "tests"), tmp_path) == {"test_team": 0.1}


def test_a_saved_run_says_what_it_scored(tmp_path: Path) -> None:
    where = unit(tmp_path).id
    listed = (MetricInfo("test_team", "m", 3), MetricInfo("test_that_did_not_run", "n", 3))
    info = UnitInfo(where, "TestTriage", "t.py", listed)
    outcomes = (
        CaseOutcome(where, "test_team", "a", "0" * 12, "pass"),
        CaseOutcome(where, "test_team", "b", "1" * 12, "fail", weight=3.0),
        CaseOutcome(where, "test_team", "c", "2" * 12, "broken", error="LMTimeoutError"),
    )
    run = SavedRun((SavedUnit(info, outcomes=outcomes),))
    (tmp_path / "run.json").write_text(json.dumps(run.to_plain()))
    metrics = open_baselines("run.json", tmp_path).of(unit(tmp_path), "x")
    assert metrics is not None
    assert list(metrics) == ["test_team"]
    assert metrics["test_team"].score == 0.25
    assert metrics["test_team"].cases == {
        "a": CaseBaseline("pass", "0" * 12),
        "b": CaseBaseline("fail", "1" * 12),
    }
    assert open_baselines("run.json", tmp_path).of(unit(tmp_path, "TestOther"), "x") is None


def test_what_is_damaged_or_missing(tmp_path: Path) -> None:
    (tmp_path / "TestTriage.yaml").write_text("<<<<<<< HEAD\n")
    with pytest.raises(SnapshotError, match="TestTriage"):
        open_baselines("TestTriage.yaml", tmp_path)
    with pytest.raises(ConfigurationError, match="there is no such file"):
        open_baselines("gone.yaml", tmp_path)


def test_the_summary_is_told_what_was_compared_with() -> None:
    assert Against("main (1a2b3c4)", {}).note == "compared with main (1a2b3c4)"
    assert Against("main (1a2b3c4)", None).note == "no baseline in main (1a2b3c4)"
