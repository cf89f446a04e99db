from __future__ import annotations

import re

import pytest
from hypothesis import given

from pytest_lmprog.errors import SnapshotError
from pytest_lmprog.snapshots.artifact import DataSource, Snapshot, SourceFiles
from pytest_lmprog.snapshots.text import from_text, head_as_written, to_text
from pytest_lmprog.snapshots.yamlform import compose_plain, dump
from tests.snapshots.strategies import several, snapshots, triage

SOURCED = triage(
    sources=SourceFiles(
        {"classify": "0123456789ab"},
        {"support.program": "../../program.py"},
        {"test_team": "test_x:TestX.test_team"},
        {"trainset": DataSource("../../tickets.yaml", "train", ("ticket",))},
    )
)


def head(snapshot: Snapshot) -> tuple[object, ...]:
    return snapshot.header, snapshot.fingerprint, snapshot.base, snapshot.sources


@given(snapshots)
def test_the_head_is_the_same_as_the_whole_says(snapshot: Snapshot) -> None:
    text = to_text(snapshot)
    found = head_as_written(text, "x")
    if found is None:
        assert "\npredictors:\n" not in text
    else:
        assert head(found) == head(from_text(text))
        assert not found.predictors
        assert not found.baseline


@given(several)
def test_plain_text_reads_as_yaml_does(data: dict[str, str]) -> None:
    found = compose_plain(dump({"a": data, "b": {"c": {"d": 1}}}), "x")
    if found is not None and data:
        (_, inner), _ = found.value
        assert {key.value: value.value for key, value in inner.value} == data


def test_an_ordinary_head_is_read_the_fast_way() -> None:
    text = to_text(SOURCED)
    assert compose_plain(text.partition("\npredictors:\n")[0], "x") is not None
    found = head_as_written(text, "x")
    assert found is not None
    assert head(found) == head(SOURCED)


@pytest.mark.parametrize(
    "edit",
    [
        lambda text: text.replace("billed twice", "billed thrice"),
        lambda text: text.replace("seed: 0", "seed: 1"),
        lambda text: re.sub("# sha256: .*\n", "", text),
        lambda text: text + "\n",
        lambda text: text[:-1],
        lambda text: "# mine\n" + text,
        lambda text: text.replace("# sha256: ", "# sha256:"),
    ],
)
def test_what_was_touched_is_read_whole(edit: object) -> None:
    text = edit(to_text(SOURCED))  # type: ignore[operator]
    assert text != to_text(SOURCED)
    assert head_as_written(text, "x") is None


def test_the_seal_of_another_format_does_not_hide_it() -> None:
    text = to_text(SOURCED).replace("format: 1\nprompt", "format: 7\nprompt")
    body = text.rpartition("# sha256: ")[0]
    from pytest_lmprog.snapshots.text import _sealed

    with pytest.raises(SnapshotError, match="written by a newer"):
        head_as_written(_sealed(body), "x")
