"""Whole runs: compile, accept, replay, update; what is written and what is asked."""

from __future__ import annotations

import dataclasses
import random
import re
from pathlib import Path
from typing import Any

import pytest

from pytest_lmprog.errors import (
    CompileError,
    ConfigurationError,
    LeakageError,
    ReplayMissError,
    SnapshotError,
)
from pytest_lmprog.evaluation.callables import as_metric
from pytest_lmprog.harness.unit import Gate
from pytest_lmprog.snapshots.store import accept, read, write_accepted
from pytest_lmprog.teleprompt import BootstrapFewShot, BootstrapFewShotWithRandomSearch
from tests.harness.world import CASES, METRICS, TRAIN, KilledError, Triage, World, example, make_lm


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def lenient(world: World, **changes: Any) -> Any:
    return world.unit(gates={"right_team": Gate(max_regressions=99)}, **changes)


# --- compile -> pending -> accept -> replay -----------------------------------------------------------


def test_the_first_compile_makes_an_accepted_snapshot(world: World) -> None:
    done = world.run(compile=True)
    assert done.states == ["created"]
    assert world.snapshot.exists()
    assert not world.pending.exists()
    assert done.errors == []
    snapshot = read(world.snapshot)
    assert list(snapshot.baseline) == ["right_team", "short"]
    assert list(snapshot.baseline["right_team"].cases) == [case.id for case in CASES]
    assert snapshot.header.teleprompter is not None
    assert snapshot.header.validation is not None
    assert snapshot.predictors["classify"].demos


def test_the_same_compile_again_writes_nothing_and_asks_nothing(world: World) -> None:
    world.run(compile=True, max_concurrency=1)  # with more, timing decides which candidates are dropped early
    before, asked = world.snapshot.read_bytes(), len(world.brain.asked)
    done = world.run(compile=True, max_concurrency=1)
    assert done.states == ["unchanged"]
    assert world.snapshot.read_bytes() == before
    assert len(world.brain.asked) == asked


def test_a_different_result_waits_for_review_and_plain_runs_ignore_it(world: World) -> None:
    world.run(compile=True)
    accepted = world.snapshot.read_bytes()
    done = world.run(lenient(world, teleprompter=BootstrapFewShot(max_bootstrapped_demos=2)), compile=True)
    assert done.states == ["pending"]
    assert world.snapshot.read_bytes() == accepted
    assert world.pending.exists()
    world.run()
    assert world.snapshot.read_bytes() == accepted
    accept(world.pending)
    assert world.snapshot.read_bytes() != accepted
    assert read(world.snapshot).header.teleprompter.name == "BootstrapFewShot"  # type: ignore[union-attr]


def test_a_pending_file_that_is_no_longer_news_is_removed(world: World) -> None:
    world.run(compile=True)
    world.run(lenient(world, teleprompter=BootstrapFewShot(max_bootstrapped_demos=2)), compile=True)
    assert world.pending.exists()
    assert world.run(compile=True).states == ["unchanged"]
    assert not world.pending.exists()


def test_compile_with_update_accepts_at_once(world: World) -> None:
    world.run(compile=True)
    other = lenient(world, teleprompter=BootstrapFewShot(max_bootstrapped_demos=2))
    assert world.run(other, compile=True, update=True).states == ["accepted"]
    assert not world.pending.exists()
    assert world.run(other).unit.info.stale == ()


def test_replay_asks_nothing_and_gives_the_same(world: World) -> None:
    world.run(compile=True)
    live = world.run()
    assert world.recording.exists()
    asked = len(world.brain.asked)
    (world.root / ".lm_cache").rename(world.root / "gone")
    replayed = world.run(record="none")
    assert len(world.brain.asked) == asked
    assert not list((world.root / ".lm_cache").glob("*.db"))
    assert replayed.verdicts() == live.verdicts()
    assert set(replayed.verdicts().values()) == {"passed", "known_miss"}
    assert replayed.unit.calls.recording == len(CASES)
    assert replayed.unit.calls.live == 0


def test_compile_calls_are_not_recorded_unless_asked_for(world: World) -> None:
    world.run(compile=True)
    lines = world.recording.read_text().count("ticket number 10")
    assert not re.search(r"ticket number 1(0[1-9]|1[0-9])\D+$", world.recording.read_text())
    unit = world.unit()
    session = world.session(compile=True)
    session = type(session)(dataclasses.replace(session.settings, record_compile=True))
    session.compile(unit)
    session.close()
    assert world.recording.read_text().count("ticket number 10") > lines
    replay = world.session(compile=True, record="none")
    replay.compile(unit)


