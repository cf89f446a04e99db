"""Which answers the last complete, passing run of a test module used: what pruning keeps.

The list lies in the cache folder, one file a recording, because it says something of this machine's
runs and is disposable: without it nothing is pruned.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from pytest_lmprog.canonical import canonical_json, digest_bytes
from pytest_lmprog.lm.stores.folder import make_cache_folder

__all__ = ["read_last_used", "write_last_used"]

_FORMAT = 1


def write_last_used(cache_dir: Path, recording: Path, keys: Iterable[str]) -> None:
    """Note the ``keys`` that a complete run in which everything passed used of ``recording``.

    Does nothing where the cache folder cannot be written: nothing will be pruned then.
    """
    target = _note_path(cache_dir, recording)
    temporary = target.with_suffix(f".{os.getpid()}.tmp")
    data = {"format": _FORMAT, "recording": recording.name, "keys": sorted(set(keys))}
    with suppress(OSError):
        make_cache_folder(Path(cache_dir))
        target.parent.mkdir(exist_ok=True)
        temporary.write_bytes(canonical_json(data) + b"\n")
        os.replace(temporary, target)


def read_last_used(cache_dir: Path, recording: Path) -> frozenset[str] | None:
    """Return the keys noted last, or None where there is no readable note."""
    try:
        data = json.loads(_note_path(cache_dir, recording).read_bytes())
        if data["format"] != _FORMAT or not all(isinstance(key, str) for key in data["keys"]):
            return None
        return frozenset(data["keys"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _note_path(cache_dir: Path, recording: Path) -> Path:
    name = digest_bytes(os.fsencode(os.path.realpath(recording)))[:12]
    return Path(cache_dir) / "last_run" / f"{recording.stem}-{name}.json"
