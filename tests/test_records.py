"""Quickly defined records behave as the standard library's frozen dataclasses."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import pickle
import subprocess
import sys
from typing import Any

import pytest

from pytest_lmprog.records import dataclass


@dataclass(frozen=True, slots=True)
class Ours:
    """A record."""

    a: int
    b: str = "x"
    c: list[int] = dataclasses.field(default_factory=list, compare=False)
    d: str = dataclasses.field(default="secret", repr=False)


@dataclasses.dataclass(frozen=True, slots=True)
class Theirs:
    """A record."""

    a: int
    b: str = "x"
    c: list[int] = dataclasses.field(default_factory=list, compare=False)
    d: str = dataclasses.field(default="secret", repr=False)


@dataclass(frozen=True)
class Checked:
    a: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "a", int(self.a))

    def __repr__(self) -> str:
        return f"<{self.a}>"


@dataclass(frozen=True)
class Derived(Checked):
    e: int = 2


@pytest.mark.parametrize(
    ("args", "kwargs"),
    [((1,), {}), ((1, "y"), {"c": [3]}), ((), {"a": 2, "d": "other"}), ((1, "x", [2]), {})],
)
def test_the_same_values_text_and_data(args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    ours, theirs = Ours(*args, **kwargs), Theirs(*args, **kwargs)
    assert dataclasses.asdict(ours) == dataclasses.asdict(theirs)
    assert repr(ours) == repr(theirs).replace("Theirs", "Ours")
    assert ours == Ours(*args, **kwargs)
    assert hash(ours) == hash(Ours(*args, **kwargs))
    assert ours != theirs
    assert dataclasses.replace(ours, a=9) == Ours(9, ours.b, d=ours.d)


def test_what_is_not_compared_does_not_count() -> None:
    assert Ours(1, c=[1]) == Ours(1, c=[2])
    assert len({Ours(1), Ours(1, c=[2]), Ours(1, d="")}) == 2


def test_the_signature_is_the_same() -> None:
    assert list(inspect.signature(Ours).parameters) == list(inspect.signature(Theirs).parameters)
    with pytest.raises(TypeError, match=r"__init__\(\) missing 1 required positional argument: 'a'"):
        Ours()  # type: ignore[call-arg]


def test_it_is_frozen_and_has_slots() -> None:
    one = Ours(1)
    with pytest.raises(dataclasses.FrozenInstanceError, match="cannot assign to field 'a'"):
        one.a = 2  # type: ignore[misc]
    with pytest.raises(dataclasses.FrozenInstanceError, match="cannot delete field 'a'"):
        del one.a
    assert not hasattr(one, "__dict__")


@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_copies_are_equal(again: Any) -> None:
    assert again(Ours(1, "z")) == Ours(1, "z")
    assert again(Checked(1)) == Checked(1)


def test_no_default_is_shared() -> None:
    assert Ours(1).c is not Ours(1).c


def test_own_methods_are_kept_and_records_can_be_derived() -> None:
    assert repr(Checked("3")) == "<3>"  # type: ignore[arg-type]
    assert (Derived(1).a, Derived(1).e, Derived(1) == Derived(1, 2)) == (1, 2, True)
    assert Derived(1) != Checked(1)
    with pytest.raises(dataclasses.FrozenInstanceError):
        Derived(1).e = 3  # type: ignore[misc]


def test_fields_that_it_cannot_do_are_refused() -> None:
    with pytest.raises(TypeError, match="only plain fields"):

        @dataclass(frozen=True)
        class Odd:
            a: int = dataclasses.field(default=1, kw_only=True)


def test_other_options_are_the_standard_ones() -> None:
    @dataclass(order=True)
    class Plain:
        a: int

    plain = Plain(1)
    plain.a = 2
    assert plain > Plain(1)


def test_definitions_are_quicker_than_the_standard_ones() -> None:
    code = (
        "import dataclasses, time\nfrom pytest_lmprog.records import dataclass\n"
        "def took(make):\n"
        "    start = time.process_time()\n"
        "    for _ in range(50):\n"
        "        class A:\n            a: int\n            b: str = ''\n            c: str = ''\n"
        "        make(frozen=True, slots=True)(A)\n"
        "    return time.process_time() - start\n"
        "ours = min(took(dataclass) for _ in range(5))\n"
        "assert ours * 1.5 < min(took(dataclasses.dataclass) for _ in range(5))\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
