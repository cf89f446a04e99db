"""``lmprog review`` by the keys that people press, on a real pseudo-terminal."""

from __future__ import annotations

import signal
from dataclasses import replace

import pytest

from pytest_lmprog.snapshots import store
from tests.cli.conftest import NEW, OLD
from tests.cli.terminal import QUESTION, Terminal

pytest.importorskip("pty")
pytest.importorskip("termios")

SHOWN = "accept, reject or skip? [a/r/s, A/R/S for all that follow, d/f/m/b/q, ?] "


@pytest.fixture
def three(place):
    for unit in "ABC":
        place.both(unit)
    return place


def reviewed(place, *keys: str, **how) -> tuple[int, str]:
    terminal = Terminal(place.root, ["review"], **how)
    terminal.answer(*keys)
    return terminal.finish(), terminal.text


def states(place) -> str:
    """``a`` accepted, ``r`` rejected, ``p`` still pending, unit by unit."""
    found = ""
    for unit in "ABC":
        if store.pending_path(place.path(unit)).exists():
            found += "p"
        else:
            found += "a" if store.read(place.path(unit)) == NEW else "r"
    return found


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        (["a", "r", "s"], "arp"),
        (["A"], "aaa"),
        (["s", "R"], "prr"),
        (["a", "S"], "app"),
        (["a", "q"], "app"),
        (["?", "x", "d", "a", "q"], "app"),
        (["a", "b", "r", "s", "s"], "rpp"),
        (["a\n", "r\n", "s\n"], "arp"),
    ],
    ids="".join,
)
def test_decisions(three, keys, expected):
    code, text = reviewed(three, *keys)
    assert code == 0, text
    assert states(three) == expected
    left = expected.count("p")
    assert (f"{left} left pending" in text) is (left > 0)


def test_keys_typed_ahead_are_not_lost(three):
    terminal = Terminal(three.root, ["review"])
    terminal.type("ars")
    assert terminal.finish() == 0
    assert states(three) == "arp"


def test_an_arrow_key_decides_nothing(three):
    """Up is ESC [ A, and F1 ESC O P."""
    terminal = Terminal(three.root, ["review"])
    terminal.wait_for(QUESTION)
    terminal.type("\x1b[A\x1b[1;5A\x1bOP\r\n\t é")
    terminal.type("q")
    assert terminal.finish() == 0
    assert states(three) == "ppp"


@pytest.mark.parametrize(("end", "code"), [("\x03", 130), ("\x04", 1)], ids=["ctrl-c", "ctrl-d"])
@pytest.mark.parametrize("before", [[], ["a"], ["a", "r"], ["?"], ["a", "b"], ["f", "m"]], ids="".join)
def test_leaving_at_any_prompt_leaves_every_file_as_it_was(three, before, end, code):
    files = three.files()
    terminal = Terminal(three.root, ["review"])
    terminal.answer(*before, end)
    assert terminal.finish() == code
    assert "nothing was changed" in terminal.text
    assert "Traceback" not in terminal.text
    assert three.files() == files


def test_a_kill_puts_the_terminal_back(three):
    files = three.files()
    terminal = Terminal(three.root, ["review"])
    terminal.answer("a")
    terminal.wait_for(QUESTION, 2)
    terminal.send(signal.SIGTERM)
    assert terminal.finish() == 128 + signal.SIGTERM
    assert three.files() == files


def test_what_is_shown(three):
    terminal = Terminal(three.root, ["review"])
    terminal.answer("d", "q")
    assert terminal.finish() == 0
    text = terminal.text
    assert text.count("A (1 of 3)  score 0.500 -> 1.000 (+0.500), flips 1 of 2: 1 fixed\n") == 2
    assert "tests/__lm_snapshots__/test_support/A.new.yaml\n" in text
    assert (
        "test_team: 0.500 -> 1.000 of 2 (+0.500), flips 1 of 2: 1 fixed\n  fixed login-1: fail -> pass\n"
        in text
    )
    assert "    Decide which [-team-]{+person+} should handle a support ticket.\n" in text
    assert (
        "  prompt tokens: about 24 -> 25 (+1, estimate)\n  per call: no recorded call, price unknown\n"
        in text
    )
    assert "\x1b[31m[-team-]\x1b[0m\x1b[32m{+person+}\x1b[0m" in terminal.raw
    assert text.count(SHOWN) == 2


def test_help_and_messages(three):
    code, text = reviewed(three, "?", "m", "q")
    assert code == 0
    assert "Ctrl-C       leave, and change nothing at all" in text
    assert "=== classify (json, 1 demo, about" in text
    assert "--- user ---\n{ticket}\n" in text


def test_full_leaves_nothing_out(place):
    words = " ".join(f"word{i}" for i in range(60))
    for snapshot, write in (
        (f"Start. {words} End.", place.accepted),
        (f"Begin. {words} Stop.", place.pending),
    ):
        edited = replace(OLD.predictors["classify"], instructions=snapshot, messages=())
        write(snapshot=replace(OLD, predictors={"classify": edited}))
    _, text = reviewed(place, "f", "q")
    first, _, second = text.partition(SHOWN)
    assert "words unchanged" in first
    assert "word30" not in first
    assert "word30" in second


def test_no_color(three):
    terminal = Terminal(three.root, ["review"], env={"NO_COLOR": "1"})
    terminal.answer("q")
    assert terminal.finish() == 0
    assert "\x1b[31m" not in terminal.raw
    assert "[-team-]{+person+}" in terminal.raw


