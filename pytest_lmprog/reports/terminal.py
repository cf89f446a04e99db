"""What a run says on the terminal, as lines of plain text. Nothing is printed here."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from pytest_lmprog.harness.judges.words import calibration_words
from pytest_lmprog.harness.results import MetricResult, RunResults, UnitResult
from pytest_lmprog.harness.verdicts.gates import MetricVerdict, judge_run
from pytest_lmprog.harness.verdicts.rollouts import flaky_cases, rollout_figures
from pytest_lmprog.reports import figures
from pytest_lmprog.reports.table import fits, paragraph, table

if TYPE_CHECKING:  # a replay compiles and writes nothing, and should not load what does
    from pytest_lmprog.harness.compiling import CompileOutcome
    from pytest_lmprog.harness.dryrun import UnitBound
    from pytest_lmprog.harness.written.snapshots import Written

__all__ = ["bound_lines", "compile_lines", "compile_text", "summary_lines", "written_lines"]

INDENT = "  "


Verdicts = Mapping[tuple[str, str], MetricVerdict]


def summary_lines(results: RunResults, *, width: int = 80, verdicts: Verdicts | None = None) -> list[str]:
    """Return the summary: a table of all metrics by unit, then what is to be said of each unit.

    ``verdicts``: by unit id and metric, where they are known already."""
    units = list(results)
    if not units:
        return []
    verdicts = judge_run(units) if verdicts is None else verdicts
    lines = _scores(units, verdicts, width)
    for unit in units:
        lines += _remarks(unit, verdicts, width)
    lines += _calls(results, units, width)
    if results.lost_workers:
        lost = figures.listed(results.lost_workers)
        lines += paragraph(f"worker lost: {lost}; what it had not reported yet is missing here", width=width)
    return lines


_Column = tuple[str, Callable[[MetricResult], str]]

_FIGURES: tuple[_Column, ...] = (
    ("n", lambda m: _n(m)),
    ("score", lambda m: figures.score(m.score)),
    ("95% CI", figures.interval),
    ("base", lambda m: figures.score(m.info.baseline)),
    ("delta", lambda m: figures.change(m.delta)),
)

_COUNTS: tuple[tuple[str, Callable[[MetricResult], int]], ...] = (
    ("worse", lambda m: len(m.regressions)),
    ("fixed", lambda m: len(m.fixed)),
    ("flaky", lambda m: len(flaky_cases(m))),
    ("known", lambda m: len(m.with_verdict("known_miss", "known_error"))),
    ("errors", lambda m: m.count("error")),
)


def _scores(units: Sequence[UnitResult], verdicts: Verdicts, width: int) -> list[str]:
    head, rows = _cells(units, verdicts, apart=True)
    if not fits(head, rows, width=width):
        head, rows = _cells(units, verdicts, apart=False)
    return _without_blank(table(head, rows, width=width))


def _cells(
    units: Sequence[UnitResult], verdicts: Verdicts, *, apart: bool
) -> tuple[list[str], list[list[str]]]:
    """Return head and rows; the verdict in a column of its own (``apart``) or after the metric's name."""
    metrics = [m for unit in units for m in unit.metrics]
    counts = [(name, of) for name, of in _COUNTS if any(map(of, metrics))]
    names = [*(name for name, _ in _FIGURES), *(name for name, _ in counts)]
    head = ["unit, metric", "verdict", *names] if apart else ["unit, metric", *names]
    rows: list[list[str]] = []
    for unit in units:
        rows.append([_title(unit), *[""] * (len(head) - 1)])
        for metric in unit.metrics:
            cells = [of(metric) for _, of in _FIGURES] + [str(of(metric) or "-") for _, of in counts]
            name, word = INDENT + metric.info.name, verdicts[unit.info.id, metric.info.name].word
            rows.append([name, word, *cells] if apart else [f"{name} {word}", *cells])
    return head, rows


def _without_blank(lines: list[str]) -> list[str]:
    """A unit's title that is too long for its column leaves an empty line of figures."""
    return [line for line in lines if line]


