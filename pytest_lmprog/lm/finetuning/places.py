"""Where finetuned models are kept: a folder each, named by the identity of its training."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pytest_lmprog.errors import ConfigurationError
from pytest_lmprog.lm.claims import Claim, FileClaims
from pytest_lmprog.lm.scope import current_scope

__all__ = ["claim_of", "find_finetuned", "folder_of", "read_note", "write_note"]

_MADE = "made.json"


def folder_of(identity: str) -> Path:
    """Return the folder of a training, which need not exist: below ``PYTEST_LMPROG_FINETUNED_DIR``, else
    the active scope's cache folder, else the user's cache."""
    return _places()[0] / identity


def find_finetuned(identity: str, name: str) -> Path:
    """Return the folder of a model that was trained here.

    Raises ConfigurationError, which says how to make it, where there is none."""
    for place in _places():
        if (place / identity / _MADE).is_file():
            return place / identity
    raise ConfigurationError(
        f"the weights of {name} are not on this machine: they are made by compiling and never committed",
        hint="pytest --lm-compile trains it again; recorded answers replay without it",
    )


def claim_of(folder: Path) -> Claim:
    """Return the right to train in ``folder``, against every thread and process. Makes what is above it."""
    from pytest_lmprog.lm.stores.folder import make_cache_folder

    make_cache_folder(folder.parent)
    return FileClaims(folder.parent / "training.lock").claim(folder.name)


def read_note(folder: Path, name: str = _MADE) -> dict[str, Any]:
    """Return a note that ``write_note`` left in ``folder``; empty where there is none, or a damaged one."""
    try:
        note = json.loads((folder / name).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return note if isinstance(note, dict) else {}


def write_note(folder: Path, note: Mapping[str, Any], name: str = _MADE) -> None:
    """Write a note into ``folder``, atomically. ``made.json`` is written last: it says the model is whole."""
    folder.mkdir(parents=True, exist_ok=True)
    taken = folder / f".{name}.{os.getpid()}"
    text = json.dumps(note, ensure_ascii=False, indent=2, sort_keys=True) + "\n"
    taken.write_text(text, encoding="utf-8", newline="\n")
    os.replace(taken, folder / name)


def _places() -> list[Path]:
    given = os.environ.get("PYTEST_LMPROG_FINETUNED_DIR")
    if given:
        return [Path(given).expanduser()]
    from pytest_lmprog.lm.local.weights import weights_folder

    store = current_scope().cache
    directory = getattr(getattr(store, "back", store), "directory", None)
    users = weights_folder() / "finetuned"
    return [users] if directory is None else [Path(directory) / "finetuned", users]
