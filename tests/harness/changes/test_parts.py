"""From what changed to what is to be watched for; and when nothing less than all cases will do."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from pytest_lmprog.harness.changes.effects import sizes, unseen_attribute
from pytest_lmprog.harness.changes.names import SourceNames, module_of
from pytest_lmprog.harness.changes.parts import Affected, affected
from pytest_lmprog.snapshots.code_parts import program_closure
from pytest_lmprog.snapshots.fingerprint import Change
from pytest_lmprog.snapshots.source import Sources

SOURCE = '''
import functools
import pytest_lmprog as lmp

LABELS = ["a", "b"]
WORD = "word"
BOTH = [WORD]
SEEN = {}


def decorate(function):
    @functools.wraps(function)
    def inner(*args):
        return function(*args)

    return inner


def table():
    return {"a": 1}


TABLE = table()


class Base(lmp.Signature):
    text: str = lmp.InputField()


class First(Base):
    """First."""

    a: str = lmp.OutputField(desc=str(LABELS))


class Second(lmp.Signature):
    """Second."""

    text: str = lmp.InputField()
    b: str = lmp.OutputField()


class Alone(lmp.Signature):
    text: str = lmp.InputField()
    b: str = lmp.OutputField()


class Program(lmp.Module):
    def __init__(self):
        self.first = lmp.ChainOfThought(First)
        self.second = lmp.Predict(Second)
        self.size = sized(3)
        self.words = ["a"]

    def forward(self, text):
        if Alone and TABLE and BOTH:
            return self.late(text)
        return self.quick(text)

    @decorate
    def late(self, text):
        return helper(self.first(text=text))

    def quick(self, text):
        return spelled(self.second(text=text))


def helper(text):
    return deeper(text)


def deeper(text):
    return text


def spelled(text):
    return text, len(LABELS)


def sized(n):
    return n


if __name__ == "__main__":
    spelled("x")
'''


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    (tmp_path / "changing.py").write_text(SOURCE, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    import importlib

    yield importlib.import_module("changing")
    sys.modules.pop("changing", None)


@pytest.fixture
def find(module: ModuleType, tmp_path: Path) -> Callable[..., Affected]:
    def find(*items: str, part: str = "program", kind: str = "changed") -> Affected:
        program = module.Program()
        sources = Sources(tmp_path)
        closure = program_closure(program, sources=sources)
        old, new = {"added": (None, "1"), "removed": ("0", None)}.get(kind, ("0", "1"))
        unit: Any = SimpleNamespace(program=module.Program)
        names = SourceNames(closure, sources)
        changes = [Change(part, item, old, new) for item in items]
        return affected(changes, unit, program, closure=closure, names=names)

    return find


def test_functions_are_watched_for(find: Callable[..., Affected]) -> None:
    assert find("changing.spelled").functions == {"changing.spelled"}
    assert find("changing.Program.quick", kind="added").functions == {"changing.Program.quick"}
    assert not find("changing.spelled").everything


def test_signatures_are_those_of_predictors(find: Callable[..., Affected]) -> None:
    assert find("first:instructions", part="signatures").predictors == {"first"}
    assert "second" in find("second:b", part="signatures").predictors
    assert find("changing.Second").predictors == {"second"}
    assert find("changing.First").everything  # a decorated function calls it, and may remember
    assert find("gone:b", part="signatures", kind="removed").everything


def test_a_signature_counts_for_those_based_on_it(find: Callable[..., Affected]) -> None:
    assert find("changing.Base").predictors == {"first"}


def test_a_signature_that_no_predictor_has(find: Callable[..., Affected]) -> None:
    assert find("changing.Alone").everything


def test_settings_are_those_of_predictors(find: Callable[..., Affected]) -> None:
    assert find("Predict second").predictors == {"second"}


def test_constants_count_where_they_are_used(find: Callable[..., Affected]) -> None:
    found = find("changing.LABELS")
    assert found.functions == {"changing.spelled"}
    assert found.predictors == {"first"}


@pytest.mark.parametrize(
    ("item", "why"),
    [
        ("changing.WORD", "program code"),  # another constant is made of it
        ("changing.Program", "program code"),
        ("changing.table", "used when its file is imported"),
        ("changing.decorate", "used when its file is imported"),
        ("changing.helper", "may remember"),
        ("changing.deeper", "may remember"),
        ("changing.Program.late", "may remember"),
        ("self.size", "program code"),
    ],
)
def test_what_cannot_be_followed_is_for_all(find: Callable[..., Affected], item: str, why: str) -> None:
    assert why in find(item).everything


def test_what_is_gone_is_for_all(find: Callable[..., Affected]) -> None:
    assert "removed" in find("changing.spelled", kind="removed").everything


@pytest.mark.parametrize("part", ["model", "prompt_format", "metric_helpers", "something new"])
def test_parts_that_are_for_all(find: Callable[..., Affected], part: str) -> None:
    assert find("x", part=part).everything


@pytest.mark.parametrize("part", ["trainset", "valset", "teleprompter"])
def test_parts_that_no_run_meets(find: Callable[..., Affected], part: str) -> None:
    found = find("x", part=part)
    assert not found.of_program
    assert found.metrics == set()


def test_metrics_are_by_name(find: Callable[..., Affected]) -> None:
    found = find("test_short", part="metrics")
    assert found.metrics == {"test_short"}
    assert not found.of_program


def test_making_counts_by_its_effect(find: Callable[..., Affected], module: ModuleType) -> None:
    assert not find("changing.Program.__init__").of_program
    assert find("changing.sized").functions == {"changing.sized"}
    original = module.Program.__init__

    def made(self: Any) -> None:
        original(self)
        self.client = object()

    module.Program.__init__ = made
    assert "may have made self.client" in find("changing.Program.__init__").everything
    assert "may have made self.client" in find("changing.sized").everything
    assert not find("changing.spelled").everything


def test_attributes_that_a_fingerprint_does_not_tell(module: ModuleType) -> None:
    program = module.Program()
    assert unseen_attribute(program) is None
    program.nested = {"a": [1, (None, "x")]}
    assert unseen_attribute(program) is None
    program.nested["b"] = object()
    assert unseen_attribute(program) == "self.nested"
    del program.nested
    program._hidden = 1
    assert unseen_attribute(program) == "self._hidden"


def test_sizes_show_what_a_program_keeps(module: ModuleType) -> None:
    program = module.Program()
    before = sizes(program, {"changing"})
    assert sizes(program, {"changing"}) == before
    module.SEEN["a"] = 1
    program.words.append("b")
    after = sizes(program, {"changing"})
    assert {name for name in after if after[name] != before[name]} == {"changing.SEEN", "self.words"}


def test_the_module_of_an_item(module: ModuleType) -> None:
    assert module_of("changing.Program.forward") == "changing"
    assert module_of("self.size") == ""
