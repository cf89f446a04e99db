"""Run the benchmarks: ``python -m tests.benchmarks [NAME ...]``; without names all of them.

Each module ``bench_*.py`` of this folder has ``run() -> list[Row]`` and runs in a process of its own, so
that none warms or burdens another. The exit status is 1 where a budget is missed or a benchmark fails.
"""

from __future__ import annotations

import argparse
import importlib
import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

from tests.benchmarks.rows import Row

FOLDER = Path(__file__).parent
MARK = "rows: "


def main(arguments: list[str] | None = None) -> int:
    """Run what was asked for and print it."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", help="parts of benchmark names")
    parser.add_argument("--list", action="store_true", help="only list them")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    chosen = parser.parse_args(arguments)
    if chosen.one:
        print(MARK + json.dumps([asdict(row) for row in module(chosen.one).run()]))
        return 0
    names = [n for n in benchmarks() if not chosen.names or any(part in n for part in chosen.names)]
    if chosen.list:
        print("\n".join(names))
        return 0
    verdicts = [shown(name) for name in names]
    return 0 if verdicts and all(verdicts) else 1


def benchmarks() -> list[str]:
    """Return the names of all benchmarks."""
    return sorted(path.stem.removeprefix("bench_") for path in FOLDER.glob("bench_*.py"))


def module(name: str) -> object:
    """Import a benchmark."""
    return importlib.import_module(f"tests.benchmarks.bench_{name}")


def shown(name: str) -> bool:
    """Run one benchmark in a process of its own, print its rows, and return whether all budgets are kept."""
    print(f"\n{name}", flush=True)
    done = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks", "--one", name],
        capture_output=True,
        text=True,
        cwd=FOLDER.parent.parent,
    )
    marked = [line for line in done.stdout.splitlines() if line.startswith(MARK)]
    if done.returncode or not marked:
        print("  FAILED: " + (done.stderr.strip().splitlines() or ["no rows"])[-1])
        return False
    rows = [Row(**fields) for fields in json.loads(marked[-1].removeprefix(MARK))]
    for row in rows:
        print("  " + row.line())
    return all(row.met for row in rows)


if __name__ == "__main__":
    sys.exit(main())