@pytest.mark.parametrize("columns", [79, 44, 20, 5, 0])
def test_any_width(three, columns):
    terminal = Terminal(three.root, ["review"], columns=columns)
    terminal.answer("a", "q")
    assert terminal.finish() == 0
    assert states(three) == "app"
    if columns >= 20:
        asked = terminal.text.partition("accepted tests/")[0]
        assert max(len(row) for row in asked.split("\n")) <= columns


def test_a_resize_asks_again_in_the_new_width(three):
    terminal = Terminal(three.root, ["review"])
    terminal.wait_for(QUESTION)
    terminal.resize(30, 24)
    terminal.wait_for("[a/r/s/A/R/S/q/?] ")
    terminal.type("a")
    terminal.wait_for("B (2 of 3)")
    terminal.type("q")
    assert terminal.finish() == 0
    assert states(three) == "app"


def test_on_a_low_terminal_the_header_stands_at_the_question(three):
    _, text = reviewed(three, "q", rows=8)
    assert text.count("A (1 of 3)  score") == 2
    assert text.partition(SHOWN)[0].endswith("flips 1 of 2: 1 fixed\n")


def test_a_terminal_without_single_keys_takes_lines(three):
    code, text = reviewed(three, "a\n", "\n", "r\n", "q\n", env={"TERM": "dumb"})
    assert code == 0
    assert states(three) == "arp"
    assert "  a  accept" in text
    assert "\x1b" not in text


def test_hostile_text_does_not_reach_the_terminal(place):
    place.accepted()
    evil = {"ticket": "\x1b]0;title\x07\x1b[2J\x9b31m \u202eevil 你好 🎉", "team": "\x1b[32m{+fine+}\x1b[0m"}
    edited = replace(OLD.predictors["classify"], instructions="\x1b[31mDecide.\r", demos=(evil,), messages=())
    place.pending(snapshot=replace(OLD, predictors={"classify": edited}))
    terminal = Terminal(place.root, ["review"])
    terminal.answer("m", "q")
    assert terminal.finish() == 0
    assert "\x1b]" not in terminal.raw
    assert "\x1b[2J" not in terminal.raw
    assert "\u202e" not in terminal.raw
    assert r"ticket: \x1b]0;title\x07\x1b[2J\x9b31m \u202eevil 你好 🎉" in terminal.text
    assert r"team: \x1b[32m{+fine+}\x1b[0m" in terminal.text


def test_a_new_unit_and_a_damaged_one(place):
    place.pending("A")
    damaged = place.both("B")
    damaged.write_text("format: 2\n", encoding="utf-8")
    place.both("C")
    code, text = reviewed(place, "a", "a", "r")
    assert code == 1
    assert "A (1 of 3)  new, score 1.000" in text
    assert "there is no accepted snapshot yet" in text
    assert "newer pytest-lmprog" in text
    assert "B cannot be accepted and will stay pending" in text
    assert store.read(place.path("A")) == NEW
    assert store.read(place.path("B")) == OLD
    assert damaged.read_text(encoding="utf-8") == "format: 2\n"
    assert "1 left pending" in text
    assert states(place) == "apr"


def test_a_damaged_one_can_be_rejected(place):
    place.both("A").write_text("<<<<<<< HEAD\n", encoding="utf-8")
    code, text = reviewed(place, "r")
    assert code == 0
    assert "conflict markers" in text
    assert place.files().keys() == {"pytest.ini", "tests/__lm_snapshots__/test_support/A.yaml"}


def test_accept_is_refused_where_the_base_has_changed(place):
    pending = place.both("A")
    place.accepted("A", snapshot=replace(OLD, baseline={}))
    before = place.files()
    code, text = reviewed(place, "a")
    assert code == 1
    assert "cannot be accepted: " in text
    assert "A.yaml has changed since this pending snapshot was made" in text.replace("\n  ", " ")
    assert "1 left pending" in text
    assert pending.exists()
    assert place.files() == before


def test_one_that_disappears_meanwhile_is_passed_over(three):
    terminal = Terminal(three.root, ["review"])
    terminal.wait_for(QUESTION)
    store.pending_path(three.path("B")).unlink()
    terminal.type("a")
    terminal.wait_for(QUESTION, 2)
    assert "it is gone: accepted or rejected elsewhere" in terminal.text
    terminal.type("r")
    assert terminal.finish() == 0
    assert states(three) == "arr"
    assert "left pending" not in terminal.text


def test_one_that_disappears_after_its_decision_is_told(three):
    terminal = Terminal(three.root, ["review"])
    terminal.answer("a", "a")
    store.pending_path(three.path("A")).unlink()
    terminal.answer("", "", "a")
    assert terminal.finish() == 1
    assert "A.new.yaml: is gone since it was shown: accepted, rejected or removed" in terminal.text
    assert "left pending" not in terminal.text
    assert states(three) == "raa"


@pytest.mark.parametrize("key", ["a", "r"])
def test_what_changed_since_it_was_shown_is_left_as_it_is(place, key):
    place.both("A")
    place.both("B")
    terminal = Terminal(place.root, ["review"])
    terminal.answer(key)
    other = place.pending("A", snapshot=replace(NEW, baseline={})).read_bytes()
    terminal.answer("", "s")
    assert terminal.finish() == 1
    assert "has changed since it was shown" in terminal.text
    assert store.pending_path(place.path("A")).read_bytes() == other
    assert store.read(place.path("A")) == OLD


def test_a_terminal_that_goes_away_leaves_every_file_as_it_was(three):
    files = three.files()
    terminal = Terminal(three.root, ["review"])
    terminal.answer("a")
    terminal.wait_for(QUESTION, 2)
    terminal.hang_up()
    assert terminal.process.wait(60) != 0
    assert three.files() == files