def test_before_is_measured_once_and_then_read_from_the_snapshot(world: World) -> None:
    session = world.session(compile=True)
    first = session.compile(world.unit())
    assert first.before is not None
    assert first.before.source == "as written"
    right = sum(world.brain.knows(case.ticket, 0, 0) for case in CASES) / len(CASES)
    assert first.before.scores["right_team"] == pytest.approx(right)
    world.run(compile=True)
    again = world.session(compile=True).compile(world.unit())
    assert again.before is not None
    assert again.before.source == "accepted"
    assert again.before.scores["right_team"] == read(world.snapshot).baseline["right_team"].score


# --- determinism --------------------------------------------------------------------------------------


@pytest.mark.parametrize("concurrency", [8, 64])
def test_the_same_bytes_at_every_concurrency_and_order(tmp_path: Path, concurrency: int) -> None:
    texts = []
    for name, most in (("one", 1), ("many", concurrency)):
        world = World(tmp_path / name)
        world.brain.latency = 0.002
        world.run(compile=True, max_concurrency=most, order=random.Random(most).shuffle)
        texts.append((world.snapshot.read_bytes(), world.recording.read_bytes()))
    assert texts[0][0] == texts[1][0]


def test_killed_anywhere_it_resumes_to_the_same_bytes_and_pays_nothing_twice(tmp_path: Path) -> None:
    whole = World(tmp_path / "whole")
    whole.run(compile=True, max_concurrency=1)
    expected, calls = whole.snapshot.read_bytes(), len(whole.brain.asked)
    for stop in range(0, calls, 37):
        world = World(tmp_path / f"at{stop}")
        world.brain.stop_after = stop
        with pytest.raises(BaseException):
            world.run(compile=True, max_concurrency=1)
        assert not world.snapshot.exists()
        world.brain.stop_after = None
        world.run(compile=True, max_concurrency=1)
        assert world.snapshot.read_bytes() == expected
        keys = [request.key for request in world.brain.asked]
        assert len(keys) == len(set(keys)) == calls


def test_killed_is_a_base_exception() -> None:
    assert not issubclass(KilledError, Exception)


# --- the ratchet in a run -----------------------------------------------------------------------------


def test_a_regression_fails_in_replay_and_a_fix_is_shown(world: World) -> None:
    world.run(compile=True)
    snapshot = read(world.snapshot)
    baseline = snapshot.baseline["right_team"]
    flipped = {
        case: dataclasses.replace(entry, status="fail" if entry.status == "pass" else "pass")
        for case, entry in baseline.cases.items()
    }
    edited = dataclasses.replace(baseline, cases=flipped)
    write_accepted(
        world.snapshot,
        dataclasses.replace(snapshot, baseline={**snapshot.baseline, "right_team": edited}),
    )
    done = world.run(record="none")
    verdicts = done.verdicts()
    for case, entry in baseline.cases.items():
        assert verdicts[case] == ("fixed" if entry.status == "pass" else "regression")


def test_live_regressions_are_left_to_the_metric(world: World) -> None:
    world.run(compile=True)
    done = world.run(
        world.unit(lm=make_lm(world.brain, temperature=0.5), metrics=METRICS), cache_dir="elsewhere"
    )
    assert done.unit.calls.live == len(CASES)
    assert "regression" not in done.verdicts().values()


def test_new_edited_and_removed_cases_are_told(world: World) -> None:
    world.run(compile=True)
    cases = (*CASES[1:-1], example(11, team="bug", note="edited"), example(50))
    done = world.run(world.unit(cases=cases))
    (metric, _) = done.unit.metrics
    assert metric.with_baseline("new") == ("t50",)
    assert metric.with_baseline("edited") == ("t11",)
    assert metric.info.removed == ("t0",)
    assert done.unit.info.stale == ()


def test_program_errors_are_errors_and_then_known(world: World) -> None:
    world.brain.garbled = {"ticket number 3"}
    first = world.run(compile=True)
    assert first.verdicts()["t3"] == "error"
    again = world.run(record="none")
    assert again.verdicts()["t3"] == "known_error"
    assert read(world.snapshot).baseline["right_team"].cases["t3"].error == "ParseError"


# --- partial, broken, refused -------------------------------------------------------------------------


def test_a_partial_compile_run_baselines_only_what_ran_whole(world: World) -> None:
    done = world.run(compile=True, select=lambda metric, case: metric == "short" or case.id == "t0")
    assert done.states == ["created"]
    assert list(read(world.snapshot).baseline) == ["short"]
    assert "right_team: 1 of 12 ran" in done.written[0].detail


