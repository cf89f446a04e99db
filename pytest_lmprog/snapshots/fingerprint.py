"""What a snapshot depends on, as digests by part and item, and what differs between then and now."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from pytest_lmprog.canonical import canonical_json, digest
from pytest_lmprog.errors import CanonicalError
from pytest_lmprog.records import dataclass
from pytest_lmprog.snapshots.artifact import Fingerprint

if TYPE_CHECKING:
    from pytest_lmprog.programs import Example, Module

__all__ = [
    "PARTS",
    "UNCHECKED",
    "Change",
    "compare",
    "data_part",
    "describe",
    "model_part",
    "prompt_format_part",
    "short",
    "signatures_part",
    "teleprompter_part",
    "unchecked",
    "without_empty",
]

PARTS = (
    "program",
    "signatures",
    "trainset",
    "valset",
    "metrics",
    "metric_helpers",
    "teleprompter",
    "model",
    "prompt_format",
)
"""The parts of a fingerprint, in the order in which they are written."""

UNCHECKED = "unchecked"
"""Stands for the digest of what cannot be read (code without a source file, data without canonical form)."""

_ORDER = "*"
_DIGITS = 12
_MANY_EXAMPLES = 200
_SHOWN = 60

Kind = Literal["added", "removed", "changed"]


@dataclass(frozen=True, slots=True)
class Change:
    """One item that is not what it was. ``old`` and ``new`` are its digests or texts, None where absent."""

    part: str
    item: str
    old: str | None
    new: str | None

    @property
    def kind(self) -> Kind:
        """Whether the item was added, removed or changed."""
        return "added" if self.old is None else "removed" if self.new is None else "changed"

    @property
    def text(self) -> str:
        """The change in words: ``training example 'refund-1' edited``."""
        return _words(self)


def short(value: Any) -> str:
    """Return 12 hexadecimal digits of the digest of plain data; ``UNCHECKED`` where it has none."""
    try:
        return digest(value)[:_DIGITS]
    except CanonicalError:
        return UNCHECKED


def data_part(examples: Sequence[Example]) -> dict[str, str]:
    """Return the part of training or validation examples: each by its id, and their order.

    Of more than 200, only the total, so that the file stays small. Weights and the choice of inputs count."""
    rows = [(example.id, _example(example)) for example in examples]
    total = {_ORDER: short(rows)} if rows else {}
    return total if len(rows) > _MANY_EXAMPLES else {**total, **dict(rows)}


def _example(example: Example) -> str:
    inputs = example.input_names
    row = {"fields": example.toDict(), "inputs": None if inputs is None else sorted(inputs)}
    return short(row if example.weight == 1 else {**row, "weight": example.weight})


def teleprompter_part(name: str | None, settings: Mapping[str, Any]) -> dict[str, str]:
    """Return the part of a teleprompter: its class name and each setting."""
    if name is None:
        return {}
    return {"name": name, **{f"settings.{key}": _shown(value) for key, value in settings.items()}}


def _shown(value: Any) -> str:
    try:
        text = canonical_json(value).decode()
    except CanonicalError:
        return UNCHECKED
    return text if len(text) <= _SHOWN else short(value)


def model_part(name: str | None) -> dict[str, str]:
    """Return the part of the configured model."""
    return {} if name is None else {"name": name}


def prompt_format_part() -> dict[str, str]:
    """Return the part of the prompt format that this version renders."""
    from pytest_lmprog.adapters.base import PROMPT_FORMAT

    return {"number": str(PROMPT_FORMAT)}


def signatures_part(program: Module) -> dict[str, str]:
    """Return the part of the signatures: instructions and every field of each predictor, as written."""
    from pytest_lmprog.snapshots.capture import fields_of

    part: dict[str, str] = {}
    for name, predictor in program.named_predictors():
        part[f"{name}:instructions"] = short(predictor.signature.instructions)
        fields = fields_of(predictor)
        part[f"{name}:{_ORDER}"] = short([field.name for field in fields])
        part.update({f"{name}:{f.name}": short([f.role, f.type, f.desc, f.prefix]) for f in fields})
    return part


def without_empty(parts: Mapping[str, Mapping[str, str]]) -> Fingerprint:
    """Return the parts in their order, those without items left out."""
    order = {part: index for index, part in enumerate(PARTS)}
    return {p: dict(parts[p]) for p in sorted(parts, key=lambda p: order.get(p, len(order))) if parts[p]}


def compare(stored: Fingerprint, current: Fingerprint) -> list[Change]:
    """Return every item that differs, part by part; what cannot be checked now is not reported.

    The order of examples or fields is reported only where nothing else of them changed."""
    changes: list[Change] = []
    for part in [*PARTS, *sorted((stored.keys() | current.keys()) - set(PARTS))]:
        then, now = stored.get(part, {}), current.get(part, {})
        changes += [] if then == now else _part_changes(part, then, now)
    return changes


def _part_changes(part: str, stored: Mapping[str, str], current: Mapping[str, str]) -> list[Change]:
    found = [
        Change(part, item, stored.get(item), current.get(item))
        for item in dict.fromkeys([*stored, *current])
        if stored.get(item) != current.get(item) and UNCHECKED not in (stored.get(item), current.get(item))
    ]
    real = [change for change in found if not _is_order(change)]
    told = {_group(change) for change in real}
    return [change for change in found if not _is_order(change) or _group(change) not in told]


def _is_order(change: Change) -> bool:
    return change.item.rpartition(":")[2] == _ORDER


def _group(change: Change) -> str:
    return change.item.rpartition(":")[0] if change.part == "signatures" else change.part


def unchecked(current: Fingerprint) -> list[str]:
    """Return the names of what cannot be checked for changes."""
    return [item for items in current.values() for item, value in items.items() if value == UNCHECKED]


_EXAMPLE = {"trainset": "training", "valset": "validation"}


def _words(change: Change) -> str:
    words: dict[str, Callable[[Change], str]] = {
        "program": lambda c: f"program code: {c.item} {c.kind}",
        "signatures": _signature_words,
        "trainset": _example_words,
        "valset": _example_words,
        "metrics": lambda c: f"metric {c.item} {c.kind}",
        "metric_helpers": lambda c: f"code that a metric uses: {c.item} {c.kind}",
        "teleprompter": _teleprompter_words,
        "model": lambda c: f"model: {_arrow(c)}",
        "prompt_format": lambda c: f"prompt format: {_arrow(c)} (another version of pytest-lmprog)",
    }
    say = words.get(change.part)
    return say(change) if say else f"{change.part}: {change.item} {change.kind}"


def _arrow(change: Change) -> str:
    return f"{change.old or 'none'} -> {change.new or 'none'}"


def _signature_words(change: Change) -> str:
    predictor, _, item = change.item.rpartition(":")
    if item == _ORDER:
        return f"signature of {predictor}: the order of its fields {change.kind}"
    what = item if item == "instructions" else f"field {item!r}"
    return f"signature of {predictor}: {what} {change.kind}"


def _example_words(change: Change) -> str:
    kind = _EXAMPLE[change.part]
    if change.item == _ORDER:
        if change.kind == "changed":
            return f"the {kind} examples, or their order, changed"
        return f"{kind} data {change.kind}"
    return f"{kind} example {change.item!r} {'edited' if change.kind == 'changed' else change.kind}"


def _teleprompter_words(change: Change) -> str:
    if change.item == "name":
        return f"teleprompter: {_arrow(change)}"
    if change.item.startswith("code."):
        return f"code of the teleprompter's {change.item.removeprefix('code.')} {change.kind}"
    return f"teleprompter setting {change.item.removeprefix('settings.')}: {_arrow(change)}"


_NOUNS = {
    "program": "parts of the program's code",
    "signatures": "parts of the signatures",
    "trainset": "training examples",
    "valset": "validation examples",
    "metrics": "metrics",
    "metric_helpers": "parts of the metrics' code",
    "teleprompter": "teleprompter settings",
}


def describe(changes: Iterable[Change], *, most: int = 3) -> list[str]:
    """Return the changes in words, one line each; of a part with more than ``most``, the rest counted."""
    by_part: dict[str, list[Change]] = {}
    for change in changes:
        by_part.setdefault(change.part, []).append(change)
    lines: list[str] = []
    for part, of_part in by_part.items():
        lines += [change.text for change in of_part[:most]]
        rest = len(of_part) - most
        if rest > 0:
            lines.append(f"and {rest} more {_NOUNS.get(part, part)}")
    return lines
