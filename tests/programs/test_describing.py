"""Programs in words."""

from __future__ import annotations

from typing import Any

import pytest_lmprog as lmp
from pytest_lmprog.programs.describing import as_text, code_of, described


class Answering(lmp.Module):
    def __init__(self) -> None:
        self.answer = lmp.Predict(lmp.Signature("question -> answer", "Be brief."))

    def forward(self, question: str) -> Any:
        return self.answer(question=question)


@lmp.program
def asking(question: str) -> Any:
    ask = lmp.Predict("question -> answer")
    return ask(question=question)


def test_code_keeps_its_indentation() -> None:
    lines = code_of(Answering).splitlines()
    assert lines[0] == "class Answering(lmp.Module):"
    assert lines[1] == "    def __init__(self) -> None:"


def test_nested_code_is_moved_to_the_left() -> None:
    class Inner(lmp.Module):
        def forward(self) -> Any:
            return {}

    assert code_of(Inner) == ("class Inner(lmp.Module):\n    def forward(self) -> Any:\n        return {}")


def test_of_a_program_made_of_a_function_it_is_the_functions() -> None:
    assert "def asking(question: str) -> Any:\n    ask = lmp.Predict" in code_of(type(asking))


def test_what_comes_with_the_package_or_has_no_source_is_named() -> None:
    assert code_of(lmp.Predict) == "Predict"
    assert code_of(len) == "len"


def test_modules_are_described_one_after_the_other() -> None:
    assert described(Answering().named_predictors()) == (
        "Module answer\n  takes and puts out: question -> answer\n  instructions: Be brief."
    )


def test_values_are_json_or_what_str_shows() -> None:
    assert as_text({"a": "ü"}) == '{\n  "a": "ü"\n}'
    assert as_text(1j) == "1j"
