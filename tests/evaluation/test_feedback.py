"""Feedback is the same on every run."""

from __future__ import annotations

from pytest_lmprog.evaluation.feedback import normalise_feedback
from pytest_lmprog.evaluation.scores import MAX_FEEDBACK


def test_colour_addresses_and_line_ends_go() -> None:
    text = "\x1b[31mE\x1b[0m  <Thing object at 0x7f3a90c1d2e0>  \r\n  next \n"
    assert normalise_feedback(text) == "E  <Thing object at 0x...>\n  next"
    assert normalise_feedback("") == ""


def test_sets_are_sorted_before_it_is_cut() -> None:
    letters = [f"'{chr(i)}'" for i in range(0x4E00, 0x5600)]
    one, other = (f"{{{', '.join(order)}}}" for order in (letters, reversed(letters)))
    assert normalise_feedback(one) == normalise_feedback(other)


def test_short_hexadecimal_numbers_are_data() -> None:
    assert normalise_feedback("got 0x1f") == "got 0x1f"


def test_it_is_cut() -> None:
    cut = normalise_feedback("x" * (MAX_FEEDBACK + 1))
    assert len(cut) == MAX_FEEDBACK
    assert cut.endswith("x [...]")
    assert normalise_feedback("x" * MAX_FEEDBACK) == "x" * MAX_FEEDBACK
