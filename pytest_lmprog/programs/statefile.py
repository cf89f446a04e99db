"""Files that hold a program's state: JSON or YAML, written atomically, never executed."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pytest_lmprog.errors import SnapshotError

__all__ = ["read_file", "write_state"]


def write_state(state: Mapping[str, Any], path: Path) -> None:
    """Write ``state`` to ``path``: JSON for ``.json``, else YAML. A reader never sees half of it."""
    text = _to_text(state, path)
    if _from_text(text, path) != state:
        raise SnapshotError("the state does not read back as it was written", path=str(path))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _replace(path, text)
    except OSError as error:
        raise SnapshotError(f"cannot be written: {error.strerror or error}", path=str(path)) from None


def _replace(path: Path, text: str) -> None:
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def _to_text(state: Mapping[str, Any], path: Path) -> str:
    if path.suffix.lower() == ".json":
        return json.dumps(state, ensure_ascii=False, indent=2, allow_nan=False) + "\n"
    return _to_yaml(state)


_NEEDS_ESCAPES = r"[^\n\t\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010fffe]"
"""A character that YAML readers take for a line break, drop or refuse where it stands as itself."""


def _to_yaml(state: Mapping[str, Any]) -> str:
    import re

    import yaml

    class Dumper(yaml.SafeDumper):
        pass

    def represent(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
        style = '"' if re.search(_NEEDS_ESCAPES, value) else None
        return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)

    Dumper.add_representer(str, represent)
    text: str = yaml.dump(dict(state), Dumper=Dumper, sort_keys=False, allow_unicode=True, width=float("inf"))
    return text


def read_file(path: Path) -> dict[str, Any]:
    """Return the data in ``path``. Raises SnapshotError with file and line."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise SnapshotError("there is no such file", path=str(path)) from None
    except (OSError, UnicodeDecodeError) as error:
        raise SnapshotError(f"cannot be read: {error}", path=str(path)) from None
    _refuse_conflicts(text, path)
    data = _from_text(text, path)
    if not isinstance(data, dict):
        raise SnapshotError("this is not the state of a program", path=str(path))
    return data


def _refuse_conflicts(text: str, path: Path) -> None:
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith(("<<<<<<< ", ">>>>>>> ")):
            raise SnapshotError(
                "it has git conflict markers", path=str(path), line=number, hint="resolve the conflict"
            )


def _from_text(text: str, path: Path) -> Any:
    if path.suffix.lower() == ".json":
        try:
            return json.loads(text)
        except ValueError as error:
            line = getattr(error, "lineno", None)
            raise SnapshotError(f"it is not JSON: {error}", path=str(path), line=line) from None
        except RecursionError:
            raise SnapshotError("it is nested too deeply", path=str(path)) from None
    return _from_yaml(text, path)


def _from_yaml(text: str, path: Path) -> Any:
    import yaml

    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or str(error)
        line = None if mark is None else mark.line + 1
        raise SnapshotError(f"it is not YAML: {problem}", path=str(path), line=line) from None
    except (RecursionError, ValueError) as error:
        raise SnapshotError(f"it is not YAML: {error}", path=str(path)) from None
