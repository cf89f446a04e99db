"""Small projects on disk, to fingerprint, edit and fingerprint again."""

from __future__ import annotations

import importlib
import itertools
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

_numbers = itertools.count()


class Project:
    """A package ``support`` in a folder; ``load`` imports it afresh."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.files: dict[str, str] = {"support/__init__.py": ""}

    def write(self, **files: str) -> None:
        """Set modules of the package: ``write(program="...")`` is support/program.py."""
        self.files.update({f"support/{name}.py": text for name, text in files.items()})

    def edit(self, name: str, old: str, new: str) -> None:
        path = f"support/{name}.py"
        assert old in self.files[path]
        self.files[path] = self.files[path].replace(old, new)

    @contextmanager
    def load(self, name: str = "program") -> Iterator[ModuleType]:
        folder = self.root / f"v{next(_numbers)}"
        for path, text in self.files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text, encoding="utf-8")
        sys.path.insert(0, str(folder))
        importlib.invalidate_caches()
        try:
            yield importlib.import_module(f"support.{name}")
        finally:
            sys.path.remove(str(folder))
            for loaded in [m for m in sys.modules if m.partition(".")[0] == "support"]:
                del sys.modules[loaded]


def differing(one: dict[str, Any], other: dict[str, Any]) -> list[str]:
    """Return the names of the items that differ."""
    return sorted(name for name in one.keys() | other.keys() if one.get(name) != other.get(name))
