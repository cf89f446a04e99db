from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_lmprog.reports.spans import Line, Span, line, plain_text, span, text_width, wrapped
from pytest_lmprog.reports.visible import visible
from tests.snapshots.strategies import texts

signs = [*"ab .\t\n", "你", "好", "é", "e\u0301", "🎉", "👍🏽", "\x1b[2J"]
words = st.lists(st.sampled_from(signs), max_size=80).map("".join)


def rows(text: str, width: int | None, **how) -> list[str]:
    return [plain_text(row) for row in wrapped(line(text, **how), width)]


def test_long_lines_hang():
    assert rows("one two three four five", 20) == ["one two three four", "  five"]
    assert rows("one two three four five", 20, indent=4) == ["    one two three", "      four five"]
    assert rows("one two three four five", None, indent=1) == [" one two three four five"]


def test_a_word_longer_than_a_row_is_broken():
    assert rows("x" * 50, 20) == ["x" * 20, "  " + "x" * 18, "  " + "x" * 12]


def test_wide_characters_count_twice():
    assert text_width("你好 e\u0301") == 6
    assert rows("你好你好你好你好你好你", 20) == ["你好你好你好你好你好", "  你"]


def test_emoji_are_not_torn_apart():
    family = "👨\u200d👩\u200d👧"
    for row in rows(f"{family} " * 12, 20):
        assert row.replace(" ", "").replace(family, "") == ""


def test_breaks_may_stand_between_tones():
    both = Line((Span("[-aaaaaaaaaaa-]", "removed"), Span("{+bbbbbbbbbbb+}", "added")))
    assert [plain_text(row) for row in wrapped(both, 20)] == ["[-aaaaaaaaaaa-]", "  {+bbbbbbbbbbb+}"]


@given(words, st.integers(20, 60), st.integers(0, 12))
def test_no_row_is_too_wide_and_no_word_is_lost(text, width, indent):
    found = wrapped(line(text, "added", indent=indent), width)
    assert all(text_width(plain_text(row)) <= width for row in found)
    shown = "".join(plain_text(row) for row in found)
    assert "".join(shown.split()) == "".join(span(text).text.split())


@given(texts)
def test_nothing_that_steers_or_hides_is_left(text):
    shown = visible(text)
    assert visible(shown) == shown
    for sign in shown:
        assert sign in "\n\t\u200c\u200d" or unicodedata.category(sign) not in ("Cc", "Cs")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31m", r"\x1b[31m"),
        ("a\u202eb", r"a\u202eb"),
        ("a\u200bb\ufeff", r"a\u200bb\ufeff"),
        ("a\u200db", r"a\u200db"),
        ("\U000e0041", r"\U000e0041"),
        ("\u2028", r"\u2028"),
        ("👨\u200d👩", "👨\u200d👩"),
        ("می\u200cخواهم", "می\u200cخواهم"),
        ("tab\tand\nline", "tab\tand\nline"),
        ("\ud800", r"\ud800"),
    ],
)
def test_what_is_hidden_is_shown(text, shown):
    assert visible(text) == shown
