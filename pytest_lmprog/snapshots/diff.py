"""The difference of two snapshots by meaning: words, demos, settings and scores instead of lines."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pytest_lmprog.snapshots.artifact import (
    CaseBaseline,
    FieldSnapshot,
    Header,
    MetricBaseline,
    PredictorSnapshot,
    Snapshot,
)
from pytest_lmprog.snapshots.changes import (
    Existence,
    Flip,
    MetricDiff,
    PredictorDiff,
    SnapshotDiff,
    ValueChange,
)
from pytest_lmprog.snapshots.demodiff import diff_demos, value_text
from pytest_lmprog.snapshots.worddiff import diff_words

__all__ = ["diff", "prompt_tokens"]

_CHARACTERS_PER_TOKEN = 4
_NO_PREDICTOR = PredictorSnapshot("", ())


def diff(old: Snapshot | None, new: Snapshot | None) -> SnapshotDiff:
    """Return what differs between two snapshots, of which one may not exist. ``base`` and formatting don't
    count."""
    before, after = old.predictors if old else {}, new.predictors if new else {}
    return SnapshotDiff(
        header=tuple(_headers(old, new)),
        predictors=tuple(_predictors(before, after)),
        metrics=tuple(_metrics(old.baseline if old else {}, new.baseline if new else {})),
        tokens=(_all_tokens(before.values()), _all_tokens(after.values())),
        fingerprint=tuple(_sources(old, new)) if old and new else (),
        kind=_existence(old, new),
        same_predictors=tuple(name for name in after if before.get(name) == after[name]),
    )


def _existence(old: object, new: object) -> Existence:
    if old is None or new is None:
        return "added" if old is None else "removed"
    return "changed"


def _sources(old: Snapshot, new: Snapshot) -> list[str]:
    """Return what differs in what was compiled, in words, except what the header says already."""
    from pytest_lmprog.snapshots.fingerprint import compare, describe

    told = {
        "model": old.header.model != new.header.model,
        "teleprompter": old.header.teleprompter != new.header.teleprompter,
        "prompt_format": old.header.prompt_format != new.header.prompt_format,
    }
    changes = compare(old.fingerprint, new.fingerprint)
    return describe(change for change in changes if not told.get(change.part))


def _headers(old: Snapshot | None, new: Snapshot | None) -> list[ValueChange]:
    before = {**_header_values(old.header if old else None), **_calibration_values(old)}
    after = {**_header_values(new.header if new else None), **_calibration_values(new)}
    return [
        ValueChange(name, before.get(name), after.get(name))
        for name in dict.fromkeys([*before, *after])
        if before.get(name) != after.get(name)
    ]


def _calibration_values(snapshot: Snapshot | None) -> dict[str, Any]:
    """Return a judge's figures, and what it says of each golden beside people's verdict."""
    if snapshot is None or snapshot.calibration is None:
        return {}
    calibration = snapshot.calibration
    figures = {f"calibration, {name.replace('_', ' ')}": value for name, value in calibration.figures.items()}
    verdicts = {
        f"golden {golden} (people say {people!r})": "no verdict" if judge is None else judge
        for golden, (people, judge) in calibration.verdicts.items()
    }
    return {**figures, **verdicts}


def _header_values(header: Header | None) -> dict[str, Any]:
    if header is None:
        return {}
    model, teleprompter, validation = header.model, header.teleprompter, header.validation
    settings = teleprompter.settings if teleprompter else {}
    return {
        "program": header.program,
        "model": model.name if model else None,
        "model can do JSON": model.capabilities.json_schema if model else None,
        "adapter": header.adapter,
        "teleprompter": teleprompter.name if teleprompter else None,
        **{f"setting {name}": value for name, value in settings.items()},
        "seed": header.seed,
        "validation score": validation.score if validation else None,
        "validation examples": validation.examples if validation else None,
        "stopped": header.stopped,
        "prompt format": header.prompt_format,
        **{f"library {name}": version for name, version in header.libraries.items()},
        **dict.fromkeys((f"since the compile: {text}" for text in header.changed_since_compile), "accepted"),
    }


def _predictors(
    old: Mapping[str, PredictorSnapshot], new: Mapping[str, PredictorSnapshot]
) -> list[PredictorDiff]:
    found: list[PredictorDiff] = []
    for name in dict.fromkeys([*old, *new]):
        before, after = old.get(name), new.get(name)
        if before != after:
            found.append(_predictor(name, before, after))
    return found


def _predictor(name: str, before: PredictorSnapshot | None, after: PredictorSnapshot | None) -> PredictorDiff:
    old, new = before or _NO_PREDICTOR, after or _NO_PREDICTOR
    demos = diff_demos(old.demos, new.demos, inputs=new.input_names or old.input_names)
    same_prompt = _authoritative(old) == _authoritative(new)
    return PredictorDiff(
        name=name,
        kind=_existence(before, after),
        instructions=diff_words(old.instructions, new.instructions),
        fields=tuple(_fields(old.fields, new.fields)),
        demos=tuple(demos),
        demos_reordered=not demos and old.demos != new.demos,
        rendering=same_prompt and old.messages != new.messages,
        tokens=(prompt_tokens(old), prompt_tokens(new)),
        demo_counts=(len(old.demos), len(new.demos)),
        adapter=ValueChange("adapter", old.adapter, new.adapter) if old.adapter != new.adapter else None,
    )


def _authoritative(predictor: PredictorSnapshot) -> tuple[Any, ...]:
    """Return what is authoritative in a predictor: all but the rendered messages."""
    return predictor.instructions, predictor.fields, predictor.demos, predictor.adapter


def _fields(old: Sequence[FieldSnapshot], new: Sequence[FieldSnapshot]) -> list[ValueChange]:
    before, after = {f.name: f for f in old}, {f.name: f for f in new}
    changes = [
        ValueChange(name, before.get(name), after.get(name))
        for name in dict.fromkeys([*before, *after])
        if before.get(name) != after.get(name)
    ]
    if not changes and list(before) != list(after):
        return [ValueChange("order", ", ".join(before), ", ".join(after))]
    return changes


def _metrics(old: Mapping[str, MetricBaseline], new: Mapping[str, MetricBaseline]) -> list[MetricDiff]:
    return [
        MetricDiff(name, old.get(name), new.get(name), _flips(old.get(name), new.get(name)))
        for name in dict.fromkeys([*old, *new])
    ]


def _flips(old: MetricBaseline | None, new: MetricBaseline | None) -> tuple[Flip, ...]:
    before = old.cases if old else {}
    after = new.cases if new else {}
    return tuple(
        Flip(case, before.get(case), after.get(case))
        for case in dict.fromkeys([*before, *after])
        if not _stands_the_same(before.get(case), after.get(case))
    )


def _stands_the_same(old: CaseBaseline | None, new: CaseBaseline | None) -> bool:
    if old is None or new is None:
        return old is new
    return (old.status, old.error, old.value) == (new.status, new.error, new.value)


def prompt_tokens(predictor: PredictorSnapshot) -> int:
    """Return about how many tokens the prompt has before inputs: a quarter of its characters."""
    characters = sum(len(value_text(message.get("content"))) for message in predictor.messages)
    return -(-characters // _CHARACTERS_PER_TOKEN)


def _all_tokens(predictors: Iterable[PredictorSnapshot]) -> int:
    return sum(prompt_tokens(predictor) for predictor in predictors)
