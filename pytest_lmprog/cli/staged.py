"""What git is about to commit, as files: the index may hold other things than the working tree."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from pytest_lmprog.cli.context import Context
from pytest_lmprog.errors import UsageError

__all__ = ["staged"]

_SUFFIXES = (".py", ".yaml", ".yml", ".json", ".jsonl", ".csv")


@contextmanager
def staged(context: Context) -> Iterator[Context]:
    """Give ``context`` as if its project held what is in git's index: code, data and snapshots, in a folder
    that is removed afterwards.

    Raises UsageError where the project lies in no git repository."""
    top = Path(_git(context.root, "rev-parse", "--show-toplevel").decode().rstrip("\n")).resolve()
    root = context.root.resolve().relative_to(top)
    # Within a hook git says by environment variables, relative to the top, which index it is about.
    listed = _git(top, "ls-files", "-z", "--cached", "--", root.as_posix()).split(b"\0")
    wanted = [name for name in listed if name.decode("utf-8", "replace").lower().endswith(_SUFFIXES)]
    with tempfile.TemporaryDirectory(prefix="lmprog-", ignore_cleanup_errors=True) as name:
        folder = Path(name).resolve()
        (folder / root).mkdir(parents=True, exist_ok=True)
        prefix = f"--prefix={folder.as_posix()}/"
        _git(top, "checkout-index", "-z", "--stdin", prefix, given=b"".join(n + b"\0" for n in wanted))
        yield replace(
            context,
            cwd=_moved(context.cwd, top, folder),
            project=replace(context.project, root=folder / root),
        )


def _moved(path: Path, top: Path, folder: Path) -> Path:
    path = path.resolve()
    return folder / path.relative_to(top) if path.is_relative_to(top) else path


def _git(folder: Path, *args: str, given: bytes | None = None) -> bytes:
    try:
        done = subprocess.run(["git", *args], cwd=folder, input=given, capture_output=True, check=True)
    except FileNotFoundError:
        raise UsageError("--staged needs git, which is not installed") from None
    except subprocess.CalledProcessError as error:
        said = error.stderr.decode("utf-8", "replace").strip().partition("\n")[0]
        raise UsageError(f"--staged: git {args[0]} failed: {said}") from None
    return done.stdout
