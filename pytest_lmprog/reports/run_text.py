"""A saved run as plain text: its summary, and what went on in a case. Lines only; nothing is printed here."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any, Literal

from pytest_lmprog.errors import UsageError
from pytest_lmprog.harness.saved.cases import SavedCall, SavedCase
from pytest_lmprog.harness.saved.run import SavedRun, SavedUnit
from pytest_lmprog.reports import figures
from pytest_lmprog.reports.table import paragraph
from pytest_lmprog.reports.terminal import summary_lines

__all__ = ["case_lines", "find_cases", "run_lines", "state_of"]

Tone = Literal["heading", "muted"]
Toned = tuple[str, Tone | None]

_MOST = 20
_ROLLOUT = re.compile(r"(?P<id>.+)-r(?P<number>[1-9][0-9]*)")


def state_of(saved: SavedRun) -> str:
    """Return how a run ended, in one word."""
    if not saved.complete:
        return "INCOMPLETE"
    return "passed" if saved.passed else "FAILED"


def run_lines(saved: SavedRun, *, width: int = 80) -> Iterator[str]:
    """Yield a run's summary: how it ended and why, the table of its metrics, what is missing."""
    asked = {name: value for name, value in saved.settings.items() if name not in ("version", "ci")}
    words = ", ".join(f"{name} {value}" for name, value in asked.items() if value not in (False, None, 0))
    yield f"{state_of(saved)} ({words})" if words else state_of(saved)
    for problem in saved.problems:
        yield from paragraph(problem, width=width)
    yield from summary_lines(saved.results, width=width)
    for item in saved.written:
        yield from paragraph(f"{item.path}: {item.state}", width=width)
    if saved.missing:
        yield f"without a result: {figures.count(len(saved.missing), 'test')}"
        yield from (f"  {node_id}" for node_id in saved.missing[:_MOST])
        if len(saved.missing) > _MOST:
            yield f"  and {len(saved.missing) - _MOST} more"


def find_cases(saved: SavedRun, name: str) -> list[tuple[SavedUnit, SavedCase]]:
    """Return the cases that ``name`` means: an example's id, with or without ``-r2`` for a rollout, or the
    node id of a test of it. Raises UsageError where there is none, with those that are near."""
    test, bracket, rest = name.partition("[")
    wanted = rest.removesuffix("]") if bracket else name
    units = [unit for unit in saved.units if not bracket or _is_of(test, unit)]
    found = [(unit, case) for unit in units for case in unit.cases if case.example == wanted]
    split = _ROLLOUT.fullmatch(wanted)
    if not found and split:
        example, rollout = split["id"], int(split["number"]) - 1
        found = [(u, c) for u in units for c in u.cases if (c.example, c.rollout) == (example, rollout)]
    if found:
        return found
    ids = list(dict.fromkeys(case.example for unit in saved.units for case in unit.cases))
    near = get_close_matches(wanted, ids, 3)
    hint = f"did you mean {' or '.join(near)}?" if near else f"there are: {figures.listed(ids) or 'none'}"
    raise UsageError(f"the run has no case {name!r}", hint=hint)


def _is_of(test: str, unit: SavedUnit) -> bool:
    ids = {
        unit.id,
        unit.info.name,
        *(m.node_id for m in unit.info.metrics),
        *(m.name for m in unit.info.metrics),
    }
    return test in ids


def case_lines(unit: SavedUnit, case: SavedCase) -> Iterator[Toned]:
    """Yield a case: its data, what the program put out, what the metrics said, and every call with the exact
    messages and the answer."""
    suffix = f"-r{case.rollout + 1}" if unit.info.repeat > 1 else ""
    yield f"{unit.id} [{case.example}{suffix}]", "heading"
    row = unit.example_of.get(case.example)
    if row is not None:
        yield from _fields("inputs", {n: v for n, v in row.fields.items() if n in row.inputs})
        yield from _fields("labels", {n: v for n, v in row.fields.items() if n not in row.inputs})
    if case.prediction is not None:
        yield from _fields("prediction", case.prediction)
    if case.error is not None:
        yield f"error {case.error.kind}", "heading"
        yield from _indented(case.error.message)
    yield from _outcomes(unit, case)
    for number, call in enumerate(case.calls, 1):
        yield from _call(call, f"call {number} of {len(case.calls)}: {call.predictor}")


def _fields(title: str, values: Mapping[str, Any]) -> Iterator[Toned]:
    if values:
        yield title, "heading"
    for name, value in values.items():
        first, *more = _value(value).splitlines() or [""]
        yield f"  {name}: {first}", None
        yield from ((f"    {line}", None) for line in more)


def _value(value: Any) -> str:
    return value if type(value) is str else json.dumps(value, ensure_ascii=False)


def _outcomes(unit: SavedUnit, case: SavedCase) -> Iterator[Toned]:
    mine = [o for o in unit.outcomes if (o.case, o.rollout) == (case.example, case.rollout)]
    if mine:
        yield "metrics", "heading"
    for outcome in mine:
        score = "" if outcome.score is None else f" {outcome.score:.4g}"
        verdict = (outcome.verdict or "").replace("_", " ")
        known = f" ({verdict})" if verdict not in ("", "passed", "failed", outcome.status) else ""
        yield f"  {outcome.metric}: {outcome.status}{score}{known}", None
        if outcome.message and outcome.status != "error":
            yield from _indented(outcome.message, 4)


def _call(call: SavedCall, title: str) -> Iterator[Toned]:
    usage = None if call.usage is None else f"{call.usage[0]:,} + {call.usage[1]:,} tokens"
    time = None if call.latency is None else f"{call.latency:.2f} s"
    money = None if call.cost is None else f"${call.cost:.6f}"
    notes = [call.adapter, call.source, *filter(None, (usage, time, money))]
    yield f"{title} ({', '.join(notes)})", "heading"
    for message in call.messages:
        yield f"  [{message.get('role')}]", "muted"
        yield from _indented(_value(message.get("content")), 4)
    yield "  [answer]", "muted"
    yield from _indented(call.answer, 4)
    if call.error is not None:
        yield "  [refused]", "muted"
        yield from _indented(call.error, 4)


def _indented(text: str, by: int = 2) -> Iterator[Toned]:
    yield from ((f"{' ' * by}{line}".rstrip(), None) for line in text.splitlines() or [""])
