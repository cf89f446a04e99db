"""What a judge is given: its inputs, found by name in a prediction and an example, or all that is passed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pytest_lmprog.errors import UsageError
from pytest_lmprog.evaluation.judge_signature import CASE
from pytest_lmprog.programs.example import Example

if TYPE_CHECKING:
    from pytest_lmprog.evaluation.judge import Judge

__all__ = ["judged_inputs"]

_WORDS = ("example", "prediction", "trace")
_Case = dict[str, Mapping[str, Any]]


def judged_inputs(judge: Judge, args: tuple[Any, ...], given: dict[str, Any]) -> dict[str, Any]:
    """Return the judge's inputs by name.

    Raises UsageError for missing and unknown ones, and for a prediction that has none of them."""
    case, given = _case(judge, args, given)
    if judge.signature is None:
        return {CASE: given[CASE]} if set(given) == {CASE} and not case else _all(judge, case, given)
    names = judge.signature.input_fields
    unknown = next((name for name in given if name not in names), None)
    if unknown is not None:
        raise UsageError(f"{judge!r} has no input {unknown!r}; its inputs are: {', '.join(names)}")
    found = {**_looked_up(judge, case, [name for name in names if name not in given]), **given}
    missing = [n for n, field in names.items() if n not in found and not field.has_default]
    if missing:
        raise UsageError(f"{judge!r} lacks the input {missing[0]!r}; its inputs are: {', '.join(names)}")
    return {name: found[name] for name in names if name in found}


def _case(judge: Judge, args: tuple[Any, ...], given: dict[str, Any]) -> tuple[_Case, dict[str, Any]]:
    """Return the example and the prediction that were given, and the fields given by name."""
    names = judge.judge.signature.input_fields
    words = [word for word in _WORDS if word not in names]
    if len(args) > len(words):
        raise UsageError(f"{judge!r} takes an example and a prediction, not {len(args)} things")
    case: _Case = {**dict(zip(words, args, strict=False)), **{w: given.pop(w) for w in words if w in given}}
    case.pop("trace", None)
    for word, record in case.items():
        if not isinstance(record, Mapping):
            raise UsageError(
                f"{judge!r}: the {word} must be a record of fields, not {type(record).__name__} "
                f"({record!r:.60})",
                hint="give what is judged by name: judge(answer=...)",
            )
    return case, given


def _looked_up(judge: Judge, case: _Case, wanted: list[str]) -> dict[str, Any]:
    """Return the wanted fields: the prediction's outputs first, for an example may hold a label of the same
    name. Of a prediction that has none of the inputs, nothing would be judged."""
    example, prediction = case.get("example", {}), case.get("prediction", {})
    found = {name: source[name] for name in wanted for source in (example, prediction) if name in source}
    if "prediction" in case and wanted and not any(name in prediction for name in wanted):
        raise UsageError(
            f"{judge!r}: the prediction has none of the inputs {', '.join(wanted)}; "
            f"its fields are: {', '.join(prediction) or 'none'}",
            hint=f"give what is judged by name: judge(example, {wanted[-1]}=prediction...)",
        )
    return found


def _all(judge: Judge, case: _Case, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the one input of a judge that takes whatever it is given."""
    shown: dict[str, Any] = {}
    if "example" in case:
        row = case["example"]
        known = isinstance(row, Example) and row.input_names is not None
        shown["input"] = dict(row.inputs() if isinstance(row, Example) and known else row)
    if "prediction" in case:
        shown["output"] = dict(case["prediction"])
    shown = {**shown, **given}
    if not shown:
        raise UsageError(f"{judge!r} was given nothing to judge", hint="judge(example, prediction)")
    return {CASE: shown}
