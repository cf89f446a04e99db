"""Demos of two prompts paired up: kept, added, removed, changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import SequenceMatcher
from typing import Any

from pytest_lmprog.canonical import canonical_json
from pytest_lmprog.snapshots.changes import DemoChange
from pytest_lmprog.snapshots.worddiff import Piece, diff_words

__all__ = ["diff_demos", "value_text"]

Demo = Mapping[str, Any]
_Placed = tuple[int, Demo]

_ALIKE = 0.8
"""Share of equal characters from which a demo counts as an edited one, not as another."""
_MOST_COMPARED = 40
_MOST_CHARACTERS = 2_000


def diff_demos(old: Sequence[Demo], new: Sequence[Demo], *, inputs: Sequence[str]) -> list[DemoChange]:
    """Return the demos that differ, in the order of the new prompt, the removed ones last.

    Demos with equal ``inputs`` are one demo, and so are two that are nearly the same text (a hand edit)."""
    changes, added, removed = _by_inputs(old, new, inputs)
    if len(added) <= _MOST_COMPARED and len(removed) <= _MOST_COMPARED:
        changes += _edited(added, removed)
    changes += [DemoChange("added", demo, position=at) for at, demo in added]
    changes.sort(key=lambda change: change.position)
    return changes + [DemoChange("removed", demo, position=at) for at, demo in removed]


def value_text(value: Any) -> str:
    """Return a demo's value as it is shown: text as it is, anything else as JSON, nothing for None."""
    if value is None:
        return ""
    return value if isinstance(value, str) else canonical_json(value).decode()


def _by_inputs(
    old: Sequence[Demo], new: Sequence[Demo], inputs: Sequence[str]
) -> tuple[list[DemoChange], list[_Placed], list[_Placed]]:
    waiting: dict[bytes, list[_Placed]] = {}
    for at, demo in enumerate(old, 1):
        waiting.setdefault(_inputs_key(demo, inputs), []).append((at, demo))
    changes: list[DemoChange] = []
    added: list[_Placed] = []
    for at, demo in enumerate(new, 1):
        matches = waiting.get(_inputs_key(demo, inputs))
        if not matches:
            added.append((at, demo))
        elif (before := _taken(matches, demo)) != demo:
            changes.append(_change(before, demo, at))
    return changes, added, sorted((p for rest in waiting.values() for p in rest), key=lambda p: p[0])


def _inputs_key(demo: Demo, inputs: Sequence[str]) -> bytes:
    return canonical_json({name: demo[name] for name in inputs if name in demo})


def _taken(matches: list[_Placed], demo: Demo) -> Demo:
    """Take the match that is equal, or the first."""
    index = next((i for i, (_, other) in enumerate(matches) if other == demo), 0)
    return matches.pop(index)[1]


def _change(old: Demo, new: Demo, position: int) -> DemoChange:
    return DemoChange("changed", new, _words(old, new), position)


def _edited(added: list[_Placed], removed: list[_Placed]) -> list[DemoChange]:
    """Take pairs that are nearly the same text out of ``added`` and ``removed``."""
    changes: list[DemoChange] = []
    for placed in list(added):
        near = next((other for other in removed if _alike(other[1], placed[1])), None)
        if near is not None:
            added.remove(placed)
            removed.remove(near)
            changes.append(_change(near[1], placed[1], placed[0]))
    return changes


def _alike(old: Demo, new: Demo) -> bool:
    if old.keys() != new.keys():
        return False
    one, other = ("\n".join(value_text(v) for v in demo.values())[:_MOST_CHARACTERS] for demo in (old, new))
    matcher = SequenceMatcher(None, one, other)
    if matcher.real_quick_ratio() < _ALIKE or matcher.quick_ratio() < _ALIKE:
        return False
    return matcher.ratio() >= _ALIKE


def _words(old: Demo, new: Demo) -> tuple[tuple[str, tuple[Piece, ...]], ...]:
    return tuple(
        (name, _value_words(old.get(name), new.get(name)))
        for name in dict.fromkeys([*old, *new])
        if (name in old, old.get(name)) != (name in new, new.get(name))
    )


def _value_words(old: Any, new: Any) -> tuple[Piece, ...]:
    """Where two values look the same (the number 1 and the text), they are told apart as JSON."""
    found = diff_words(value_text(old), value_text(new))
    return found or diff_words(canonical_json(old).decode(), canonical_json(new).decode())
