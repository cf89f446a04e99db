"""A unit's section: its metrics as bars with their verdicts, calls, remarks, prompt diff and candidates."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from pytest_lmprog.harness.results import MetricResult
from pytest_lmprog.harness.saved.run import SavedRun, SavedUnit
from pytest_lmprog.harness.verdicts.gates import MetricVerdict, rollout_figures
from pytest_lmprog.reports import figures
from pytest_lmprog.reports.html.bars import bar, metric_interval
from pytest_lmprog.reports.html.decided import decided_by
from pytest_lmprog.reports.html.plot import candidates
from pytest_lmprog.reports.html.prompts import prompts
from pytest_lmprog.reports.overall import verdict_kind
from pytest_lmprog.reports.page import text

__all__ = ["unit_section"]

_DOT = " \u00b7 "
_STATES = {
    "passed": ("good", "\u2713 pass"),
    "failed": ("bad", "\u2717 fail"),
    "inconclusive": ("warn", "? inconclusive"),
    "not_judged": ("", "\u2013 not judged"),
}
_COUNTS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("worse", ("regression", "regressed")),
    ("fixed", ("fixed", "unaccepted_fix")),
    ("flaky", ("flaky",)),
    ("failed", ("failed", "missed")),
    ("known", ("known_miss", "known_error")),
    ("errors", ("error",)),
    ("not scored", ("broken", "unscored")),
)


def unit_section(saved: SavedRun, unit: SavedUnit, number: int) -> str:
    """Return the section of one unit; ``number`` is its place in the run."""
    metrics = saved.results.unit(unit.id).metrics
    parts = [_head(unit, number), _metrics(unit, metrics, number)]
    parts += [] if number else [_legend([metric for result in saved.results for metric in result.metrics])]
    parts += _remarks(saved, unit)
    parts += [candidates(unit), prompts(unit)]
    body = "\n".join(part for part in parts if part)
    return f'<section class="unit" aria-labelledby="unit-{number}">\n{body}\n</section>'


def _head(unit: SavedUnit, number: int) -> str:
    facts = [unit.info.model or "", unit.info.snapshot or "no snapshot", figures.calls_text(unit.calls)]
    said = _DOT.join(text(fact) for fact in (unit.id, *facts) if fact)
    return f'<h2 id="unit-{number}">{text(unit.info.name)}</h2>\n<p class="muted facts">{said}</p>'


_Column = tuple[str, Callable[[MetricResult], str]]

_FIGURES: tuple[_Column, ...] = (
    ("95 % interval", lambda m: _interval(m)),
    ("baseline", lambda m: figures.score(m.info.baseline)),
    ("change", lambda m: _change(m)),
    ("cases", lambda m: _cases(m)),
)


def _interval(metric: MetricResult) -> str:
    found = metric_interval(metric)
    return "-" if found is None else f"{found.low:.2f}\u2013{found.high:.2f}"


def _change(metric: MetricResult) -> str:
    said = figures.change(metric.delta)
    tone = {"+": "good", "-": "bad"}.get(said[0], "") if len(said) > 1 else ""
    return f'<span class="{tone}">{said}</span>'


def _cases(metric: MetricResult) -> str:
    if metric.ran < metric.info.expected:
        return f'<span class="warn">{metric.ran:,} of {metric.info.expected:,}</span>'
    return f"{metric.cases:,}\u00d7{metric.repeat}" if metric.repeat > 1 else f"{len(metric.judged):,}"


def _metrics(unit: SavedUnit, metrics: tuple[MetricResult, ...], number: int) -> str:
    counted = [(m, _counts(m)) for m in metrics]
    names = [name for name, _ in _COUNTS if any(counts[name] for _, counts in counted)]
    head = '<th>Metric</th><th>Verdict</th><th class="num">Score</th>'
    head += '<th class="wide"><span class="sr">Score as a bar</span></th>'
    head += "".join(f'<th class="num">{name}</th>' for name in (*(n for n, _ in _FIGURES), *names))
    rows = "".join(_metric(unit, metric, counts, names, number) for metric, counts in counted)
    return (
        f'<div class="scroll"><table class="metrics"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody>'
        "</table></div>"
    )


def _legend(metrics: Sequence[MetricResult]) -> str:
    """Return what the marks in the bars mean, for all units together."""
    marks = [("fill", "score"), ("range", "95 % interval")]
    marks += [("baseline", "baseline")] if any(m.info.baseline is not None for m in metrics) else []
    marks += (
        [("gate", "least score allowed")] if any(m.info.gate.min_score is not None for m in metrics) else []
    )
    said = "".join(f'<span><i class="{name}"></i>{words}</span>' for name, words in marks)
    return f'<p class="legend" aria-hidden="true">{said}</p>'


def _counts(metric: MetricResult) -> dict[str, int]:
    kinds = [verdict_kind(outcome) for outcome in metric.outcomes]
    return {name: sum(kind in of for kind in kinds) for name, of in _COUNTS}


def _metric(
    unit: SavedUnit, metric: MetricResult, counts: dict[str, int], names: list[str], number: int
) -> str:
    name = metric.info.name
    verdict = unit.verdicts.get(name, MetricVerdict("not_judged"))
    tone, word = _STATES[verdict.state]
    cells = "".join(f'<td class="num">{of(metric)}</td>' for _, of in _FIGURES)
    kinds = dict(_COUNTS)
    for label in names:
        cells += f'<td class="num">{_filter(number, name, kinds[label], counts[label])}</td>'
    row = (
        f'<tr><td><code>{text(name)}</code></td><td><span class="badge {tone}">{word}</span></td>'
        f'<td class="num"><strong>{figures.score(metric.score)}</strong></td>'
        f"<td>{bar(metric)}</td>{cells}</tr>"
    )
    said = "".join(f"<div>{line}</div>" for line in _said(metric, verdict))
    width = 4 + len(_FIGURES) + len(names)
    return row + (f'<tr class="said"><td colspan="{width}">{said}</td></tr>' if said else "")


def _filter(number: int, metric: str, kinds: tuple[str, ...], count: int) -> str:
    """A count that shows its cases when it is pressed."""
    if not count:
        return '<span class="muted">-</span>'
    return (
        f'<button type="button" class="count" data-unit="{number}" data-metric="{text(metric)}" '
        f'data-kinds="{" ".join(kinds)}">{count:,}</button>'
    )


def _said(metric: MetricResult, verdict: MetricVerdict) -> Iterator[str]:
    tone = _STATES[verdict.state][0]
    for reason in verdict.reasons:
        yield f'<span class="{tone}">{text(reason)}</span>'
    shown = decided_by(verdict)
    if shown:
        yield f'<span class="muted">{text(_DOT.join(shown))}</span>'
    rollouts = rollout_figures(metric)
    if rollouts is not None:
        k = rollouts.n
        yield (
            f'<span class="muted">pass rate {rollouts.pass_rate:.3f} \u00b7 pass@{k} '
            f"{rollouts.pass_at_k:.3f} \u00b7 pass^{k} {rollouts.pass_hat_k:.3f}</span>"
        )
    if metric.info.removed:
        gone = text(figures.listed(metric.info.removed))
        yield f'<span class="muted">in the baseline but gone: {gone}</span>'


def _remarks(saved: SavedRun, unit: SavedUnit) -> Iterator[str]:
    if unit.info.stale:
        changes = "; ".join(unit.info.stale)
        yield f'<p class="remark warn"><strong>Stale snapshot:</strong> {text(changes)}</p>'
    for note in dict.fromkeys((*unit.info.notes, *unit.notes)):
        yield f'<p class="remark">{text(note)}</p>'
    for item in saved.written:
        if item.unit == unit.id:
            said = "; ".join(part for part in (item.detail, *item.changes) if part)
            more = f": {text(said)}" if said else ""
            yield f'<p class="remark">Snapshot {text(item.state)}: <code>{text(item.path)}</code>{more}</p>'
