"""Options, ini values and markers, as pytest is told of them; ``harness.options`` says what they mean."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from pytest_lmprog.errors import LmprogError
from pytest_lmprog.harness.options import OPTIONS, Option

if TYPE_CHECKING:
    from pytest_lmprog.harness.settings import HarnessSettings

__all__ = ["LEFT_XDIST", "MARKERS", "add", "adopt", "leave_xdist", "register_markers", "settings"]

LEFT_XDIST = pytest.StashKey[bool]()
"""Set where ``-n`` was given but the run compiles, in one process."""

_SETTINGS = pytest.StashKey["HarnessSettings"]()

MARKERS = (
    "lm_program(program=..., *, lm=None, teleprompter=None, trainset=None, train_split=None, valset=None, "
    "val_split=None, teacher=None, name=None, snapshot=None, max_calls=None): the LM program under test: a "
    "Module class, instance or zero-argument factory. lm: a model or a list of models, one unit each.",
    "lm_examples(source, *, split=None, limit=None, inputs=None): the cases: a YAML, JSON, JSONL or CSV file "
    "relative to the test file, a list of Example or dict, or source= a callable that returns one.",
    "lm_metric(weight=1, optimize=True): how a test function counts while compiling.",
    "lm_gate(min_score=None, pass_at=None, max_regressions=0, strict=False, max_drop=None, alpha=0.02, "
    "on_inconclusive='fail', must_pass=()): thresholds on a whole metric.",
    "lm_repeat(n): n rollouts of each case, each an item with a cache entry of its own.",
)


def add(parser: pytest.Parser) -> None:
    """Register the options and ini values."""
    group = parser.getgroup("lmprog", "LM programs (pytest-lmprog)")
    for option in OPTIONS:
        if option.flag:
            group.addoption(
                option.switch, dest=option.dest, action="store_true", default=False, help=option.help
            )
        elif option.cli:
            group.addoption(
                option.switch,
                dest=option.dest,
                type=_argument(option),
                action="append" if option.many else "store",
                default=None,
                metavar=option.metavar,
                help=option.help,
            )
        if option.ini:
            parser.addini(option.dest, option.help, type=_ini_type(option), default=None)


def _ini_type(option: Option) -> Any:
    if isinstance(option.default, bool):
        return "bool"
    return "int" if option.metavar == "N" else "string"


def _argument(option: Option) -> Callable[[str], Any]:
    def read(text: str) -> Any:
        try:
            return option.read(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(f"{text!r}: {error}") from None

    return read


def settings(config: pytest.Config) -> HarnessSettings:
    """Return what holds for this run. Raises pytest.UsageError for a value that cannot be used."""
    if _SETTINGS not in config.stash:
        config.stash[_SETTINGS] = _resolved(config)
    return config.stash[_SETTINGS]


def adopt(config: pytest.Config, *, limit: int | None, repeat: int | None) -> None:
    """Take over the limit of examples and the rollouts of another run, where none are given."""
    given = settings(config)
    config.stash[_SETTINGS] = replace(given, limit=given.limit or limit, repeat=given.repeat or repeat)


def _resolved(config: pytest.Config) -> HarnessSettings:
    from pytest_lmprog.harness.settings import HarnessSettings

    worker = getattr(config, "workerinput", None) or {}
    try:
        found = HarnessSettings.resolve(
            config.rootpath,
            cli={option.name: getattr(config.option, option.dest, None) for option in OPTIONS},
            env=os.environ,
            ini={option.dest: _ini(config, option) for option in OPTIONS if option.ini},
            worker=worker.get("workerid"),
            workers=worker.get("workercount", 1),
            cwd=config.invocation_params.dir,
        )
        if found.baseline is not None and not worker:
            _check_baseline(found, found.baseline)
    except LmprogError as error:
        raise pytest.UsageError(str(error)) from None
    return found


def _check_baseline(found: HarnessSettings, given: str) -> None:
    """Tell at the start what could not be compared with."""
    from pytest_lmprog.harness.verdicts.named_baseline import open_baselines

    open_baselines(given, found.rootdir, cwd=found.cwd)


def _ini(config: pytest.Config, option: Option) -> Any:
    try:
        return config.getini(option.dest)
    except (TypeError, ValueError, pytest.UsageError) as error:
        raise pytest.UsageError(f"{option.dest} in {config.inipath}: {error}") from None


def register_markers(config: pytest.Config) -> None:
    """Make the markers known to ``--markers`` and ``--strict-markers``."""
    for line in MARKERS:
        config.addinivalue_line("markers", line)


def leave_xdist(config: pytest.Config) -> None:
    """Switch xdist off: a compile has concurrency of its own, and one process to write its result."""
    option = config.option
    if getattr(option, "numprocesses", None) or getattr(option, "dist", "no") != "no":
        config.stash[LEFT_XDIST] = True
        option.numprocesses = None
        option.distload = False
        option.dist = "no"
        option.tx = []
