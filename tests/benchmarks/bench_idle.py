"""The plugin installed but unused, against ``-p no:lmprog``; whole processes, by turns, best of each."""

from __future__ import annotations

import tempfile
from pathlib import Path

from tests.benchmarks.projects import empty_project, seconds
from tests.benchmarks.rows import Row

ROUNDS = 21

COUNT = """
import sys

def pytest_unconfigure():
    with open("modules.txt", "w") as file:
        file.write(str(len(sys.modules)))
"""


def run() -> list[Row]:
    """Measure time and modules, with and without the plugin."""
    with tempfile.TemporaryDirectory() as folder:
        project = empty_project(Path(folder) / "project", 1)
        times = [(seconds(project), seconds(project, "-p", "no:lmprog")) for _ in range(ROUNDS)]
        (project / "conftest.py").write_text(COUNT, encoding="utf-8")
        counts = [modules(project), modules(project, "-p", "no:lmprog")]
    with_plugin, without = (min(side) * 1000 for side in zip(*times, strict=True))
    return [
        Row("time of an idle run with the plugin", with_plugin, "ms"),
        Row("time the idle plugin adds", with_plugin - without, "ms", 15),
        Row("modules the idle plugin adds", counts[0] - counts[1], "", 9),
    ]


def modules(project: Path, *arguments: str) -> int:
    """Return how many modules a run has loaded at its end."""
    seconds(project, *arguments)
    return int((project / "modules.txt").read_text(encoding="utf-8"))
