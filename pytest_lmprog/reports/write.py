"""Reports as files: the format follows the suffix; what makes each is loaded when it is asked for."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path

from pytest_lmprog.errors import StoreError, UsageError
from pytest_lmprog.harness.options import REPORT_SUFFIXES
from pytest_lmprog.harness.saved.run import SavedRun

__all__ = ["render", "write_report"]


_RENDERERS = {
    ".html": ("pytest_lmprog.reports.html", "html_report"),
    ".json": ("pytest_lmprog.reports.json_report", "json_report"),
    ".md": ("pytest_lmprog.reports.markdown", "markdown_report"),
}


def render(saved: SavedRun, suffix: str) -> str:
    """Return the report of a run as text. ``suffix``: ``.html``, ``.json`` or ``.md``.

    Raises UsageError for another."""
    found = _RENDERERS.get(suffix.lower())
    if found is None:
        raise UsageError(f"there is no report in the form {suffix!r}; there are {', '.join(REPORT_SUFFIXES)}")
    module, name = found
    renderer: Callable[[SavedRun], str] = getattr(import_module(module), name)
    return renderer(saved)


def write_report(saved: SavedRun, path: Path) -> None:
    """Write the report of a run to ``path``, whose suffix says in which form; its folder is made.

    Atomic: a reader sees the old or the new file. Raises StoreError where it cannot be written."""
    from pytest_lmprog.snapshots.store import replace_file

    text = render(saved, path.suffix)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, text.encode("utf-8", "backslashreplace"))
    except OSError as error:
        raise StoreError(f"the report cannot be written: {error.strerror or error}", path=str(path)) from None
