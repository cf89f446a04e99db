"""A corpus: the passages of a list or of a text, JSONL or CSV file, read when they are first needed."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from threading import RLock
from typing import Any

from pytest_lmprog.canonical import digest
from pytest_lmprog.errors import DataError
from pytest_lmprog.retrieval.passages import Passage

__all__ = ["Corpus", "Source"]

Source = str | os.PathLike[str] | Iterable[Any]
"""A path, or the passages themselves: texts, Passages, or mappings with a text and perhaps an id."""

_ROOTS = ("pyproject.toml", "setup.py", "setup.cfg", ".git")
_MARK = "\N{ZERO WIDTH NO-BREAK SPACE}"


class Corpus:
    """The passages of ``source``. Nothing is read before they are asked for.

    A text file has one passage a line (blank lines don't count), a JSONL file one text or object a line, a
    CSV file a header; ``text`` and ``id`` name the fields with a passage's text and id (an id is the
    passage's position, from 0, where there is none). Raises DataError with file and line.
    """

    def __init__(self, source: Source, *, text: str = "text", id: str = "id") -> None:
        if isinstance(source, str | os.PathLike):
            self.path: Path | None = Path(source)
            self._given: tuple[Any, ...] = ()
        elif isinstance(source, Iterable) and not isinstance(source, bytes | Mapping):
            self.path, self._given = None, tuple(source)
        else:
            raise DataError(
                f"a corpus is a path or a list of passages, not {type(source).__name__}",
                hint='BM25("passages.jsonl") or BM25(["a passage", "another"])',
            )
        self._text, self._id = text, id
        self._lock = RLock()

    @property
    def where(self) -> str:
        """The corpus in error texts."""
        return "the corpus" if self.path is None else self.path.as_posix()

    @cached_property
    def name(self) -> str:
        """What tells this corpus from others, the same on every machine: the path from the project's root,
        or the content's digest where there is no file."""
        return _project_path(self.path) if self.path is not None else f"sha256:{self.digest[:16]}"

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the content, 64 hexadecimal digits."""
        if self.path is None:
            return digest([passage.to_plain() for passage in self.passages])
        return hashlib.sha256(self._bytes()).hexdigest()

    @cached_property
    def passages(self) -> Sequence[Passage]:
        """The passages, in their order; at least one."""
        with self._lock:
            rows = enumerate(self._given) if self.path is None else self._rows(self.path)
            found = tuple(self._checked(rows))
        if not found:
            raise DataError("the corpus is empty", path=self._shown)
        return found

    @property
    def _shown(self) -> str | None:
        return None if self.path is None else self.path.as_posix()

    def _bytes(self) -> bytes:
        assert self.path is not None
        try:
            return self.path.read_bytes()
        except OSError as error:
            reason = "there is no such file" if isinstance(error, FileNotFoundError) else error.strerror
            raise DataError(
                f"the corpus cannot be read: {reason}",
                path=self._shown,
                hint=None if self.path.is_absolute() else f"a relative path starts at {_here()}",
            ) from None

    def _rows(self, path: Path) -> Iterator[tuple[int, Any]]:
        """Yield (line, row)."""
        data = self._bytes()
        try:
            text = data.decode("utf-8").removeprefix(_MARK)
        except UnicodeDecodeError as error:
            line = data.count(b"\n", 0, error.start) + 1
            raise DataError("the file is not UTF-8 text", path=self._shown, line=line) from None
        kind = path.suffix.lower()
        if kind in (".jsonl", ".ndjson"):
            return self._json_lines(text)
        return self._csv_rows(text) if kind == ".csv" else _text_lines(text)

    def _json_lines(self, text: str) -> Iterator[tuple[int, Any]]:
        for number, line in enumerate(text.split("\n"), 1):
            if not line.strip():
                continue
            try:
                yield number, json.loads(line)
            except (ValueError, RecursionError) as error:
                raise DataError(f"not a JSON value: {error}", path=self._shown, line=number) from None

    def _csv_rows(self, text: str) -> Iterator[tuple[int, Any]]:
        reader = csv.reader(io.StringIO(text), strict=True)
        line = 1
        try:
            header = next(reader, [])
            if self._text not in header:
                raise DataError(
                    f"there is no column {self._text!r}; the header has: {', '.join(header) or 'nothing'}",
                    path=self._shown,
                    line=1,
                    hint="text=... names the column with the passages",
                )
            line = reader.line_num + 1
            for row in reader:
                if row and len(row) != len(header):
                    raise DataError(
                        f"{len(row)} fields, the header has {len(header)}", path=self._shown, line=line
                    )
                if row:
                    yield line, dict(zip(header, row, strict=True))
                line = reader.line_num + 1
        except csv.Error as error:
            raise DataError(f"not CSV: {error}", path=self._shown, line=line) from None

    def _checked(self, rows: Iterable[tuple[int, Any]]) -> Iterator[Passage]:
        lines: dict[str, int] = {}
        for position, (line, row) in enumerate(rows):
            passage = self._passage(row, line, position)
            assert passage.id is not None
            if passage.id in lines:
                before = f"line {lines[passage.id]}" if self.path else f"passage {lines[passage.id]}"
                raise self._wrong(f"the id {passage.id!r} is that of {before} too", line)
            lines[passage.id] = line
            yield passage

    def _passage(self, row: Any, line: int, position: int) -> Passage:
        text, identity = row, None
        if isinstance(row, Passage):
            text, identity = row.text, row.id
        elif isinstance(row, Mapping):
            if self._text not in row:
                has = ", ".join(map(str, row)) or "nothing"
                raise self._wrong(f"the passage has no {self._text!r}; it has: {has}", line)
            text, identity = row[self._text], row.get(self._id)
        if not isinstance(text, str):
            raise self._wrong(f"a passage is text, not {type(text).__name__}", line)
        if not text.strip():
            raise self._wrong("a passage is blank", line)
        return Passage(text, id=str(position if identity is None else identity))

    def _wrong(self, problem: str, line: int) -> DataError:
        if self.path is not None:
            return DataError(problem, path=self._shown, line=line)
        return DataError(f"passage {line} of the corpus: {problem}")


def _text_lines(text: str) -> Iterator[tuple[int, Any]]:
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            yield number, line.strip()


def _project_path(path: Path) -> str:
    """Return ``path`` from the root of the project it is in; of a file outside any, its name."""
    full = Path(os.path.abspath(path))
    for folder in full.parents:
        if any((folder / marker).exists() for marker in _ROOTS):
            return full.relative_to(folder).as_posix()
    return full.name if path.is_absolute() else path.as_posix()


def _here() -> str:
    return f"the folder where Python was started ({Path.cwd().name}/)"