def test_a_partial_compile_of_the_same_prompts_keeps_the_other_baseline(world: World) -> None:
    world.run(compile=True)
    done = world.run(compile=True, select=lambda metric, case: metric == "short")
    assert done.states == ["unchanged"]


def test_transport_failures_while_compiling_stop_it_and_write_nothing(world: World) -> None:
    world.brain.broken = {"ticket number 103"}
    with pytest.raises(CompileError) as caught:
        world.run(compile=True)
    assert "tests/test_support.py::TestTriage" in str(caught.value)
    assert "the line is dead" in str(caught.value)
    assert not world.snapshot.parent.exists()
    world.brain.broken = set()
    world.run(compile=True)
    keys = [r.key for r in world.brain.asked if "ticket number 103" not in str(r.messages[-1])]
    assert len(keys) == len(set(keys))


def test_a_case_without_an_answer_keeps_the_snapshot_from_being_written(world: World) -> None:
    world.brain.broken = {"ticket number 3"}
    done = world.run(compile=True)
    assert done.states == ["kept"]
    assert "run it again" in done.written[0].detail
    assert not world.snapshot.exists()
    assert done.verdicts()["t3"] == "broken"


def test_compiling_where_nothing_may_be_asked_says_how(world: World) -> None:
    with pytest.raises(ReplayMissError) as caught:
        world.session(env={"CI": "1"}, compile=True).compile(world.unit())
    assert "CI is set" in str(caught.value)
    assert caught.value.hint == "pytest --lm-compile --lm-record=new"


def test_leakage_is_found_before_anything_is_asked(world: World) -> None:
    with pytest.raises(LeakageError):
        world.session(compile=True).compile(world.unit(trainset=(*TRAIN, CASES[0])))
    assert not world.brain.asked


def test_misses_are_explained_three_times_and_counted_after(world: World) -> None:
    world.run(world.unit(teleprompter=None), select=lambda metric, case: case.id in ("t0", "t1"))
    done = world.run(world.unit(teleprompter=None), record="none")
    messages = [o.message for o in done.unit.metrics[0].outcomes if o.status == "broken"]
    assert len(messages) == 10
    assert all("nearest" in message for message in messages[:3])
    assert "miss 4 of this unit" in messages[3]
    assert not any("nearest" in message for message in messages[3:])


@pytest.mark.parametrize("text", ["<<<<<<< ours\n", "format: 99\n", "[]\n"])
def test_a_damaged_snapshot_is_an_error_and_stays_as_it_is(world: World, text: str) -> None:
    world.snapshot.parent.mkdir(parents=True)
    world.snapshot.write_text(text)
    for cli in ({}, {"compile": True}, {"compile": True, "update": True}):
        with pytest.raises(SnapshotError):
            world.run(**cli)
    assert world.snapshot.read_text() == text


# --- staleness ----------------------------------------------------------------------------------------


def test_what_changed_is_named(world: World) -> None:
    world.run(compile=True)

    def right_team(case: Any, prediction: Any, trace: Any = None) -> bool:
        return bool(prediction.team == case.team or False)

    cases = {
        "metric right_team": {"metrics": (as_metric(right_team), METRICS[1])},
        "training example 't101'": {"trainset": (TRAIN[0], example(101, team="account"), *TRAIN[2:])},
        "model: world/brain -> world/other": {"lm": make_lm(world.brain, "world/other")},
        "teleprompter setting num_candidate_programs: 3 -> 4": {
            "teleprompter": BootstrapFewShotWithRandomSearch(num_candidate_programs=4)
        },
    }
    cases["teleprompter setting teacher: none -> Triage"] = {"teacher": Triage}
    cases["metric right_team (the teleprompter's)"] = {
        "teleprompter": BootstrapFewShotWithRandomSearch(num_candidate_programs=3, metric=METRICS[0])
    }
    for text, changes in cases.items():
        stale = world.session().prepare(world.unit(**changes)).info().stale
        assert any(reason.startswith(text) for reason in stale), (text, stale)
    assert world.session().prepare(world.unit()).info().stale == ()


# --- update -------------------------------------------------------------------------------------------


def test_update_alone_keeps_the_prompts_and_restamps(world: World) -> None:
    world.run(compile=True)
    old = read(world.snapshot)
    changed = world.unit(trainset=(TRAIN[0], example(101, team="account"), *TRAIN[2:]), cases=CASES[:8])
    assert world.run(changed).unit.info.stale
    done = world.run(changed, update=True)
    assert done.states == ["accepted"]
    assert any("t101" in change for change in done.written[0].changes)
    new = read(world.snapshot)
    assert new.predictors == old.predictors
    assert new.header.teleprompter == old.header.teleprompter
    assert len(new.baseline["right_team"].cases) == 8
    assert new.header.changed_since_compile == done.written[0].changes
    assert world.run(changed).unit.info.stale == ()
    assert world.run(changed, update=True).states == ["unchanged"]


