"""``--lm-cov``: gathers what was watched, in workers and here, and reports it after the last test."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import pytest

from pytest_lmprog.errors import LmprogWarning
from pytest_lmprog.harness.coverage.log import CoverageLog
from pytest_lmprog.harness.coverage.report import CoverageReport
from pytest_lmprog.plugin import options, surroundings
from pytest_lmprog.plugin.cases import case_of

__all__ = ["Covering"]


class Covering:
    """Registered where ``--lm-cov`` was given."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._settings = options.settings(config)
        self._absorbed = CoverageLog()
        self._report: CoverageReport | None = None
        self._kept = True

    @property
    def _log(self) -> CoverageLog:
        session = surroundings.existing_session(self._config)
        watched_here = session is not None and bool(session.states)
        return session.coverage.log if session is not None and watched_here else self._absorbed

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None]:
        """A case that is given the program may run it by itself."""
        case = case_of(item)
        if case is None or "lm_program" not in getattr(item, "fixturenames", ()):
            return (yield)
        session = surroundings.session_of(self._config)
        with session.coverage.body(case.unit.id, case.example, case.rollout):
            return (yield)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self) -> Generator[None, Any, Any]:
        report = yield
        if hasattr(self._config, "workerinput"):
            found = self._log.harvest()
            if found is not None:
                report.lmprog = {**(getattr(report, "lmprog", None) or {}), "coverage": found}
        return report

    def pytest_runtest_logreport(self, report: Any) -> None:
        found = (getattr(report, "lmprog", None) or {}).get("coverage")
        if found is not None and not hasattr(self._config, "workerinput"):
            self._absorbed.absorb(found)

    def pytest_sessionfinish(self) -> None:
        session = surroundings.existing_session(self._config)
        if session is not None and session.states:
            session.coverage.close()
        if hasattr(self._config, "workerinput") or not self._log.scopes:
            return
        from pytest_lmprog.harness.coverage.analysis import analysed
        from pytest_lmprog.harness.coverage.report import write_report

        self._report = analysed(self._log, self._config.rootpath)
        try:
            write_report(self._settings.cache_dir, self._report)
        except OSError as error:
            self._kept = False
            text = f"the coverage of LM programs was not kept for lmprog cov: {error}"
            self._config.issue_config_time_warning(LmprogWarning(text), stacklevel=2)

    @pytest.hookimpl(trylast=True)
    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        from pytest_lmprog.reports.coverage import coverage_lines

        terminalreporter.write_sep("=", "LM program coverage")
        if self._report is None:
            terminalreporter.write_line("no program was run on an example")
            return
        most = None if self._config.get_verbosity() > 0 else 30
        width = terminalreporter._tw.fullwidth
        for line in coverage_lines(self._report, width=width, most=most, kept=self._kept):
            terminalreporter.write_line(line)
