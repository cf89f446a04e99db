"""Where a unit's code and data lie, noted in its snapshot so that ``lmprog check`` can judge it by files."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import FunctionType
from typing import TYPE_CHECKING, Any

from pytest_lmprog.harness.unit import DataFile, Unit
from pytest_lmprog.snapshots.artifact import DataSource, Snapshot, SourceFiles

if TYPE_CHECKING:
    from pytest_lmprog.programs import Example

__all__ = ["sources_of"]

_PARTS = ("program", "metric_helpers")


def sources_of(snapshot: Snapshot, unit: Unit, metrics: Mapping[str, Any], root: Path) -> SourceFiles:
    """Return where what ``snapshot``'s fingerprint digests is found, as files within ``root``.

    Parameters
    ----------
    metrics: by name, the functions that the fingerprint has digests of.
    """
    from pytest_lmprog.snapshots.judging import prompt_digest
    from pytest_lmprog.snapshots.noting import completed

    folder = unit.snapshot.parent.resolve()
    root = root.resolve()
    functions = {name: _unwrapped(function) for name, function in metrics.items()}
    places = {name: f for name, f in functions.items() if f is not None and "<" not in f.__qualname__}
    items = [item for part in _PARTS for item in snapshot.fingerprint.get(part, {})]
    modules = _modules([*items, *(f"{f.__module__}." for f in places.values())], folder, root)
    noted = SourceFiles(
        prompts={name: prompt_digest(p) for name, p in snapshot.predictors.items()},
        modules=modules,
        metrics={n: f"{f.__module__}:{f.__qualname__}" for n, f in places.items() if f.__module__ in modules},
        data=_data(unit, snapshot, folder, root),
    )
    return completed(snapshot, noted, folder, root)


def _unwrapped(function: Any) -> FunctionType | None:
    function = getattr(function, "__func__", function)
    while isinstance(wrapped := getattr(function, "__wrapped__", None), FunctionType):
        function = wrapped
    return function if isinstance(function, FunctionType) else None


def _modules(items: Iterable[str], folder: Path, root: Path) -> dict[str, str]:
    found: dict[str, str] = {}
    for item in items:
        name = _module_name(item)
        path = None if name is None else getattr(sys.modules[name], "__file__", None)
        if name is not None and path and name not in found:
            relative = _relative(Path(path), folder, root)
            if relative is not None:
                found[name] = relative
    return dict(sorted(found.items()))


def _module_name(item: str) -> str | None:
    if " " in item:
        return None
    name = item.rpartition(".")[0]
    while name and name not in sys.modules:
        name = name.rpartition(".")[0]
    return name or None


def _relative(path: Path, folder: Path, root: Path) -> str | None:
    """Return ``path`` as seen from ``folder``; None outside the project, where it differs by machine."""
    path = path.resolve()
    if not (path.is_relative_to(root) and folder.is_relative_to(root)):
        return None
    return Path(os.path.relpath(path, folder)).as_posix()


def _data(unit: Unit, snapshot: Snapshot, folder: Path, root: Path) -> dict[str, DataSource]:
    files = {"trainset": (unit.train_file, unit.trainset), "valset": (unit.val_file, unit.valset or ())}
    found: dict[str, DataSource] = {}
    for part, (file, examples) in files.items():
        if file is not None and snapshot.fingerprint.get(part):
            source = _data_source(file, examples, folder, root)
            if source is not None:
                found[part] = source
    return found


def _data_source(file: DataFile, examples: Iterable[Example], folder: Path, root: Path) -> DataSource | None:
    relative = _relative(file.path, folder, root)
    inputs = {example.input_names for example in examples}
    if relative is None or len(inputs) != 1:
        return None
    return DataSource(relative, file.split, tuple(sorted(inputs.pop() or ())))