def test_update_alone_needs_every_case(world: World) -> None:
    world.run(compile=True)
    before = world.snapshot.read_bytes()
    done = world.run(world.unit(trainset=TRAIN[:10]), update=True, select=lambda m, case: case.id != "t0")
    assert done.states == ["kept"]
    assert "11 of 12 ran" in done.written[0].detail
    assert world.snapshot.read_bytes() == before


def test_update_without_a_snapshot_compiles_nothing(world: World) -> None:
    done = world.run(update=True)
    assert done.states == ["kept"]
    assert "--lm-compile makes one" in done.written[0].detail


@pytest.mark.parametrize("cli", [{"compile": True}, {"update": True}])
def test_a_unit_without_teleprompter_gets_a_snapshot_as_written(world: World, cli: Any) -> None:
    unit = world.unit(teleprompter=None, trainset=())
    assert world.run(unit, **cli).states == ["created"]
    snapshot = read(world.snapshot)
    assert snapshot.header.teleprompter is None
    assert snapshot.predictors["classify"].demos == ()
    assert "known_miss" in world.run(unit, record="none").verdicts().values()


# --- budget, dry run ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("calls", "state"), [(1, "kept"), (10, "kept"), (25, "created")])
def test_a_budget_is_kept_and_the_best_so_far_is_used(world: World, calls: int, state: str) -> None:
    session = world.session(compile=True, budget=f"{calls}calls")
    outcome = session.compile(world.unit())
    assert outcome.stopped_by_budget
    assert len(world.brain.asked) <= calls
    assert any("budget" in note for note in outcome.notes)
    done = world.run(compile=True, budget=f"{calls}calls")
    assert done.states == [state]
    if state == "created":
        assert read(world.snapshot).header.stopped == "budget"
    else:  # no candidate was evaluated: the program as written is no result
        assert not world.snapshot.exists()


def test_a_dry_run_asks_nothing_and_its_bound_holds(world: World) -> None:
    bound = world.session(compile=True, dry_run=True).bound(world.unit())
    assert not world.brain.asked
    done = world.run(compile=True)
    compiled = done.session.compiled["tests/test_support.py::TestTriage"].calls.calls
    assert compiled <= bound.compile.calls + bound.before.calls
    assert done.unit.calls.calls <= bound.calls
    assert "tokens and USD are not bounded" in str(bound)


def test_a_bound_of_tokens_where_answers_are_bounded(world: World) -> None:
    lm = make_lm(world.brain, max_tokens=50)
    bound = world.session(compile=True, dry_run=True).bound(world.unit(lm=lm))
    assert bound.tokens == 50 * bound.calls


class Loop(Triage):
    def forward(self, ticket: str) -> Any:
        for _ in range(3):
            found = self.classify(ticket=ticket)
        return found


def test_a_program_that_calls_more_than_promised_is_stopped(world: World) -> None:
    with pytest.raises(Exception, match="more than 1 call to the LM in one run"):
        world.session(compile=True).compile(world.unit(program=Loop))
    done = world.run(world.unit(program=Loop, max_calls=3), compile=True)
    assert done.states == ["created"]
    assert not world.run(world.unit(program=Loop)).errors


# --- rollouts -----------------------------------------------------------------------------------------


def test_rollouts_have_answers_of_their_own(world: World) -> None:
    unit = world.unit(repeat=3, teleprompter=None, trainset=())
    done = world.run(unit, compile=True)
    assert len(world.brain.asked) == 3 * len(CASES)
    baseline = read(world.snapshot).baseline["right_team"].cases
    for case in CASES:
        expected = sum(world.brain.knows(case.ticket, 0, rollout) for rollout in range(3))
        assert (baseline[case.id].passes, baseline[case.id].n) == (expected, 3)
    replay = world.run(unit, record="none")
    assert {o.verdict for o in replay.unit.metrics[0].outcomes} <= {"passed", "flaky", "known_miss"}
    assert done.unit.complete


def test_rollouts_at_temperature_0_are_a_warning(world: World) -> None:
    world.session().prepare(world.unit(repeat=2))
    assert len(world.warnings) == 1
    assert "2 rollouts at temperature 0" in world.warnings[0]
    world.warnings.clear()
    world.session().prepare(world.unit(repeat=2, lm=make_lm(world.brain, temperature=1.0)))
    world.session().prepare(world.unit())
    assert world.warnings == []


