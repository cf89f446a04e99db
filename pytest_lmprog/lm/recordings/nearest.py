"""The recorded request that is nearest to one without an answer, and how the two differ.

Ten thousand requests are compared in a fraction of a second by going from coarse to fine: shared
messages (by reference, unparsed), shared uncommon words of what is not shared (unparsed), then words and
fields of the few that are left.
"""

from __future__ import annotations

import heapq
import re
from collections.abc import Iterator, Mapping
from typing import Any

from pytest_lmprog.canonical import canonical_json
from pytest_lmprog.lm.recordings import lines as fmt
from pytest_lmprog.lm.recordings.differences import Difference, differences
from pytest_lmprog.lm.recordings.index import Index, shown_path
from pytest_lmprog.lm.recordings.lines import Entry, StoredRequest

__all__ = ["explain_miss"]

_MESSAGES = b'"request":{"messages":['
_WORD = re.compile(r"[A-Za-z0-9]{3,}|(?=([^\x00-\x7f]{2}))")
_SHORTLIST = 24
_MOST_PROBES = 6
_SCANNED_BYTES = 40_000_000
"""Bytes of recorded text that the search for uncommon words may go through: some 20 ms."""

_SHOWN_FIELDS = 4

_RECORD = "run with --lm-record=new to ask the LM and record the answer"


def explain_miss(index: Index, request: StoredRequest, label: str | None) -> str:
    """Return the text of a miss. Raises RecordingError where a damaged line is the reason for it."""
    missing = f"no recorded answer for {label or 'this request'}"
    if not index.answers:
        why = "holds no answers" if index.exists else "does not exist"
        return f"{missing}: {shown_path(index.path)} {why}\n  hint: {_RECORD}"
    entry, fields = _nearest(index, request)
    if not fields and not entry.redacted:
        raise index.error("the key on this line is not that of its request", index.answers[entry.key])
    return "\n".join((f"{missing} in {shown_path(index.path)}", *_tell(fields), f"  hint: {_RECORD}"))


def _tell(fields: list[Difference]) -> Iterator[str]:
    nearest = "  the nearest recorded request differs"
    if not fields:
        yield f"{nearest} only in text that is redacted"
    elif len(fields) == 1:
        yield f"{nearest} in {fields[0].field}:"
        yield from _both(fields[0], "    ")
    else:
        yield f"{nearest} in {_listed([field.field for field in fields])}:"
        for field in fields[:_SHOWN_FIELDS]:
            yield f"    {field.field}"
            yield from _both(field, "      ")


def _both(field: Difference, indent: str) -> Iterator[str]:
    yield f"{indent}recorded: {field.recorded}"
    yield f"{indent}now:      {field.asked}"


def _listed(names: list[str]) -> str:
    shown = ", ".join(names[:_SHOWN_FIELDS])
    return shown if len(names) <= _SHOWN_FIELDS else f"{shown} and {len(names) - _SHOWN_FIELDS} more"


def _nearest(index: Index, request: StoredRequest) -> tuple[Entry, list[Difference]]:
    """Return the entry that is most like the request: by words, then by the number of differing fields."""
    asked = fmt.whole_request(request.fields, request.parts)
    words = _words(asked)
    ranked = []
    for order, key in enumerate(_shortlist(index, request, words)):
        entry = index.entry(key)
        assert entry is not None
        recorded = fmt.whole_request(
            entry.request, [_value(index, ref) for ref in fmt.references(entry.request)]
        )
        fields = differences(recorded, asked)
        ranked.append((-_likeness(words, _words(recorded)), len(fields), order, entry, fields))
    *_, entry, fields = min(ranked, key=lambda row: row[:3])
    return entry, fields


def _shortlist(index: Index, request: StoredRequest, words: set[str]) -> list[str]:
    """Return the keys worth a look: of the requests that share most messages, and of as many as are equal
    in that, of those whose other messages hold most of the request's uncommon words."""
    refs = {ref.encode("ascii") for ref in request.fields["messages"]}
    tiers: dict[int, list[tuple[str, bytes]]] = {}
    for key, line in index.answers.items():
        start = line.find(_MESSAGES) + len(_MESSAGES)
        listed = line[start : line.find(b"]", start)]
        tiers.setdefault(sum([ref in listed for ref in refs]), []).append((key, listed))
    found: list[str] = []
    for _, tier in sorted(tiers.items(), reverse=True):
        room = _SHORTLIST - len(found)
        found += [key for key, _ in tier] if len(tier) <= room else _wordiest(index, tier, refs, words)[:room]
        if len(found) >= _SHORTLIST:
            break
    return found


def _wordiest(index: Index, tier: list[tuple[str, bytes]], shared: set[bytes], words: set[str]) -> list[str]:
    """Return the keys whose messages, but for the shared ones, hold most of the uncommon ``words``; then
    those of like length."""
    probes, size = _probes(words, list(index.parts.values())), sum(map(len, words))
    scores = dict.fromkeys(shared, (0, 0))
    ranks = []
    for key, listed in tier:
        found = length = 0
        for ref in listed[1:-1].split(b'","'):
            score = scores.get(ref)
            if score is None:
                line = index.parts.get(ref.decode("latin-1"), b"")
                score = scores[ref] = sum([probe in line for probe in probes]), len(line)
            found += score[0]
            length += score[1]
        ranks.append((-found, abs(length - size), key))
    return [key for *_, key in heapq.nsmallest(_SHORTLIST, ranks)]


def _probes(words: set[str], lines: list[bytes]) -> list[bytes]:
    """Return words of the request that few lines hold: as many as can be looked for in time."""
    sample = lines[:: max(1, len(lines) // 40)]
    size = sum(map(len, sample)) * max(1, len(lines) // 40) + 1
    counts = {word: sum([word in line for line in sample]) for word in (w.encode("utf-8") for w in words)}
    rare = sorted(counts, key=lambda word: (counts[word], -len(word), word))
    return rare[: max(2, min(_MOST_PROBES, _SCANNED_BYTES // size))]


def _value(index: Index, ref: str) -> Any:
    part = index.part(ref)
    if part is None:
        raise index.error(f"the line of the message {ref} is missing")
    return part.size if part.value is None else part.value


def _words(request: Mapping[str, Any]) -> set[str]:
    text = "\n".join(_text_of(message) for message in request["messages"])
    return {match[1] or match[0] for match in _WORD.finditer(text)}


def _text_of(message: Any) -> str:
    content = message.get("content") if isinstance(message, dict) else message
    return content if isinstance(content, str) else canonical_json(content).decode("utf-8")


def _likeness(ours: set[str], theirs: set[str]) -> float:
    return len(ours & theirs) / (len(ours | theirs) or 1)
