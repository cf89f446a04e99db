"""A snapshot judged by files alone: has what it was made from changed, was it edited by hand?

Nothing of the project is imported, so that what only running code tells stays unjudged: the model, the
teleprompter's settings, data that is made by code.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_lmprog.errors import DataError
from pytest_lmprog.records import dataclass
from pytest_lmprog.snapshots.artifact import DataSource, Fingerprint, PredictorSnapshot, Snapshot, SourceFiles
from pytest_lmprog.snapshots.edited import looks_edited
from pytest_lmprog.snapshots.fingerprint import (
    Change,
    compare,
    data_part,
    prompt_format_part,
    short,
)
from pytest_lmprog.snapshots.static import StaticSources, TreeCache, metric_items, module_of, program_items

if TYPE_CHECKING:
    from pytest_lmprog.evaluation.datasets import Dataset

__all__ = ["CODE_PARTS", "Judge", "Judgement", "kept", "prompt_digest", "source_path", "with_texts"]

CODE_PARTS = ("program", "metric_helpers")
"""The parts of a fingerprint whose items are names in modules."""

_WORDS = {"trainset": "training", "valset": "validation"}


@dataclass(frozen=True)
class Judgement:
    """What the files say of one snapshot.

    Parameters
    ----------
    changes: items of the fingerprint that are not what they were.
    problems: files that are gone or cannot be read, a line each.
    edited: predictors that were edited by hand.
    unjudged: what the files cannot tell of this snapshot, in words.
    """

    changes: tuple[Change, ...] = ()
    problems: tuple[str, ...] = ()
    edited: tuple[str, ...] = ()
    unjudged: tuple[str, ...] = ()


def prompt_digest(predictor: PredictorSnapshot) -> str:
    """Return the digest of a predictor's prompt, rendered messages and all."""
    fields = [[f.name, f.role, f.type, f.desc, f.prefix] for f in predictor.fields]
    demos, messages = list(predictor.demos), list(predictor.messages)
    return short([predictor.instructions, fields, demos, messages, predictor.adapter])


def source_path(folder: Path, relative: str) -> Path:
    """Return the file that a snapshot in ``folder`` notes as ``relative``."""
    parts = list(folder.parts)
    for step in relative.split("/"):
        if step == ".." and len(parts) > 1:
            parts.pop()
        elif step not in (".", ""):
            parts.append(step)
    return Path(*parts)


