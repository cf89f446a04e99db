"""What a test function asks of pytest besides its case: fixtures, and marks that leave it unscored."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import Any

import pytest

from pytest_lmprog.plugin.function_metric import CASE_FIXTURES, FixtureNeeds

__all__ = ["functions", "is_bare", "of", "unscored_by_mark"]

_OWN = (*CASE_FIXTURES, "lm_program")
# setup_method and setup_function: FunctionMetric calls them itself.
_XUNIT = ("_xunit_setup_method_", "_xunit_setup_function_")
_OUR_MODULE = "pytest_lmprog.plugin"


def of(metafunc: pytest.Metafunc) -> FixtureNeeds:
    """Return what the fixtures of a test function, autouse ones too, mean for a compile."""
    found: dict[str, list[str]] = {"wide": [], "narrow": [], "parametrized": []}
    for name in metafunc.fixturenames:
        kind = _kind(metafunc, name)
        if kind is not None:
            found[kind].append(name)
    return FixtureNeeds(**{kind: tuple(names) for kind, names in found.items()})


def _kind(metafunc: pytest.Metafunc, name: str) -> str | None:
    if metafunc._params_directness.get(name) == "direct" or name.startswith(_XUNIT):
        return None
    if name == "request":
        return None if name not in metafunc.definition._fixtureinfo.argnames else "narrow"
    definitions = metafunc._arg2fixturedefs.get(name)
    if not definitions:
        return None
    fixture = definitions[-1]
    if name in _OWN and getattr(fixture.func, "__module__", "") == _OUR_MODULE:
        return None
    if fixture.scope == "function":
        return "narrow"
    return "parametrized" if fixture.params is not None else "wide"


def is_bare(metafunc: pytest.Metafunc) -> bool:
    """Return whether a metric, autouse fixtures included, uses none but ``example``, ``prediction``,
    ``trace`` and its parameters: then there is nothing to set up, and no order to keep."""
    direct = metafunc._params_directness
    # Our own ``example``, now shadowed by the parameter, requests ``request``.
    asked = [
        n for n in metafunc.fixturenames if n != "request" or n in metafunc.definition._fixtureinfo.argnames
    ]
    return all(
        direct.get(name) == "direct" or (name in ("prediction", "trace") and _is_own(metafunc, name))
        for name in asked
    )


def _is_own(metafunc: pytest.Metafunc, name: str) -> bool:
    definitions = metafunc._arg2fixturedefs.get(name) or ()
    return len(definitions) == 1 and getattr(definitions[0].func, "__module__", "") == _OUR_MODULE


def functions(metafunc: pytest.Metafunc) -> tuple[Callable[..., Any], ...]:
    """Return the functions of all fixtures that a metric uses, those of other fixtures and autouse ones too,
    that are not ours or pytest's."""
    found = []
    for name in metafunc.fixturenames:
        if _kind(metafunc, name) in ("wide", "narrow", "parametrized"):
            found += [fixture.func for fixture in _in_use(metafunc._arg2fixturedefs.get(name) or (), name)]
    return tuple(f for f in found if not getattr(f, "__module__", "").startswith(("_pytest", _OUR_MODULE)))


def _in_use(definitions: Sequence[pytest.FixtureDef[Any]], name: str) -> Iterator[pytest.FixtureDef[Any]]:
    """Yield the definition of a fixture that holds, and those that it overrides and asks for by its name."""
    for definition in reversed(definitions):
        yield definition
        if name not in definition.argnames:
            return


def unscored_by_mark(definition: Any, call: Any) -> Callable[[], bool]:
    """Return a function that says whether a skip, skipif or xfail mark holds for a parameter set (``call``
    is one of its call specs)."""

    def holds() -> bool:
        from _pytest.skipping import evaluate_skip_marks, evaluate_xfail_marks

        item = pytest.Function.from_parent(
            definition.parent,
            name=f"{definition.name}[{call.id}]",
            callspec=call,
            fixtureinfo=definition._fixtureinfo,
            originalname=definition.name,
        )
        return evaluate_skip_marks(item) is not None or evaluate_xfail_marks(item) is not None

    return cache(holds)
