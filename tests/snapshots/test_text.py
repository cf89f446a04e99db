from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace

import pytest
import yaml
from hypothesis import given, settings

from pytest_lmprog.errors import SnapshotError
from pytest_lmprog.snapshots.artifact import PredictorSnapshot
from pytest_lmprog.snapshots.text import from_text, to_text
from tests.snapshots.strategies import NASTY, snapshots, triage


@given(snapshots)
@settings(deadline=None, max_examples=60)
def test_every_snapshot_reads_back_equal(snapshot):
    text = to_text(snapshot)
    assert from_text(text) == snapshot
    assert to_text(from_text(text)) == text
    assert "\r" not in text


@pytest.mark.parametrize("text", NASTY)
def test_other_yaml_readers_see_the_same_text(text):
    snapshot = triage(predictors={"p": PredictorSnapshot(text, ())})
    read = yaml.safe_load(to_text(snapshot))
    assert read["predictors"]["p"]["instructions"] == text


def shown(instructions: str) -> str:
    return to_text(triage(predictors={"p": PredictorSnapshot(instructions, ())}))


def test_text_of_several_lines_is_a_block():
    assert "    instructions: |-\n      a\n\n      b\tc 🎉\n" in shown("a\n\nb\tc 🎉")


def test_long_text_is_one_unbroken_line_of_a_block():
    assert "    instructions: |-\n      " + "word " * 60 + "end\n" in shown("word " * 60 + "end")


def test_what_a_block_cannot_hold_is_quoted_on_one_line():
    assert r'    instructions: "a \nb\L\N\r\n"' in shown("a \nb\u2028\x85\r\n")


def test_empty_lines_at_the_end_of_a_section_are_kept():
    messages = ({"role": "system", "content": "a\n\n\n"},)
    predictors = {"p": PredictorSnapshot("b\n\n", (), (), messages)}
    for baseline in ({}, triage().baseline):
        snapshot = triage(predictors=predictors, baseline=baseline)
        assert from_text(to_text(snapshot)) == snapshot


def test_json_stays_readable():
    assert """    instructions: '{"team": "it"}'\n""" in shown('{"team": "it"}')
    assert """    instructions: "no"\n""" in shown("no")


def test_numbers_keep_their_kind():
    snapshot = triage(
        predictors={"p": PredictorSnapshot("x", (), ({"a": 1.0, "b": 1, "c": True, "d": "1"},))}
    )
    demo = from_text(to_text(snapshot)).predictors["p"].demos[0]
    assert [type(v) for v in demo.values()] == [float, int, bool, str]


def test_a_hand_written_no_is_text():
    text = to_text(triage()).replace("team: billing", "team: no")
    assert from_text(text).predictors["classify"].demos[0]["team"] == "no"


def test_the_whole_text():
    text = to_text(triage())
    assert text.startswith("# A compiled LM program")
    assert "format: 1\nprompt_format: 1\nprogram: support.program.Triage\n" in text
    assert "\n\nbaseline:\n  test_team:\n    score: 0.5\n    count: 2\n    cases:\n" in text
    assert "      refund-1: {status: pass, example: aaaa}\n" in text
    assert "      refund-1: {status: fail, score: 0.25, example: aaaa}\n" in text
    assert text.endswith("\n")
    assert not text.endswith("\n\n")


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), object(), b"x", {1: 2}, "\ud800"])
def test_what_is_no_plain_data_is_refused(bad):
    snapshot = triage(predictors={"p": PredictorSnapshot("x", (), ({"a": [bad]},))})
    with pytest.raises(SnapshotError, match="p: demos"):
        to_text(snapshot)


def test_bytes_do_not_depend_on_the_hash_seed():
    code = (
        "import sys; sys.path.insert(0, '.')\n"
        "from tests.snapshots.strategies import triage\n"
        "from pytest_lmprog.snapshots.text import to_text\n"
        "import hashlib; print(hashlib.sha256(to_text(triage()).encode()).hexdigest())"
    )
    seen = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("0", "77")
    }
    assert len(seen) == 1


def test_a_pending_snapshot_says_so():
    text = to_text(replace(triage(), base="0123"))
    assert "Pending" in text
    assert from_text(text).base == "0123"