@dataclass
class Judge:
    """Judges snapshots; what they share (files, data) is read once. ``shown`` names a file to people."""

    shown: Callable[[Path], str] = str
    trees: TreeCache = field(default_factory=TreeCache)
    _sources: dict[tuple[tuple[str, Path], ...], StaticSources] = field(default_factory=dict)
    _parts: dict[object, dict[str, str]] = field(default_factory=dict)
    _data: dict[Path, Dataset | DataError] = field(default_factory=dict)

    def judge(self, snapshot: Snapshot, folder: Path, *, as_written: bool = False) -> Judgement:
        """Return what the files say of ``snapshot``, which lies in ``folder``. ``as_written``: its file is
        known to be untouched."""
        sources = snapshot.sources
        changes = compare(_format_part(snapshot.fingerprint), {"prompt_format": prompt_format_part()})
        edited = () if as_written else _edited(snapshot)
        if sources is None:
            return Judgement(tuple(changes), edited=edited, unjudged=("code and data",))
        problems = self._unreadable(sources, folder)
        changes += self._code_changes(snapshot, sources, folder)
        for part in _WORDS:
            self._add_data(part, snapshot.fingerprint, sources, folder, changes, problems)
        return Judgement(
            tuple(changes),
            tuple(problems),
            edited,
            tuple(_unjudged(snapshot.fingerprint, sources)),
        )

    # --- code -----------------------------------------------------------------------------------------

    def _unreadable(self, sources: SourceFiles, folder: Path) -> list[str]:
        problems = []
        for name, relative in sources.modules.items():
            path = source_path(folder, relative)
            if not path.is_file():
                problems.append(f"the module {name} is gone: there is no {self.shown(path)}")
            elif self.trees.of(str(path)) is None:
                problems.append(f"the module {name} ({self.shown(path)}) cannot be read as Python")
        return problems

    def _code_changes(self, snapshot: Snapshot, sources: SourceFiles, folder: Path) -> list[Change]:
        stored = snapshot.fingerprint
        readable = {
            name: path
            for name, relative in sources.modules.items()
            if self.trees.of(str(path := source_path(folder, relative))) is not None
        }
        found = replace(sources, modules={name: sources.modules[name] for name in readable})
        now = self.code(snapshot.header.program, found, folder)
        now = with_texts(now, stored, sources, folder)
        then = {part: kept(part, stored.get(part, {}), sources, readable) for part in now}
        skipped = set(sources.unjudged)
        return [c for c in compare(then, now) if f"{c.part}:{c.item}" not in skipped]

    def code(self, program: str, sources: SourceFiles, folder: Path) -> dict[str, dict[str, str]]:
        """Return the parts of the fingerprint that are code, as far as the files tell. ``program`` is the
        qualified name of the program's class."""
        modules = tuple((name, source_path(folder, path)) for name, path in sources.modules.items())
        names = [name for name, _ in modules]
        static = self.static(sources, folder)
        roots = (program, *_of_part("program", sources.roots))
        items = self._parts.get((modules, roots))
        if items is None:
            items = self._parts[modules, roots] = program_items(roots, static, names)
        helpers = _of_part("metric_helpers", sources.roots)
        metrics, used = metric_items(sources.metrics, helpers, static, names)
        return {"program": items, "metrics": metrics, "metric_helpers": used}

    def static(self, sources: SourceFiles, folder: Path) -> StaticSources:
        """Return the project's modules as files, one for the same modules."""
        modules = tuple((name, source_path(folder, path)) for name, path in sources.modules.items())
        found = self._sources.get(modules)
        if found is None:
            found = self._sources[modules] = StaticSources(dict(modules), self.trees)
        return found

    # --- data -----------------------------------------------------------------------------------------

    def _add_data(
        self,
        part: str,
        stored: Fingerprint,
        sources: SourceFiles,
        folder: Path,
        changes: list[Change],
        problems: list[str],
    ) -> None:
        source = sources.data.get(part)
        if source is None:
            return
        path = source_path(folder, source.path)
        if not path.is_file():
            problems.append(f"the {_WORDS[part]} data is gone: there is no {self.shown(path)}")
            return
        try:
            now = self.data(source, path)
        except DataError as error:
            problems.append(f"the {_WORDS[part]} data: {error.message}")
            return
        changes += compare({part: stored.get(part, {})}, {part: now})

    def data(self, source: DataSource, path: Path) -> dict[str, str]:
        """Return the part of the fingerprint that is the data in ``path``. Raises DataError."""
        key = (path, source)
        if key not in self._parts:
            rows = self._rows(path).split(source.split)
            self._parts[key] = data_part(
                (rows.with_inputs(source.inputs) if source.inputs else rows).examples
            )
        return self._parts[key]

    def _rows(self, path: Path) -> Dataset:
        from pytest_lmprog.evaluation.datasets import load_dataset

        if path not in self._data:
            try:
                self._data[path] = load_dataset(path, base=path.parent)
            except DataError as error:
                self._data[path] = error
        found = self._data[path]
        if isinstance(found, DataError):
            raise found
        return found


def _format_part(stored: Fingerprint) -> Fingerprint:
    return {"prompt_format": stored.get("prompt_format", prompt_format_part())}


def kept(
    part: str, stored: Mapping[str, str], sources: SourceFiles, readable: Mapping[str, Path]
) -> dict[str, str]:
    """Return the stored items that the files can tell of."""
    if part in CODE_PARTS:
        return {item: digest for item, digest in stored.items() if module_of(item, readable) is not None}
    places = sources.metrics
    return {i: d for i, d in stored.items() if i in places and places[i].partition(":")[0] in readable}


def _edited(snapshot: Snapshot) -> tuple[str, ...]:
    if snapshot.sources is None:
        return tuple(name for name, p in snapshot.predictors.items() if looks_edited(p))
    prompts = snapshot.sources.prompts
    now = {name: prompt_digest(p) for name, p in snapshot.predictors.items()}
    return tuple(name for name in dict.fromkeys([*prompts, *now]) if prompts.get(name) != now.get(name))


def _unjudged(stored: Fingerprint, sources: SourceFiles) -> list[str]:
    found = [item.partition(":")[2] for item in sources.unjudged]
    found += [f"metric {item}" for item in stored.get("metrics", {}) if item not in sources.metrics]
    found += [
        f"{words} data" for part, words in _WORDS.items() if part in stored and part not in sources.data
    ]
    return list(dict.fromkeys(found))


def _of_part(part: str, roots: Iterable[str]) -> tuple[str, ...]:
    return tuple(root.partition(":")[2] for root in roots if root.startswith(f"{part}:"))


def with_texts(
    now: Mapping[str, dict[str, str]], stored: Fingerprint, sources: SourceFiles, folder: Path
) -> dict[str, dict[str, str]]:
    """Return ``now`` with constants that are read from files as those files have them."""
    from pytest_lmprog.snapshots.textfiles import digest_by_file

    whole = {part: dict(items) for part, items in now.items()}
    for item, relative in sources.texts.items():
        path = source_path(folder, relative)
        for part in CODE_PARTS:
            if item in whole[part] and item in stored.get(part, {}):
                whole[part][item] = digest_by_file(whole[part][item], path, stored[part][item])
    return whole
