"""The lineage in a snapshot's header: an addition that leaves other snapshots' bytes as they are."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_lmprog.errors import SnapshotError
from pytest_lmprog.harness.written.redaction import redacted
from pytest_lmprog.snapshots.artifact import FORMAT
from pytest_lmprog.snapshots.diff import diff
from pytest_lmprog.snapshots.text import from_text, head_as_written, to_text
from tests.snapshots.strategies import triage

LINE = ("0 zero-shot", "4 reflect classify", "7 merge: the best")


def made(*line: str):
    return triage(header=replace(triage().header, lineage=line))


def test_it_stands_in_the_header_and_reads_back():
    text = to_text(made(*LINE))
    assert 'lineage:\n- 0 zero-shot\n- 4 reflect classify\n- "7 merge: the best"\n' in text.replace(
        "  - ", "- "
    )
    assert text.index("lineage:") < text.index("predictors:")
    assert from_text(text) == made(*LINE)
    head = head_as_written(text, "x")
    assert head is not None
    assert head.header.lineage == LINE


def test_without_one_there_is_no_key_and_the_format_is_the_same():
    assert FORMAT == 1
    assert "lineage" not in to_text(triage())
    assert from_text(to_text(triage())).header.lineage == ()


def test_a_damaged_one_is_told_with_its_line():
    text = to_text(triage()).replace("seed: 0\n", "seed: 0\nlineage: many\n")
    with pytest.raises(SnapshotError, match="lineage"):
        from_text(text)


def test_it_is_compared_by_meaning():
    (change,) = diff(triage(), made(*LINE)).header
    assert (change.name, change.old, change.new) == ("lineage", None, " > ".join(LINE))


def test_secrets_are_taken_out_of_labels():
    assert redacted(made("1 sk-1"), lambda text: text.replace("sk-1", "[x]")).header.lineage == ("1 [x]",)
