"""What ``--lm-baseline`` names: a saved run, a snapshot, a folder of them or a git revision, as baselines."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from pytest_lmprog.errors import ConfigurationError, LmprogError
from pytest_lmprog.harness.unit import Unit
from pytest_lmprog.programs import Module
from pytest_lmprog.records import dataclass
from pytest_lmprog.snapshots.artifact import MetricBaseline

if TYPE_CHECKING:
    from pytest_lmprog.snapshots.revisions import Revision

__all__ = ["Against", "Baselines", "against", "open_baselines"]

_FILES = (".json", ".yaml", ".yml")


@dataclass(frozen=True, slots=True)
class Against:
    """The baseline that one unit is compared with. ``metrics``: None where the unit is not there."""

    name: str
    metrics: Mapping[str, MetricBaseline] | None

    @property
    def note(self) -> str:
        """What is said of it in the summary."""
        return f"no baseline in {self.name}" if self.metrics is None else f"compared with {self.name}"


class Baselines(Protocol):
    """Baselines by unit. ``name``: what they are called in messages."""

    @property
    def name(self) -> str:
        """As it was given, for reports."""
        ...

    def of(self, unit: Unit, program: str) -> Mapping[str, MetricBaseline] | None:
        """Return the unit's baseline by metric, or None where it has none there. ``program``: the qualified
        name of its class. Raises SnapshotError for a damaged snapshot."""
        ...


def against(baselines: Baselines, unit: Unit, program: Module) -> Against:
    """Return what a unit is compared with. Raises SnapshotError for a damaged snapshot."""
    kind = type(program)
    return Against(baselines.name, baselines.of(unit, f"{kind.__module__}.{kind.__qualname__}"))


def open_baselines(given: str, rootdir: Path, *, cwd: Path | None = None) -> Baselines:
    """Return the baselines that ``given`` names: a path, seen from ``cwd`` or ``rootdir``, or a revision.

    Raises ConfigurationError where it is neither, StoreError for a run that cannot be read."""
    for folder in (cwd or rootdir, rootdir):
        path = folder / given
        if path.is_dir():
            return _Folder(given, path, rootdir)
        if path.is_file():
            return _Run(given, path) if path.suffix == ".json" else _File(given, path)
    if given.endswith(_FILES):
        raise ConfigurationError(
            f"--lm-baseline={given}: there is no such file",
            hint="`lmprog runs list` shows the saved runs; a git revision goes without a file name",
        )
    return _Revision(given, rootdir)


class _File:
    """One snapshot: for the unit whose snapshot has its name, or that tests its program."""

    def __init__(self, name: str, path: Path) -> None:
        from pytest_lmprog.snapshots.store import read

        self.name = name
        self._file = path.name.replace(".new.", ".")
        self._snapshot = read(path)

    def of(self, unit: Unit, program: str) -> Mapping[str, MetricBaseline] | None:
        if unit.snapshot.name != self._file and self._snapshot.header.program != program:
            return None
        return self._snapshot.baseline


class _Folder:
    """A checkout of the project, or a copy of its ``__lm_snapshots__``."""

    def __init__(self, name: str, folder: Path, rootdir: Path) -> None:
        self.name = name
        self._folder = folder
        self._rootdir = rootdir

    def of(self, unit: Unit, program: str) -> Mapping[str, MetricBaseline] | None:
        del program
        from pytest_lmprog.snapshots.store import read

        path = next((path for path in self._places(unit.snapshot) if path.is_file()), None)
        return None if path is None else read(path).baseline

    def _places(self, snapshot: Path) -> list[Path]:
        inside = os.path.relpath(snapshot, self._rootdir)
        return [
            self._folder / inside,
            self._folder / snapshot.parent.name / snapshot.name,
            self._folder / snapshot.name,
        ]


class _Revision:
    """The snapshots as they were committed."""

    def __init__(self, given: str, rootdir: Path) -> None:
        from pytest_lmprog.snapshots.revisions import find_revision

        try:
            self._revision: Revision = find_revision(given, rootdir)
        except LmprogError as error:
            raise ConfigurationError(
                f"--lm-baseline={given}: {error.message}",
                hint=error.hint or "a saved run (.json), a snapshot, a folder of snapshots or a git revision",
            ) from None
        self.name = self._revision.name

    def of(self, unit: Unit, program: str) -> Mapping[str, MetricBaseline] | None:
        del program
        from pytest_lmprog.snapshots.text import from_text

        text = self._revision.text(unit.snapshot)
        return None if text is None else from_text(text, f"{self.name}:{unit.snapshot.name}").baseline


class _Run:
    """A saved run, or a JSON report."""

    def __init__(self, name: str, path: Path) -> None:
        from pytest_lmprog.harness.saved.store import load_run_file

        self.name = name
        self._run = load_run_file(path)

    def of(self, unit: Unit, program: str) -> Mapping[str, MetricBaseline] | None:
        del program
        from pytest_lmprog.harness.verdicts.baseline import scored_baseline

        if unit.id not in self._run.results:
            return None
        found = self._run.results.unit(unit.id)
        return {m.info.name: scored_baseline(m) for m in found.metrics if m.outcomes}
