"""The recorded call that is nearest to one without a result, and the arguments in which the two differ."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from difflib import SequenceMatcher
from typing import Any

from pytest_lmprog.canonical import canonical_text
from pytest_lmprog.lm.calls import CallRequest
from pytest_lmprog.lm.recordings.call_lines import CallEntry, stored_call
from pytest_lmprog.lm.recordings.differences import Difference, mapping_differences
from pytest_lmprog.lm.recordings.index import Index, shown_path
from pytest_lmprog.lm.recordings.nearest import tell

__all__ = ["explain_call_miss"]

_SHOWN = 200
_COMPARED = 400
"""Characters of arguments that are compared in search of the nearest call."""

_RECORD = "run with --lm-record=new to call the function and record its result"


def explain_call_miss(
    index: Index, request: CallRequest, label: str | None, rewrite: Callable[[str], str] | None
) -> str:
    """Return the text of a miss. Raises RecordingError where a damaged line is the reason for it."""
    asked, _ = stored_call(request, rewrite)
    case = f" for {label}" if label else ""
    missing = f"no recorded result{case} of {_shown(asked)}"
    if not index.calls:
        why = "holds no results of functions" if index.exists else "does not exist"
        return f"{missing}: {shown_path(index.path)} {why}\n  hint: {_RECORD}"
    lines = "\n".join((f"{missing} in {shown_path(index.path)}", *_nearest(index, asked)))
    return f"{lines}\n  hint: {_RECORD}"


def _shown(call: Mapping[str, Any]) -> str:
    arguments = ", ".join(f"{name}={canonical_text(value)}" for name, value in call["arguments"].items())
    cut = arguments if len(arguments) <= _SHOWN else f"{arguments[:_SHOWN]}..."
    return f"{call['function']}({cut})"


def _nearest(index: Index, asked: Mapping[str, Any]) -> Iterator[str]:
    entries = [entry for key in sorted(index.calls) if (entry := index.call(key)) is not None]
    same = [entry for entry in entries if entry.name == asked["function"]]
    if not same:
        names = sorted({entry.name for entry in entries})
        yield f"  no call of it is recorded; there are calls of: {', '.join(names)}"
        return
    entry, fields = min(((e, _differences(e, asked)) for e in same), key=lambda pair: _rank(pair[0], asked))
    del entry
    yield from tell(fields, "call")


def _rank(entry: CallEntry, asked: Mapping[str, Any]) -> tuple[float, str]:
    if entry.arguments is None:
        return 1.0, entry.key
    ours, theirs = canonical_text(asked["arguments"])[:_COMPARED], canonical_text(entry.arguments)[:_COMPARED]
    return 1 - SequenceMatcher(None, ours, theirs, autojunk=False).quick_ratio(), entry.key


def _differences(entry: CallEntry, asked: Mapping[str, Any]) -> list[Difference]:
    found: list[Difference] = []
    if entry.arguments is None:
        size = f"{entry.function.get('size')} bytes (its text is not stored)"
        found.append(Difference("arguments", size, f"{len(canonical_text(asked['arguments']))} bytes"))
    else:
        found += mapping_differences("arguments", entry.arguments, asked["arguments"])
    old, new = entry.function.get("version", ""), asked.get("version", "")
    if old != new:
        found.append(Difference("version", old or "(none)", new or "(none)"))
    return found
