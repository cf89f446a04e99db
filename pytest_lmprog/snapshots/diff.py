"""The difference of two snapshots by meaning: words, demos, settings and scores instead of lines."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any, Literal

from pytest_lmprog.canonical import canonical_json
from pytest_lmprog.snapshots.artifact import (
    CaseBaseline,
    FieldSnapshot,
    Header,
    MetricBaseline,
    PredictorSnapshot,
    Snapshot,
)

__all__ = [
    "DemoChange",
    "Flip",
    "MetricDiff",
    "Piece",
    "PredictorDiff",
    "SnapshotDiff",
    "ValueChange",
    "diff",
    "diff_words",
    "prompt_tokens",
]

_CHARACTERS_PER_TOKEN = 4
_TOKENS = re.compile(r"\s+|\w+|[^\w\s]")
_TOLERANCE = 1e-9


@dataclass(frozen=True, slots=True)
class Piece:
    """A run of words that both texts have, or only one of them."""

    kind: Literal["same", "removed", "added"]
    text: str


@dataclass(frozen=True, slots=True)
class ValueChange:
    """A named value that differs; None stands for its absence."""

    name: str
    old: Any
    new: Any


@dataclass(frozen=True, slots=True)
class DemoChange:
    """A demo that was added, removed, or whose outputs differ (``changes``, word by word)."""

    kind: Literal["added", "removed", "changed"]
    demo: Mapping[str, Any]
    changes: tuple[tuple[str, tuple[Piece, ...]], ...] = ()


@dataclass(frozen=True)
class PredictorDiff:
    """How one predictor's prompt differs. ``instructions`` is empty where they are the same."""

    name: str
    kind: Literal["added", "removed", "changed"]
    instructions: tuple[Piece, ...] = ()
    fields: tuple[ValueChange, ...] = ()
    demos: tuple[DemoChange, ...] = ()
    demos_reordered: bool = False
    rendering: bool = False
    tokens: tuple[int, int] = (0, 0)


@dataclass(frozen=True, slots=True)
class Flip:
    """A case whose standing under a metric differs; ``old`` or ``new`` is None where it was not there."""

    case: str
    old: CaseBaseline | None
    new: CaseBaseline | None

    @property
    def kind(self) -> Literal["fixed", "regressed", "changed", "added", "removed"]:
        """What it means: ``changed`` is neither better nor worse (one error for another)."""
        if self.old is None or self.new is None:
            return "added" if self.old is None else "removed"
        before, after = self.old.value, self.new.value
        if before is None or after is None or abs(after - before) <= _TOLERANCE:
            return "changed"
        return "fixed" if after > before else "regressed"


@dataclass(frozen=True)
class MetricDiff:
    """How one metric's baseline differs: its means (None where there is none), counts and cases."""

    name: str
    old: MetricBaseline | None
    new: MetricBaseline | None
    flips: tuple[Flip, ...] = ()


@dataclass(frozen=True)
class SnapshotDiff:
    """All that differs. False where nothing does. ``tokens``: of all prompts together, about, old and new."""

    header: tuple[ValueChange, ...] = ()
    predictors: tuple[PredictorDiff, ...] = ()
    metrics: tuple[MetricDiff, ...] = ()
    tokens: tuple[int, int] = (0, 0)
    fingerprint: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.header or self.predictors or self.metrics or self.fingerprint)


def diff(old: Snapshot, new: Snapshot) -> SnapshotDiff:
    """Return what differs between two snapshots. ``base`` and formatting don't count."""
    return SnapshotDiff(
        header=tuple(_headers(old.header, new.header)),
        predictors=tuple(_predictors(old.predictors, new.predictors)),
        metrics=tuple(_metrics(old.baseline, new.baseline)),
        tokens=(_all_tokens(old), _all_tokens(new)),
        fingerprint=tuple(_sources(old, new)),
    )


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


def _headers(old: Header, new: Header) -> list[ValueChange]:
    before, after = _header_values(old), _header_values(new)
    return [
        ValueChange(name, before.get(name), after.get(name))
        for name in dict.fromkeys([*before, *after])
        if before.get(name) != after.get(name)
    ]


