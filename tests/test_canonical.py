"""Canonical JSON: one text for one value, errors that name the place, shared text of frozen objects."""

from __future__ import annotations

import copy
import dataclasses
import enum
import json
import math
import pickle
import subprocess
import sys
from typing import Any

import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_lmprog.canonical import FrozenJSON, canonical_json, canonical_text, digest, digest_bytes, plain
from pytest_lmprog.errors import CanonicalError


class Colour(enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    LOW = 1


@dataclasses.dataclass
class Point:
    y: int
    x: float


class Model(pydantic.BaseModel):
    when: Colour
    points: list[Point]


class Word(str):
    pass


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"b": 1, "a": [True, None, "ü\n\u2028"]}, '{"a":[true,null,"ü\\n\u2028"],"b":1}'),
        (0.0, "0"),
        (-0.0, "0"),
        (1.0, "1"),
        (1.5, "1.5"),
        (1e100, str(10**100) if int(1e100) == 10**100 else str(int(1e100))),
        (1e-7, "1e-07"),
        ((1, (2,)), "[1,[2]]"),
        ({"b", "a"}, '["a","b"]'),
        (frozenset({10, 9}), "[10,9]"),
        (Colour.RED, '"red"'),
        (Level.LOW, "1"),
        (Point(1, 2.0), '{"x":2,"y":1}'),
        (Model(when=Colour.RED, points=[Point(1, 2)]), '{"points":[{"x":2,"y":1}],"when":"red"}'),
        (Word("x"), '"x"'),
        ({Colour.RED: 1}, '{"red":1}'),
        ("😀", '"😀"'),
        ({"é": 1, "e": 2, "Z": 3}, '{"Z":3,"e":2,"é":1}'),
    ],
)
def test_one_text_for_one_value(value: Any, text: str) -> None:
    assert canonical_json(value) == text.encode("utf-8")
    assert canonical_text(value) == text


def test_the_digest_is_pinned() -> None:
    assert digest({"a": 1.0, "b": ["ü"]}) == digest_bytes('{"a":1,"b":["ü"]}'.encode())
    assert digest({}) == "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (math.nan, "value: nan is not JSON"),
        ({"a": [1, math.inf]}, r"a\[1\]: inf is not JSON"),
        ({1: 2}, "keys must be text, not int"),
        ("\ud800", "lone surrogate"),
        ({"\ud800": 1}, "lone surrogate"),
        (b"x", "bytes has no canonical JSON form"),
        ({"a": {"b": object()}}, r"\.a\.b: object has no canonical JSON form"),
        (Point, "type has no canonical JSON form"),
        (print, "builtin_function_or_method has no"),
    ],
)
def test_what_has_no_text_is_named(value: Any, words: str) -> None:
    with pytest.raises(CanonicalError, match=words):
        canonical_json(value)


def test_cycles_are_errors() -> None:
    loop: list[Any] = []
    loop.append(loop)
    with pytest.raises(CanonicalError, match="nested too deeply"):
        plain(loop)


def test_plain_copies() -> None:
    inner = [1]
    assert plain({"a": inner})["a"] is not inner


class TestFrozenJSON:
    def test_a_dict_to_every_reader(self) -> None:
        frozen = FrozenJSON({"b": (1, 2.0), "a": {"c": Colour.RED}})
        assert frozen == {"b": [1, 2], "a": {"c": "red"}}
        assert list(frozen) == ["b", "a"]
        assert json.loads(json.dumps(frozen)) == frozen
        assert canonical_text(frozen) == frozen.canonical == '{"a":{"c":"red"},"b":[1,2]}'
        assert type(plain(frozen)) is dict
        assert canonical_text({"x": frozen}) == f'{{"x":{frozen.canonical}}}'

    def test_it_does_not_change(self) -> None:
        frozen = FrozenJSON({"a": 1})
        for change in (
            lambda: frozen.update(a=2),
            lambda: frozen.pop("a"),
            lambda: frozen.clear(),
            lambda: frozen.popitem(),
            lambda: frozen.setdefault("b", 1),
            lambda: frozen.__setitem__("a", 2),
            lambda: frozen.__delitem__("a"),
            lambda: frozen.__ior__({"b": 1}),
        ):
            with pytest.raises(TypeError, match="cannot be changed"):
                change()
        assert frozen == {"a": 1}

    def test_copies_can_be_changed(self) -> None:
        frozen = FrozenJSON({"a": {"b": 1}})
        for mine in (copy.deepcopy(frozen), dict(frozen), frozen.copy()):
            assert type(mine) is dict
            mine["c"] = 1
        deep = copy.deepcopy(frozen)
        deep["a"]["b"] = 2
        assert frozen == {"a": {"b": 1}}
        assert pickle.loads(pickle.dumps(frozen)).canonical == frozen.canonical


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(blacklist_categories=("Cs",))),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(blacklist_categories=("Cs",)), max_size=4), inner, max_size=4)
    ),
    max_leaves=20,
)


@given(json_values)
def test_it_reads_back_and_is_stable(value: Any) -> None:
    data = canonical_json(value)
    assert json.loads(data) == value
    assert canonical_json(json.loads(data)) == data
    assert digest(value) == digest_bytes(data)


@given(
    st.dictionaries(
        st.text(st.characters(blacklist_categories=("Cs",)), max_size=4), st.integers(), max_size=6
    ),
    st.randoms(),
)
def test_order_of_keys_does_not_count(value: dict[str, int], random: Any) -> None:
    items = list(value.items())
    random.shuffle(items)
    assert canonical_json(dict(items)) == canonical_json(value)


def test_hash_seeds_do_not_count() -> None:
    code = "from pytest_lmprog.canonical import digest; print(digest({'a': {'x', 'y', 'z', 'w'}, 'b': 1}))"
    seen = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": seed, "PATH": ""},
            capture_output=True,
            check=True,
            text=True,
            timeout=60,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(seen) == 1
