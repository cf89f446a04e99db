"""``lmprog cov``: what no example exercised in the last run with ``--lm-cov``, and which reach a line."""

from __future__ import annotations

import argparse
import json
from itertools import groupby
from pathlib import Path

from pytest_lmprog.canonical import digest_bytes
from pytest_lmprog.cli.app import DONE
from pytest_lmprog.cli.context import Context
from pytest_lmprog.errors import UsageError
from pytest_lmprog.harness.coverage.report import CoverageReport, FileCoverage, FunctionCoverage, read_report
from pytest_lmprog.reports.coverage import coverage_lines, file_lines

__all__ = ["cov"]

_Run = tuple[str, str, int]


def cov(context: Context, args: argparse.Namespace) -> int:
    """Run ``lmprog cov``."""
    report = read_report(context.project.settings.cache_dir)
    path, line = _split(args.target)
    if path is None:
        return _all(context, report, args.json)
    file = _find(context, report, path)
    if line is None:
        return _file(context, file, args.json)
    return _line(context, report, file, line, args.json)


def _split(target: str | None) -> tuple[str | None, int | None]:
    path, colon, number = (target or "").rpartition(":")
    if colon and number.isdecimal():
        return path, int(number)
    return target, None


def _find(context: Context, report: CoverageReport, name: str) -> FileCoverage:
    shown = context.shown(context.cwd / name)
    found = [file for file in report.files if file.path == shown]
    found = found or [file for file in report.files if f"/{file.path}".endswith(f"/{Path(name).as_posix()}")]
    if len(found) == 1:
        return found[0]
    files = ", ".join(file.path for file in found or report.files) or "none"
    problem = (
        "is more than one file" if found else "is no file of a program that the last --lm-cov run tested"
    )
    raise UsageError(f"{name} {problem}", hint=f"there are: {files}")


def _all(context: Context, report: CoverageReport, as_json: bool) -> int:
    if as_json:
        context.out.line(json.dumps(_without_ways(report), indent=2))
        return DONE
    context.out.lines(coverage_lines(report, width=100))
    for file in report.files:
        _warn_if_changed(context, file)
    return DONE


def _without_ways(report: CoverageReport) -> dict[str, object]:
    plain = report.to_plain()
    del plain["ways"]
    return plain


def _file(context: Context, file: FileCoverage, as_json: bool) -> int:
    if as_json:
        plain = CoverageReport((file,), ()).to_plain()
        context.out.line(json.dumps(plain["files"][0], indent=2))
        return DONE
    context.out.lines(file_lines(file, width=100))
    _warn_if_changed(context, file)
    return DONE


# --- a line ---------------------------------------------------------------------------------------------


def _line(context: Context, report: CoverageReport, file: FileCoverage, asked: int, as_json: bool) -> int:
    function = next((f for f in file.functions if f.first <= asked <= f.last), None)
    if function is None:
        names = ", ".join(f"{f.name} {f.first}-{f.last}" for f in file.functions)
        raise UsageError(
            f"{file.path}:{asked} is in no function of a program", hint=f"lines that are: {names or 'none'}"
        )
    line = _statement(function, asked)
    runs = report.reaching(file.path, asked) or report.reaching(file.path, line)
    if as_json:
        context.out.line(json.dumps(_plain(file, function, line, runs, report.ran), indent=2))
        return DONE
    _warn_if_changed(context, file)
    _tell(context, file, function, line, runs, report)
    return DONE


def _statement(function: FunctionCoverage, line: int) -> int:
    """Return the line where the statement begins that ``line`` belongs to; for ``def``, the body's first."""
    lines = sorted({*function.ran_lines, *function.missing_lines})
    return max((known for known in lines if known <= line), default=min(lines, default=line))


def _plain(
    file: FileCoverage, function: FunctionCoverage, line: int, runs: list[_Run], total: int
) -> dict[str, object]:
    return {
        "path": file.path,
        "line": line,
        "function": function.name,
        "runs": total,
        "reached_by": [{"unit": unit, "example": example, "rollout": n} for unit, example, n in runs],
    }


def _tell(
    context: Context,
    file: FileCoverage,
    function: FunctionCoverage,
    line: int,
    runs: list[_Run],
    report: CoverageReport,
) -> None:
    out = context.out
    source = _source(context, file).splitlines()
    text = source[line - 1].strip() if line <= len(source) else ""
    out.line(f"{file.path}:{line}  {text}", "heading")
    reached = f"{len(runs)} of {report.ran} runs reach it" if runs else "no example reaches it"
    out.line(f"in {function.name}: {reached}")
    repeated = any(rollout for way in report.ways for _, _, rollout in way.examples)
    for unit, of_unit in groupby(runs, key=lambda run: run[0]):
        out.line(unit)
        out.lines(f"  {example}-r{n + 1}" if repeated else f"  {example}" for _, example, n in of_unit)


def _source(context: Context, file: FileCoverage) -> str:
    try:
        return (context.root / file.path).read_bytes().decode("utf-8", "replace")
    except OSError:
        return ""


def _warn_if_changed(context: Context, file: FileCoverage) -> None:
    try:
        now = digest_bytes((context.root / file.path).read_bytes())
    except OSError:
        now = ""
    if file.digest and not now.startswith(file.digest):
        context.out.error(f"{file.path} has changed since: its lines may have moved (pytest --lm-cov)")
