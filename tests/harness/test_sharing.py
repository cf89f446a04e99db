"""What crosses processes, and what is kept out of files."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from pytest_lmprog.harness.hooks import Hooks
from pytest_lmprog.harness.session import Session
from pytest_lmprog.harness.settings import HarnessSettings
from pytest_lmprog.lm.recordings.last_run import read_last_used
from pytest_lmprog.programs.context import context
from tests.harness.world import CASES, World, make_lm


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def plain_unit(world: World) -> Any:
    return world.unit(teleprompter=None, trainset=())


def worker(world: World, name: str) -> Session:
    settings = HarnessSettings.resolve(world.root, worker=name, workers=2)
    return Session(settings, run_id="run")


def test_workers_hand_over_what_the_controller_writes(world: World) -> None:
    unit = plain_unit(world)
    controller = Session(HarnessSettings.resolve(world.root))
    parts: list[Any] = []
    for name, cases in (("gw0", CASES[:6]), ("gw1", CASES[5:])):
        session = worker(world, name)
        state = session.prepare(unit)
        for case in cases:
            state.run(case)
            parts += json.loads(json.dumps(session.harvest()))
        assert session.close(write=False) == []
    assert not world.recording.exists()
    assert len(world.brain.asked) == len(CASES)
    controller.absorb(parts)
    controller.close(passed=True)
    asked = len(world.brain.asked)
    assert {o.verdict for o in world.run(unit, record="none").unit.metrics[0].outcomes} == {
        "passed",
        "failed",
    }
    assert len(world.brain.asked) == asked
    assert len(read_last_used(world.root / ".lm_cache", world.recording) or ()) == len(CASES)


def test_a_harvest_holds_what_is_new_only(world: World) -> None:
    session = worker(world, "gw0")
    session.prepare(plain_unit(world)).run(CASES[0])
    assert session.harvest()
    assert session.harvest() == []


def test_a_run_that_did_not_pass_notes_no_used_answers(world: World) -> None:
    session = world.session()
    session.prepare(plain_unit(world)).run(CASES[0])
    session.close(passed=False)
    assert read_last_used(world.root / ".lm_cache", world.recording) is None


def test_workers_share_the_limit(world: World) -> None:
    assert worker(world, "gw0").limiter.maximum == 4


def test_plain_tests_are_recorded_and_replayed(world: World) -> None:
    message = ({"role": "user", "content": "ticket number 7"},)
    for mode in ("new", "none"):
        with context(lm=make_lm(world.brain)):
            session = world.session(record=mode)
            with session.plain(world.module, "test_plain"):
                answer = session.lm().complete(session.lm().request(message))
        session.close()
        assert session.drain_plain().calls == 1
        assert "team" in answer.text
    assert len(world.brain.asked) == 1


def test_plain_tests_need_no_session_lm(world: World) -> None:
    with world.session().plain(world.module, "test_plain"):
        pass


def test_redaction_reaches_every_file_and_replay_agrees(world: World) -> None:
    def redact(text: str) -> str | None:
        return text.replace("ticket number", "[ticket]") if "ticket number" in text else None

    unit = dataclasses.replace(world.unit(), metrics=world.unit().metrics)
    session = world.session(hooks=Hooks(redact=redact), compile=True)
    session.compile(unit)
    state = session.prepare(unit)
    live = [state.run(case) for case in CASES]
    from pytest_lmprog.harness.results import RunResults

    session.finish(RunResults())
    session.close()
    for path in (world.snapshot, world.recording):
        assert "ticket number" not in path.read_text()
    again = world.session(hooks=Hooks(redact=redact), record="none").prepare(
        dataclasses.replace(unit, teleprompter=unit.teleprompter)
    )
    assert live
    assert again.prepared.snapshot is not None


def test_secrets_reach_no_file_and_no_message(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_API_KEY", "sk-very-secret-value")
    cases = (CASES[0].copy(ticket="ticket number 0 sk-very-secret-value"), *CASES[1:])
    done = world.run(world.unit(cases=cases, teleprompter=None, trainset=()), compile=True)
    state = done.session.prepare(world.unit())
    outcome = state.judge("right_team", CASES[0], broken="X", message="refused sk-very-secret-value")
    assert outcome.message == "refused [secret]"
    for path in world.root.rglob("*"):
        if path.is_file() and path.suffix in (".yaml", ".jsonl"):
            assert "sk-very-secret-value" not in path.read_text()
