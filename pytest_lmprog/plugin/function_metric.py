"""A test function as a metric: called by a teleprompter, outside of pytest's items, from several threads."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import field
from typing import Any

import pytest

from pytest_lmprog.errors import ConfigurationError, LmprogError
from pytest_lmprog.evaluation.scores import Score
from pytest_lmprog.plugin.outcome import (
    Recorder,
    as_score,
    call_function,
    metric_failure,
    raised_score,
    steady_assertions,
)
from pytest_lmprog.programs import Example, Prediction, Trace
from pytest_lmprog.records import dataclass

__all__ = ["CASE_FIXTURES", "FixtureNeeds", "FunctionMetric", "SharedFixtures"]

CASE_FIXTURES = ("example", "prediction", "trace", "record_score")
"""Arguments that differ from case to case; we give them ourselves."""


class SharedFixtures:
    """Values of the fixtures that a unit's metrics share while compiling; filled in before the compile."""

    def __init__(self) -> None:
        self._values: dict[str, Any] | None = None

    def fill(self, values: Mapping[str, Any]) -> None:
        """Set the values, by fixture name."""
        self._values = dict(values)

    def __getitem__(self, name: str) -> Any:
        if self._values is None:
            raise ConfigurationError("a metric that uses fixtures is called before they are set up")
        return self._values[name]


@dataclass(frozen=True)
class FixtureNeeds:
    """What a test function asks of fixtures.

    ``wide``: names of the unit's scope or wider, resolved once. ``narrow``: function-scoped ones that are
    not ours, which a compile has to refuse. ``parametrized``: fixtures with params of their own.
    """

    wide: tuple[str, ...] = ()
    narrow: tuple[str, ...] = ()
    parametrized: tuple[str, ...] = ()

    @property
    def refused(self) -> bool:
        """Whether a compile cannot do without what it does not have."""
        return bool(self.narrow or self.parametrized)


@dataclass(frozen=True)
class FunctionMetric:
    """One test function with one set of parameters, as ``evaluation.scores.Metric``.

    Parameters
    ----------
    name: unique in the unit: ``test_team``, or ``test_length[400]`` with parameters.
    function: the function as written.
    cls: the test class, instantiated anew for each evaluation, or None.
    arguments: names of its arguments that pytest fills in.
    params: the arguments of its parametrize set.
    runs_program: whether its items ask for the prediction or trace.
    is_coroutine: whether it is an ``async def``.
    bare: whether it uses no fixture but the case's.
    unscored: says whether a skip or xfail mark holds for it.
    fixture_functions: those of the user's fixtures among its arguments; their code is part of the metric.
    """

    name: str
    function: Callable[..., Any]
    node_id: str
    cls: type | None = None
    module: Any = None
    arguments: tuple[str, ...] = ()
    params: Mapping[str, Any] = field(default_factory=dict)
    weight: float = 1.0
    optimize: bool = True
    pass_at: float | None = None
    runs_program: bool = True
    bare: bool = False
    is_coroutine: bool = False
    needs: FixtureNeeds = FixtureNeeds()
    shared: SharedFixtures = field(default_factory=SharedFixtures)
    unscored: Callable[[], bool] = bool
    fixture_functions: tuple[Callable[..., Any], ...] = ()

    def require_compilable(self) -> None:
        """Raise ConfigurationError where the function cannot be called outside of its items."""
        if self.needs.narrow:
            name = self.needs.narrow[0]
            raise ConfigurationError(
                f"metric {self.name} uses the function-scoped fixture {name!r}, which has no value while "
                "compiling: one evaluation is not one test",
                hint=f"give {name!r} the scope class, module or session, or move the check to a plain test",
            )
        if self.needs.parametrized:
            raise ConfigurationError(
                f"metric {self.name} uses the parametrized fixture {self.needs.parametrized[0]!r}, which has "
                "more than one value while compiling",
                hint="use @pytest.mark.parametrize: each parameter set is a metric of its own",
            )

    def score(self, example: Example, prediction: Prediction, trace: Trace) -> Score:
        """Call the function for one prediction. Raises MetricError where it fails by itself."""
        if self.unscored():
            return Score(None)
        recorder = Recorder()
        given = {"example": example, "prediction": prediction, "trace": trace, "record_score": recorder}
        try:
            with steady_assertions(), self._bound() as function:
                returned = call_function(function, self._arguments(given))
            return as_score(returned, recorder)
        except (KeyboardInterrupt, SystemExit, pytest.exit.Exception):
            raise
        except BaseException as error:  # noqa: BLE001 - pytest's outcomes are BaseExceptions
            return self._scored(error)

    def _scored(self, error: BaseException) -> Score:
        score = raised_score(error)
        if score is None:
            failure = metric_failure(self.name, error)
            raise failure from (None if isinstance(error, LmprogError) else error)
        return score

    def _arguments(self, given: Mapping[str, Any]) -> dict[str, Any]:
        return {name: self._argument(name, given) for name in self.arguments}

    def _argument(self, name: str, given: Mapping[str, Any]) -> Any:
        if name in self.params:
            return self.params[name]
        return given[name] if name in given else self.shared[name]

    @contextmanager
    def _bound(self) -> Iterator[Callable[..., Any]]:
        # xunit-style set-up belongs to each test, hence to each evaluation.
        if self.cls is None:
            owner, function, ending = self.module, self.function, "function"
        else:
            owner, ending = self.cls(), "method"
            function = getattr(owner, self.name.partition("[")[0])
        _call_xunit(owner, f"setup_{ending}", function)
        try:
            yield function
        finally:
            _call_xunit(owner, f"teardown_{ending}", function)


def _call_xunit(owner: Any, name: str, function: Callable[..., Any]) -> None:
    hook = getattr(owner, name, None)
    if hook is None or not callable(hook):
        return
    if inspect.signature(hook).parameters:
        hook(function)
    else:
        hook()
