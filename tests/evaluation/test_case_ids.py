"""Case ids: readable where they can be, safe always, stable and unique."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_lmprog.evaluation.case_ids import MAX_CASE_ID, case_id, case_ids
from pytest_lmprog.programs.example import Example


@pytest.mark.parametrize("id_", ["refund-1", "a b", "x_y.z+1=2@3,4~5#6%7!", "0", "8f14e45fceea"])
def test_a_plain_id_stays(id_: str) -> None:
    assert case_id(id_) == id_


@pytest.mark.parametrize(
    ("id_", "start"),
    [
        ("a::b", "a_b~"),
        ("a/b\\c", "a_b_c~"),
        ("a[1]", "a_1~"),
        ("naïve café", "naive cafe~"),
        ("你好", "~"),
        ("a\nb", "a_b~"),
        (" a ", "a~"),
        ("a" * 80, "a" * 49 + "~"),
        ("\x00", "~"),
        ("ﬁne", "fine~"),
    ],
)
def test_others_are_changed_and_marked(id_: str, start: str) -> None:
    made = case_id(id_)
    assert made.startswith(start)
    assert len(made) == len(start) + 10
    assert made == case_id(id_)


def test_changed_ids_do_not_meet() -> None:
    ids = ["a/b", "a\\b", "a_b", "a:b", "é", "e", "è", "x" * 70 + "1", "x" * 70 + "2"]
    assert len({case_id(i) for i in ids}) == len(ids)


def test_ids_of_examples_do_not_depend_on_their_neighbours() -> None:
    one, two = Example(id="a/b", x=1), Example(id="a_b", x=2)
    assert case_ids([one, two]) == case_ids([two, one])[::-1]
    assert case_ids([one]) == case_ids([one, two])[:1]


@given(st.text(min_size=1, max_size=100))
def test_any_id_is_safe(id_: str) -> None:
    made = case_id(id_)
    assert made.isascii()
    assert made.isprintable()
    assert 0 < len(made) <= MAX_CASE_ID
    assert not set(made) & set("[]/\\:\"'`$*?|<>&;()")
    assert made == made.strip()
