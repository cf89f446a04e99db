"""A run as Markdown for a pull request's comment or a step summary, by GitHub's rules.

The first line is the verdict. Blocks follow by importance, and what does not fit is left out with a note.
What users or models wrote stands in code spans or escaped: no markup, no mention, no table cell breaks out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from pytest_lmprog.errors import LmprogError
from pytest_lmprog.harness.results import CaseOutcome, MetricResult, UnitResult
from pytest_lmprog.harness.saved.run import SavedRun, SavedUnit
from pytest_lmprog.reports import figures
from pytest_lmprog.reports.diff.markdown import diff_markdown
from pytest_lmprog.reports.markdown_text import code, plain
from pytest_lmprog.reports.run_verdict import RunVerdict, run_verdict

__all__ = ["COMMENT_LIMIT", "markdown_report"]

COMMENT_LIMIT = 65_000
"""GitHub takes comments of 65,536 characters; the rest is for what a workflow adds."""

_MOST_ROWS = 50
_MOST_LISTED = 200
_MOST_DIFF = 15_000
_WORDS = 300


def markdown_report(saved: SavedRun, *, limit: int = COMMENT_LIMIT) -> str:
    """Return the report, at most ``limit`` characters, ending in a line feed."""
    verdict = run_verdict(saved)
    return _within(list(_blocks(saved, verdict)), limit)


def _within(blocks: Sequence[str], limit: int) -> str:
    note = "*Cut here: the whole report would be too long. `--lm-report` writes it as .html or .json.*"
    room = limit - len(note) - 3
    kept: list[str] = []
    left_out = False
    for block in blocks:
        if len(block) + 2 <= room:
            kept.append(block)
            room -= len(block) + 2
        else:
            left_out = True
    return "\n\n".join([*kept, note] if left_out else kept) + "\n"


def _blocks(saved: SavedRun, verdict: RunVerdict) -> Iterator[str]:
    results = {result.info.id: result for result in saved.results}
    yield _headline(verdict)
    yield from _what_is_missing(saved)
    if results:
        yield _scores(saved, results)
    reasons = [*_reasons(saved), *(f"- {_said(problem)}" for problem in saved.problems)]
    if reasons:
        yield "\n".join(_capped(reasons, _MOST_LISTED))
    for kind in (_worse, _failed, _flaky, _fixed, _known):
        for unit in saved.units:
            yield from kind(unit, results[unit.id])
    yield from _diffs(saved)
    yield from _candidates(saved)
    yield from _written(saved)
    yield from _calls(saved, results)
    yield _settings(saved)


def _headline(verdict: RunVerdict) -> str:
    said = f" {plain('; '.join(verdict.because))}" if verdict.because else ""
    return f"**LM programs: {verdict.word}**{said}"


# --- what failed --------------------------------------------------------------------------------------


def _what_is_missing(saved: SavedRun) -> Iterator[str]:
    lines = []
    if saved.lost_workers:
        lines.append(f"**Lost:** {plain(figures.listed(saved.lost_workers))} died while testing.")
    if saved.interrupted:
        lines.append("**Stopped** before its last test.")
    if saved.missing:
        lines.append(f"**Without a result:** {figures.count(len(saved.missing), 'test')}.")
    if lines:
        yield "\n".join(f"> {line}" for line in lines)
    if saved.missing:
        shown = _capped([f"- {code(name)}" for name in saved.missing], _MOST_ROWS)
        yield _folded(figures.count(len(saved.missing), "test") + " without a result", "\n".join(shown))


def _reasons(saved: SavedRun) -> Iterator[str]:
    for unit in saved.units:
        for name, verdict in unit.verdicts.items():
            if verdict.state != "passed" and not verdict.told:
                word = {"failed": "**failed**", "not_judged": "not judged"}.get(verdict.state, verdict.state)
                said = "; ".join(verdict.reasons).removeprefix("not judged ").strip("()")
                yield f"- {code(unit.info.name)} {code(name)} {word}: {_said(said)}"
        if unit.info.stale and not unit.info.rebasing:
            changed = "; ".join(unit.info.stale)
            yield f"- {code(unit.info.snapshot or unit.id)} is **stale**: {_said(changed)}"
        notes = dict.fromkeys([*unit.info.notes, *unit.notes])
        yield from (f"- {code(unit.info.name)}: {_said(note)}" for note in notes)


# --- figures ------------------------------------------------------------------------------------------

_COUNTS: tuple[tuple[str, Callable[[MetricResult], int]], ...] = (
    ("worse", lambda m: len(m.regressions)),
    ("fixed", lambda m: len(m.fixed)),
    ("flaky", lambda m: len(m.with_verdict("flaky"))),
    ("known misses", lambda m: len(m.with_verdict("known_miss", "known_error"))),
    ("errors", lambda m: m.count("error")),
    ("no answer", lambda m: m.count("broken")),
)
_STATES = {"passed": "pass", "failed": "**FAIL**", "inconclusive": "inconclusive", "not_judged": "not judged"}


def _scores(saved: SavedRun, results: dict[str, UnitResult]) -> str:
    metrics = [metric for result in results.values() for metric in result.metrics]
    counts = [(name, of) for name, of in _COUNTS if any(map(of, metrics))]
    head = ["unit", "metric", "verdict", "cases", "score", "95% CI", "baseline", "change"]
    rows = [
        [code(unit.id), code(m.info.name), _state(unit, m), *_figures(m), *(str(of(m)) for _, of in counts)]
        for unit in saved.units
        for m in results[unit.id].metrics
    ]
    return _table([*head, *(name for name, _ in counts)], rows, numbers_from=3)


def _state(unit: SavedUnit, metric: MetricResult) -> str:
    verdict = unit.verdicts.get(metric.info.name)
    if verdict is None:
        return "-"
    if verdict.state == "passed" and metric.with_verdict("regression", "unaccepted_fix", "failed", "error"):
        return "**FAIL**"
    return _STATES[verdict.state]


def _figures(metric: MetricResult) -> list[str]:
    partial = metric.ran < metric.info.expected
    ran = f"{metric.ran} of {metric.info.expected}" if partial else str(metric.ran)
    return [
        ran,
        figures.score(metric.score),
        figures.interval(metric),
        figures.score(metric.info.baseline),
        figures.change(metric.delta),
    ]


# --- cases --------------------------------------------------------------------------------------------


def _worse(unit: SavedUnit, result: UnitResult) -> Iterator[str]:
    for metric in result.metrics:
        found = _of(metric, "regression", "regressed")
        yield from _cases(unit, metric, found, "worse than the baseline", is_open=True)


def _failed(unit: SavedUnit, result: UnitResult) -> Iterator[str]:
    for metric in result.metrics:
        found = _of(metric, "failed", "error", "broken", "missed", "unaccepted_fix")
        yield from _cases(unit, metric, found, "failed", is_open=True)


def _flaky(unit: SavedUnit, result: UnitResult) -> Iterator[str]:
    for metric in result.metrics:
        yield from _cases(unit, metric, _of(metric, "flaky"), "flaky")


def _fixed(unit: SavedUnit, result: UnitResult) -> Iterator[str]:
    for metric in result.metrics:
        yield from _cases(unit, metric, _of(metric, "fixed"), "fixed")


def _known(unit: SavedUnit, result: UnitResult) -> Iterator[str]:
    for metric in result.metrics:
        found = _of(metric, "known_miss", "known_error")
        yield from _cases(unit, metric, found, "known miss" if len(found) == 1 else "known misses")


def _of(metric: MetricResult, *kinds: str) -> list[CaseOutcome]:
    return [outcome for outcome in metric.outcomes if outcome.verdict in kinds]


def _cases(
    unit: SavedUnit, metric: MetricResult, found: Sequence[CaseOutcome], word: str, *, is_open: bool = False
) -> Iterator[str]:
    if not found:
        return
    rows = [
        [_case(outcome, metric), figures.score(outcome.was), _now(outcome), _why(outcome)]
        for outcome in found[:_MOST_ROWS]
    ]
    table = _table(["example", "was", "now", "why"], rows)
    if len(found) > _MOST_ROWS:
        table += f"\n\nand {len(found) - _MOST_ROWS:,} more"
    name = f"{code(unit.info.name)} {code(metric.info.name)}"
    yield _folded(f"{len(found):,} {word}: {_as_html(name)}", table, is_open=is_open)


def _case(outcome: CaseOutcome, metric: MetricResult) -> str:
    rollout = f" r{outcome.rollout + 1}" if metric.repeat > 1 else ""
    return f"{code(outcome.case)}{rollout}"


def _now(outcome: CaseOutcome) -> str:
    if outcome.status in ("error", "broken"):
        return plain(f"{outcome.status} {outcome.error or ''}".strip())
    return figures.score(outcome.value)


def _why(outcome: CaseOutcome) -> str:
    words = outcome.message or outcome.detail
    return _said(words)


# --- prompts, candidates, calls -----------------------------------------------------------------------


def _diffs(saved: SavedRun) -> Iterator[str]:
    for unit in saved.units:
        if unit.after is None or unit.before is None or unit.before == unit.after:
            continue
        text = _diff(unit.before, unit.after)
        if text:
            yield _folded(f"Prompt of {_as_html(code(unit.info.name))} before and after", text)


def _diff(before: str, after: str) -> str | None:
    from pytest_lmprog.snapshots.diff import diff
    from pytest_lmprog.snapshots.text import from_text

    try:
        found = diff(from_text(before), from_text(after))
    except LmprogError as error:
        return plain(f"cannot be compared: {error}")
    return diff_markdown(found, most=_MOST_DIFF).rstrip("\n") if found else None


def _candidates(saved: SavedRun) -> Iterator[str]:
    for unit in saved.units:
        if not unit.candidates:
            continue
        rows = [
            [
                f"{c.index}{' (best)' if c.winner else ''}",
                plain(c.label),
                figures.score(c.score),
                f"{c.characters:,}",
                "-" if c.calls is None else f"{c.calls:.3g}",
                "-" if c.tokens is None else f"{c.tokens:,.0f}",
                "-" if c.cost is None else f"${c.cost:.2g}",
            ]
            for c in unit.candidates[:_MOST_ROWS]
        ]
        head = ["candidate", "what", "score", "characters", "calls a run", "tokens a run", "cost a run"]
        summary = f"{len(unit.candidates):,} candidates of {_as_html(code(unit.info.name))}"
        yield _folded(summary, _table(head, rows, numbers_from=2))


def _written(saved: SavedRun) -> Iterator[str]:
    lines = []
    for written in saved.written:
        said = f": {_said(written.detail)}" if written.detail else ""
        lines.append(f"- {written.state}: {code(written.path)}{said}")
        lines += [f"  - {_said(change)}" for change in written.changes]
    if lines:
        yield _folded("Snapshots", "\n".join(_capped(lines, _MOST_LISTED)), is_open=True)


def _calls(saved: SavedRun, results: dict[str, UnitResult]) -> Iterator[str]:
    if not saved.results.calls.calls:
        return
    rows = [[code(unit), plain(figures.calls_text(r.calls))] for unit, r in results.items() if r.calls.calls]
    if saved.plain_calls.calls:
        rows.append(["plain tests", plain(figures.calls_text(saved.plain_calls))])
    if len(rows) > 1:
        rows.append(["**all**", plain(figures.calls_text(saved.results.calls))])
    yield _folded("Calls and cost", _table(["unit", "calls"], rows))


def _settings(saved: SavedRun) -> str:
    found = [(name.replace("_", " "), value) for name, value in sorted(saved.settings.items())]
    said = [f"{name} {value}" for name, value in found if value not in (None, False)]
    return f"<sub>pytest-lmprog: {_as_html(plain(', '.join(said)))}</sub>"


# --- Markdown -----------------------------------------------------------------------------------------


def _table(head: Sequence[str], rows: Iterable[Sequence[str]], *, numbers_from: int | None = None) -> str:
    """Return a table. The cells are Markdown that is safe in one: no line feed, no bare ``|``."""
    align = ["---" if numbers_from is None or n < numbers_from else "---:" for n in range(len(head))]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in [head, align, *rows])


def _folded(summary: str, body: str, *, is_open: bool = False) -> str:
    """Return a part that opens at a click. GitHub wants empty lines around Markdown within HTML."""
    return f"<details{' open' if is_open else ''}><summary>{summary}</summary>\n\n{body}\n\n</details>"


def _as_html(span: str) -> str:
    """Return code spans as HTML: within ``<summary>`` there is no Markdown."""
    parts = span.split("`")
    return "".join(f"<code>{part}</code>" if n % 2 else part for n, part in enumerate(parts))


def _said(text: str) -> str:
    """Return foreign words as one line of text that is never empty: an empty list item is a heading."""
    return plain(_short(text)) or "(empty)"


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _WORDS else f"{text[: _WORDS - 3]}..."


def _capped(lines: Sequence[str], most: int) -> list[str]:
    if len(lines) <= most:
        return list(lines)
    return [*lines[:most], f"- and {len(lines) - most:,} more"]
