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
    for order, key in enumerate(_shortlist(index, request)):
        entry = index.entry(key)
        assert entry is not None
        recorded = _recorded(index, entry, request)
        fields = differences(recorded, asked)
        ranked.append((-_likeness(words, _words(recorded)), len(fields), order, entry, fields))
    *_, entry, fields = min(ranked, key=lambda row: row[:3])
    return entry, fields


def _recorded(index: Index, entry: Entry, request: StoredRequest) -> dict[str, Any]:
    """Return what was asked for ``entry``. Where only a size is stored: the size, but what ``request``
    refers to as well is known from there."""
    known = dict(zip(fmt.references(request.fields), request.parts, strict=True))
    values = []
    for ref in fmt.references(entry.request):
        part = index.part(ref)
        if part is None:
            raise index.error("the line of one of its messages is missing", index.answers[entry.key])
        values.append(known.get(ref, part.size) if part.value is None else part.value)
    return fmt.whole_request(entry.request, values)


def _shortlist(index: Index, request: StoredRequest) -> list[str]:
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
        found += [key for key, _ in tier] if len(tier) <= room else _wordiest(index, tier, request)[:room]
        if len(found) >= _SHORTLIST:
            break
    return found


def _wordiest(index: Index, tier: list[tuple[str, bytes]], request: StoredRequest) -> list[str]:
    """Return the keys whose messages hold most of the uncommon words of the request's last message that
    is not recorded (most often the input), then those of like length."""
    text = _last_new_text(index, request)
    probes = _probes(text, list(index.parts.values()))
    scores: dict[bytes, tuple[int, int]] = {}
    ranks = []
    for key, listed in tier:
        found = length = 0
        for ref in listed[1:-1].split(b'","'):
            score = scores.get(ref)
            if score is None:
                line = index.parts.get(ref.decode("latin-1"), b"")
                score = scores[ref] = sum([probe in line for probe in probes]), len(line)
            found += score[0]
            length = score[1]
        ranks.append((-found, abs(length - len(text)), key))
    return [key for *_, key in heapq.nsmallest(_SHORTLIST, ranks)]


def _last_new_text(index: Index, request: StoredRequest) -> str:
    messages = list(zip(request.fields["messages"], request.parts, strict=False))
    new = [message for ref, message in messages if ref not in index.parts]
    return _text_of((new or [message for _, message in messages] or [""])[-1])


def _probes(text: str, lines: list[bytes]) -> list[bytes]:
    """Return words of ``text`` that few lines hold, from all over it (an edit may have brought some of
    them in), and as many as can be looked for in time."""
    step = max(1, len(lines) // 40)
    sample = lines[::step]
    words = [word.encode("utf-8") for word in dict.fromkeys(_words_of(text))]
    counts = [sum([word in line for line in sample]) for word in words]
    limit = sorted(counts)[len(counts) // 2] if counts else 0
    rare = [word for word, count in zip(words, counts, strict=True) if count <= limit]
    most = max(2, min(_MOST_PROBES, _SCANNED_BYTES // (sum(map(len, sample)) * step + 1)))
    return rare[:: -(-len(rare) // most) or 1]


def _words(request: Mapping[str, Any]) -> set[str]:
    return {word for message in request["messages"] for word in _words_of(_text_of(message))}


def _words_of(text: str) -> Iterator[str]:
    return (match[1] or match[0] for match in _WORD.finditer(text))


def _text_of(message: Any) -> str:
    content = message.get("content") if isinstance(message, dict) else message
    return content if isinstance(content, str) else canonical_json(content).decode("utf-8")


def _likeness(ours: set[str], theirs: set[str]) -> float:
    return len(ours & theirs) / (len(ours | theirs) or 1)
