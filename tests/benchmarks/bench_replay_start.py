"""The start of a replay run: one case, without and with a snapshot, against one empty test; whole processes,
by turns, best of each."""

from __future__ import annotations

import tempfile
from pathlib import Path

from tests.benchmarks.projects import empty_project, seconds, unit_project
from tests.benchmarks.rows import Row

ROUNDS = 9


def run() -> list[Row]:
    """Measure all, turn by turn."""
    with tempfile.TemporaryDirectory() as folder:
        bare = unit_project(Path(folder) / "bare", 1)
        kept = unit_project(Path(folder) / "kept", 1, snapshot=True)
        empty = empty_project(Path(folder) / "empty", 1)
        times = [(seconds(bare), seconds(kept), seconds(empty)) for _ in range(ROUNDS)]
    replay, restored, base = (min(side) * 1000 for side in zip(*times, strict=True))
    return [
        Row("replay of one case", replay, "ms"),
        Row("one empty test", base, "ms"),
        Row("start of a replay over pytest's own", replay - base, "ms", 150),
        Row("the same with a snapshot", restored - base, "ms", 150),
    ]
