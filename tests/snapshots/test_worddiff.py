from __future__ import annotations

import time
from itertools import pairwise

import pytest
from hypothesis import given

from pytest_lmprog.snapshots.worddiff import diff_words
from tests.snapshots.strategies import texts


def told(old: str, new: str) -> str:
    marks = {"same": "{}", "removed": "[-{}-]", "added": "{{+{}+}}"}
    return "".join(marks[piece.kind].format(piece.text) for piece in diff_words(old, new))


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("the old cat", "the new cat", "the [-old-]{+new+} cat"),
        ("a 0.5 b", "a 0.75 b", "a [-0.5-]{+0.75+} b"),
        ("we don't know it", "we do know it", "we [-don't-]{+do+} know it"),
        ("请分类到团队。", "请分类到小组。", "请分类到[-团队-]{+小组+}。"),
        ("ok 👍🏽 now and then", "ok 👍🏿 now and then", "ok [-👍🏽-]{+👍🏿+} now and then"),
        ("ein schöner Tag", "ein scho\u0308ner Tag", "ein [-schöner-]{+scho\u0308ner+} Tag"),
        ("one two", "one  two", "one[- -]{+  +}two"),
        ("keep this line\nold", "keep this line\nnew", "keep this line\n[-old-]{+new+}"),
    ],
)
def test_words(old, new, expected):
    assert told(old, new) == expected


def test_little_between_two_changes_belongs_to_them():
    old, new = "Take the red one to the long table", "Take every tiny one, or many chairs, to the long table"
    assert told(old, new).count("[-") <= 2


def test_texts_that_share_little_are_two_texts():
    old = "Answer the question with one word and no explanation at all."
    new = "You are a careful analyst. Think first, list sources, reply in French."
    assert [piece.kind for piece in diff_words(old, new)] == ["removed", "added"]


@given(texts, texts)
def test_the_pieces_hold_both_texts(old, new):
    pieces = diff_words(old, new)
    assert (pieces == ()) is (old == new)
    if pieces:
        assert "".join(p.text for p in pieces if p.kind != "added") == old
        assert "".join(p.text for p in pieces if p.kind != "removed") == new
        assert all(one.kind != other.kind for one, other in pairwise(pieces))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("a " * 200_000, "a " * 150_000 + "b"),
        ("a b " * 5_000, "b a c " * 5_000),
        ("x\n" * 30_000, "y\n" * 30_000),
    ],
)
def test_hostile_texts_take_seconds_at_most(old, new):
    start = time.perf_counter()
    diff_words(old, new)
    assert time.perf_counter() - start < 20
