"""From what was noted to a report: coverage.py says which lines and branches there are, and which are out
of account (``# pragma: no cover`` and what the project's configuration excludes)."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_lmprog.canonical import digest_bytes
from pytest_lmprog.harness.coverage.gaps import gaps_of
from pytest_lmprog.harness.coverage.log import CoverageLog
from pytest_lmprog.harness.coverage.observer import Arc
from pytest_lmprog.harness.coverage.report import (
    CoverageReport,
    FileCoverage,
    FunctionCoverage,
    UnitUse,
    Way,
)
from pytest_lmprog.harness.coverage.scope import Function

if TYPE_CHECKING:
    from coverage import Coverage

__all__ = ["analysed", "file_digest"]

_EXCLUDING = ("report:exclude_lines", "report:partial_branches")


def analysed(log: CoverageLog, root: Path) -> CoverageReport:
    """Return the report on what ``log`` holds; files are read again, from ``root``."""
    functions: dict[str, list[Function]] = {}
    for scope in log.scopes.values():
        for function in scope.functions:
            known = functions.setdefault(function.file, [])
            if function not in known:
                known.append(function)
    arcs = _all_arcs(log)
    exclusions = _exclusions()
    files = [
        _file(root / path, path, functions[path], arcs.get(path, set()), exclusions)
        for path in sorted(functions)
    ]
    return CoverageReport(tuple(files), tuple(_uses(log)), tuple(_ways(log)))


def _all_arcs(log: CoverageLog) -> dict[str, set[Arc]]:
    found: dict[str, set[Arc]] = {}
    for way in log.ways.values():
        for file, arcs in way.items():
            found.setdefault(file, set()).update(arcs)
    return found


# --- files ----------------------------------------------------------------------------------------------


def _exclusions() -> Mapping[str, Any]:
    """Return what the project excludes, by option of coverage.py."""
    from coverage import Coverage
    from coverage.exceptions import CoverageException

    try:
        configured = Coverage(data_file=None, config_file=True)
    except CoverageException:  # a bad file is pytest-cov's to report
        return {}
    return {name: configured.get_option(name) for name in _EXCLUDING}


def _file(
    path: Path, shown: str, functions: Sequence[Function], arcs: set[Arc], exclusions: Mapping[str, Any]
) -> FileCoverage:
    from coverage.exceptions import CoverageException

    functions = sorted(functions, key=lambda f: (f.body, f.name))
    try:
        data = path.read_bytes()
        found = _measured(path, arcs, exclusions)
    except (OSError, CoverageException, SyntaxError, UnicodeError) as error:
        return FileCoverage(shown, (), problem=f"{type(error).__name__}: {error}")
    covered = tuple(_function(function, found) for function in functions)
    return FileCoverage(shown, covered, tuple(gaps_of(data, covered)), file_digest(data))


def file_digest(data: bytes) -> str:
    """Return what is noted of a file's bytes."""
    return digest_bytes(data)[:12]


def _measured(path: Path, arcs: set[Arc], exclusions: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return coverage.py's JSON report on one file."""
    cov = _coverage(exclusions)
    cov.get_data().add_arcs({str(path): arcs} if arcs else {})
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "coverage.json"
        cov.json_report(morfs=[str(path)], outfile=str(target), ignore_errors=False)
        files: Mapping[str, Any] = json.loads(target.read_text(encoding="utf-8"))["files"]
    measured: Mapping[str, Any] = next(iter(files.values()))
    return measured


def _coverage(exclusions: Mapping[str, Any]) -> Coverage:
    """Return an instance that holds data and measures nothing."""
    from coverage import Coverage

    cov = Coverage(data_file=None, branch=True, config_file=False)
    for name, value in exclusions.items():
        if value:
            cov.set_option(name, value)
    return cov


def _function(function: Function, found: Mapping[str, Any]) -> FunctionCoverage:
    missing = [line for line in found["missing_lines"] if function.holds(line)]
    ran = [line for line in found["executed_lines"] if function.holds(line)]
    untaken = [(a, max(b, 0)) for a, b in found["missing_branches"] if function.branches_at(a)]
    taken = sum(function.branches_at(a) for a, _ in found["executed_branches"])
    return FunctionCoverage(
        function.name,
        function.first,
        function.body,
        function.last,
        tuple(ran),
        tuple(missing),
        len(untaken) + taken,
        tuple(sorted(untaken)),
    )


# --- predictors, demos, examples ------------------------------------------------------------------------


def _uses(log: CoverageLog) -> Iterable[UnitUse]:
    for unit in sorted(log.scopes):
        scope = log.scopes[unit]
        runs = [run for run in log.runs if run.unit == unit]
        calls = {
            name: len({(run.example, run.rollout) for run in runs if name in run.predictors})
            for name in scope.demos
        }
        used = {demo for run in runs for demo in run.demos}
        unused = {
            name: tuple(index + 1 for index in range(count) if (name, index) not in used)
            for name, count in scope.demos.items()
        }
        yield UnitUse(
            unit,
            log.ran(unit),
            scope.expected,
            calls,
            dict(scope.demos),
            {n: u for n, u in unused.items() if u},
        )


def _ways(log: CoverageLog) -> Iterable[Way]:
    examples: dict[str, list[tuple[str, str, int]]] = {}
    for run in log.runs:
        examples.setdefault(run.way, []).append((run.unit, run.example, run.rollout))
    for way in sorted(examples):
        lines = {file: _spans(arcs) for file, arcs in sorted(log.ways[way].items())}
        yield Way(lines, tuple(sorted(examples[way])))


def _spans(arcs: Iterable[Arc]) -> tuple[tuple[int, int], ...]:
    """Return the lines that arcs go to, as (first, last) of those that follow each other."""
    spans: list[tuple[int, int]] = []
    for line in sorted({line for arc in arcs for line in arc if line > 0}):
        if spans and spans[-1][1] == line - 1:
            spans[-1] = (spans[-1][0], line)
        else:
            spans.append((line, line))
    return tuple(spans)