def _title(unit: UnitResult) -> str:
    model = unit.info.model
    named = model is None or unit.info.id.endswith("]")
    return unit.info.id if named else f"{unit.info.id} ({model})"


def _n(metric: MetricResult) -> str:
    if metric.ran < metric.info.expected:
        return f"{metric.ran}/{metric.info.expected}"
    if metric.repeat > 1:
        return f"{metric.cases}x{metric.repeat}"
    return str(len(metric.judged))


def _remarks(unit: UnitResult, verdicts: Verdicts, width: int) -> list[str]:
    """Return what is to be said of a unit beyond its figures, a paragraph each."""
    said = list(calibration_words(unit))
    for metric in unit.metrics:
        said += _metric_remarks(metric, verdicts[unit.info.id, metric.info.name])
    if unit.info.stale:
        said.append("stale snapshot: " + "; ".join(unit.info.stale))
    said += unit.info.notes
    if not said:
        return []
    return [unit.info.name, *(line for text in said for line in paragraph(text, width=width, indent=INDENT))]


def _metric_remarks(metric: MetricResult, verdict: MetricVerdict) -> Iterable[str]:
    name = metric.info.name
    yield from _verdict_remarks(metric, verdict)
    for word, cases in _changes(metric):
        if cases:
            yield f"{name}, {len(cases)} {word}: {figures.listed(cases)}"
    rollouts = rollout_figures(metric)
    if rollouts is not None:
        k = rollouts.n
        yield (
            f"{name}, {metric.repeat} rollouts: pass rate {rollouts.pass_rate:.3f}, "
            f"pass@{k} {rollouts.pass_at_k:.3f}, pass^{k} {rollouts.pass_hat_k:.3f}"
        )


def _verdict_remarks(metric: MetricResult, verdict: MetricVerdict) -> Iterable[str]:
    name = metric.info.name
    if verdict.state == "not_judged" and metric.ran:
        yield f"{name}: {verdict.reasons[0]}"
    elif verdict.state in ("failed", "inconclusive"):
        yield from (f"{name} {verdict.word}: {reason}" for reason in verdict.reasons)
        compared = verdict.figures.get("reason")
        if compared is not None and compared not in verdict.reasons:
            yield f"{name}, compared: {compared}"
    elif verdict.figures.get("decided_by") == "statistics":
        yield f"{name} {verdict.word}: {verdict.figures['reason']}"


def _changes(metric: MetricResult) -> Iterable[tuple[str, Sequence[str]]]:
    yield "worse than the baseline", metric.regressions
    yield "fixed", metric.fixed
    yield "fixed but not accepted (strict)", metric.with_verdict("unaccepted_fix")
    yield "flaky", [f"{case} {passed}/{n}" for case, (passed, n) in flaky_cases(metric).items()]
    yield "not baselined", metric.with_baseline("new")
    yield "edited since the baseline", metric.with_baseline("edited")
    yield "in the baseline but gone", metric.info.removed
    yield "not scored (no answer, or the metric failed)", metric.with_status("broken")


def _calls(results: RunResults, units: Sequence[UnitResult], width: int) -> list[str]:
    lines: list[str] = []
    for unit in units:
        lines += paragraph(f"{unit.info.name}: {figures.calls_text(unit.calls)}", width=width)
    total = results.calls
    if len(units) > 1 or total != units[0].calls:
        lines += paragraph(f"all together: {figures.calls_text(total)}", width=width)
    return lines


def compile_lines(outcomes: Sequence[CompileOutcome], results: RunResults, *, width: int = 80) -> list[str]:
    """Return the table of before and after for the units that were compiled, and how it went."""
    lines: list[str] = []
    rows = [row for outcome in outcomes for row in _before_after(outcome, results)]
    if rows:
        lines += table(["unit, metric", "n", "before", "after", "change"], rows, width=width)
        lines += paragraph(_sources(outcomes), width=width)
    for outcome in outcomes:
        lines += paragraph(f"{outcome.prepared.unit.name}: {compile_text(outcome)}", width=width)
    return lines


