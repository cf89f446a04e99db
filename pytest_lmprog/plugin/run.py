"""Run: what the plugin keeps in a process that collects and runs tests, and its hooks on their way."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Generator
from typing import TYPE_CHECKING, Any

import pytest

from pytest_lmprog.evaluation.scores import Score
from pytest_lmprog.plugin import options, selection, surroundings
from pytest_lmprog.plugin.cases import Case, case_of
from pytest_lmprog.plugin.outcome import Recorder, as_score, call_function
from pytest_lmprog.plugin.runner import UnitRunner, overridden_lm
from pytest_lmprog.programs import context

if TYPE_CHECKING:
    from pytest_lmprog.plugin.units import UnitPlan

__all__ = ["Run", "existing_run", "run_of"]

_MANY = 1000
_RUN: pytest.StashKey[Run] = pytest.StashKey()


def run_of(config: pytest.Config) -> Run:
    """Return this process's Run, made and registered on first use."""
    run = config.stash.get(_RUN, None)
    if run is None:
        run = config.stash[_RUN] = Run(config)
        config.pluginmanager.register(run, "lmprog-run")
    return run


def existing_run(config: pytest.Config) -> Run | None:
    """Return this process's Run, or None where nothing of ours was collected."""
    return config.stash.get(_RUN, None)


class Run:
    """The units of this process, and what its items say.

    ``plans`` by owner's node id, ``functions`` by node id, ``units`` by unit id, ``snapshots`` by folded
    path; ``datasets`` and ``case_ids`` are read once. ``item`` is the one that is being set up or run.
    """

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.settings = options.settings(config)
        self.plans: dict[str, tuple[UnitPlan, ...]] = {}
        self.functions: dict[str, tuple[UnitPlan, ...]] = {}
        self.units: dict[str, UnitPlan] = {}
        self.snapshots: dict[str, UnitPlan] = {}
        self.datasets: dict[Any, Any] = {}
        self.case_ids: dict[str, list[str]] = {}
        self.expected_failures: list[Any] = []
        option = config.option
        self._fills = not (option.setupshow or option.setuponly or option.setupplan)
        self.item: pytest.Item | None = None
        self.case: Case | None = None
        self.is_worker = hasattr(config, "workerinput")
        self.collects = self.settings.collects
        self.writes_junit = bool(getattr(option, "xmlpath", None))
        self._collector: Any = None
        self.recorder: Recorder | None = None
        self.score: Score | None = None
        self._stack = contextlib.ExitStack()
        self._frozen = False
        self._inside: Any = None

    def runner(self, plan: UnitPlan) -> UnitRunner:
        """Return the runner of a unit, made at its first case."""
        if plan.runner is None:
            plan.runner = UnitRunner(self, plan)
        runner: UnitRunner = plan.runner
        return runner

    def collector(self) -> Any:
        """Return what turns cases into data (``harness.saved.collector.Collector``), where that is wanted."""
        if self._collector is None:
            from pytest_lmprog.harness.saved.collector import Collector

            self._collector = Collector(surroundings.session_of(self.config))
        return self._collector

    # --- before the first item ------------------------------------------------------------------------

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        selection.narrow(self.config, items)
        if self.settings.rescore is not None:
            from pytest_lmprog.plugin import rescoring

            rescoring.begin(self.config, items)

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        selection.forget_expected(self)
        for plan in self.units.values():
            plan.selected.clear()
        for item in session.items:
            case = case_of(item)
            if case is not None:
                case.unit.selected.append(case)
        if sum(len(plan.selected) for plan in self.units.values()) >= _MANY:
            # Items, examples and cases live to the end: the collector need not walk over them all the time.
            gc.freeze()
            self._frozen = True

    # --- around an item -------------------------------------------------------------------------------

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        self.item = item
        self.recorder = self.score = None
        case = case_of(item)
        if case is None:
            self._enter_plain(item)
        elif self._inside is not case.unit:
            self._switch(None)
        self.case = case
        if case is None:
            return
        if case.unit.metrics[case.metric].is_coroutine:
            surroundings.keep_awaited_score(item, self._take)
        runner = case.unit.runner
        if runner is not None and self._fills:
            runner.fill(item, case)

    def _enter_plain(self, item: pytest.Item) -> None:
        if surroundings.uses_lm(item):
            self._switch(None)
            self._switch(item, surroundings.session_of(self.config).plain(item.path, item.name))
        elif self._inside is not None:
            self._switch(None)

    def enter_unit(self, plan: UnitPlan, scope: Any) -> None:
        """Make ``scope``, a context manager, hold for the test bodies of a unit until another comes."""
        if self._inside is not plan:
            self._switch(None)
            self._switch(plan, scope)

    def _switch(self, inside: Any, scope: Any = None) -> None:
        self._stack.close()
        self._inside = inside
        if scope is not None:
            self._stack.enter_context(scope)

    @pytest.hookimpl(tryfirst=True)
    def pytest_pyfunc_call(self, pyfuncitem: pytest.Function) -> bool | None:
        case = self.case
        if case is None:
            if self._inside is pyfuncitem:
                self._use_overridden_lm(pyfuncitem)
            return None
        function = pyfuncitem.obj
        if case.unit.metrics[case.metric].is_coroutine and surroundings.awaited_by_others(pyfuncitem):
            return None
        names = pyfuncitem._fixtureinfo.argnames
        funcargs = pyfuncitem.funcargs
        returned = call_function(function, {name: funcargs[name] for name in names})
        if returned is not None or self.recorder is not None:
            self._take(returned)
        return True

    def _use_overridden_lm(self, item: pytest.Item) -> None:
        """Let programs in a plain test run on the project's own ``lm`` fixture."""
        given = overridden_lm(item)
        if given is not None:
            lm = surroundings.session_of(self.config).models.choose(None, given)
            self._stack.enter_context(context(lm=lm))

    def _take(self, returned: Any) -> None:
        if self.score is None:
            self.score = as_score(returned, self.recorder)

    def record(self) -> Recorder:
        """Return the recorder of the item that is being set up (the ``record_score`` fixture)."""
        self.recorder = Recorder()
        return self.recorder

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        if call.when == "call" or (call.when == "setup" and call.excinfo is not None):
            case = self.case if self.item is item else case_of(item)
            if case is not None:
                from pytest_lmprog.plugin import reporting

                reporting.judge(self, item, case, call, report)
            elif call.excinfo is not None:
                from pytest_lmprog.plugin import reporting

                reporting.shorten(item, call.excinfo, report)
        if self.is_worker and call.when != "setup":
            self._hand_over(report)
        return report

    def _hand_over(self, report: Any) -> None:
        """Send what was recorded with the report: a worker that dies later has lost nothing."""
        session = surroundings.existing_session(self.config)
        harvest = session.harvest() if session is not None else None
        if harvest:
            report.lmprog = {**(getattr(report, "lmprog", None) or {}), "harvest": harvest}
        warnings = surroundings.warnings_of(self.config)
        if warnings:
            report.lmprog = {**(getattr(report, "lmprog", None) or {}), "warnings": list(warnings)}
            warnings.clear()

    def pytest_sessionfinish(self) -> None:
        self._switch(None)

    def thaw(self) -> None:
        """Give what lived through the run back to the garbage collector."""
        if self._frozen:
            self._frozen = False
            gc.unfreeze()

    # --- instead of items -----------------------------------------------------------------------------

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool | None:
        if not self.settings.dry_run or session.testsfailed or session.config.option.collectonly:
            return None
        from pytest_lmprog.plugin import compiling

        if not compiling.dry_run(self, session.items):
            session.testsfailed = max(1, session.testsfailed)
        return True
