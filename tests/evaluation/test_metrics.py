"""Built-in metrics against hand-checked values and SQuAD's own script."""

from __future__ import annotations

import collections
import re
import string
import unicodedata
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_lmprog.errors import UsageError
from pytest_lmprog.evaluation.metrics import (
    answer_exact_match,
    answer_passage_match,
    contains,
    exact_match,
    normalise_answer,
    numeric_close,
    regex_match,
    token_f1,
)
from pytest_lmprog.programs.example import Example, Prediction


@pytest.mark.parametrize(
    ("value", "expected", "same"),
    [
        ("Paris", "paris.", True),
        ("  the  Eiffel Tower!", "Eiffel tower", True),
        ("An apple a day", "apple day", True),
        ("theatre", "atre", False),
        ("U.S.A.", "usa", True),
        ("state-of-the-art", "stateoftheart", True),
        ("1,000", "1000", True),
        ("$5", "5", True),
        ("Paris", "Paris, France", False),
        ("", "", True),
        ("the", "", True),
        ("", "x", False),
        ("caf\u00e9", "cafe\u0301", True),
        ("STRASSE", "straße", False),
        ("ÉTÉ", "été", True),
        ("你好。", "你好", False),
        (42, "42", True),
        (True, "true", True),
    ],
)
def test_exact_match(value: Any, expected: Any, same: bool) -> None:
    assert exact_match(value, expected) is same
    assert exact_match(expected, value) is same


def test_any_of_several_answers_is_right() -> None:
    assert exact_match("Denver Broncos", ["Carolina Panthers", "The Denver Broncos"])
    assert not exact_match("Denver", ["Carolina Panthers", "Denver Broncos"])
    assert token_f1("Denver", ["Carolina Panthers", "Denver Broncos"]) == pytest.approx(2 / 3)
    for metric in (exact_match, token_f1, contains):
        with pytest.raises(UsageError, match="empty"):
            metric("x", [])


@pytest.mark.parametrize(
    ("value", "expected", "f1"),
    [
        # The article's own examples of spans: precision 2/4, recall 2/2; and so on, by hand.
        ("gold anniversary super bowl", "super bowl", 2 * (2 / 4) * 1 / (2 / 4 + 1)),
        (
            "Santa Clara, California",
            "Levi's Stadium in Santa Clara, California.",
            2 * 1 * (3 / 6) / (1 + 3 / 6),
        ),
        ("the cat", "cat", 1.0),
        ("dog", "cat", 0.0),
        ("a a b b b", "b b c", 2 * (2 / 3) * (2 / 3) / (4 / 3)),  # 'a' is an article; b counts twice
        ("x x x", "x", 2 * (1 / 3) * 1 / (4 / 3)),
        ("", "", 1.0),
        ("the", "an", 1.0),
        ("", "x", 0.0),
        ("x", "", 0.0),
        ("naïve Ansatz", "NAÏVE ansatz", 1.0),
    ],
)
def test_token_f1(value: str, expected: str, f1: float) -> None:
    assert token_f1(value, expected) == pytest.approx(f1)
    assert token_f1(expected, value) == pytest.approx(f1)


def squad_normalised(s: str) -> str:
    """SQuAD's evaluate-v2.0.py, as published."""

    def remove_articles(text: str) -> str:
        return re.sub(re.compile(r"\b(a|an|the)\b", re.UNICODE), " ", text)

    def remove_punc(text: str) -> str:
        exclude = set(string.punctuation)
        return "".join(ch for ch in text if ch not in exclude)

    return " ".join(remove_articles(remove_punc(s.lower())).split())


def squad_f1(a_gold: str, a_pred: str) -> float:
    gold_toks, pred_toks = squad_normalised(a_gold).split(), squad_normalised(a_pred).split()
    common = collections.Counter(gold_toks) & collections.Counter(pred_toks)
    num_same = sum(common.values())
    if len(gold_toks) == 0 or len(pred_toks) == 0:
        return int(gold_toks == pred_toks)
    if num_same == 0:
        return 0
    precision, recall = 1.0 * num_same / len(pred_toks), 1.0 * num_same / len(gold_toks)
    return (2 * precision * recall) / (precision + recall)


