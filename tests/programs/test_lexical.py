"""Lexical similarity: what is near, and that it is the same everywhere."""

from __future__ import annotations

import math
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_lmprog.programs.lexical import LexicalIndex

TEXTS = ["I was charged twice", "I cannot log in", "The app crashes on start", "Refund my last invoice"]


def nearest(text: str, texts: list[str] = TEXTS) -> str:
    near = LexicalIndex(texts).similarities(text)
    return texts[max(range(len(texts)), key=lambda place: near[place])]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("why was I charged 2 times?", TEXTS[0]),
        ("crashing when I start it", TEXTS[2]),  # of "crashes" the parts are shared
        ("REFUND", TEXTS[3]),
    ],
)
def test_shared_words_and_parts_of_words_make_texts_near(text, expected):
    assert nearest(text) == expected


def test_rare_words_weigh_more_than_frequent_ones():
    texts = ["the cat sat on the mat", "the dog ate the bone", "the sun on the sea on the left"]
    assert nearest("the bone on the on the", texts) != texts[0]
    assert nearest("where is the bone", texts) == texts[1]


def test_scripts_without_spaces_are_compared_by_parts():
    assert nearest("退款请求", ["登录失败了", "我要退款请"]) == "我要退款请"


def test_by_hand():
    # Two texts of one letter each. Features of "a": the word and the part " a ". Each occurs in 1 of 2 texts:
    # rarity ln(3/2) both, so the vector is (1, 1)/sqrt(2). "a b" has these two and two of "b", all weighed
    # alike: (1, 1, 1, 1)/2. Their cosine is 2/(2 sqrt 2).
    assert LexicalIndex(["a", "b"]).similarities("a b") == [round(1 / math.sqrt(2), 12)] * 2
    assert LexicalIndex(["a", "b"]).similarities("a") == [1.0, 0.0]
    assert LexicalIndex(["a", "b"]).similarities("...") == [0.0, 0.0]
    assert LexicalIndex([]).similarities("a") == []


def test_what_all_texts_have_weighs_nothing():
    assert LexicalIndex(["name: a", "name: bb"]).similarities("name: cc") == [0.0, 0.0]
    assert LexicalIndex(["a"]).similarities("a") == [0.0]


@given(st.lists(st.text(max_size=20), max_size=6), st.text(max_size=20))
def test_similarities_lie_between_0_and_1(texts, text):
    index = LexicalIndex([*texts, text])
    near = index.similarities(text)
    assert all(0.0 <= value <= 1.0 for value in near)
    assert near == index.similarities(text)
    assert near[-1] == max(near)


def test_the_same_with_any_hash_seed():
    code = (
        f"import pytest_lmprog.programs.lexical as l; print(l.LexicalIndex({TEXTS!r}).similarities('log in'))"
    )
    command = [sys.executable, "-c", code]
    outputs = {
        subprocess.run(command, env={"PYTHONHASHSEED": seed}, capture_output=True, check=True).stdout
        for seed in ("1", "2")
    }
    assert len(outputs) == 1
