"""``--lm-rescore``: the metrics as they are now, on the predictions of a saved run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pytest_lmprog.errors import LmprogError
from pytest_lmprog.harness.saved.run import SavedRun
from pytest_lmprog.harness.saved.store import load_run_file, run_name, run_path
from pytest_lmprog.harness.settings import HarnessSettings
from pytest_lmprog.plugin import options, surroundings
from pytest_lmprog.plugin.cases import case_of

__all__ = ["begin", "load", "name_of"]

_LOADED: pytest.StashKey[tuple[SavedRun, str]] = pytest.StashKey()


def load(config: pytest.Config, settings: HarnessSettings) -> None:
    """Read the saved run. What the command line leaves open is as it was then: the limit of examples, the
    rollouts, and where no test is named, the test modules.

    Raises pytest.UsageError where it cannot be used."""
    assert settings.rescore is not None
    try:
        path = run_path(settings.cache_dir, settings.rescore, cwd=settings.cwd or settings.rootdir)
        config.stash[_LOADED] = (load_run_file(path), run_name(path))
    except LmprogError as error:
        raise pytest.UsageError(str(error)) from None
    asked = config.stash[_LOADED][0].settings
    options.adopt(config, limit=asked.get("limit"), repeat=asked.get("repeat"))
    if config.args_source is not pytest.Config.ArgsSource.ARGS:
        modules = _modules(config.stash[_LOADED][0], config.rootpath)
        config.args[:] = modules or config.args


def _modules(saved: SavedRun, root: Path) -> list[str]:
    modules = dict.fromkeys(unit.info.module_id for unit in saved.units)
    return [str(path) for module in modules if (path := root / module).is_file()]


def name_of(config: pytest.Config) -> str:
    """Return what the saved run is called."""
    return config.stash[_LOADED][1]


def begin(config: pytest.Config, items: list[Any]) -> None:
    """Have units take their runs from the saved run, and leave only cases: other tests need no part of it."""
    surroundings.session_of(config).rescore(*config.stash[_LOADED])
    others = [item for item in items if case_of(item) is None]
    if others:
        config.hook.pytest_deselected(items=others)
        items[:] = [item for item in items if case_of(item) is not None]
