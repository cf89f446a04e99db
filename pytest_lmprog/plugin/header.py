"""The line that says what a run tests with; shown only where something of ours was collected."""

from __future__ import annotations

import os
from collections.abc import Iterable

import pytest

from pytest_lmprog.harness.settings import HarnessSettings
from pytest_lmprog.plugin import options
from pytest_lmprog.plugin.run import existing_run

__all__ = ["lines"]


def lines(config: pytest.Config, models: Iterable[str | None] = ()) -> list[str]:
    """Return the header lines of a run. ``models`` are those tested with, where that is known by now."""
    if config.get_verbosity() < 0:
        return []
    settings = options.settings(config)
    if settings.rescore is not None:
        from pytest_lmprog.plugin import rescoring

        return [f"lmprog: rescoring {rescoring.name_of(config)}; nothing is asked"]
    parts = [
        f"model {' and '.join(sorted(filter(None, models))) or _models(config, settings)}",
        f"record {settings.record}",
        f"cache {_shown(settings)}",
    ]
    parts += [f"{name} {value}" for name, value in _given(settings)]
    found = ["lmprog: " + ", ".join(parts)]
    if config.stash.get(options.LEFT_XDIST, False):
        found.append("lmprog: -n is set aside: a run that writes snapshots uses one process")
    return found


def _models(config: pytest.Config, settings: HarnessSettings) -> str:
    run = existing_run(config)
    plans = [] if run is None else list(run.units.values())
    marked = {getattr(plan.lm, "model", plan.lm) for plan in plans}
    names = sorted(name for name in marked if name is not None)
    if None in marked or not plans:
        names.append(settings.model or "of the lm fixture")
    return " and ".join(names)


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
