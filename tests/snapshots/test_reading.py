from __future__ import annotations

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_lmprog.errors import SnapshotError
from pytest_lmprog.snapshots.reading import read_snapshot
from pytest_lmprog.snapshots.text import to_text
from tests.snapshots.strategies import triage

TEXT = to_text(triage())


def line_of(text: str, part: str) -> int:
    return text[: text.index(part)].count("\n") + 1


def error_of(text: str) -> SnapshotError:
    for pure in (True, False):
        with pytest.raises(SnapshotError) as caught:
            read_snapshot(text, "s.yaml", pure=pure)
    return caught.value


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("format: 1\n", "format: 2\n", "written by a newer pytest-lmprog"),
        ("format: 1\n", "format: 0\n", "never existed"),
        ("format: 1\n", "format: one\n", "must be a whole number"),
        ("seed: 0\n", "sead: 0\n", "unknown key 'sead'"),
        ("seed: 0\n", "seed: 0\nseed: 1\n", "twice"),
        ("adapter: json\n", "adapter: 12\n", "adapter must be text"),
        ("role: input", "role: inpt", "must be one of input, output"),
        ("name: team", "name: ticket", "which another field has"),
        ("score: 0.25", "score: 1.25", "within \\[0, 1\\]"),
        ("count: 2", "count: -2", "whole number"),
        ("status: pass", "status: passed", "must be one of error, fail, pass, unscored"),
        ("json_schema: true", "json_schema: 1", "true or false"),
        ("adapter: json\n", "adapter: &a json\nstopped: *a\n", "aliases"),
        ("adapter: json\n", "adapter: !!python/name:os.system x\n", "tag"),
        ("adapter: json\n", "adapter: [json\n", "not valid YAML"),
        ("seed: 0\n", "seed: 0\nstopped: yes please\n", "must be one of budget"),
        ("prompt_format: 1\n", "", "lacks the key 'prompt_format'"),
        ("fields:\n", "fields: {}\n    extra:\n", "extra"),
    ],
)
def test_damage_is_one_error_with_file_and_line(old, new, message):
    assert old in TEXT
    error = error_of(TEXT.replace(old, new, 1))
    assert error.path == "s.yaml"
    assert error.line is not None
    assert pytest.raises(SnapshotError, match=message).matches(error)


def test_the_line_is_that_of_the_fault():
    text = TEXT.replace("role: output", "role: outpt")
    assert error_of(text).line == line_of(text, "role: outpt")


def test_an_unknown_key_gets_the_nearest():
    assert "did you mean 'seed'?" in str(error_of(TEXT.replace("seed: 0", "sead: 0")))


def test_conflict_markers_are_named():
    text = TEXT.replace("seed: 0\n", "<<<<<<< HEAD\nseed: 0\n=======\nseed: 1\n>>>>>>> theirs\n")
    error = error_of(text)
    assert "conflict markers" in str(error)
    assert error.line == line_of(text, "<<<<<<<")


@pytest.mark.parametrize("text", ["", "# only a comment\n", "- a\n- b\n", "text\n", "a: 1\n", "\x00"])
def test_what_is_no_snapshot_is_refused(text):
    assert "s.yaml" in str(error_of(text))


def test_an_alias_bomb_is_refused_at_once():
    bomb = "a: &a [x, x]\n" + "".join(
        f"b{i}: &b{i} [{', '.join(['*' + ('a' if i == 0 else f'b{i - 1}')] * 9)}]\n" for i in range(30)
    )
    assert "aliases" in str(error_of(bomb))


def test_deep_nesting_is_refused():
    error = error_of(TEXT.replace("adapter: json\n", f"adapter: {'[' * 100_000}{']' * 100_000}\n"))
    assert "nested too deeply" in str(error)


@given(
    st.integers(0, len(TEXT)),
    st.sampled_from(["", "\t", ":", "- ", "{", '"', "\n", "&a ", "<<: ", "é", "\x00"]),
)
@settings(deadline=None, max_examples=80)
def test_any_small_damage_reads_or_is_a_snapshot_error(position, insert):
    for damaged in (TEXT[:position] + insert + TEXT[position:], TEXT[:position] + insert):
        with contextlib.suppress(SnapshotError):
            read_snapshot(damaged, "s.yaml")


@pytest.mark.parametrize(
    ("calibration", "message"),
    [
        ("calibration: {verdicts: {}}", "lacks the key 'figures'"),
        ("calibration: {figures: {kappa: high}, verdicts: {}}", "figures.kappa must be a number, not 'high'"),
        ("calibration: {figures: {}, verdicts: {a: {people: pass}}}", "verdicts.a lacks the key 'judge'"),
        ("calibration: {figures: {}, verdicts: {a: {people: [1], judge: 1}}}", "must be one value"),
        ("calibration: {figures: {}, verdicts: {}, confusion: {a: {b: -1}}}", "must be a whole number"),
    ],
)
def test_a_damaged_calibration_is_located(calibration: str, message: str) -> None:
    text = TEXT + calibration + "\n"
    error = error_of(text)
    assert message in str(error)
    assert error.line == text.count("\n")
