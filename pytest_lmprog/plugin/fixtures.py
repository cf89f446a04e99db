"""What the fixtures give, where a hook module must stay small."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

import pytest

from pytest_lmprog.errors import ConfigurationError, LmprogError
from pytest_lmprog.plugin import surroundings
from pytest_lmprog.plugin.cases import case_of
from pytest_lmprog.plugin.outcome import Recorder
from pytest_lmprog.plugin.run import run_of

if TYPE_CHECKING:
    from pytest_lmprog.lm.types import LanguageModel
    from pytest_lmprog.plugin.compile_fixture import LmCompile
    from pytest_lmprog.programs import Module

__all__ = ["compiler", "default_lm", "program", "recorder", "refuse"]


def refuse(request: pytest.FixtureRequest) -> NoReturn:
    """Fail a test that asks for a case and is in no unit."""
    asked = [n for n in ("example", "prediction", "trace") if n in request.fixturenames]
    names = request.node._fixtureinfo.argnames if hasattr(request.node, "_fixtureinfo") else asked
    name = next((n for n in asked if n in names), asked[0])
    pytest.fail(
        f"the fixture {name!r} gives what belongs to a case, and {request.node.name} has none\n"
        "  hint: mark it, or its class, with @pytest.mark.lm_program(program=...) and "
        '@pytest.mark.lm_examples("examples.yaml")',
        pytrace=False,
    )


def program(request: pytest.FixtureRequest) -> Module:
    """Return the program of the requesting test's unit, as tested."""
    plan = getattr(request, "param", None)
    case = case_of(request.node)
    if plan is None and case is not None:
        plan = case.unit
    if plan is None:
        name = request.node.nodeid.partition("[")[0]
        plan = next(iter(run_of(request.config).functions.get(name, ())), None)
    if plan is None:
        pytest.fail(
            f"the fixture 'lm_program' gives a unit's program, and {request.node.name} is in no unit\n"
            "  hint: mark it, or its class, with @pytest.mark.lm_program(program=...)",
            pytrace=False,
        )
    try:
        result: Module = plan.started().program
    except LmprogError as error:
        if case is not None:
            raise
        pytest.fail(str(error), pytrace=False)
    return result


def recorder(request: pytest.FixtureRequest) -> Recorder:
    """Return the recorder of the requesting case."""
    if case_of(request.node) is None:
        pytest.fail(
            f"record_score scores a case, and {request.node.name} has none\n"
            "  hint: request example, prediction or trace too, in a class or function with lm_program",
            pytrace=False,
        )
    return run_of(request.config).record()


def default_lm(request: pytest.FixtureRequest) -> LanguageModel:
    """Return the LM of the session."""
    try:
        return surroundings.session_of(request.config).lm()
    except ConfigurationError as error:
        pytest.fail(str(error), pytrace=False)


def compiler(request: pytest.FixtureRequest) -> LmCompile:
    """Return the ``lm_compile`` factory of a test module."""
    from pytest_lmprog.plugin.compile_fixture import LmCompile

    return LmCompile(run_of(request.config), request)
