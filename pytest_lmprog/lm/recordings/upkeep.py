"""Looking after a recording file: check every line of it, drop answers that are no longer used."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path

from pytest_lmprog.canonical import digest
from pytest_lmprog.errors import RecordingError
from pytest_lmprog.lm.recordings import lines as fmt
from pytest_lmprog.lm.recordings.index import Index, read_index
from pytest_lmprog.lm.recordings.lines import Entry
from pytest_lmprog.lm.recordings.write import replace_file, updating
from pytest_lmprog.records import dataclass

__all__ = ["Checked", "Pruned", "prune_recording", "verify_recording"]


@dataclass(frozen=True, slots=True)
class Checked:
    """What a check found: the number of sound answers, of those whose key cannot be recomputed (their
    messages are not stored, or were redacted), and the problems, one message each."""

    sound: int
    unverifiable: int
    problems: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Pruned:
    """How many answers were removed and kept."""

    removed: int
    kept: int


def verify_recording(path: Path) -> Checked:
    """Read every line: answers and messages are whole, and each key is the digest of its request."""
    try:
        index = read_index(path)
    except RecordingError as error:
        return Checked(0, 0, (str(error),))
    results = [_check(index, key) for key in sorted(index.answers)]
    problems = [*index.doubtful, *_damaged_parts(index), *(r for r in results if isinstance(r, str))]
    return Checked(results.count(True), results.count(None), tuple(problems))


def prune_recording(path: Path, keep: Collection[str]) -> Pruned:
    """Remove the answers whose key is not in ``keep``, but not those of models that no kept answer is of.

    Raises RecordingError, and changes nothing, where a line is damaged or the file cannot be written.
    """
    keep = frozenset(keep)
    if not path.exists():
        return Pruned(0, 0)
    with updating(path):
        index = read_index(path)
        entries = [_entry(index, key) for key in index.answers]
        models = {entry.request["model"] for entry in entries if entry.key in keep}
        kept = [entry for entry in entries if entry.key in keep or entry.request["model"] not in models]
        if len(kept) < len(entries):
            replace_file(path, _only(index, kept).text())
    return Pruned(len(entries) - len(kept), len(kept))


def _only(index: Index, entries: list[Entry]) -> Index:
    refs = {ref for entry in entries for ref in fmt.references(entry.request)}
    return Index(
        index.path,
        exists=True,
        answers={entry.key: index.answers[entry.key] for entry in entries},
        parts={ref: line for ref, line in index.parts.items() if ref in refs},
        models=index.models,
    )


def _check(index: Index, key: str) -> bool | str | None:
    """Return True for a sound answer, None where its key cannot be recomputed, else what is wrong."""
    try:
        entry = _entry(index, key)
        parts = [index.part(ref) for ref in fmt.references(entry.request)]
    except RecordingError as error:
        return str(error)
    line = index.answers[key]
    if None in parts:
        return str(index.error("the line of one of its messages is missing", line))
    values = [part.value for part in parts if part is not None]
    if entry.redacted or None in values:
        return None
    if digest(fmt.whole_request(entry.request, values)) != key:
        return str(index.error("the key on this line is not that of its request", line))
    return True


def _damaged_parts(index: Index) -> Iterator[str]:
    for ref in sorted(index.parts):
        try:
            index.part(ref)
        except RecordingError as error:
            yield str(error)


def _entry(index: Index, key: str) -> Entry:
    entry = index.entry(key)
    assert entry is not None
    return entry
