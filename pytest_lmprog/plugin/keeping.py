"""What is kept of a run: its data, the reports made of it, and its place among the saved runs."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import pytest

from pytest_lmprog.errors import LmprogError
from pytest_lmprog.harness.saved.collector import Collection, Ending
from pytest_lmprog.plugin import surroundings

if TYPE_CHECKING:
    from pytest_lmprog.harness.saved.run import SavedRun
    from pytest_lmprog.plugin.conclude import Conclusion

__all__ = ["saved_run", "without_result", "write"]


def saved_run(
    conclusion: Conclusion,
    session: pytest.Session,
    data: Collection,
    missing: Sequence[str],
    stopped: str | None,
) -> SavedRun:
    """Return the run as data. ``stopped``: what ended it early, in words, or None."""
    lost = conclusion.results.lost_workers
    fails = any(verdict.fails for _, _, verdict in conclusion.verdicts)
    problems = [*([f"stopped early: {stopped}"] if stopped else []), *conclusion.problems]
    ending = Ending(
        {(unit.info.id, metric.info.name): verdict for unit, metric, verdict in conclusion.verdicts},
        conclusion.written,
        tuple(problems),
        tuple(missing),
        not (session.testsfailed or fails or problems or lost or stopped),
        bool(stopped),
    )
    config = conclusion.config
    more: dict[str, Any] = {}
    if conclusion.settings.rescore is not None:
        from pytest_lmprog.plugin import rescoring

        more["rescored"] = rescoring.name_of(config)
    leaving = config.pluginmanager.get_plugin("lmprog-changed")
    if leaving is not None:
        more["left_out"] = leaving.left_out
    return data.saved(conclusion.results, ending, surroundings.session_of(config), **more)


def without_result(session: pytest.Session, collected: Sequence[str]) -> list[str]:
    """Return the ids of the items that were to run and of which nothing was heard.

    ``collected``: those that xdist's workers share. One that dies takes its item with it."""
    selected = list(collected) or [item.nodeid for item in session.items]
    reporter: Any = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None:
        return []
    reports = [report for found in reporter.stats.values() for report in found]
    told = {report.nodeid for report in reports if _tells(report)}
    told.update(item.nodeid for item in reporter.stats.get("deselected", ()))  # by --lm-changed, one by one
    return [node_id for node_id in selected if node_id not in told]


def _tells(report: Any) -> bool:
    when = getattr(report, "when", None)
    return when == "call" or (when == "setup" and report.outcome != "passed")


def write(conclusion: Conclusion, saved: SavedRun) -> Iterator[str]:
    """Write the reports and save the run; yield what could not be written, in words."""
    settings = conclusion.settings
    for path in settings.report:
        from pytest_lmprog.reports.write import write_report

        try:
            write_report(saved, path)
            conclusion.reports.append(path)
        except LmprogError as error:
            yield str(error)
    if settings.on_github:
        from pytest_lmprog.plugin import github

        problem = github.append_summary(saved, os.environ)
        if problem is not None:
            conclusion.remarks.append(problem)
    if settings.saves_run and any(unit.outcomes for unit in saved.units):
        from pytest_lmprog.harness.saved.store import save_run

        try:
            conclusion.stored = save_run(settings.cache_dir, saved, keep=settings.keep_runs)
        except LmprogError as error:
            conclusion.remarks.append(str(error))
