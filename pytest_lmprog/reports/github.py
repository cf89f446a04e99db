"""A run as GitHub Actions' annotations: workflow commands, by the rules of GitHub's documentation.

https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Literal

from pytest_lmprog.harness.results import CaseOutcome, MetricResult
from pytest_lmprog.harness.saved.run import SavedRun, SavedUnit
from pytest_lmprog.records import dataclass
from pytest_lmprog.reports import figures
from pytest_lmprog.reports.visible import visible

__all__ = ["MOST_SHOWN", "Annotation", "Place", "annotations_of", "command", "commands"]

MOST_SHOWN = 10
"""GitHub shows ten errors and ten warnings of a step, and drops the others."""

_MOST_CASES = 10
_WORDS = 200
_TITLE = 200

Place = tuple[str, int | None]
"""A file, relative to the repository, and its line from 1."""
Level = Literal["error", "warning"]


@dataclass(frozen=True, slots=True)
class Annotation:
    """One note at a line of a file, or without a place one on the run as a whole."""

    level: Level
    title: str
    message: str
    place: Place | None = None


def command(annotation: Annotation) -> str:
    """Return the annotation as a workflow command: one line, whatever title and message hold."""
    given: list[tuple[str, str]] = []
    if annotation.place is not None:
        file, line = annotation.place
        given.append(("file", visible(file)))
        given += [] if line is None else [("line", str(line))]
    given.append(("title", visible(annotation.title)[:_TITLE]))
    properties = ",".join(f"{name}={_escaped_property(value)}" for name, value in given)
    message = visible(annotation.message.replace("\r\n", "\n"))
    return f"::{annotation.level} {properties}::{_escaped(message)}"


def _escaped(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _escaped_property(text: str) -> str:
    return _escaped(text).replace(":", "%3A").replace(",", "%2C")


def commands(found: Sequence[Annotation]) -> list[str]:
    """Return workflow commands: of each level the first ten, the last of which counts those beyond."""
    lines: list[str] = []
    for level in ("error", "warning"):
        own = [annotation for annotation in found if annotation.level == level]
        if len(own) > MOST_SHOWN:
            rest = len(own) - MOST_SHOWN + 1
            more = Annotation(own[0].level, f"{rest} more", f"and {rest} more; the step summary has them all")
            own = [*own[: MOST_SHOWN - 1], more]
        lines += map(command, own)
    return lines


def annotations_of(saved: SavedRun, place: Callable[[str], Place | None]) -> list[Annotation]:
    """Return the annotations of a run, the gravest first.

    ``place`` says where the test function with this node id, or the file with this path, is."""
    results = {result.info.id: result for result in saved.results}
    pairs = [(unit, metric) for unit in saved.units for metric in results[unit.id].metrics]
    found = [replace(a, place=place(m.info.node_id)) for u, m in pairs for a in _of_metric(u, m)]
    for unit in saved.units:
        if unit.info.stale and not unit.info.rebasing:
            found.append(_stale(unit, saved, place))
    found += _of_run(saved)
    return sorted(found, key=lambda a: a.level != "error")


def _of_metric(unit: SavedUnit, metric: MetricResult) -> Iterator[Annotation]:
    verdict = unit.verdicts.get(metric.info.name)
    yield from _cases(unit, metric, "error", "regression", ("regression",))
    if verdict is not None and verdict.fails and not verdict.told:
        words = "gate failed" if verdict.state == "failed" else verdict.state
        yield Annotation("error", _title(unit, metric, words), "\n".join(verdict.reasons))
    yield from _cases(unit, metric, "error", "failure", ("failed", "error", "broken", "unaccepted_fix"))
    if verdict is not None and verdict.state == "inconclusive" and not verdict.fails:
        yield Annotation("warning", _title(unit, metric, "inconclusive"), "\n".join(verdict.reasons))
    if verdict is None or not verdict.fails:
        yield from _cases(unit, metric, "warning", "case worse than the baseline", ("regressed",))
    yield from _cases(unit, metric, "warning", "flaky case", ("flaky",))
    yield from _cases(unit, metric, "warning", "known miss", ("known_miss", "known_error"))


def _title(unit: SavedUnit, metric: MetricResult, words: str) -> str:
    return f"{unit.info.name} {metric.info.name}: {words}"


def _cases(
    unit: SavedUnit, metric: MetricResult, level: Level, noun: str, kinds: Sequence[str]
) -> Iterator[Annotation]:
    found = [outcome for outcome in metric.outcomes if outcome.verdict in kinds]
    if not found:
        return
    plural = {"known miss": "known misses", "case worse than the baseline": "cases worse than the baseline"}
    lines = [_line(outcome, metric) for outcome in found[:_MOST_CASES]]
    if len(found) > _MOST_CASES:
        lines.append(f"and {len(found) - _MOST_CASES:,} more")
    words = figures.count(len(found), noun, plural.get(noun))
    yield Annotation(level, _title(unit, metric, words), "\n".join(lines))


def _line(outcome: CaseOutcome, metric: MetricResult) -> str:
    name = f"{outcome.case} r{outcome.rollout + 1}" if metric.repeat > 1 else outcome.case
    said = " ".join((outcome.message or outcome.detail or outcome.status).split())
    moved = (
        "" if outcome.was is None else f" ({figures.score(outcome.was)} -> {figures.score(outcome.value)})"
    )
    return f"{name}{moved}: {said if len(said) <= _WORDS else said[: _WORDS - 3] + '...'}"


def _stale(unit: SavedUnit, saved: SavedRun, place: Callable[[str], Place | None]) -> Annotation:
    level: Level = "error" if saved.settings.get("ci") else "warning"
    path = unit.info.snapshot
    words = "\n".join(
        [*unit.info.stale, "pytest --lm-compile compiles it anew; --lm-update keeps the prompts"]
    )
    return Annotation(
        level, f"{unit.info.name}: stale snapshot", words, None if path is None else place(path)
    )


def _of_run(saved: SavedRun) -> Iterator[Annotation]:
    if saved.lost_workers:
        yield Annotation("error", "LM programs: worker died", figures.listed(saved.lost_workers))
    if saved.missing:
        words = figures.count(len(saved.missing), "test")
        yield Annotation(
            "error", f"LM programs: {words} without a result", figures.listed(saved.missing, _MOST_CASES)
        )
    for problem in saved.problems:
        yield Annotation("error", "LM programs", problem)