def _header_values(header: Header) -> dict[str, Any]:
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
        if before is None or after is None:
            found.append(_one_sided(name, before, after))
        elif before != after:
            found.append(_predictor(name, before, after))
    return found


def _one_sided(name: str, old: PredictorSnapshot | None, new: PredictorSnapshot | None) -> PredictorDiff:
    tokens = (prompt_tokens(old) if old else 0, prompt_tokens(new) if new else 0)
    return PredictorDiff(name, "added" if old is None else "removed", tokens=tokens)


def _predictor(name: str, old: PredictorSnapshot, new: PredictorSnapshot) -> PredictorDiff:
    demos = _demos(old, new)
    same_prompt = _authoritative(old) == _authoritative(new)
    return PredictorDiff(
        name=name,
        kind="changed",
        instructions=diff_words(old.instructions, new.instructions),
        fields=tuple(_fields(old.fields, new.fields)),
        demos=tuple(demos),
        demos_reordered=not demos and old.demos != new.demos,
        rendering=same_prompt and old.messages != new.messages,
        tokens=(prompt_tokens(old), prompt_tokens(new)),
    )


def _authoritative(predictor: PredictorSnapshot) -> tuple[Any, ...]:
    """Return what is authoritative in a predictor: all but the rendered messages."""
    return predictor.instructions, predictor.fields, predictor.demos, predictor.adapter


def diff_words(old: str, new: str) -> tuple[Piece, ...]:
    """Return the pieces that turn ``old`` into ``new``, word by word; empty where they are equal."""
    if old == new:
        return ()
    before, after = _TOKENS.findall(old), _TOKENS.findall(new)
    pieces: list[Piece] = []
    for tag, a, b, c, d in SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        if tag == "equal":
            pieces.append(Piece("same", "".join(before[a:b])))
            continue
        if b > a:
            pieces.append(Piece("removed", "".join(before[a:b])))
        if d > c:
            pieces.append(Piece("added", "".join(after[c:d])))
    return tuple(pieces)


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


def _demos(old: PredictorSnapshot, new: PredictorSnapshot) -> list[DemoChange]:
    names = new.input_names or old.input_names
    waiting: dict[bytes, list[Mapping[str, Any]]] = {}
    for demo in old.demos:
        waiting.setdefault(_inputs_key(demo, names), []).append(demo)
    changes: list[DemoChange] = []
    for demo in new.demos:
        matches = waiting.get(_inputs_key(demo, names))
        if not matches:
            changes.append(DemoChange("added", demo))
        elif (before := matches.pop(0)) != demo:
            changes.append(DemoChange("changed", demo, _demo_words(before, demo)))
    changes += [DemoChange("removed", demo) for demos in waiting.values() for demo in demos]
    return changes


def _inputs_key(demo: Mapping[str, Any], names: tuple[str, ...]) -> bytes:
    return canonical_json({name: demo[name] for name in names if name in demo})


def _demo_words(old: Mapping[str, Any], new: Mapping[str, Any]) -> tuple[tuple[str, tuple[Piece, ...]], ...]:
    return tuple(
        (name, diff_words(_shown(old.get(name)), _shown(new.get(name))))
        for name in dict.fromkeys([*old, *new])
        if old.get(name) != new.get(name)
    )


def _shown(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else canonical_json(value).decode()


def _metrics(old: Mapping[str, MetricBaseline], new: Mapping[str, MetricBaseline]) -> list[MetricDiff]:
    return [
        MetricDiff(name, old.get(name), new.get(name), _flips(old.get(name), new.get(name)))
        for name in dict.fromkeys([*old, *new])
        if old.get(name) != new.get(name)
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
    characters = sum(len(_shown(message.get("content"))) for message in predictor.messages)
    return -(-characters // _CHARACTERS_PER_TOKEN)


def _all_tokens(snapshot: Snapshot) -> int:
    return sum(prompt_tokens(predictor) for predictor in snapshot.predictors.values())
