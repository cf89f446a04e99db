"""Compare optimizers with DSPy's: ``python -m tests.benchmarks.side_by_side ROWS.jsonl [NAME ...]``.

ROWS.jsonl has rows of ``text``, ``intent`` and ``split`` (train, val, test). DSPy has an environment of its
own (see ``bench_cached_predict``). Prints a Markdown table: share of the test rows that are right with its
95 % interval, calls of the LM and seconds to compile, and the one-sided p-value of "ours is behind DSPy's"
(McNemar's exact test on the same rows). The exit status is 1 where one is below 0.05, or ours needed more
calls.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytest_lmprog.evaluation.paired import mcnemar
from pytest_lmprog.evaluation.statistics import wilson
from tests.benchmarks.bench_cached_predict import dspy_python
from tests.benchmarks.side_by_side.one import OPTIMIZERS
from tests.benchmarks.side_by_side.server import counting_server

TRAIN, VAL, TEST = 48, 48, 200
SIDES = ("pytest_lmprog", "dspy")
HEAD = "| optimizer | side | test right | 95 % interval | errors | calls | seconds | p (behind) |"


@dataclass(frozen=True)
class Outcome:
    """What one side came to with one optimizer."""

    right: tuple[int, ...]
    errors: int
    calls: int
    seconds: float

    @property
    def score(self) -> float:
        """The share of the test rows that are right."""
        return sum(self.right) / len(self.right)


def main() -> int:
    """Run all comparisons asked for."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.side_by_side", description=__doc__)
    parser.add_argument("rows", type=Path)
    parser.add_argument("names", nargs="*", default=list(OPTIMIZERS), help=", ".join(OPTIMIZERS))
    parser.add_argument("--test", type=int, default=TEST, help="test rows (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 2, help="of the model")
    given = parser.parse_args()
    rows = splits(given.rows, given.test)
    print(f"{HEAD}\n{'| --- ' * (HEAD.count('|') - 1)}|", flush=True)
    with counting_server(given.threads) as url:
        held = [compared(name, rows, url) for name in given.names]
    return 0 if all(held) else 1


def splits(path: Path, test: int) -> dict[str, list[dict[str, Any]]]:
    """Draw the rows of each split."""
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    drawn = {}
    for split, size in (("train", TRAIN), ("val", VAL), ("test", test)):
        of_split = [row for row in rows if row["split"] == split]
        random.Random(split).shuffle(of_split)
        drawn[split] = of_split[:size]
    return drawn


def compared(name: str, rows: Mapping[str, Sequence[Mapping[str, Any]]], url: str) -> bool:
    """Compare one optimizer, print its lines, and return whether ours holds its own."""
    ours, theirs = (outcome(side, name, rows, url) for side in SIDES)
    if ours is None or theirs is None:
        print(line(name, "ours", ours, ""), line("", "DSPy", theirs, ""), sep="\n", flush=True)
        return ours is not None
    worse = sum(t > o for o, t in zip(ours.right, theirs.right, strict=True))
    better = sum(o > t for o, t in zip(ours.right, theirs.right, strict=True))
    p = mcnemar(worse, better)
    print(line(name, "ours", ours, f"{p:.3f}"), line("", "DSPy", theirs, ""), sep="\n", flush=True)
    return p >= 0.05 and ours.calls <= theirs.calls


def outcome(
    package: str, name: str, rows: Mapping[str, Sequence[Mapping[str, Any]]], url: str
) -> Outcome | None:
    """Run one side in a process of its own; None where it failed."""
    python = sys.executable if package == "pytest_lmprog" else dspy_python()
    intents = sorted({row["intent"] for row in rows["train"]})
    told = {"package": package, "optimizer": name, "rows": rows, "intents": intents, "threads": 4}
    told |= {"url": url + "/v1", "counter": url + "/count"}
    with tempfile.TemporaryDirectory() as folder:
        env = {**os.environ, "DSPY_CACHEDIR": folder, "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
        script = Path(__file__).with_name("one.py")
        root = Path(__file__).parents[3]
        env["PYTHONPATH"] = str(root) if package == "pytest_lmprog" else ""
        command = [python, str(script), json.dumps(told)]
        done = subprocess.run(command, capture_output=True, text=True, env=env, cwd=folder)
    found = [text for text in done.stdout.splitlines() if text.startswith("side: ")]
    if not found:
        print(f"{package} {name} failed:\n{done.stderr[-3000:]}", file=sys.stderr)
        return None
    data = json.loads(found[-1].removeprefix("side: "))
    return Outcome(tuple(data["right"]), data["errors"], data["calls"], data["seconds"])


def line(name: str, side: str, found: Outcome | None, p: str) -> str:
    """Return a row of the table."""
    if found is None:
        return f"| {name} | {side} | stopped with an error | | | | | |"
    interval = wilson(sum(found.right), len(found.right))
    between = f"{interval.low:.3f}-{interval.high:.3f}"
    cells = [name, side, f"{found.score:.3f}", between, str(found.errors), str(found.calls)]
    return "| " + " | ".join([*cells, f"{found.seconds:.0f}", p]) + " |"


if __name__ == "__main__":
    sys.exit(main())
