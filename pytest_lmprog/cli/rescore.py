"""``lmprog rescore``: pytest on the predictions of a saved run, without one call."""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Sequence

from pytest_lmprog.cli.context import Context
from pytest_lmprog.harness.saved.store import LAST, run_path

__all__ = ["rescore"]


_HELP = """\
usage: lmprog rescore [RUN] [pytest's arguments ...]

Apply the metrics, thresholds and baselines as they are now in the test files to a saved run.
Nothing is asked: no LM, no key, no network. Neither snapshots nor recordings are written.

  RUN   its number, the path of a JSON report, or last (also where it is left out);
        `lmprog runs list` shows them

Without a path among pytest's arguments the test modules of the run's units are collected.
The exit code is pytest's."""


def rescore(context: Context, args: argparse.Namespace) -> int:
    """Apply the metrics, thresholds and baselines as they are now to a saved run; pytest's exit code."""
    if args.arguments[:1] in (["-h"], ["--help"]):
        context.out.line(_HELP)
        return 0
    name, rest = _split(args.arguments)
    path = run_path(context.project.settings.cache_dir, name, cwd=context.cwd)
    sys.stdout.flush()
    # A process of its own, as pytest wants to see modules imported first (for its assertions).
    return subprocess.run(
        [sys.executable, "-m", "pytest", f"--lm-rescore={path}", *rest], cwd=context.cwd, check=False
    ).returncode


def _split(arguments: Sequence[str]) -> tuple[str, list[str]]:
    """Tell the run from pytest's arguments: a number, ``last``, or a path that ends in ``.json``."""
    if arguments and (arguments[0] == LAST or arguments[0].isdecimal() or arguments[0].endswith(".json")):
        return arguments[0], list(arguments[1:])
    return LAST, list(arguments)
