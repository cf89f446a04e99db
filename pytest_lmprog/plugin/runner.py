"""One unit at run time: compiled where asked, prepared at its first case, then run case by case."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from pytest_lmprog.errors import ConfigurationError, LmprogError
from pytest_lmprog.plugin import surroundings
from pytest_lmprog.plugin.cases import Case
from pytest_lmprog.programs import Module, Prediction, Trace

if TYPE_CHECKING:
    from pytest_lmprog.plugin.run import Run
    from pytest_lmprog.plugin.units import UnitPlan

__all__ = ["OUR_MODULE", "UnitRunner", "fixture_value", "overridden_lm"]

OUR_MODULE = "pytest_lmprog.plugin"
"""Where our fixtures are defined."""


class UnitRunner:
    """Runs a unit's cases. Made at its first case; what fails then is that case's error, and the unit's other
    cases are skipped with a word each."""

    def __init__(self, run: Run, plan: UnitPlan) -> None:
        self.run = run
        self.plan = plan
        self.announced = False
        self._failure: LmprogError | None = None
        self._state: Any = None
        self._last: tuple[str, int, Any] | None = None
        self._ahead: tuple[Case, Any] | None = None
        hook = run.config.hook.pytest_lmprog_case_finished
        self.tells_case_finished = bool(hook.get_hookimpls())

    @property
    def ready(self) -> Any:
        """The harness's state of the unit, or None where it has not been prepared."""
        return self._state

    def info(self) -> Any:
        """Return the unit as plain data (``harness.results.UnitInfo``)."""
        return self.state.info(self.plan.node_ids)

    @property
    def state(self) -> Any:
        """The harness's state of the unit. Raises LmprogError where it cannot be prepared or compiled, and
        skips the test after that: one reason is told once."""
        if self._state is None:
            if self._failure is not None:
                reason = f"{self.plan.id} could not be prepared, see the error of its first case"
                raise pytest.skip.Exception(reason, _use_item_location=True)
            try:
                self._state = self._prepared()
            except LmprogError as error:
                self._failure = error
                raise
        if self.run._inside is not self.plan:
            self.run.enter_unit(self.plan, self._state.active(self.plan.id))
        return self._state

    def _prepared(self) -> Any:
        session = surroundings.session_of(self.run.config)
        unit = self.plan.unit
        settings = self.run.settings
        if settings.compile:
            from pytest_lmprog.plugin import compiling

            compiling.compile_unit(self)
        state = session.prepare(unit, fixture_lm=self.fixture_lm())
        state.expect([(case.example, case.rollout) for case in self._demanding()])
        return state

    def _demanding(self) -> list[Case]:
        """The selected cases whose tests ask for the prediction, in running order."""
        metrics = self.plan.metrics
        return [case for case in self.plan.selected if metrics[case.metric].runs_program]

    def fixture_lm(self) -> Callable[[], Any] | None:
        """Return a function that gives the overridden ``lm`` fixture's value, or None where it is ours.

        The test that runs when it is called is asked: a rescored unit's first metric may need no LM."""
        run = self.run
        return None if overridden_lm(run.item) is None else lambda: fixture_value(run.item, "lm")

    def fill(self, item: Any, case: Case) -> None:
        """Give a test its arguments without the fixtures, where there is nothing else to set up: a replayed
        case costs less than the fixtures would. What fails is left to the fixture to raise."""
        metric = self.plan.metrics[case.metric]
        if self._state is None or not metric.bare:
            return
        arguments = dict(item.callspec.params)
        if metric.runs_program:
            try:
                run = self.result(case)
            except LmprogError as error:
                self._ahead = (case, error)
                return
            self._ahead = (case, run)
            if run.prediction is None:
                return
            arguments.update(prediction=run.prediction.copy(), trace=run.trace)
        item.funcargs.update({name: arguments[name] for name in item.fixturenames if name in arguments})

    def result(self, case: Case) -> Any:
        """Return the run of a case (``programs.Run``). Raises what is no verdict on the program."""
        ahead, self._ahead = self._ahead, None
        if ahead is not None and ahead[0] is case:
            run = ahead[1]
            if isinstance(run, LmprogError):
                raise run.with_traceback(None)
        else:
            run = self.state.run(case.example, case.rollout)
        self._last = (case.example.id, case.rollout, run)
        return run

    def known_run(self, case: Case) -> Any:
        """Return the run that the case's fixtures got, or None where they asked for none."""
        last = self._last
        if last is None or last[0] != case.example.id or last[1] != case.rollout:
            return None
        return last[2]

    def prediction(self, case: Case) -> Prediction:
        """Return a copy of the prediction for one metric. Raises AnswerError where the program failed."""
        run = self.result(case)
        if run.prediction is None:
            raise run.error.with_traceback(None)
        prediction: Prediction = run.prediction
        return prediction.copy()

    def trace(self, case: Case) -> Trace:
        """Return the trace of the run."""
        trace: Trace = self.result(case).trace
        return trace

    @property
    def program(self) -> Module:
        """The program as tested."""
        program: Module = self.state.program
        return program


def overridden_lm(item: Any) -> Callable[[], Any] | None:
    """Return a function that gives the value of ``item``'s ``lm`` fixture, or None where that is ours."""
    if item is None:
        return None
    definitions = item.session._fixturemanager.getfixturedefs("lm", item)
    if not definitions or definitions[-1].func.__module__ == OUR_MODULE:
        return None
    return lambda: fixture_value(item, "lm")


def fixture_value(item: Any, name: str) -> Any:
    """Return a fixture's value for ``item``, which is being set up.

    Raises ConfigurationError where there is no such fixture."""
    try:
        return item._request.getfixturevalue(name)
    except pytest.FixtureLookupError as error:
        raise ConfigurationError(f"the fixture {name!r} cannot be used: {error.msg or error}") from None
    except AssertionError as error:
        # pytest's own, where a function-scoped fixture is asked for outside of a test.
        if item in item.session._setupstate.stack:
            raise
        hint = "give it the scope session"
        raise ConfigurationError(f"the fixture {name!r} is function-scoped", hint=hint) from error