words = st.lists(st.sampled_from(["the", "a", "An", "x", "y", "Y.", "it's", "—", "“q”", "é", "1,0"])).map(
    " ".join
)
texts = st.one_of(words, st.text(max_size=12).map(lambda t: unicodedata.normalize("NFC", t)))


@given(texts, texts)
def test_as_squads_own_script(value: str, expected: str) -> None:
    assert normalise_answer(value) == squad_normalised(value)
    assert token_f1(value, expected) == pytest.approx(squad_f1(expected, value))
    assert exact_match(value, expected) == (squad_normalised(value) == squad_normalised(expected))


def test_contains() -> None:
    assert contains("The capital is PARIS.\n", "paris")
    assert contains("two\n  lines", "Two lines")
    assert contains("STRASSE", "straße")
    assert contains("cafe\u0301", "caf\u00e9")
    assert contains("anything", "")
    assert contains("Lyon it is", ["Paris", "lyon"])
    assert not contains("Paris", "paris", case_sensitive=True)
    assert not contains("", "x")


def test_regex_match() -> None:
    assert regex_match("order 1234", r"\d{4}")
    assert not regex_match("order 1234", r"\d{4}", full=True)
    assert regex_match("1234", re.compile(r"\d+"), full=True)
    assert regex_match("YES", "yes", flags=re.IGNORECASE)
    assert not regex_match("", "x")
    with pytest.raises(UsageError, match="not a regular expression"):
        regex_match("x", "(")


@pytest.mark.parametrize(
    ("value", "expected", "close"),
    [
        ("42", 42, True),
        (" 42. ", 42.0, True),
        ("1,234.50", 1234.5, True),
        ("1,23", 123, False),
        ("12,34,567", 1234567, False),
        ("$42", "42", True),
        ("-$3.5", -3.5, True),
        ("\u22122", -2, True),
        ("+.5", 0.5, True),
        ("3e-2", "0.03", True),
        ("42%", 0.42, True),
        ("42 %", "42%", True),
        (3.1415926, 3.1415927, True),
        (3.14, 3.1415927, False),
        (Fraction(1, 4), 0.25, True),
        (Decimal("0.25"), "0.25", True),
        (0.0, 1e-13, True),
        ("forty-two", 42, False),
        ("42 apples", 42, False),
        ("", 0, False),
        (None, 0, False),
        (True, 1, False),
        ("nan", 1, False),
        (float("nan"), 1, False),
        ("٤٢", 42, False),
        ("1e999", 1, False),
        ([42], 42, False),
    ],
)
def test_numeric_close(value: Any, expected: Any, close: bool) -> None:
    assert numeric_close(value, expected) is close


def test_tolerances_of_numbers() -> None:
    assert numeric_close(103, 100, rel_tol=0.05)
    assert numeric_close("100.4", 100, abs_tol=0.5)
    assert not numeric_close(100.6, 100, abs_tol=0.5)


@pytest.mark.parametrize("expected", ["many", None, True, float("nan"), ""])
def test_an_expected_value_that_is_no_number_is_a_mistake(expected: Any) -> None:
    with pytest.raises(UsageError, match="is no number"):
        numeric_close(1, expected)


def test_answer_exact_match() -> None:
    example = Example(question="?", answer="The Beatles")
    assert answer_exact_match(example, Prediction(answer="beatles"))
    assert not answer_exact_match(example, Prediction(answer="The Beatles band"), None)
    assert answer_exact_match(example, Prediction(answer="The Beatles band"), frac=0.6)
    assert not answer_exact_match(example, Prediction(answer="The Beatles band"), frac=0.7)
    several = Example(answer=["Fab Four", "Beatles"])
    assert answer_exact_match(several, Prediction(answer="fab four"), trace=[])


def test_answer_passage_match() -> None:
    example = Example(question="?", answer="New York")
    context = ["It is in Newark.", "He moved to new york, in 1950."]
    assert answer_passage_match(example, Prediction(context=context))
    assert not answer_passage_match(example, Prediction(context=context[:1]))
    assert not answer_passage_match(Example(answer="York New"), Prediction(context=context))
    assert not answer_passage_match(Example(answer="ew york"), Prediction(context=context))
    assert answer_passage_match(Example(answer=["x", "1950"]), Prediction(context=context[1]))
    assert not answer_passage_match(example, Prediction(context=[]))
