"""The ``lm_gate`` mark as a value: read, checked, and held against the unit's examples."""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Iterable
from dataclasses import fields
from typing import Any

import pytest

from pytest_lmprog.errors import ConfigurationError
from pytest_lmprog.harness.unit import Gate
from pytest_lmprog.plugin.marks import arguments, is_number, require

__all__ = ["check_must_pass", "read_gate"]

_POLICIES = ("pass", "fail", "warn")


def read_gate(mark: pytest.Mark) -> Gate:
    """Return an ``lm_gate`` mark as a Gate. Raises ConfigurationError for unknown or wrong arguments."""
    given = arguments(mark, [field.name for field in fields(Gate)])
    for name, value in given.items():
        wanted, is_good = _RULES[name]
        require(is_good(value), f"lm_gate: {name}", wanted, value)
    if given.get("max_drop") is not None:
        given.setdefault("max_regressions", None)
    return Gate(**{**given, "must_pass": tuple(map(str, given.get("must_pass", ())))})


def check_must_pass(gate: Gate, known: Iterable[str]) -> None:
    """Raise ConfigurationError where a case that must pass is no example, naming those that are near."""
    ids = list(known)
    for wanted in gate.must_pass:
        if wanted not in ids:
            problem = f"lm_gate: must_pass names {wanted!r}, which is no example of this unit"
            raise ConfigurationError(problem, hint=_near(wanted, ids))


def _near(wanted: str, ids: list[str]) -> str:
    near = difflib.get_close_matches(wanted, ids, 3)
    if near:
        return f"did you mean {' or '.join(map(repr, near))}?"
    return f"its examples are: {', '.join(ids[:8])}" + (f" and {len(ids) - 8} more" if len(ids) > 8 else "")


def _is_share(value: Any) -> bool:
    return value is None or (is_number(value) and math.isfinite(value) and 0 <= value <= 1)


def _is_limit(value: Any) -> bool:
    return value is None or (isinstance(value, int) and not isinstance(value, bool) and value >= 0)


def _is_alpha(value: Any) -> bool:
    return is_number(value) and 0 < value < 0.5


def _are_ids(value: Any) -> bool:
    if not isinstance(value, list | tuple | set | frozenset):
        return False
    return all(isinstance(one, str | int) and not isinstance(one, bool) for one in value)


_RULES: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "min_score": ("a number from 0 to 1", _is_share),
    "pass_at": ("a number from 0 to 1", _is_share),
    "max_regressions": ("a whole number, 0 or more, or None", _is_limit),
    "strict": ("a bool", lambda value: isinstance(value, bool)),
    "max_drop": ("a number from 0 to 1", _is_share),
    "alpha": ("a number above 0 and below 0.5", _is_alpha),
    "on_inconclusive": (f"one of {', '.join(map(repr, _POLICIES))}", lambda value: value in _POLICIES),
    "must_pass": ("a list of example ids", _are_ids),
}
