"""The compile journal: what became of each candidate, as JSON lines that are written while a compile runs."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_lmprog.canonical import digest_bytes
from pytest_lmprog.lm.stores.folder import make_cache_folder
from pytest_lmprog.teleprompt.base import Candidate, CompileResult, CompileTask
from pytest_lmprog.teleprompt.material.instructions import instructions_of

if TYPE_CHECKING:
    from pytest_lmprog.teleprompt.strategy import TeleprompterBase

__all__ = [
    "FORMAT",
    "KIND",
    "FileJournal",
    "candidate_entry",
    "end_entry",
    "head_entry",
    "result_entries",
    "unfinished_path",
]

KIND = "pytest-lmprog journal"
FORMAT = 1
"""Number of the format; it grows when an older reader would misread a newer file."""

_DIGITS = 12
_COST_DIGITS = 9
"""Sums of prices depend on the order of the runs in their last digits: nano-dollars don't."""


def head_entry(strategy: TeleprompterBase, task: CompileTask, seed: int) -> dict[str, Any]:
    """Return the first line: who compiles what. No clocks, paths or counts that timing decides."""
    return {
        "teleprompter": strategy.describe(),
        "seed": seed,
        "trainset": len(task.trainset),
        "valset": None if task.valset is None else len(task.valset),
    }


def candidate_entry(candidate: Candidate) -> dict[str, Any]:
    """Return a candidate's line: ``instructions`` as digests and ``demos`` as counts, by predictor.

    ``runs``, ``calls``, ``tokens`` and ``cost`` (USD) are those of its evaluation; the last two are None
    where not every call told them."""
    spent = candidate.spent
    return {
        "index": candidate.index,
        "label": candidate.label,
        "parents": list(candidate.parents),
        "score": candidate.score,
        "characters": candidate.characters,
        "runs": spent.runs,
        "calls": spent.calls,
        "tokens": spent.tokens if spent.calls and spent.counted == spent.calls else None,
        "cost": round(spent.cost, _COST_DIGITS) if spent.calls and spent.priced == spent.calls else None,
        "instructions": {name: _digest(text) for name, text in instructions_of(candidate.program).items()},
        "demos": {name: len(predictor.demos) for name, predictor in candidate.program.named_predictors()},
    }


def _digest(text: str) -> str:
    return digest_bytes(text.encode("utf-8", "surrogatepass"))[:_DIGITS]


def result_entries(result: CompileResult) -> list[dict[str, Any]]:
    """Return the lines of all candidates, in index order; ``winner`` says which one won."""
    return [
        {**candidate_entry(candidate), "winner": place == result.winner}
        for place, candidate in enumerate(result.candidates)
    ]


def end_entry(result: CompileResult) -> dict[str, Any]:
    """Return the last line: the winner's index, its score, and why the compile ended."""
    return {
        "winner": result.candidates[result.winner].index,
        "score": result.score,
        "validated_on": result.validated_on,
        "stopped": result.stopped,
    }


def unfinished_path(path: Path) -> Path:
    """Return where the journal at ``path`` stands until its compile has ended: ``NAME.jsonl.part``."""
    return path.with_name(f"{path.name}.part")


class FileJournal:
    """A journal in a file. Give it as ``CompileRuntime(journal=FileJournal(path))``.

    While the compile runs, a line a candidate is appended to ``NAME.jsonl.part`` as soon as no more is
    learnt of it; a process that is killed leaves whole lines, at worst a torn last one. At the end ``path``
    is replaced, the candidates in index order: the same bytes on every run with the same answers, except
    for candidates that were dropped. A file that cannot be written is one warning and no error.

    Parameters
    ----------
    unit: what is compiled, for the first line.
    cache_dir: a cache folder that ``path`` lies in, to be made as such where there is none yet.
    clean: takes secrets out of text.
    warn: told once why nothing is written.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        unit: str | None = None,
        cache_dir: Path | None = None,
        clean: Callable[[str], str] = str,
        warn: Callable[[str], None] | None = None,
    ) -> None:
        self.path = Path(path)
        self._unit = unit
        self._cache_dir = cache_dir
        self._clean = clean
        self._warn = warn or _warned
        self._head: dict[str, Any] = {}
        self._broken = False

    def begin(self, head: Mapping[str, Any]) -> None:
        """Start anew: what an ended compile left unfinished is replaced, what it finished stays."""
        named = {} if self._unit is None else {"unit": self._unit}
        self._head = {"kind": KIND, "format": FORMAT, **named, **head}
        self._try(self._begin)

    def note(self, entry: Mapping[str, Any]) -> None:
        """Append a candidate's line."""
        self._try(lambda: self._append(self._line(entry)))

    def finish(self, entries: Iterable[Mapping[str, Any]], end: Mapping[str, Any]) -> None:
        """Replace the finished file."""
        lines = [self._head, *entries, end]
        self._try(lambda: self._replace("".join(map(self._line, lines))))

    def _try(self, write: Callable[[], None]) -> None:
        if self._broken:
            return
        try:
            write()
        except OSError as error:
            self._broken = True
            self._warn(
                f"the compile journal cannot be written: {error.strerror or error} ({self.path.name}); "
                "the compile goes on without it"
            )

    def _begin(self) -> None:
        if self._cache_dir is not None:
            make_cache_folder(self._cache_dir)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        unfinished_path(self.path).write_text(self._line(self._head), encoding="utf-8", newline="\n")

    def _append(self, line: str) -> None:
        with unfinished_path(self.path).open("ab") as file:
            file.write(line.encode())

    def _replace(self, text: str) -> None:
        temporary = self.path.with_name(f".{self.path.name}.{os.getpid()}.tmp")
        try:
            temporary.write_text(text, encoding="utf-8", newline="\n")
            os.replace(temporary, self.path)
        finally:
            temporary.unlink(missing_ok=True)
        unfinished_path(self.path).unlink(missing_ok=True)

    def _line(self, data: Mapping[str, Any]) -> str:
        return json.dumps(_cleaned(data, self._clean), ensure_ascii=True, allow_nan=False) + "\n"


def _cleaned(value: Any, clean: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, Mapping):
        return {name: _cleaned(part, clean) for name, part in value.items()}
    return [_cleaned(part, clean) for part in value] if isinstance(value, list) else value


def _warned(message: str) -> None:
    import warnings

    warnings.warn(message, stacklevel=2)
