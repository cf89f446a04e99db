"""The cache folder: made on the first write, and ignored by git if it was us who made it."""

from __future__ import annotations

from pathlib import Path

__all__ = ["make_cache_folder"]


def make_cache_folder(directory: Path) -> None:
    """Make ``directory`` with a ``.gitignore`` for all that it will hold. One that exists is left as it
    is: it may be a folder of the user's. Raises OSError where that is impossible."""
    try:
        directory.mkdir(parents=True)
    except FileExistsError:
        return
    (directory / ".gitignore").write_text("*\n", encoding="utf-8", newline="\n")
