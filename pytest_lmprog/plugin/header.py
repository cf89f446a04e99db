"""The line that says what a run tests with; shown only where something of ours was collected."""

from __future__ import annotations

import os

import pytest

from pytest_lmprog.harness.settings import HarnessSettings
from pytest_lmprog.plugin import options

__all__ = ["lines"]


def lines(config: pytest.Config) -> list[str]:
    """Return the header lines of a run."""
    settings = options.settings(config)
    parts = [
        f"model {settings.model or 'of the lm fixture or marks'}",
        f"record {settings.record}",
        f"cache {_shown(settings)}",
    ]
    parts += [f"{name} {value}" for name, value in _given(settings)]
    found = ["lmprog: " + ", ".join(parts)]
    if config.stash.get(options.LEFT_XDIST, False):
        found.append("lmprog: -n is set aside: a run that writes snapshots uses one process")
    return found


def _shown(settings: HarnessSettings) -> str:
    try:
        return os.path.relpath(settings.cache_dir, settings.rootdir).replace(os.sep, "/")
    except ValueError:
        return str(settings.cache_dir)


def _given(settings: HarnessSettings) -> list[tuple[str, object]]:
    values = {
        "budget": settings.budget,
        "limit": settings.limit,
        "repeat": settings.repeat,
        "seed": settings.seed or None,
    }
    return [(name, value) for name, value in values.items() if value is not None]
