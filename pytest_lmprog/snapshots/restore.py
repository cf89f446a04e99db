"""From a snapshot back to a program: what production code calls, without pytest."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from dataclasses import fields as dataclass_fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

from pytest_lmprog.errors import SnapshotError, UsageError
from pytest_lmprog.lm.finetuning.origin import origin_of
from pytest_lmprog.lm.types import LanguageModel
from pytest_lmprog.programs.module import Module
from pytest_lmprog.snapshots.artifact import FinetunedModel, PredictorSnapshot, Snapshot

if TYPE_CHECKING:
    from pytest_lmprog.snapshots.artifact import EnsembleInfo

__all__ = ["load", "restore"]

_M = TypeVar("_M", bound=Module)


def load(path: str | Path, program: _M, *, functions: Iterable[Callable[..., Any]] = ()) -> _M:
    """Return a new program: ``program`` with the instructions, field texts and demos of a snapshot.

    ``program`` itself is untouched. The snapshot of an ensemble gives an EnsembledProgram of as many copies
    of it. Warns where the snapshot was compiled for another model than the
    configured one. Raises SnapshotError for a file that cannot be read, and where the program's
    predictors or fields are not those of the snapshot, naming what does not fit.

    Parameters
    ----------
    path: the snapshot (``tests/__lm_snapshots__/test_support/TestTriage.yaml``).
    program: the program as written (``Triage()``).
    functions: those that the snapshot names (an ensemble's ``reduce_fn``, what chooses demos; an Embedder
        too, where it has an address of its own): nothing is imported by the name that stands in a file.
    """
    from pytest_lmprog.snapshots.store import read

    if not isinstance(program, Module):
        name = getattr(program, "__name__", type(program).__name__)
        hint = f"load(path, {name}())" if isinstance(program, type) else None
        raise UsageError(f"load needs a program, an instance of a Module, not {program!r}", hint=hint)
    snapshot = read(Path(path))
    restored = restore(snapshot, program, path=str(path), functions=functions)
    _warn_of_another_model(snapshot, restored, str(path))
    return restored


def restore(
    snapshot: Snapshot,
    program: _M,
    *,
    path: str | None = None,
    functions: Iterable[Callable[..., Any]] = (),
) -> _M:
    """Return a new program with the prompts of ``snapshot``. ``path`` is the file named in errors.

    Raises SnapshotError, naming predictor and field, where the program does not fit, and for a function
    that the snapshot names and that is not among ``functions``."""
    from pytest_lmprog.programs.state import STATE_FORMAT, restored

    _check_prompt_format(snapshot, path)
    if snapshot.header.ensemble is not None:
        program = _ensembled(program, snapshot.header.ensemble, path, functions)
    predictors = {name: _state(predictor) for name, predictor in snapshot.predictors.items()}
    state = {"format": STATE_FORMAT, "predictors": predictors}
    return restored(program, state, source=path, functions=functions)


def _ensembled(
    program: _M, info: EnsembleInfo, path: str | None, functions: Iterable[Callable[..., Any]]
) -> _M:
    from pytest_lmprog.programs.ensemble import EnsembledProgram

    if isinstance(program, EnsembledProgram):
        return program
    reduce_fn = _function(info.reduce, path, functions)
    members = [program.copy() for _ in range(info.members)]
    return cast("_M", EnsembledProgram(members, reduce_fn))


def _function(name: str, path: str | None, functions: Iterable[Callable[..., Any]]) -> Callable[..., Any]:
    from pytest_lmprog.programs.ensemble import function_name
    from pytest_lmprog.programs.majority import majority

    for function in (majority, *functions):
        if function_name(function) == name:
            return function
    raise SnapshotError(
        f"the snapshot names the function {name!r}, which was not given",
        path=path,
        hint=f"load(path, program, functions=[{name.rpartition('.')[2]}])",
    )


def _state(predictor: PredictorSnapshot) -> dict[str, Any]:
    fields = [
        {"name": f.name, "role": f.role, "type": f.type, "desc": f.desc, "prefix": f.prefix}
        for f in predictor.fields
    ]
    demos = [dict(demo) for demo in predictor.demos]
    frozen = {"frozen": True} if predictor.frozen else {}
    lm = {} if predictor.finetuned is None else {"lm": _plain(predictor.finetuned)}
    state = {"instructions": predictor.instructions, "fields": fields, "demos": demos, **frozen, **lm}
    nearest = predictor.nearest
    if nearest is None:
        return state
    chosen = {"k": nearest.k, "vectorizer": nearest.vectorizer, "keys": list(nearest.keys)}
    return {**state, "nearest": chosen}


def _plain(model: FinetunedModel) -> dict[str, Any]:
    return {f.name: getattr(model, f.name) for f in dataclass_fields(model)}


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
    own = {_untrained(predictor.lm) for predictor in program.predictors() if predictor.lm is not None}
    configured = current().lm
    models = own or ({configured.model} if configured is not None else set())
    if compiled_for is None or not models or models == {compiled_for.name}:
        return
    warnings.warn(
        f"{path} was compiled for the model {compiled_for.name!r}, but {', '.join(sorted(models))!r} is "
        "configured: its instructions and demos may serve it less well",
        stacklevel=3,
    )


def _untrained(lm: LanguageModel) -> str:
    """Return the model's name; of one that was finetuned, that of its base, which a snapshot is for."""
    origin = origin_of(lm)
    return lm.model if origin is None else origin.base
