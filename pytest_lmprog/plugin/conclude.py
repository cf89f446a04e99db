"""The end of a run, in the process that talks to the user: gates, snapshots, recordings, the summary.

Outcomes arrive with the reports, as objects in a process of its own and as plain data from xdist's
workers; from there on the two are the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_lmprog.errors import LmprogError, LmprogWarning
from pytest_lmprog.harness.results import (
    CaseOutcome,
    MetricResult,
    RunResults,
    UnitInfo,
    UnitResult,
)
from pytest_lmprog.harness.verdicts.gates import MetricVerdict, judge_run
from pytest_lmprog.lm.tally import TallyCount
from pytest_lmprog.plugin import options, selection, surroundings, told
from pytest_lmprog.plugin.display import clean_longrepr
from pytest_lmprog.plugin.run import Run, existing_run

if TYPE_CHECKING:
    from pytest_lmprog.harness.saved.collector import Collection
    from pytest_lmprog.harness.saved.run import SavedRun
    from pytest_lmprog.harness.saved.store import StoredRun

__all__ = ["Conclusion", "gate_text", "stale_text"]


class Conclusion:
    """Gathers what the reports say, and draws the conclusions after the last one."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.settings = options.settings(config)
        self.results = RunResults()
        self.node_ids: dict[str, set[str]] = {}
        self.verdicts: list[tuple[UnitResult, MetricResult, MetricVerdict]] = []
        self.verdict_of: dict[tuple[str, str], MetricVerdict] = {}
        self.written: tuple[Any, ...] = ()
        self.interrupted = False
        self.problems: list[str] = []
        self.complete_and_passed = False
        self.saved: SavedRun | None = None
        self.reports: list[Path] = []
        self.remarks: list[str] = []
        self.stored: StoredRun | None = None
        self._data: Collection | None = None

    # --- while reports come in ------------------------------------------------------------------------

    def take(self, report: Any) -> None:
        """Take note of what a report says."""
        data = report.lmprog
        unit, outcome = data.get("unit"), data.get("outcome")
        if unit is not None:
            self.results.add_unit(UnitInfo.from_plain(unit))
        if outcome is not None:
            if isinstance(outcome, dict):
                outcome = CaseOutcome.from_plain(outcome)
            self.results.add(outcome)
        if data.get("calls"):
            self.results.add_calls(data["calls_of"], TallyCount.from_plain(data["calls"]))
        surroundings.warnings_of(self.config).extend(data.get("warnings", ()))
        if data.get("harvest"):
            self._absorb(data["harvest"])
        if "data" in data:
            self._collect(data.pop("data"))

    def _collect(self, data: Any) -> None:
        from pytest_lmprog.harness.saved.collector import CaseData

        self._collection().add(CaseData.from_plain(data) if isinstance(data, dict) else data)

    def _collection(self) -> Collection:
        if self._data is None:
            from pytest_lmprog.harness.saved.collector import Collection

            self._data = Collection()
        return self._data

    def _absorb(self, harvest: Any) -> None:
        try:
            surroundings.session_of(self.config).absorb(harvest)
        except LmprogError as error:
            if str(error) not in self.problems:
                self.problems.append(str(error))

    # --- after the last item --------------------------------------------------------------------------

    def conclude(
        self, session: pytest.Session, *, lost: list[str], collected: Sequence[str], stopped: str | None
    ) -> None:
        """Judge the metrics as a whole, write what is to be written, and report what failed.

        ``collected``: ids of the items that xdist's workers share. ``stopped``: what ended the run early."""
        interrupted = stopped is not None
        self.interrupted = interrupted
        for worker in lost:
            self.results.lose_worker(worker)
        self._drain(existing_run(self.config))
        units = list(self.results)
        self.verdict_of = judge_run(units)
        self.verdicts = [(u, m, self.verdict_of[u.info.id, m.info.name]) for u in units for m in u.metrics]
        judged = [(m, v) for _, m, v in self.verdicts if v.state != "not_judged"]
        done = [m.info.node_id for m, v in judged if v.told or not v.fails]
        selection.forget_passed(self.config, done)
        passed = not session.testsfailed and not any(v.fails for _, _, v in self.verdicts)
        complete = all(result.complete for result in self.results) and not interrupted
        self.complete_and_passed = passed and complete and not self.results.lost_workers
        self._write()
        self._warn()
        if not interrupted:
            self._report(session)
        if self.settings.collects and not session.config.option.collectonly:
            self._keep(session, collected, stopped)

    def _keep(self, session: pytest.Session, collected: Sequence[str], stopped: str | None) -> None:
        """Put the run into data, and write what is to be made of it."""
        from pytest_lmprog.plugin import keeping

        missing = keeping.without_result(session, collected)
        self.saved = keeping.saved_run(self, session, self._collection(), missing, stopped)
        for problem in keeping.write(self, self.saved):
            self.problems.append(problem)
            if not self.interrupted:
                self._emit(session, "lmprog", problem, "setup")

    def _drain(self, run: Run | None) -> None:
        session = surroundings.existing_session(self.config)
        if session is None:
            return
        for unit, state in session.states.items():
            plan = None if run is None else run.units.get(unit)
            if unit not in self.results:
                self.results.add_unit(state.info(None if plan is None else plan.node_ids))
            self.results.add_calls(unit, state.drain())
        self.results.add_calls(None, session.drain_plain())

    def _write(self) -> None:
        session = surroundings.existing_session(self.config)
        if session is None:
            return
        if not self.interrupted:
            self.written = session.finish(self.results)
        self.problems += [f"{w.path}: {w.detail}" for w in self.written if w.fails]
        recorded = self.settings.rescore is None  # a rescored run used no recorded answers of the program
        passed = self.complete_and_passed and recorded
        errors = session.close(passed=passed, wait=not self.interrupted, write=recorded)
        self.problems += [str(error) for error in errors]

    def _warn(self) -> None:
        """Show what the harness warned of in pytest's warnings summary; ``-W error`` makes it fail."""
        for text in dict.fromkeys(surroundings.warnings_of(self.config)):
            self._warn_of(text)
        for info in [r.info for r in self.results if r.info.stale and not r.info.rebasing]:
            if not self.settings.in_ci:
                self._warn_of(stale_text(info), path=info.module_id, node_id=info.id)
        for unit, metric, verdict in self.verdicts:
            if verdict.warns:
                text = f"{metric.info.node_id}: {gate_text(verdict)}"
                self._warn_of(text, path=unit.info.module_id, node_id=metric.info.node_id)
        self._warn_of_misfits()

    def _warn_of_misfits(self) -> None:
        session = surroundings.existing_session(self.config)
        if session is None or not session.compiled:
            return
        from pytest_lmprog.harness.fit import misfit, splits

        for unit, outcome in session.compiled.items():
            warning = misfit(splits(outcome, self.results.unit(unit))) if unit in self.results else None
            if warning is not None:
                self._warn_of(f"{unit}: {warning}", path=outcome.prepared.unit.module_id, node_id=unit)

    def _warn_of(self, text: str, **where: str) -> None:
        try:
            told.warn(self.config, text, **where)
        except LmprogWarning as warning:
            self.problems.append(str(warning))

    def _report(self, session: pytest.Session) -> None:
        for unit, metric, verdict in self.verdicts:
            if verdict.fails and not verdict.told:
                properties = self._junit_properties(unit, metric, verdict)
                self._emit(session, metric.info.node_id, gate_text(verdict), "call", properties)
        if self.settings.in_ci:
            for result in self.results:
                if result.info.stale and not result.info.rebasing:
                    self._emit(session, result.info.id, stale_text(result.info), "setup")
        for problem in self.problems:
            self._emit(session, "lmprog", problem, "setup")
        if self.results.lost_workers:
            session.testsfailed = max(1, session.testsfailed)

    def _junit_properties(
        self, unit: UnitResult, metric: MetricResult, verdict: MetricVerdict
    ) -> Sequence[tuple[str, str]]:
        if not getattr(self.config.option, "xmlpath", None):
            return ()
        from pytest_lmprog.plugin import junit

        return junit.of_metric(unit, metric, verdict)

    def _emit(
        self,
        session: pytest.Session,
        node_id: str,
        text: str,
        when: str,
        properties: Sequence[tuple[str, str]] = (),
    ) -> None:
        """Report a failure that belongs to no item: counted, summarised, and in JUnit's file."""
        path, _, name = node_id.partition("::")
        location = (path, 0, name.replace("::", ".") or path)
        hook = self.config.hook
        hook.pytest_runtest_logstart(nodeid=node_id, location=location)
        session.testscollected += 1
        for phase in ("setup", "call", "teardown"):
            failed = phase == when
            if failed or phase == "teardown" or when == "call":
                report = pytest.TestReport(
                    nodeid=node_id,
                    location=location,
                    keywords={},
                    outcome="failed" if failed else "passed",
                    longrepr=clean_longrepr(text, path, 1) if failed else None,
                    when=phase,
                    user_properties=list(properties),
                )
                hook.pytest_runtest_logreport(report=report)
        hook.pytest_runtest_logfinish(nodeid=node_id, location=location)


def gate_text(verdict: MetricVerdict) -> str:
    """Return what is said of a metric that did not pass as a whole."""
    reasons = "\n".join(verdict.reasons)
    if verdict.state != "inconclusive":
        return f"gate: {reasons}"
    return f"gate: INCONCLUSIVE: {reasons}\n  hint: {INCONCLUSIVE_HINT}"


INCONCLUSIVE_HINT = (
    "more cases tell noise from a drop; lm_gate(max_drop=) says how large a drop is allowed, "
    'lm_gate(on_inconclusive="warn") lets it pass'
)


def stale_text(info: UnitInfo) -> str:
    """Return what is said of a stale snapshot."""
    changed = "; ".join(info.stale)
    return (
        f"the snapshot {info.snapshot or info.id} is stale: {changed}\n"
        "  hint: pytest --lm-compile compiles it anew; --lm-update keeps the prompts and restamps it"
    )
