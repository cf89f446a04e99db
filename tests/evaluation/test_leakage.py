"""What is learnt from is not tested on."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_lmprog.errors import LeakageError
from pytest_lmprog.evaluation.datasets import dataset_of, load_dataset
from pytest_lmprog.evaluation.leakage import check_leakage, shared_example
from pytest_lmprog.programs.example import Example


def rows(*tickets: str, **meta: str) -> list[Example]:
    return [Example(ticket=t, team="x", **meta).with_inputs("ticket") for t in tickets]


def test_apart_is_fine() -> None:
    assert check_leakage([], rows("c")) is False
    assert check_leakage(rows("a", "b"), rows("c")) is False
    assert check_leakage(rows("a"), rows("b"), rows("c")) is False


def test_validation_on_the_cases_is_allowed_and_told() -> None:
    assert check_leakage(rows("a"), rows("b", "c"), rows("c")) is True


def test_equal_inputs_are_the_same_example_whatever_the_labels_and_ids() -> None:
    train = [Example(ticket="a", team="x", id="t1").with_inputs("ticket")]
    cases = [
        Example(ticket="b", id="c0").with_inputs("ticket"),
        Example(ticket="a", team="y", id="c1").with_inputs("ticket"),
    ]
    with pytest.raises(LeakageError) as caught:
        check_leakage(train, cases)
    assert caught.value.message == (
        "example 't1' of the training data and example 'c1' of the cases have equal inputs"
    )


def test_equal_numbers_are_equal_inputs() -> None:
    with pytest.raises(LeakageError, match="the same id"):
        check_leakage([Example(n=1).with_inputs("n")], [Example(n=1.0).with_inputs("n")])


def test_the_same_id_is_the_same_example() -> None:
    with pytest.raises(LeakageError, match="have the same id"):
        check_leakage(rows("a", id="1"), rows("b", id="1"))


def test_train_and_explicit_validation() -> None:
    with pytest.raises(LeakageError, match="example '1' of the validation data"):
        check_leakage(rows("a", id="1"), rows("c"), rows("b", id="1"))


def test_both_places_and_the_number_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "train.yaml").write_text("- ticket: a\n- ticket: b\n- ticket: c\n", encoding="utf-8")
    train = load_dataset("train.yaml", base=tmp_path).with_inputs(["ticket"])
    cases = dataset_of([{"ticket": t} for t in "xcb"], name="the list").with_inputs(["ticket"])
    with pytest.raises(LeakageError) as caught:
        check_leakage(train, cases)
    assert "(train.yaml:2)" in caught.value.message
    assert "(the list, row 3)" in caught.value.message
    assert caught.value.message.endswith("; so have 1 more")


def test_positions_of_the_first_shared_example() -> None:
    assert shared_example(rows("a", "b", "c"), rows("c", "b", "b")) == (1, 1)
    assert shared_example(rows("a"), rows("b")) is None
