"""Replay of 5,000 cases against as many empty parametrized tests; whole processes, by turns, best of each."""

from __future__ import annotations

import tempfile
from pathlib import Path

from tests.benchmarks.projects import empty_project, seconds, unit_project
from tests.benchmarks.rows import Row

CASES, ROUNDS = 5000, 5


def run() -> list[Row]:
    """Measure both, turn by turn."""
    with tempfile.TemporaryDirectory() as folder:
        ours = unit_project(Path(folder) / "ours", CASES)
        empty = empty_project(Path(folder) / "empty", CASES)
        times = [(seconds(ours), seconds(empty)) for _ in range(ROUNDS)]
    replay, base = (min(side) for side in zip(*times, strict=True))
    return [
        Row(f"replay of {CASES:,} cases", replay, "s"),
        Row(f"{CASES:,} empty parametrized tests", base, "s"),
        Row("replay / empty", replay / base, "ratio", 1.45),
    ]
