"""Which project a command is about: pytest's rootdir and ini file, found without running pytest."""

from __future__ import annotations

import os
import shlex
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pytest_lmprog.errors import ConfigurationError
from pytest_lmprog.harness.settings import HarnessSettings
from pytest_lmprog.records import dataclass

__all__ = ["Project", "find_project"]

_NAMES = (
    "pytest.toml",
    ".pytest.toml",
    "pytest.ini",
    ".pytest.ini",
    "pyproject.toml",
    "tox.ini",
    "setup.cfg",
)
_CACHE_DIR = "--lm-cache-dir"


@dataclass(frozen=True, slots=True)
class Project:
    """A project: its rootdir, its ini file (if any), and the settings that hold there."""

    root: Path
    inifile: Path | None
    settings: HarnessSettings


def find_project(start: Path) -> Project:
    """Return the project that ``start`` lies in, by pytest's rules: the nearest ini file with a pytest
    section, else the nearest setup.py or pyproject.toml, else ``start``.

    Raises ConfigurationError for an ini file that cannot be read and for bad values in it."""
    start = start.resolve()
    inifile, ini = _nearest(start)
    root = inifile.parent if inifile is not None else _fallback(start)
    cli = _added_options(str(ini.get("addopts", "")), os.environ.get("PYTEST_ADDOPTS", ""))
    own = {name: value for name, value in ini.items() if name.startswith("lm_")}
    return Project(root, inifile, HarnessSettings.resolve(root, cli=cli, env=os.environ, ini=own))


def _nearest(start: Path) -> tuple[Path | None, Mapping[str, Any]]:
    for folder in (start, *start.parents):
        for name in _NAMES:
            path = folder / name
            section = _section(path) if path.is_file() else None
            if section is not None:
                return path, section
    return None, {}


def _fallback(start: Path) -> Path:
    for name in ("pyproject.toml", "setup.py"):
        for folder in (start, *start.parents):
            if (folder / name).is_file():
                return folder
    return start


def _section(path: Path) -> Mapping[str, Any] | None:
    """Return pytest's section of an ini file, or None where it has none."""
    try:
        text = path.read_text(encoding="utf-8")
        return _from_toml(path, text) if path.suffix == ".toml" else _from_ini(path, text)
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{path} cannot be read: {error}") from None


def _from_toml(path: Path, text: str) -> Mapping[str, Any] | None:
    data = tomllib.loads(text)
    if path.name != "pyproject.toml":
        return dict(data.get("pytest", {}))
    table = data.get("tool", {}).get("pytest")
    if table is None:
        return None
    return {**table, **table.get("ini_options", {})}


def _from_ini(path: Path, text: str) -> Mapping[str, Any] | None:
    from iniconfig import IniConfig, ParseError

    try:
        parsed = IniConfig(str(path), data=text)
    except ParseError as error:
        raise ValueError(str(error)) from None
    section = "tool:pytest" if path.name == "setup.cfg" else "pytest"
    if section in parsed:
        return dict(parsed[section].items())
    return {} if path.name in ("pytest.ini", ".pytest.ini") else None


def _added_options(*texts: str) -> dict[str, str]:
    """Return what ``addopts`` says of the cache folder: it counts like the command line."""
    words = [word for text in texts for word in _words(text)]
    found: dict[str, str] = {}
    for index, word in enumerate(words):
        name, sign, value = word.partition("=")
        if name == _CACHE_DIR and (sign or index + 1 < len(words)):
            found["cache_dir"] = value if sign else words[index + 1]
    return found


def _words(text: str) -> Iterator[str]:
    try:
        yield from shlex.split(text)
    except ValueError:  # unbalanced quotes: pytest itself will say so
        return
