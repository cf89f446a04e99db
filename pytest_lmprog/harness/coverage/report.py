"""Coverage of LM programs as data: what no example ran, what was never used, and which example runs what.

It is kept as JSON in the cache folder, paths relative to the rootdir, for ``lmprog cov``.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from pytest_lmprog.canonical import canonical_json
from pytest_lmprog.errors import LmprogError
from pytest_lmprog.lm.stores.folder import make_cache_folder

__all__ = [
    "CoverageError",
    "CoverageReport",
    "FileCoverage",
    "FunctionCoverage",
    "Gap",
    "Way",
    "read_report",
    "report_path",
    "write_report",
]

FORMAT = 1


class CoverageError(LmprogError):
    """Kept coverage that cannot be read."""


@dataclass(frozen=True, slots=True)
class Gap:
    """What no example exercises.

    Parameters
    ----------
    function: its name within the module.
    line, last: the lines (``line`` alone where they are equal); of a branch, where it starts.
    to: of a branch, the line where it goes; 0: out of the function. None where lines were not run at all.
    text: source of the first line.
    why: in words: ``never true``, ``never called``.
    """

    function: str
    line: int
    last: int
    to: int | None = None
    text: str = ""
    why: str = ""

    @property
    def place(self) -> str:
        """Line numbers as coverage.py writes them: ``14->16``, ``14->exit``, ``14-16`` or ``14``."""
        if self.to is not None:
            return f"{self.line}->{self.to or 'exit'}"
        return str(self.line) if self.last == self.line else f"{self.line}-{self.last}"


@dataclass(frozen=True, slots=True)
class FunctionCoverage:
    """Figures of one function: it stands from ``first`` to ``last``, its body from ``body`` on."""

    name: str
    first: int
    body: int
    last: int
    ran_lines: tuple[int, ...] = ()
    missing_lines: tuple[int, ...] = ()
    branches: int = 0
    missing_branches: tuple[tuple[int, int], ...] = ()

    @property
    def lines(self) -> int:
        """Number of lines that can be run."""
        return len(self.ran_lines) + len(self.missing_lines)

    @property
    def never_called(self) -> bool:
        """Whether no line was run, and there are some."""
        return bool(self.missing_lines) and not self.ran_lines


@dataclass(frozen=True)
class FileCoverage:
    """One file of a program. ``digest`` is of its bytes when it was measured; ``problem`` says why
    coverage.py could not measure it."""

    path: str
    functions: tuple[FunctionCoverage, ...]
    gaps: tuple[Gap, ...] = ()
    digest: str = ""
    problem: str = ""

    @property
    def lines(self) -> int:
        """Number of lines that can be run."""
        return sum(f.lines for f in self.functions)

    @property
    def branches(self) -> int:
        """Number of ways out of lines that have several."""
        return sum(f.branches for f in self.functions)

    @property
    def ran(self) -> int:
        """Number of lines that were run."""
        return self.lines - sum(len(f.missing_lines) for f in self.functions)

    @property
    def taken(self) -> int:
        """Number of branches that were taken."""
        return self.branches - sum(len(f.missing_branches) for f in self.functions)


@dataclass(frozen=True)
class UnitUse:
    """What a unit's runs used: ``calls`` says in how many runs each predictor was called, ``unused`` which
    of its demos (numbered from 1) were in no prompt."""

    unit: str
    ran: int
    expected: int
    calls: Mapping[str, int] = field(default_factory=dict)
    demos: Mapping[str, int] = field(default_factory=dict)
    unused: Mapping[str, tuple[int, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Way:
    """Which lines the runs ``examples`` (unit, example, rollout) ran, by file, as (first, last)."""

    lines: Mapping[str, tuple[tuple[int, int], ...]]
    examples: tuple[tuple[str, str, int], ...]

    def reaches(self, path: str, line: int) -> bool:
        """Whether the line was run."""
        return any(first <= line <= last for first, last in self.lines.get(path, ()))


@dataclass(frozen=True)
class CoverageReport:
    """The coverage of one pytest run."""

    files: tuple[FileCoverage, ...]
    units: tuple[UnitUse, ...]
    ways: tuple[Way, ...] = ()

    @property
    def ran(self) -> int:
        """Number of runs of programs that were watched."""
        return sum(unit.ran for unit in self.units)

    @property
    def expected(self) -> int:
        """Number of runs, if all cases had run."""
        return sum(unit.expected for unit in self.units)

    def file(self, path: str) -> FileCoverage | None:
        """Return the coverage of a file by its path from the rootdir, or None."""
        return next((file for file in self.files if file.path == path), None)

    def reaching(self, path: str, line: int) -> list[tuple[str, str, int]]:
        """Return the runs (unit, example, rollout) that ran a line."""
        return sorted({run for way in self.ways if way.reaches(path, line) for run in way.examples})

    def to_plain(self) -> dict[str, Any]:
        """Return JSON data."""
        plain: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        return {"format": FORMAT, **plain}

    @classmethod
    def from_plain(cls, data: Mapping[str, Any]) -> CoverageReport:
        """Read what ``to_plain`` returned. Raises KeyError, TypeError or ValueError for anything else."""
        if data["format"] != FORMAT:
            raise ValueError(f"format {data['format']!r}")
        return cls(
            tuple(_file(file) for file in data["files"]),
            tuple(_use(unit) for unit in data["units"]),
            tuple(_way(way) for way in data["ways"]),
        )


def _file(data: Mapping[str, Any]) -> FileCoverage:
    functions = tuple(_function(function) for function in data["functions"])
    return FileCoverage(**{**data, "functions": functions, "gaps": tuple(Gap(**gap) for gap in data["gaps"])})


def _function(data: Mapping[str, Any]) -> FunctionCoverage:
    lines = {name: tuple(data[name]) for name in ("ran_lines", "missing_lines")}
    return FunctionCoverage(**{**data, **lines, "missing_branches": _pairs(data["missing_branches"])})


def _use(data: Mapping[str, Any]) -> UnitUse:
    return UnitUse(**{**data, "unused": {name: tuple(of) for name, of in data["unused"].items()}})


def _way(data: Mapping[str, Any]) -> Way:
    lines = {file: _pairs(spans) for file, spans in data["lines"].items()}
    return Way(lines, tuple((unit, example, rollout) for unit, example, rollout in data["examples"]))


def _pairs(data: Iterable[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    return tuple((first, second) for first, second in data)


# --- on disk --------------------------------------------------------------------------------------------


def report_path(cache_dir: Path) -> Path:
    """Return where the coverage of the last run is kept."""
    return cache_dir / "coverage" / "last.json"


def write_report(cache_dir: Path, report: CoverageReport) -> None:
    """Keep a report in the place of the last one. Raises OSError."""
    target = report_path(cache_dir)
    temporary = target.with_suffix(f".{os.getpid()}.tmp")
    make_cache_folder(cache_dir)
    target.parent.mkdir(exist_ok=True)
    temporary.write_bytes(canonical_json(report.to_plain()) + b"\n")
    os.replace(temporary, target)


def read_report(cache_dir: Path) -> CoverageReport:
    """Return what the last run kept. Raises CoverageError where there is nothing that can be read."""
    path = report_path(cache_dir)
    try:
        return CoverageReport.from_plain(json.loads(path.read_bytes()))
    except FileNotFoundError:
        raise CoverageError("there is no coverage yet", hint="pytest --lm-cov") from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        reason = f"{type(error).__name__}: {error}"
        raise CoverageError(
            f"{path} cannot be read ({reason})", hint="pytest --lm-cov writes it anew"
        ) from None
