"""``--lm-changed``: leaves out the cases that run nothing that changed since the snapshot.

A unit's cases are decided on at its first one, within the fixtures that this would be set up with: the LM
may be one of them. With xdist each worker decides for itself, on what it is told to run.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest
from _pytest.outcomes import OutcomeException
from _pytest.runner import CallInfo

from pytest_lmprog.harness.changes.deciding import Asked, Decision, decide
from pytest_lmprog.plugin import options, surroundings
from pytest_lmprog.plugin.cases import Case, case_of
from pytest_lmprog.plugin.runner import OUR_MODULE, fixture_value, overridden_lm
from pytest_lmprog.plugin.units import UnitPlan
from pytest_lmprog.reports.figures import count
from pytest_lmprog.reports.table import paragraph

__all__ = ["Leaving"]

_ASKS_MORE = frozenset(("lm", "lm_program", "lm_compile"))
_TOLD = "lmprog_changed"


class Leaving:
    """Registered where ``--lm-changed`` was given."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._settings = options.settings(config)
        self._decisions: dict[str, Decision | None] = {}
        self._asked: dict[str, dict[Case, Asked]] = {}
        self._run = 0
        self._left: list[str] = []
        self._why: dict[str, list[str]] = {}

    @property
    def left_out(self) -> int:
        """The number of cases left out so far, in all workers."""
        return len(self._left)

    # --- deciding -------------------------------------------------------------------------------------

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self._asked.clear()
        for item in session.items:
            case = case_of(item)
            if case is not None:
                self._asked.setdefault(case.unit.id, {})[case] = _asked(item, case)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
        case = case_of(item)
        if case is None:
            return None
        if case.unit.id not in self._decisions:
            self._decisions[case.unit.id] = self._decided(item, case.unit)
        decision = self._decisions[case.unit.id]
        if decision is None or self._asked[case.unit.id][case] in decision.run:
            self._run += 1
            return None
        self._leave_out(item, nextitem)
        return True

    def _decided(self, item: Any, plan: UnitPlan) -> Decision | None:
        """Return which of a unit's cases to run, or None where all are: what is wrong shows when they do."""
        asked = self._asked[plan.id]
        try:
            with _set_up(item):
                decision = self._decide(item, plan)
        except (Exception, OutcomeException) as error:  # noqa: BLE001 - whatever a project's fixtures raise
            kind = type(error).__name__
            first = (str(error).splitlines() or [""])[0]
            self._note(plan, [f"every case runs: it could not be told what changed ({kind}: {first})"])
            return None
        self._note(plan, decision.why)
        plan.selected[:] = [case for case in plan.selected if asked[case] in decision.run]
        return decision

    def _decide(self, item: Any, plan: UnitPlan) -> Decision:
        session = surroundings.session_of(self._config)
        return decide(session, plan.unit, self._asked[plan.id].values(), fixture_lm=overridden_lm(item))

    def _note(self, plan: UnitPlan, why: Any) -> None:
        self._why.setdefault(plan.id, []).extend(why)

    def _leave_out(self, item: Any, nextitem: pytest.Item | None) -> None:
        self._left.append(item.nodeid)
        session = item.session
        session.testscollected = max(1, session.testscollected - 1)
        if not hasattr(self._config, "workerinput"):
            item.ihook.pytest_deselected(items=[item])
        # What the last test left set up for this one is to be torn down for the next.
        call = CallInfo.from_call(
            lambda: session._setupstate.teardown_exact(nextitem),
            when="teardown",
            reraise=(pytest.exit.Exception, KeyboardInterrupt),
        )
        if call.excinfo is not None:
            report = item.ihook.pytest_runtest_makereport(item=item, call=call)
            item.ihook.pytest_runtest_logreport(report=report)

    # --- telling --------------------------------------------------------------------------------------

    def pytest_sessionfinish(self, session: Any) -> None:
        output = getattr(session.config, "workeroutput", None)
        if output is not None:
            output[_TOLD] = {"run": self._run, "left": self._left, "why": self._why}

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        told = (getattr(node, "workeroutput", None) or {}).get(_TOLD)
        if told is None:
            return
        self._run += told["run"]
        self._left += told["left"]
        for unit, why in told["why"].items():
            known = self._why.setdefault(unit, [])
            known.extend(text for text in why if text not in known)
        reporter: Any = self._config.pluginmanager.get_plugin("terminalreporter")
        if reporter is not None:
            # Other plugins look into what is counted.
            items = [SimpleNamespace(nodeid=node_id) for node_id in told["left"]]
            reporter.stats.setdefault("deselected", []).extend(items)

    @pytest.hookimpl(trylast=True)
    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        run, left = self._run, len(self._left)
        if not run + left:
            return
        width = terminalreporter._tw.fullwidth
        terminalreporter.write_sep("=", "changed since the snapshot")
        for unit in sorted(unit for unit, why in self._why.items() if why):
            terminalreporter.write_line(unit)
            for text in self._why[unit]:
                for line in paragraph(text, width=width, indent="  "):
                    terminalreporter.write_line(line)
        for line in paragraph(_summary(run, left), width=width):
            terminalreporter.write_line(line)


def _summary(run: int, left: int) -> str:
    text = f"--lm-changed: {run} of {count(run + left, 'case')} run, {left} unchanged left out"
    if not run:
        return f"{text}: nothing that they run, read or ask has changed"
    return f"{text}; thresholds are judged where all cases of a metric run" if left else text


def _asked(item: Any, case: Case) -> Asked:
    metric = case.unit.metrics[case.metric]
    more = not _ASKS_MORE.isdisjoint(getattr(item, "fixturenames", ())) and not metric.bare
    return Asked(case.metric, case.example, case.rollout, metric.runs_program, more)


def _is_own(item: Any, name: str) -> bool:
    definitions = item.session._fixturemanager.getfixturedefs(name, item)
    return bool(definitions) and definitions[-1].func.__module__ == OUR_MODULE


@contextmanager
def _set_up(item: Any) -> Iterator[None]:
    """Have the fixtures of a test set up that are not ours, and those that are its own torn down again."""
    state = item.session._setupstate
    item._initrequest()
    try:
        state.setup(item.parent)
        state.stack[item] = ([item.teardown], None)
        for name in item.fixturenames:
            if not _is_own(item, name):
                fixture_value(item, name)
        yield
    finally:
        state.teardown_exact(item.parent)
        item._request = False
        item.funcargs = None
