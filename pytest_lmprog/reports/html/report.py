"""Puts the report's parts together."""

from __future__ import annotations

from functools import cache

from pytest_lmprog.harness.saved.run import SavedRun
from pytest_lmprog.reports import figures
from pytest_lmprog.reports.diff.html import diff_style
from pytest_lmprog.reports.html.banner import banner, overview
from pytest_lmprog.reports.html.data import embedded, first_rows
from pytest_lmprog.reports.html.explorer import explorer
from pytest_lmprog.reports.html.unit import unit_section
from pytest_lmprog.reports.overall import overall
from pytest_lmprog.reports.page import asset, page

__all__ = ["html_report"]

_PACKAGE = "pytest_lmprog.reports.html"
_SCRIPTS = ("values.js", "rows.js", "table.js", "trace.js", "report.js")


def html_report(saved: SavedRun) -> str:
    """Return a run as a self-contained page. The same run gives the same text."""
    found = overall(saved)
    rows = first_rows(saved)
    parts = [banner(saved, found, rows), overview(saved)]
    parts += [unit_section(saved, unit, number) for number, unit in enumerate(saved.units)]
    parts.append(explorer(saved))
    return page(
        f"{found.word} {_subject(saved)}",
        "\n".join(part for part in parts if part),
        data=embedded(saved),
        script=_script(),
        style=asset(_PACKAGE, "report.css") + diff_style(),
    )


def _subject(saved: SavedRun) -> str:
    return saved.units[0].info.name if len(saved.units) == 1 else figures.count(len(saved.units), "unit")


@cache
def _script() -> str:
    parts = "\n".join(asset(_PACKAGE, name) for name in _SCRIPTS)
    return f'(function () {{\n"use strict";\n{parts}\n}})();'
