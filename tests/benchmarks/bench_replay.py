"""Replay of 5,000 cases against as many empty parametrized tests; whole processes, by turns, best of each."""

from __future__ import annotations

import tempfile
from pathlib import Path

from tests.benchmarks.projects import empty_project, seconds, unit_project
from tests.benchmarks.rows import Row

CASES, ROUNDS = 5000, 5


def run() -> list[Row]:
    """Measure all, turn by turn."""
    with tempfile.TemporaryDirectory() as folder:
        bare = unit_project(Path(folder) / "bare", CASES)
        kept = unit_project(Path(folder) / "kept", CASES, snapshot=True)
        empty = empty_project(Path(folder) / "empty", CASES)
        times = [(seconds(bare), seconds(kept), seconds(empty)) for _ in range(ROUNDS)]
    replay, restored, base = (min(side) for side in zip(*times, strict=True))
    return [
        Row(f"replay of {CASES:,} cases", replay, "s"),
        Row(f"{CASES:,} empty parametrized tests", base, "s"),
        Row("replay / empty", replay / base, "ratio", 1.45),
        Row("replay with a snapshot / empty", restored / base, "ratio", 1.45),
    ]
