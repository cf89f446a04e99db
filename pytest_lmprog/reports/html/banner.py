"""What the report says first: the verdict and its reasons; then, of several units, a table of contents."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pytest_lmprog.harness.saved.run import SavedRun, SavedUnit
from pytest_lmprog.reports import figures
from pytest_lmprog.reports.html.bars import bar
from pytest_lmprog.reports.html.data import Rows
from pytest_lmprog.reports.overall import Overall, Reason
from pytest_lmprog.reports.page import text

__all__ = ["banner", "overview"]

_TONES = {"PASS": "good", "FAIL": "bad", "INCONCLUSIVE": "warn", "INCOMPLETE": "warn"}
_LINKED = 5
_LISTED = 12


def banner(saved: SavedRun, found: Overall, rows: Rows) -> str:
    """Return the verdict. ``rows``: numbers of the cases that reasons link to."""
    tone = _TONES[found.word]
    words = [f'<strong class="word {tone}" id="verdict">{found.word}</strong>']
    if found.incomplete and found.word != "INCOMPLETE":
        words.append('<strong class="word warn">INCOMPLETE</strong>')
    reasons = "".join(_reasons(saved, found, rows))
    listed = f'<ul class="reasons">{reasons}</ul>' if reasons else ""
    return (
        f'<section class="banner {tone}" aria-labelledby="verdict"><p class="words">{" ".join(words)}</p>'
        f'{listed}{_missing(saved)}<p class="muted facts">{text(_facts(saved))}</p></section>'
    )


def _reasons(saved: SavedRun, found: Overall, rows: Rows) -> Iterator[str]:
    for reason in found.reasons[:_LISTED]:
        yield f"<li>{_about(saved, reason)}{text(reason.text)}{_cases(reason, rows)}</li>"
    rest = len(found.reasons) - _LISTED
    if rest > 0:
        yield f'<li class="muted">and {rest} more, at the units below</li>'


def _about(saved: SavedRun, reason: Reason) -> str:
    number = next((n for n, unit in enumerate(saved.units) if unit.id == reason.unit), None)
    if number is None:
        return ""
    names = [saved.units[number].info.name] if len(saved.units) > 1 or reason.metric is None else []
    names += [reason.metric] if reason.metric else []
    return f'<a href="#unit-{number}"><code>{text(" ".join(names))}</code></a> '


def _cases(reason: Reason, rows: Rows) -> str:
    known = [case for case in reason.cases if (reason.unit or "", case) in rows]
    links = ", ".join(
        f'<a href="#case-{rows[reason.unit or "", case]}"><code>{text(_short(case))}</code></a>'
        for case in known[:_LINKED]
    )
    more = f" and {len(known) - _LINKED:,} more" if len(known) > _LINKED else ""
    return f": {links}{more}" if links else ""


def _short(case: str) -> str:
    return case if len(case) <= 40 else f"{case[:39]}\u2026"


def _missing(saved: SavedRun) -> str:
    """All that has no result, each by its id."""
    if not saved.missing:
        return ""
    items = "".join(f"<li><code>{text(item)}</code></li>" for item in saved.missing)
    count = figures.count(len(saved.missing), "test")
    return f'<details class="missing"><summary>{count} without a result</summary><ul>{items}</ul></details>'


def _facts(saved: SavedRun) -> str:
    results = saved.results
    metrics = sum(len(unit.info.metrics) for unit in saved.units)
    items = sum(len(unit.outcomes) for unit in saved.units)
    parts = [figures.count(len(saved.units), "unit"), figures.count(metrics, "metric")]
    parts += [figures.count(items, "result"), figures.calls_text(results.calls)]
    parts += _settings(saved.settings)
    return " \u00b7 ".join(parts)


def _settings(settings: Mapping[str, object]) -> Iterator[str]:
    for name, value in settings.items():
        if value is True:
            yield name
        elif value not in (None, False, "") and isinstance(value, (str, int, float)):
            yield f"{name.replace('_', ' ')} {value}"


def overview(saved: SavedRun) -> str:
    """Return the table of contents of a run of several units: a bar for each metric."""
    if len(saved.units) < 2:
        return ""
    rows = "".join(_unit_row(saved, unit, number) for number, unit in enumerate(saved.units))
    return (
        '<section aria-label="Units"><div class="scroll"><table class="units"><thead><tr><th>Unit</th>'
        f"<th>Metrics</th><th>Calls</th></tr></thead><tbody>{rows}</tbody></table></div></section>"
    )


def _unit_row(saved: SavedRun, unit: SavedUnit, number: int) -> str:
    found = saved.results.unit(unit.id)
    cells = "".join(
        f'<div class="mini"><span>{text(m.info.name)}</span>{bar(m)}'
        f'<span class="num">{figures.score(m.score)}</span></div>'
        for m in found.metrics
    )
    model = f"<br><small>{text(unit.info.model)}</small>" if unit.info.model else ""
    return (
        f'<tr><td><a href="#unit-{number}">{text(unit.info.name)}</a>{model}</td>'
        f"<td>{cells}</td><td><small>{text(figures.calls_text(unit.calls))}</small></td></tr>"
    )