def _before_after(outcome: CompileOutcome, results: RunResults) -> list[list[str]]:
    unit = outcome.prepared.unit
    if unit.id not in results:
        return []
    before = {} if outcome.before is None else outcome.before.scores
    rows = [[unit.id, "", "", "", ""]]
    for metric in results.unit(unit.id).metrics:
        old, new = before.get(metric.info.name), metric.score
        change = None if old is None or new is None else new - old
        cells = [_n(metric), figures.score(old), figures.score(new), figures.change(change)]
        rows.append([INDENT + metric.info.name, *cells])
    return rows


def _sources(outcomes: Sequence[CompileOutcome]) -> str:
    sources = sorted({o.before.source for o in outcomes if o.before is not None})
    if not sources:
        return "before was not measured"
    words = {"accepted": "the accepted snapshot", "as written": "the program as written, without compiling"}
    return "before: " + ", or ".join(words.get(source, source) for source in sources)


def compile_text(outcome: CompileOutcome) -> str:
    """Return how one compile went, in one phrase."""
    calls = figures.calls_text(outcome.calls)
    result = outcome.result
    if result is None:
        return f"as written (no teleprompter), {calls}"
    parts = [figures.count(len(result.candidates), "candidate")]
    if result.score is not None:
        validated = figures.count(result.validated_on, "example")
        parts.append(f"best {figures.score(result.score)} on {validated}")
    if outcome.stopped_by_budget:
        parts.append("stopped: budget")
    return ", ".join([*parts, calls])


_STATES = {
    "pending": "pending review: {path} (lmprog review)",
    "created": "new snapshot: {path}",
    "accepted": "accepted: {path}",
    "unchanged": "unchanged: {path}",
    "kept": "left as it was: {path}",
    "failed": "NOT WRITTEN: {path}",
}


def written_lines(written: Sequence[Written], *, width: int = 80) -> list[str]:
    """Return what became of each unit's snapshot."""
    lines: list[str] = []
    for item in written:
        text = _STATES[item.state].format(path=item.path)
        lines += paragraph(f"{text}: {item.detail}" if item.detail else text, width=width)
        for change in item.changes:
            lines += paragraph(f"changed since the compile: {change}", width=width, indent=INDENT)
    return lines


def bound_lines(bounds: Sequence[UnitBound], *, width: int = 80) -> list[str]:
    """Return what ``--lm-dry-run`` says: the most that compiling can cost."""
    if not bounds:
        return ["nothing to compile"]
    rows = [[bound.unit, *_bound_cells(bound)] for bound in bounds]
    if len(bounds) > 1:
        total = sum(bound.calls for bound in bounds)
        rows.append(["all together", *["", "", ""], f"{total:,}", _tokens(bounds)])
    head = ["unit", "compile", "before", "cases", "calls", "tokens out"]
    lines = ["The most that --lm-compile can cost. Nothing was called."]
    lines += table(head, rows, width=width)
    note = "Each call counts, cached or not; calls that metrics make themselves are not counted."
    if any(bound.tokens is None for bound in bounds):
        note += " Tokens and USD are not bounded where max_tokens is not set (-)."
    lines += paragraph(note, width=width)
    for bound in bounds:
        lines += paragraph(_asked_text(bound), width=width) if bound.asked else []
    budget = next((bound.budget for bound in bounds if bound.budget), None)
    if budget:
        lines += paragraph(f"--lm-budget stops each unit's compile before {budget}.", width=width)
    return lines


def _asked_text(bound: UnitBound) -> str:
    modules = dict.fromkeys(f"{asked.module} ({figures.count(asked.calls, 'call')})" for asked in bound.asked)
    more = figures.count(bound.metric_calls, "call")
    return (
        f"The metrics of {bound.unit} ask {', '.join(modules)}: at most {more} more, if each is asked "
        "once for a prediction."
    )


def _bound_cells(bound: UnitBound) -> list[str]:
    calls = [bound.compile.calls, bound.before.calls, bound.after.calls, bound.calls]
    return [*(f"{number:,}" for number in calls), _tokens([bound])]


def _tokens(bounds: Sequence[UnitBound]) -> str:
    known = [bound.tokens for bound in bounds if bound.tokens is not None]
    return f"{sum(known):,}" if len(known) == len(bounds) else "-"
