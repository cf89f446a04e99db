"""``lmprog runs``: list, show and compare saved runs."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from pytest_lmprog.cli.context import Context
from pytest_lmprog.errors import LmprogError
from pytest_lmprog.harness.saved.run import SavedRun, SavedUnit
from pytest_lmprog.harness.saved.store import LAST, StoredRun, list_runs, load_run, load_run_file
from pytest_lmprog.reports import figures
from pytest_lmprog.reports.run_text import case_lines, find_cases, run_lines, state_of

__all__ = ["compare", "listed", "show"]


def _loaded(context: Context, name: str) -> SavedRun:
    return load_run(context.project.settings.cache_dir, name, cwd=context.cwd)


# --- list -----------------------------------------------------------------------------------------------


def listed(context: Context, args: argparse.Namespace) -> int:
    """List the saved runs: number, when the file was written, units, scores, calls."""
    rows, faults = [], []
    for stored in list_runs(context.project.settings.cache_dir):
        try:
            rows.append((stored, load_run_file(stored.path)))
        except LmprogError as error:
            faults.append(str(error))
    if args.json:
        context.out.line(json.dumps([_row(context, *row) for row in rows], ensure_ascii=True, indent=2))
    elif rows:
        cells = [cell for row in rows for cell in _cells(*row)]
        context.out.lines(_aligned([_HEAD, *cells]))
    else:
        context.out.line("no run is saved; pytest saves each that may ask an LM")
    for fault in faults:
        context.out.error(fault)
    return 1 if faults else 0


def _when(stored: StoredRun) -> datetime:
    return datetime.fromtimestamp(stored.path.stat().st_mtime).astimezone()


def _row(context: Context, stored: StoredRun, saved: SavedRun) -> dict[str, Any]:
    return {
        "number": stored.number,
        "path": context.shown(stored.path),
        "when": _when(stored).isoformat(timespec="seconds"),
        "passed": saved.passed,
        "complete": saved.complete,
        "units": [_unit_row(saved, unit) for unit in saved.units],
    }


def _unit_row(saved: SavedRun, unit: SavedUnit) -> dict[str, Any]:
    found = saved.results.unit(unit.id)
    return {
        "id": unit.id,
        "model": unit.info.model,
        "scores": {metric.info.name: metric.score for metric in found.metrics},
        "cases": len(unit.cases),
        "calls": unit.calls.calls,
        "live": unit.calls.live,
    }


_HEAD = ("run", "when", "result", "calls", "unit, metric", "score")


def _cells(stored: StoredRun, saved: SavedRun) -> Iterator[Sequence[str]]:
    """Yield a line for each metric; the run stands before the first."""
    calls = saved.results.calls
    shown = f"{calls.calls:,} ({calls.live:,} live)" if calls.live else f"{calls.calls:,}"
    lead = [str(stored.number), _when(stored).strftime("%Y-%m-%d %H:%M"), state_of(saved), shown]
    scores = [
        (f"{unit.info.name} {metric.info.name}", figures.score(metric.score))
        for unit in saved.results
        for metric in unit.metrics
    ]
    for number, score in enumerate(scores or [("", "")]):
        yield *(lead if not number else [""] * len(lead)), *score


def _aligned(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


# --- show -----------------------------------------------------------------------------------------------


def show(context: Context, args: argparse.Namespace) -> int:
    """Show a run as its terminal summary did; with ``--case`` what went on in a case; ``-o``: as a report."""
    saved = _loaded(context, args.run or LAST)
    if args.output is not None:
        from pytest_lmprog.reports.write import write_report

        write_report(saved, context.cwd / args.output)
        return 0
    if args.case is None:
        if args.json:
            context.out.line(json.dumps(saved.to_plain(), ensure_ascii=True, indent=2))
        else:
            context.out.lines(run_lines(saved, width=context.out.width or 100))
        return 0
    found = find_cases(saved, args.case)
    if args.json:
        data = [{"unit": unit.id, **case.to_plain()} for unit, case in found]
        context.out.line(json.dumps(data, ensure_ascii=True, indent=2))
        return 0
    for number, (unit, case) in enumerate(found):
        if number:
            context.out.line()
        for line, tone in case_lines(unit, case):
            context.out.line(line, tone)
    return 0


# --- compare --------------------------------------------------------------------------------------------


def compare(context: Context, args: argparse.Namespace) -> int:
    """Compare two runs case by case. Exit code 1 with ``--exit-code`` where B is worse."""
    from pytest_lmprog.reports.run_compare import compared, compared_lines

    found = compared(_loaded(context, args.old), _loaded(context, args.new))
    if args.json:
        context.out.line(json.dumps(found.to_plain(), ensure_ascii=True, indent=2))
    else:
        context.out.lines(compared_lines(found, width=context.out.width or 100))
    return 1 if args.exit_code and found.worse else 0
