"""Prediction: fields, the fallback to inputs, samples, independent copies."""

from __future__ import annotations

import copy
import pickle
import threading

import pytest

from pytest_lmprog.programs import Prediction


def made() -> Prediction:
    return Prediction.of({"answer": ["a"]}, {"question": {"q": 1}})


def test_fields_and_the_fallback_to_inputs() -> None:
    prediction = made()
    assert prediction.answer == ["a"]
    assert prediction.question == {"q": 1}
    assert "question" not in prediction
    assert dict(prediction) == {"answer": ["a"]}
    assert prediction.get("question") is None
    with pytest.raises(AttributeError, match="Prediction has no field 'nope'; its fields are: answer"):
        prediction.nope
    with pytest.raises(AttributeError, match="immutable"):
        prediction.answer = 3


def test_made_by_users() -> None:
    prediction = Prediction(context=["c"], answer="a")
    assert prediction.context == ["c"]
    assert Prediction({"a": 1}, b=2) == Prediction(a=1, b=2)
    assert Prediction(Prediction(a=1), a=2).a == 2
    assert repr(prediction) == "Prediction(context=['c'], answer='a')"
    assert Prediction(a=1) != {"a": 1}


def test_copies_are_independent() -> None:
    prediction = Prediction.of({"answer": ["a"]}, {"question": {"q": 1}}, [made(), made()])
    mine = prediction.copy(extra=1)
    mine.answer.append("b")
    mine.question["q"] = 2
    mine.completions[0].answer.append("c")
    assert prediction.answer == ["a"]
    assert prediction.question == {"q": 1}
    assert prediction.completions[0].answer == ["a"]
    assert mine.extra == 1


def test_what_cannot_be_copied_is_shared() -> None:
    lock = threading.Lock()
    prediction = Prediction(lock=lock, holder=[lock])
    assert prediction.copy().lock is lock


def test_completions() -> None:
    one = made()
    assert one.completions == (one,)
    assert one.completions.answer == [["a"]]
    both = Prediction.of({"answer": "a"}, {}, [Prediction(answer="a"), Prediction(answer="b")])
    assert [sample.answer for sample in both.completions] == ["a", "b"]
    assert both.completions.answer == ["a", "b"]
    with pytest.raises(AttributeError, match="have no field 'nope'"):
        both.completions.nope


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, lambda p: pickle.loads(pickle.dumps(p))])
def test_duplicates(duplicate: object) -> None:
    prediction = Prediction.of(
        {"answer": "a"}, {"question": "q"}, [Prediction(answer="a"), Prediction(answer="b")]
    )
    again = duplicate(prediction)  # type: ignore[operator]
    assert again == prediction
    assert again.question == "q"
    assert again.completions == prediction.completions
