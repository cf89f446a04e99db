"""A recording file as lines by key: found by slicing, parsed only when asked for."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from pytest_lmprog.errors import RecordingError
from pytest_lmprog.lm.recordings import lines as fmt
from pytest_lmprog.lm.recordings.lines import BadLineError, Entry, Part
from pytest_lmprog.lm.types import Capabilities

__all__ = ["Index", "merge_lines", "read_index", "shown_path"]

_CONFLICT_MARKS = (b"<<<<<<<", b"=======", b">>>>>>>", b"|||||||")
_BOM = b"\xef\xbb\xbf"


@dataclass(slots=True)
class Index:
    """The lines of a recording. ``doubtful`` says in words where two answers were found for one key."""

    path: Path
    exists: bool = False
    answers: dict[str, bytes] = field(default_factory=dict)
    parts: dict[str, bytes] = field(default_factory=dict)
    models: dict[str, Capabilities] = field(default_factory=dict)
    doubtful: list[str] = field(default_factory=list)
    data: bytes = field(default=b"", repr=False)

    def entry(self, key: str) -> Entry | None:
        """Return the answer under ``key``, or None. Raises RecordingError for a damaged line."""
        line = self.answers.get(key)
        if line is None:
            return None
        try:
            return fmt.decode_answer(line)
        except BadLineError as error:
            raise self.error(str(error), line) from None

    def part(self, ref: str) -> Part | None:
        """Return what ``ref`` refers to, or None. Raises RecordingError for a damaged line."""
        line = self.parts.get(ref)
        if line is None:
            return None
        try:
            return fmt.decode_part(line)
        except BadLineError as error:
            raise self.error(str(error), line) from None

    def error(self, message: str, line: bytes | None = None) -> RecordingError:
        """Return an error that points at ``line``."""
        at = -1 if line is None else self.data.find(line)
        return _error(self.path, message, self.data.count(b"\n", 0, at) + 1 if at >= 0 else None)

    def text(self) -> bytes:
        """Return the file's bytes: a header, then all lines in the order of their bytes."""
        models = [fmt.encode_model(name, capabilities) for name, capabilities in self.models.items()]
        rows = sorted([*self.answers.values(), *self.parts.values(), *models])
        return b"\n".join([fmt.HEADER, *rows, b""]) if rows else b""


def read_index(path: Path) -> Index:
    """Read the recording at ``path``; one that does not exist is empty.

    Order, doubled lines, CRLF, a byte order mark and blank lines don't matter (git's union merge gives
    the first two). Raises RecordingError, with the line, for anything else that is not the format's.
    """
    try:
        data = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return Index(path)
    except OSError as error:
        raise RecordingError(f"cannot be read ({error.strerror or error})", path=shown_path(path)) from None
    if data.startswith(_BOM):
        data = data[len(_BOM) :]
    if b"\r" in data:
        data = data.replace(b"\r\n", b"\n")
    index = Index(path, exists=True, data=data)
    headed = _fill(index)
    if not headed and (index.answers or index.parts or index.models):
        raise _error(path, "the line that states the format is missing", 1)
    return index


def _fill(index: Index) -> bool:
    answers, add_answer, headed = index.answers, _add_answer, False
    is_answer, key_of = fmt.is_answer, fmt.answer_key
    for number, line in enumerate(index.data.split(b"\n"), 1):
        if not line.endswith(b"}"):
            line = _repair(index, number, line)
        if is_answer(line):
            key = key_of(line)
            if key in answers:
                add_answer(index, key, line)
            else:
                answers[key] = line
        elif line:
            headed = _add_other(index, number, line) or headed
    return headed


def _repair(index: Index, number: int, line: bytes) -> bytes:
    """Return a line without white space at its end, or raise: nothing else than ``}`` ends a line."""
    line = line.strip()
    if not line or line.endswith(b"}"):
        return line
    if line.startswith(_CONFLICT_MARKS):
        message = "git left a conflict here"
        hint = (
            "take both sides (remove the lines with <<<<<<<, ======= and >>>>>>>); the order of lines is free"
        )
        raise _error(index.path, message, number, hint)
    last = number == index.data.count(b"\n") + 1
    raise _error(index.path, "the last line is cut off" if last else "this is not JSON", number)


def _add_other(index: Index, number: int, line: bytes) -> bool:
    """Add a line that is not an answer as we write it; returns whether it is the header."""
    if line == fmt.HEADER:
        return True
    try:
        if not fmt.is_part(line) and not line.startswith(fmt.MODEL):
            line = fmt.normalise(line)
        if line == fmt.HEADER:
            return True
        merge_line(index, line)
    except BadLineError as error:
        raise _error(index.path, str(error), number) from None
    return False


def merge_line(index: Index, line: bytes) -> None:
    """Add a line to what is there. Of two answers to one request the one with the lower digest stays.

    Raises BadLineError.
    """
    if fmt.is_answer(line):
        _add_answer(index, fmt.answer_key(line), line)
    elif fmt.is_part(line):
        ref = fmt.part_ref(line)
        other = index.parts.get(ref)
        if other is None or len(other) < len(line) or (len(other) == len(line) and line < other):
            index.parts[ref] = line
    else:
        _add_model(index, *fmt.decode_model(line))


def merge_lines(index: Index, lines: list[bytes]) -> None:
    """Add several lines. Raises RecordingError for a damaged one."""
    for line in lines:
        try:
            merge_line(index, line)
        except BadLineError as error:
            raise index.error(str(error), line) from None


def _add_answer(index: Index, key: str, line: bytes) -> None:
    other = index.answers.get(key)
    if other is None or other == line:
        index.answers[key] = line
        return
    try:
        ours, theirs = fmt.decode_answer(line), fmt.decode_answer(other)
    except BadLineError as error:
        damaged = line if _is_damaged(line) else other
        raise index.error(str(error), damaged) from None
    index.answers[key] = line if ours.check < theirs.check else other
    if _meaning(ours) != _meaning(theirs):
        index.doubtful.append(f"two different answers are recorded for request {key[:12]}...")


def _is_damaged(line: bytes) -> bool:
    try:
        fmt.decode_answer(line)
    except BadLineError:
        return True
    return False


def _meaning(entry: Entry) -> object:
    answer = entry.response
    return answer.text, answer.reasoning, answer.finish_reason, [dict(call) for call in answer.tool_calls]


def _add_model(index: Index, model: str, capabilities: Capabilities) -> None:
    other = index.models.setdefault(model, capabilities)
    if other != capabilities:
        lines = [(fmt.encode_model(model, c), c) for c in (other, capabilities)]
        index.models[model] = min(lines, key=lambda pair: pair[0])[1]
        index.doubtful.append(f"two different descriptions of the model {model} are recorded")


def _error(path: Path, message: str, line: int | None, hint: str | None = None) -> RecordingError:
    default = "restore the file from version control, or delete it and record again with --lm-record=new"
    return RecordingError(message, path=shown_path(path), line=line, hint=hint or default)


def shown_path(path: Path) -> str:
    """Return ``path`` as messages show it: relative to the working directory where it lies in there."""
    try:
        return path.absolute().relative_to(Path.cwd()).as_posix()
    except ValueError:
        return path.as_posix()