# --- programs compiled by hand (lm_compile) -----------------------------------------------------------


def test_a_unit_without_cases_is_compiled_and_has_no_baseline(world: World) -> None:
    unit = world.unit(cases=())
    done = world.run(unit, compile=True)
    assert done.states == ["created"]
    snapshot = read(world.snapshot)
    assert snapshot.predictors["classify"].demos
    assert snapshot.baseline == {}
    state = world.session().prepare(unit)
    assert state.program.predictors()[0].demos
    assert state.info().metrics == ()


# --- hand edits ---------------------------------------------------------------------------------------


def test_a_hand_edit_is_tested_told_and_rendered_by_update(world: World) -> None:
    world.run(compile=True)
    text = world.snapshot.read_text()
    edited = text.replace("Decide which team should handle a ticket.", "Decide who should handle it.", 1)
    world.snapshot.write_text(edited)
    state = world.session().prepare(world.unit())
    assert state.program.predictors()[0].signature.instructions == "Decide who should handle it."
    assert any(note.startswith("edited by hand: classify") for note in state.info().notes)
    assert world.run(lenient(world), update=True).states == ["accepted"]
    assert "should handle a ticket" not in world.snapshot.read_text()
    assert not world.session().prepare(world.unit()).info().notes


def test_a_snapshot_that_no_longer_fits_names_the_field(world: World) -> None:
    from pytest_lmprog.programs import Module, Predict

    class Other(Module):
        def __init__(self) -> None:
            self.classify = Predict("ticket -> owner")

        def forward(self, ticket: str) -> Any:
            return self.classify(ticket=ticket)

    world.run(compile=True)
    with pytest.raises(SnapshotError, match="owner"):
        world.session().prepare(world.unit(program=Other))


@pytest.mark.parametrize(
    ("program", "message"),
    [(lambda: 1 / 0, "raised ZeroDivisionError"), (lambda: 3, "gave int, which is no Module")],
)
def test_a_program_that_cannot_be_made_is_a_clear_error(world: World, program: Any, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        world.session().prepare(world.unit(program=program))


# --- modes and reports --------------------------------------------------------------------------------


def test_record_all_asks_each_request_once_a_run_and_replaces(world: World) -> None:
    unit = world.unit(teleprompter=None, trainset=())
    world.run(unit)
    first = world.recording.read_text()
    world.brain.knows = lambda ticket, demos, rollout: True
    done = world.run(unit, record="all")
    assert len(world.brain.asked) == 2 * len(CASES)
    assert set(done.verdicts().values()) == {"passed"}
    assert world.recording.read_text() != first
    assert set(world.run(unit, record="none").verdicts().values()) == {"passed"}


def test_update_takes_changed_code_of_a_unit_without_teleprompter(world: World) -> None:
    from pytest_lmprog.programs import Predict
    from tests.harness.world import TriageTicket

    class Reworded(Triage):
        def __init__(self) -> None:
            self.classify = Predict(TriageTicket.with_instructions("Name the team."))

    world.run(world.unit(teleprompter=None, trainset=()), update=True)
    changed = world.unit(teleprompter=None, trainset=(), program=Reworded)
    state = world.session().prepare(changed)
    assert "signature of classify: instructions changed" in state.info().stale
    assert state.program.predictors()[0].signature.instructions != "Name the team."
    assert world.run(changed, update=True).states == ["accepted"]
    assert read(world.snapshot).predictors["classify"].instructions == "Name the team."


def test_the_table_of_before_and_after(world: World) -> None:
    from pytest_lmprog.reports.terminal import compile_lines

    done = world.run(compile=True)
    lines = compile_lines(list(done.session.compiled.values()), done.results, width=100)
    assert lines[0].split() == ["unit,", "metric", "n", "before", "after", "change"]
    name, n, before, after, change = lines[2].split()
    assert (name, n) == ("right_team", "12")
    assert float(after) - float(before) == pytest.approx(float(change), abs=0.0011)
    assert "before: the program as written, without compiling" in lines
    assert any(line.startswith("TestTriage: 6 candidates, best 0.") for line in lines)


def test_a_budget_in_usd_needs_a_price(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    from pytest_lmprog.harness.models import Models

    monkeypatch.setattr(Models, "price", staticmethod(lambda model: None))
    with pytest.raises(ConfigurationError, match="its price is not known"):
        world.session(compile=True, budget="1usd").compile(world.unit())
    assert not world.brain.asked
