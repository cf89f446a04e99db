"""Constants that are read from a file (``RULES = Path("rules.txt").read_text()``), judged by that file."""

from __future__ import annotations

import ast
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from pytest_lmprog.canonical import canonical_json
from pytest_lmprog.errors import CanonicalError
from pytest_lmprog.snapshots.fingerprint import short
from pytest_lmprog.snapshots.source import SourceTree

__all__ = ["digest_by_file", "file_of"]

_MOST_BYTES = 1_000_000


def _yaml(text: str) -> Any:
    import yaml

    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from None


_READINGS: tuple[Callable[[str], Any], ...] = (str, str.strip, str.rstrip, str.splitlines, json.loads, _yaml)
"""What programs usually make of a text."""


def digest_by_file(code: str, path: Path, stored: str) -> str:
    """Return ``stored`` where the constant, whose code has the digest ``code``, can still be what it was by
    what ``path`` holds; else another digest. An unreadable file is a change too."""
    found = list(_digests(code, path))
    return stored if stored in found else next(iter(found), short([code, "unreadable"]))


def _digests(code: str, path: Path) -> Iterator[str]:
    try:
        if path.stat().st_size > _MOST_BYTES:
            return
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return
    for reading in _READINGS:
        try:
            yield short([code, canonical_json(reading(text)).decode()])
        except (ValueError, RecursionError, CanonicalError):
            continue


def file_of(
    tree: SourceTree, module: ModuleType, name: str, root: Path, digests: Mapping[str, str]
) -> Path | None:
    """Return the file within ``root`` that the constant ``name`` of ``module`` was read from, or None.

    ``digests``: ``code``, of the constant's code, and ``stored``, with its value."""
    folder = Path(module.__file__ or "").parent
    for named in _named(tree.bindings.get(name, [])):
        for base in (folder, *folder.parents):
            if not base.is_relative_to(root):
                break
            path = base / named
            if path.is_file() and path.resolve().is_relative_to(root) and _tells(path, digests):
                return path.resolve()
    return None


def _tells(path: Path, digests: Mapping[str, str]) -> bool:
    return digest_by_file(digests["code"], path, digests["stored"]) == digests["stored"]


def _named(statements: list[ast.stmt]) -> Iterator[str]:
    """Yield what may be a file's name in the statements: each text, and all of them joined."""
    nodes = [node for statement in statements for node in ast.walk(statement)]
    texts = [n for n in nodes if isinstance(n, ast.Constant) and isinstance(n.value, str) and n.value]
    texts.sort(key=lambda n: (n.lineno, n.col_offset))
    plain = [str(node.value) for node in texts if "\0" not in str(node.value) and len(str(node.value)) < 200]
    yield from plain
    for end in range(len(plain), 1, -1):
        yield "/".join(plain[:end])
