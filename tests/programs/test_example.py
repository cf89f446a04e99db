"""Example: fields, inputs, what describes a row, digests, equality, copies."""

from __future__ import annotations

import copy
import enum
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_lmprog.errors import CanonicalError, UsageError
from pytest_lmprog.programs import Example


class Colour(enum.Enum):
    RED = "red"


def row() -> Example:
    return Example(question="q", answer="a", id=7, split="dev", weight=2, tags=["x"]).with_inputs("question")


def test_fields_are_attributes_and_items() -> None:
    example = row()
    assert (example.question, example["answer"]) == ("q", "a")
    assert list(example) == ["question", "answer"]
    assert len(example) == 2
    assert "question" in example
    assert "id" not in example
    assert dict(example) == {**example} == example.toDict() == {"question": "q", "answer": "a"}
    assert (example.get("answer"), example.get("nope", 3)) == ("a", 3)
    with pytest.raises(AttributeError, match="has no field 'nope'; its fields are: question, answer"):
        example.nope
    with pytest.raises(KeyError):
        example["nope"]
    assert not hasattr(example, "nope")


def test_what_describes_a_row_is_apart() -> None:
    example = row()
    assert (example.id, example.split, example.weight, example.tags) == ("7", "dev", 2.0, ("x",))
    assert dict(example.meta) == {"id": 7, "split": "dev", "weight": 2, "tags": ["x"]}
    assert example.has_given_id
    plain = Example(question="q")
    assert (plain.split, plain.weight, plain.tags, plain.has_given_id) == (None, 1.0, (), False)
    assert Example(tags="one").tags == ("one",)


def test_inputs_and_labels() -> None:
    example = row()
    assert dict(example.inputs()) == {"question": "q"}
    assert dict(example.labels()) == {"answer": "a"}
    assert example.inputs().id == "7"
    assert example.input_names == frozenset({"question"})
    with pytest.raises(UsageError, match="with_inputs: no field 'nope'; the fields are: question, answer"):
        example.with_inputs("nope")
    with pytest.raises(UsageError, match="are not known"):
        Example(a=1).inputs()


def test_the_id_is_a_digest_of_the_inputs() -> None:
    one = Example(question="q", answer="a").with_inputs("question")
    assert one.id == Example(question="q", answer="b", split="x").with_inputs("question").id
    assert one.id != Example(question="q", answer="a").id
    assert one.id != Example(question="r", answer="a").with_inputs("question").id
    assert len(one.id) == 12
    assert int(one.id, 16) >= 0
    assert one.inputs_key() == b'{"question":"q"}'


def test_the_digest_is_of_all_fields() -> None:
    one = Example(a=1, b=2.0, c=Colour.RED)
    assert one.digest() == Example(c="red", b=2, a=1, id="x", tags=["t"]).digest()
    assert one.digest() != Example(a=1, b=2).digest()
    with pytest.raises(CanonicalError):
        Example(a=object()).digest()


def test_edits_return_new_rows() -> None:
    example = row()
    changed = example.copy(answer="b", more=1)
    assert dict(changed) == {"question": "q", "answer": "b", "more": 1}
    assert (changed.id, changed.input_names) == ("7", frozenset({"question"}))
    assert dict(example.without("answer")) == {"question": "q"}
    assert example.without("question").input_names == frozenset()
    assert example.copy(id="8").id == "8"
    assert dict(example) == {"question": "q", "answer": "a"}
    for edit in (lambda: setattr(example, "answer", "x"), lambda: delattr(example, "answer")):
        with pytest.raises(AttributeError, match="immutable"):
            edit()


def test_from_another_example_or_mapping() -> None:
    assert Example(row()) == row()
    assert Example(row(), answer="b").answer == "b"
    assert Example(row(), answer="b").id == "7"
    assert Example({"a": 1, "id": "x"}).id == "x"


def test_equality_and_hash() -> None:
    assert row() == row()
    assert hash(row()) == hash(row())
    assert row() != row().copy(id=8)
    assert row() != row().with_inputs("answer")
    assert row() != {"question": "q", "answer": "a"}
    assert len({row(), row(), row().copy(answer="c")}) == 2
    assert isinstance(hash(Example(a=object())), int)


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, lambda e: pickle.loads(pickle.dumps(e))])
def test_copies(duplicate: object) -> None:
    example = Example(a=[1, 2], id="x", tags=["t"]).with_inputs("a")
    again = duplicate(example)  # type: ignore[operator]
    assert again == example
    assert again.input_names == example.input_names
    assert again.meta == example.meta


def test_repr_is_short_and_stable() -> None:
    class Thing:
        pass

    text = repr(Example(a="x" * 500, b=Colour.RED, c=Thing(), d={"b", "a", "c"}))
    assert len(text) < 400
    assert "b=Colour.RED" in text
    assert "0x..." in text
    assert "d={'a', 'b', 'c'}" in text
    assert repr(Example(a=1)) == "Example(a=1)"


@given(st.dictionaries(st.text(min_size=1, max_size=5), st.integers() | st.text(max_size=5), max_size=4))
def test_any_mapping_reads_back(fields: dict[str, object]) -> None:
    example = Example(fields)
    assert {**example, **example.meta} == fields
    assert pickle.loads(pickle.dumps(example)) == example
