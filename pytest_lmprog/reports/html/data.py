"""The run as the page's script reads it: the saved run's own JSON, less what stands in the page already."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

from pytest_lmprog.harness.results import CaseOutcome
from pytest_lmprog.harness.saved.run import SavedRun, SavedUnit
from pytest_lmprog.harness.verdicts.ratchet import REPORTED

__all__ = ["KINDS", "Rows", "embedded", "first_rows"]

KINDS = (
    "regression",
    "regressed",
    "failed",
    "error",
    "broken",
    "unaccepted_fix",
    "flaky",
    "missed",
    "known_miss",
    "known_error",
    "unscored",
    "fixed",
    "passed",
)
"""The ratchet's verdicts on cases, what needs attention first."""

_TONES = {
    **dict.fromkeys(("regression", "regressed", "failed", "error", "broken", "unaccepted_fix"), "bad"),
    **dict.fromkeys(("flaky", "missed", "known_miss", "known_error"), "warn"),
    **dict.fromkeys(("fixed", "passed"), "good"),
}
_WORDS = {"error": "ERROR", "broken": "NOT SCORED"}
_SIGNS = {
    "regression": "\u2193",
    "regressed": "\u2193",
    "error": "!",
    "broken": "?",
    "flaky": "~",
    "unscored": "-",
    "fixed": "\u2191",
    "unaccepted_fix": "\u2191",
    "passed": "\u2713",
}

_OUTCOME = tuple(f.name for f in fields(CaseOutcome) if f.name not in ("unit", "digest"))

_EXACT = 2**53
"""Whole numbers beyond it are not exact in JavaScript."""

Rows = Mapping[tuple[str, str], int]
"""Number of the first row of each (unit id, example id)."""


def embedded(saved: SavedRun) -> dict[str, Any]:
    """Return the page's data: ``run`` as ``SavedRun.to_plain`` has it, and what the verdicts are called.

    Smaller than that: no snapshot texts; outcomes as ``names`` and ``rows``; inputs of a call that are the
    example's own as a list of names, outputs that are the whole prediction left out (``same``)."""
    run = saved.to_plain()
    for unit in run["units"]:
        unit.pop("before", None)
        unit.pop("after", None)
        known = {example["id"]: example["fields"] for example in unit["examples"]}
        for case in unit["cases"]:
            _shrink(case, known.get(case["example"], {}))
        for example in unit["examples"]:
            example["fields"] = _exact(example["fields"])
        unit["outcomes"] = _packed(unit["outcomes"])
        for verdict in unit["verdicts"].values():
            verdict["figures"] = _exact(verdict["figures"])
        if "compiled" in unit:
            unit["compiled"] = _exact(unit["compiled"])
    run["settings"] = _exact(run["settings"])
    return {"run": run, "kinds": [_kind(kind) for kind in KINDS]}


def _packed(outcomes: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return outcomes as rows; null stands for a default. The digest is the example's own."""
    used = {name for outcome in outcomes for name in outcome}
    names = [name for name in _OUTCOME if name in used]
    return {"names": names, "rows": [[outcome.get(name) for name in names] for outcome in outcomes]}


def _kind(kind: Any) -> dict[str, str]:
    word = _WORDS.get(kind, REPORTED[kind].word)
    return {
        "name": kind,
        "word": word.lower(),
        "tone": _TONES.get(kind, ""),
        "sign": _SIGNS.get(kind, "\u2717"),
    }


def _shrink(case: dict[str, Any], known: Mapping[str, Any]) -> None:
    prediction = case.get("prediction")
    for call in case["calls"]:
        inputs, outputs = call["inputs"], call["outputs"]
        if inputs and all(name in known and _same(known[name], value) for name, value in inputs.items()):
            call["inputs"] = list(inputs)
        else:
            call["inputs"] = _exact(inputs)
        if outputs is not None:
            call["outputs"] = "same" if _same(outputs, prediction) else _exact(outputs)
    if prediction is not None:
        case["prediction"] = _exact(prediction)
    if "completions" in case:
        case["completions"] = _exact(case["completions"])


def _same(one: Any, other: Any) -> bool:
    """Whether two values are shown alike; 1, 1.0 and True are not."""
    return one == other and (isinstance(one, str) or repr(one) == repr(other))


def _exact(value: Any) -> Any:
    """Return ``value`` with numbers that JavaScript would change, or JSON does not have, as their text."""
    if isinstance(value, Mapping):
        return {name: _exact(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_exact(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) and not value.is_integer() else {"$repr": repr(value)}
    if isinstance(value, int) and not -_EXACT <= value <= _EXACT:
        return {"$repr": str(value)}
    return value


def first_rows(saved: SavedRun) -> Rows:
    """Return the numbers of the rows that the script makes: one a unit, example and rollout, in that order.

    An item of a unit is found by its case first, by its outcome where its program did not run."""
    found: dict[tuple[str, str], int] = {}
    number = 0
    for unit in saved.units:
        for example, _ in _items(unit):
            found.setdefault((unit.id, example), number)
            number += 1
    return found


def _items(unit: SavedUnit) -> list[tuple[str, int]]:
    keys = [(case.example, case.rollout) for case in unit.cases]
    keys += [(outcome.case, outcome.rollout) for outcome in unit.outcomes]
    return list(dict.fromkeys(keys))
