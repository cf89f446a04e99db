"""From a snapshot back to a program: what production code calls, without pytest."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any, TypeVar

from pytest_lmprog.errors import SnapshotError, UsageError
from pytest_lmprog.programs.module import Module
from pytest_lmprog.snapshots.artifact import PredictorSnapshot, Snapshot

__all__ = ["load", "restore"]

_M = TypeVar("_M", bound=Module)


def load(path: str | Path, program: _M) -> _M:
    """Return a new program: ``program`` with the instructions, field texts and demos of a snapshot.

    ``program`` itself is untouched. Warns where the snapshot was compiled for another model than the
    configured one. Raises SnapshotError for a file that cannot be read, and where the program's
    predictors or fields are not those of the snapshot, naming what does not fit.

    Parameters
    ----------
    path: the snapshot (``tests/__lm_snapshots__/test_support/TestTriage.yaml``).
    program: the program as written (``Triage()``).
    """
    from pytest_lmprog.snapshots.store import read

    if not isinstance(program, Module):
        name = getattr(program, "__name__", type(program).__name__)
        hint = f"load(path, {name}())" if isinstance(program, type) else None
        raise UsageError(f"load needs a program, an instance of a Module, not {program!r}", hint=hint)
    snapshot = read(Path(path))
    restored = restore(snapshot, program, path=str(path))
    _warn_of_another_model(snapshot, restored, str(path))
    return restored


def restore(snapshot: Snapshot, program: _M, *, path: str | None = None) -> _M:
    """Return a new program with the prompts of ``snapshot``. ``path`` is the file named in errors.

    Raises SnapshotError, naming predictor and field, where the program does not fit."""
    from pytest_lmprog.programs.state import STATE_FORMAT, restored

    _check_prompt_format(snapshot, path)
    predictors = {name: _state(predictor) for name, predictor in snapshot.predictors.items()}
    return restored(program, {"format": STATE_FORMAT, "predictors": predictors}, source=path)


def _state(predictor: PredictorSnapshot) -> dict[str, Any]:
    fields = [
        {"name": f.name, "role": f.role, "type": f.type, "desc": f.desc, "prefix": f.prefix}
        for f in predictor.fields
    ]
    demos = [dict(demo) for demo in predictor.demos]
    return {"instructions": predictor.instructions, "fields": fields, "demos": demos}


def _check_prompt_format(snapshot: Snapshot, path: str | None) -> None:
    from pytest_lmprog.adapters.base import PROMPT_FORMAT

    if snapshot.header.prompt_format > PROMPT_FORMAT:
        raise SnapshotError(
            f"prompt_format is {snapshot.header.prompt_format}: compiled by a newer pytest-lmprog, "
            f"this one renders {PROMPT_FORMAT}",
            path=path,
            hint="pip install --upgrade pytest-lmprog",
        )


def _warn_of_another_model(snapshot: Snapshot, program: Module, path: str) -> None:
    from pytest_lmprog.programs.context import current

    compiled_for = snapshot.header.model
    own = {predictor.lm.model for predictor in program.predictors() if predictor.lm is not None}
    configured = current().lm
    models = own or ({configured.model} if configured is not None else set())
    if compiled_for is None or not models or models == {compiled_for.name}:
        return
    warnings.warn(
        f"{path} was compiled for the model {compiled_for.name!r}, but {', '.join(sorted(models))!r} is "
        "configured: its instructions and demos may serve it less well",
        stacklevel=3,
    )
