"""Pending snapshots, decisions, hand edits and rollouts, on the results of real runs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.terminal import Terminal, has_pty
from tests.e2e.desk import Desk


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    desk = Desk(tmp_path)
    code, out = desk.pytest("--lm-compile")
    assert code == 0, out
    return desk


def pend(desk: Desk, old: str, new: str) -> Path:
    """Change the instructions, compile, and return the pending snapshot."""
    desk.edit("program.py", old, new)
    code, out = desk.pytest("--lm-compile")
    assert code == 0, out
    assert "pending review: __lm_snapshots__/test_support/TestTriage.new.yaml" in out
    return desk.snapshot.with_name("TestTriage.new.yaml")


def test_pending_then_accepted(desk: Desk) -> None:
    pending = pend(desk, "a support ticket", "any ticket")
    code, out = desk.pytest()
    assert code == 0
    assert "signature of classify: instructions changed" in out.replace("\n    ", " ")
    code, out = desk.lmprog("pending", "--json")
    assert code == 0
    [found] = json.loads(out)
    assert (found["unit"], found["new"]) == ("TestTriage", False)
    made = pending.read_bytes()
    assert desk.lmprog("accept", "--all")[0] == 0
    assert not pending.exists()
    accepted = desk.snapshot.read_text(encoding="utf-8")
    assert "Decide which team should handle any ticket." in accepted
    assert accepted.splitlines()[-4:-1] == made.decode().splitlines()[-4:-1]  # the seal is the last
    code, out = desk.pytest(CI="1")
    assert (code, "stale" in out) == (0, False), out


def test_reject_leaves_the_accepted_one(desk: Desk) -> None:
    before = desk.snapshot.read_bytes()
    pending = pend(desk, "a support ticket", "any ticket")
    assert desk.lmprog("reject", str(pending))[0] == 0
    assert not pending.exists()
    assert desk.snapshot.read_bytes() == before


def test_accept_refuses_where_the_base_has_changed(desk: Desk) -> None:
    pending = pend(desk, "a support ticket", "any ticket")
    desk.edit(
        str(desk.snapshot.relative_to(desk.path)),
        "  test_team:\n    score: 0.8",
        "  test_team:\n    score: 0.7",
    )
    before = desk.snapshot.read_bytes()
    code, out = desk.lmprog("accept", "--all")
    assert code == 1
    assert "TestTriage.yaml has changed since this pending snapshot was made" in out
    assert pending.exists()
    assert desk.snapshot.read_bytes() == before


def test_a_hand_edit_counts_and_shows_until_it_is_taken_over(desk: Desk) -> None:
    name = str(desk.snapshot.relative_to(desk.path))
    desk.edit(name, "instructions: Decide which", "instructions: Please decide which")
    code, out = desk.pytest()
    assert code == 0
    assert "edited by hand: classify" in out
    assert "5 calls, all live" in out  # the edited instructions were sent
    code, out = desk.pytest("--lm-update", "-k", "test_team")
    assert "not scored again: test_size: 0 of 5 ran" in out.replace("\n  ", " ")
    code, out = desk.pytest("--lm-update")
    assert code == 0
    assert "edited by hand" not in out
    assert "          Please decide which" in desk.snapshot.read_text(encoding="utf-8")  # rendered anew
    code, out = desk.pytest(CI="1")
    assert (code, "edited" in out) == (0, False), out


def test_a_flaky_rollout_does_not_fail_and_a_steady_one_does(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    by_rollout = 'last = request.messages[-1]["content"] + f" #{request.rollout}"'
    desk.edit("conftest.py", 'last = request.messages[-1]["content"]', by_rollout)
    desk.edit("test_support.py", "class TestTriage", "@pytest.mark.lm_repeat(3)\nclass TestTriage")
    desk.words = {"in #1": "bug", **desk.words}  # login-1 passes 2 of 3
    code, out = desk.pytest("--lm-compile")
    assert code == 0, out
    code, out = desk.pytest("-n", "2", CI="1")
    assert code == 0, out
    assert "test_team, 1 flaky: login-1" in out
    desk.words = {"twice #2": "bug", **desk.words}  # refund-1 passed 3 of 3
    desk.pytest("--lm-record=all")
    code, out = desk.pytest(CI="1")
    assert code == 1
    assert "REGRESSION test_support.py::TestTriage::test_team[refund-1-r3]" in out
    assert "test_team[login-1-r" not in out.partition("short test summary")[2]


@pytest.mark.skipif(not has_pty(), reason="there are no pseudo-terminals")
def test_a_prompt_change_is_left_rejected_and_accepted_at_a_terminal(desk: Desk) -> None:
    """By keys on a terminal: Ctrl-C changes nothing, r keeps the old prompt, a makes the new one count."""
    accepted = desk.snapshot.read_bytes()
    pending = pend(desk, "a support ticket", "any ticket")
    made = pending.read_bytes()
    code, text = at_terminal(desk, "\x03")
    assert (code, desk.snapshot.read_bytes(), pending.read_bytes()) == (130, accepted, made), text
    assert "Decide which team should handle [-a support-]{+any+} ticket." in text
    assert "TestTriage (1 of 1)  mean of 2 metrics" in text
    assert "flips 0 of 10" in text
    assert "price unknown" in text
    code, text = at_terminal(desk, "r")
    assert (code, desk.snapshot.read_bytes(), pending.exists()) == (0, accepted, False), text
    assert desk.pytest("--lm-compile")[0] == 0
    assert pending.read_bytes() == made
    code, text = at_terminal(desk, "a")
    assert (code, pending.exists()) == (0, False), text
    assert "accepted __lm_snapshots__/test_support/TestTriage.yaml" in text
    assert "Decide which team should handle any ticket." in desk.snapshot.read_text(encoding="utf-8")
    code, out = desk.pytest(CI="1")
    assert (code, "stale" in out) == (0, False), out


def at_terminal(desk: Desk, *keys: str) -> tuple[int, str]:
    terminal = Terminal(desk.path, ["review"], columns=100)
    terminal.answer(*keys)
    return terminal.finish(), terminal.text
