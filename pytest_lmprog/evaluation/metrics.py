"""Built-in metrics: plain functions on values, for use inside test functions, and DSPy's two on examples."""

from __future__ import annotations

import math
import re
import string
import unicodedata
from collections import Counter
from collections.abc import Iterable
from typing import Any

from pytest_lmprog.errors import UsageError
from pytest_lmprog.evaluation.schema import json_schema_valid

__all__ = [
    "answer_exact_match",
    "answer_passage_match",
    "contains",
    "exact_match",
    "json_schema_valid",
    "normalise_answer",
    "numeric_close",
    "regex_match",
    "token_f1",
]

_PUNCTUATION = str.maketrans("", "", string.punctuation)
_ARTICLES = re.compile(r"\b(a|an|the)\b")
_WORD = re.compile(r"\w+|[^\w\s]")
_NUMBER = re.compile(
    r"(?P<sign>[-+\u2212]?)\s*[$€£¥]?\s*"
    r"(?P<digits>(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d*)?|\.\d+)(?P<power>[eE][-+]?\d+)?\s*(?P<percent>%?)"
)


def normalise_answer(text: str) -> str:
    """Return ``text`` as SQuAD compares it (Rajpurkar et al., arXiv:1606.05250): lower case, without ASCII
    punctuation and the articles a, an, the, white space collapsed; composed (NFC) before."""
    text = unicodedata.normalize("NFC", text).lower().translate(_PUNCTUATION)
    return " ".join(_ARTICLES.sub(" ", text).split())


def _answers(expected: Any, metric: str) -> list[str]:
    """Return the answers that are right: one, or any of several."""
    if isinstance(expected, str) or not isinstance(expected, Iterable):
        return [str(expected)]
    answers = [str(answer) for answer in expected]
    if not answers:
        raise UsageError(f"{metric}: the list of expected answers is empty")
    return answers


def exact_match(value: Any, expected: Any) -> bool:
    """Return whether both are the same after SQuAD's normalisation (``"Paris"``, ``"paris."``).

    ``expected`` may be a list of answers, any of which is right."""
    mine = normalise_answer(str(value))
    return any(normalise_answer(answer) == mine for answer in _answers(expected, "exact_match"))


def token_f1(value: Any, expected: Any) -> float:
    """Return SQuAD's F1: harmonic mean of precision and recall over the bags of normalised words.

    The best of several expected answers counts. Where one side has no words, it is 1.0 if the other has none
    either, else 0.0 (SQuAD 2.0)."""
    mine = normalise_answer(str(value)).split()
    return max(_f1(mine, normalise_answer(a).split()) for a in _answers(expected, "token_f1"))


def _f1(mine: list[str], theirs: list[str]) -> float:
    if not mine or not theirs:
        return float(mine == theirs)
    common = sum((Counter(mine) & Counter(theirs)).values())
    return 2 * common / (len(mine) + len(theirs))


def contains(value: Any, expected: Any, *, case_sensitive: bool = False) -> bool:
    """Return whether the text ``value`` has ``expected`` in it (any of several); runs of white space are one
    space, and case does not count unless ``case_sensitive``."""
    mine = _plain_text(str(value), case_sensitive)
    return any(_plain_text(part, case_sensitive) in mine for part in _answers(expected, "contains"))


def _plain_text(text: str, case_sensitive: bool) -> str:
    text = " ".join(unicodedata.normalize("NFC", text).split())
    return text if case_sensitive else unicodedata.normalize("NFC", text.casefold())


def regex_match(value: Any, pattern: str | re.Pattern[str], *, full: bool = False, flags: int = 0) -> bool:
    """Return whether ``pattern`` is found anywhere in ``value``, or fits all of it if ``full``.

    Raises UsageError for a pattern that is no regular expression."""
    try:
        compiled = re.compile(pattern, flags)
    except (re.error, ValueError, RecursionError) as error:
        raise UsageError(f"regex_match: {pattern!r} is not a regular expression: {error}") from None
    return (compiled.fullmatch if full else compiled.search)(str(value)) is not None


def numeric_close(value: Any, expected: Any, *, rel_tol: float = 1e-6, abs_tol: float = 1e-12) -> bool:
    """Return whether both are numbers that are close, as by ``math.isclose``.

    Text is read as a number where it is nothing but one: ``"1,234.50"``, ``"$42"``, ``"-3e5"``; ``"42%"`` is
    0.42. Other text, None, booleans and NaN are close to nothing. Raises UsageError where ``expected``
    is no number, for that is a mistake in the data."""
    wanted = _as_number(expected)
    if wanted is None:
        raise UsageError(f"numeric_close: the expected value {expected!r:.60} is no number")
    number = _as_number(value)
    return number is not None and math.isclose(number, wanted, rel_tol=rel_tol, abs_tol=abs_tol)


def _as_number(value: Any) -> float | None:
    if isinstance(value, str):
        return _parsed_number(value.strip())
    if isinstance(value, bool) or not hasattr(value, "__float__"):
        return None
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return None if math.isnan(number) else number


def _parsed_number(text: str) -> float | None:
    match = _NUMBER.fullmatch(text)
    if match is None or not match["digits"].isascii():
        return None
    number = float(match["digits"].replace(",", "") + (match["power"] or ""))
    number = -number if match["sign"] in ("-", "\u2212") else number
    return number / 100 if match["percent"] else number


def answer_exact_match(example: Any, prediction: Any, trace: Any = None, frac: float = 1.0) -> bool:
    """Return whether ``prediction.answer`` is ``example.answer`` (or one of them); with ``frac`` below 1,
    whether its token F1 is ``frac`` or more. As in DSPy."""
    del trace
    if frac >= 1.0:
        return exact_match(prediction.answer, example.answer)
    return token_f1(prediction.answer, example.answer) >= frac


def answer_passage_match(example: Any, prediction: Any, trace: Any = None) -> bool:
    """Return whether a passage of ``prediction.context`` has ``example.answer`` (or one of them) in it, word
    by word. As in DSPy."""
    del trace
    context = prediction.context
    passages = [context] if isinstance(context, str) else context
    answers = [_words(answer) for answer in _answers(example.answer, "answer_passage_match")]
    return any(_has_words(_words(str(p)), answer) for p in passages for answer in answers)


def _words(text: str) -> list[str]:
    return _WORD.findall(unicodedata.normalize("NFC", text).lower())


def _has_words(words: list[str], wanted: list[str]) -> bool:
    size = len(wanted)
    return any(words[i : i + size] == wanted for i in range(len(words) - size + 1))
