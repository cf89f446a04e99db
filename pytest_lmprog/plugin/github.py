"""On GitHub Actions, on its own: annotations at the tests' lines, and the report in the step summary."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from pytest_lmprog.harness.saved.run import SavedRun
from pytest_lmprog.reports.github import Place, annotations_of, commands

__all__ = ["append_summary", "lines", "places"]

_MOST_BYTES = 1024 * 1024
"""GitHub refuses a step's summary that is larger than 1 MiB."""

_SPARE = 24 * 1024
_BYTES_A_CHARACTER = 4


def lines(saved: SavedRun, terminalreporter: Any, root: Path, env: Mapping[str, str]) -> list[str]:
    """Return the workflow commands that annotate a run. ``root``: pytest's rootdir."""
    reports = [report for found in terminalreporter.stats.values() for report in found]
    return commands(annotations_of(saved, places(reports, root, env)))


def places(reports: Iterable[Any], root: Path, env: Mapping[str, str]) -> Callable[[str], Place | None]:
    """Return a function from a metric's node id, or a file's path, to where that is in the repository."""
    known: dict[str, int] = {}
    for report in reports:
        location = getattr(report, "location", None)
        if location and location[1] is not None and "[" in getattr(report, "nodeid", ""):
            known.setdefault(_function(report.nodeid), location[1] + 1)

    def place(name: str) -> Place | None:
        path = name.partition("::")[0]
        line = known.get(_function(name), 1)
        return _in_repository(root / path, env) or path, line

    return place


def _function(node_id: str) -> str:
    """Return the node id of a test function without its parameters, which may hold ``::`` and ``/``."""
    return node_id.partition("[")[0]


def _in_repository(path: Path, env: Mapping[str, str]) -> str | None:
    workspace = env.get("GITHUB_WORKSPACE")
    if not workspace:
        return None
    try:
        return path.resolve().relative_to(Path(workspace).resolve()).as_posix()
    except (ValueError, OSError):
        return None


def append_summary(saved: SavedRun, env: Mapping[str, str]) -> str | None:
    """Append the Markdown report to the step's summary; return why that failed, or None."""
    name = env.get("GITHUB_STEP_SUMMARY")
    if not name:
        return None
    from pytest_lmprog.reports.markdown import markdown_report

    try:
        with open(name, "ab") as file:
            room = _MOST_BYTES - _SPARE - file.tell()
            text = markdown_report(saved, limit=max(room // _BYTES_A_CHARACTER, 1000))
            if room > 0:
                file.write(f"{text}\n".encode("utf-8", "backslashreplace"))
    except OSError as error:
        return f"the step summary cannot be written: {error.strerror or error} ({os.path.basename(name)})"
    return None
