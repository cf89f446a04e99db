"""What compiling changes in a program, as plain data: instructions, field texts and demos by predictor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pytest_lmprog.errors import SnapshotError
from pytest_lmprog.programs.example import Example
from pytest_lmprog.signatures import Field, Signature

if TYPE_CHECKING:
    from pytest_lmprog.programs.module import Module
    from pytest_lmprog.programs.predict import Predict

__all__ = ["STATE_FORMAT", "dump_state", "load_state", "read_state", "restored", "save_state"]

STATE_FORMAT = 1
"""Number of the form of the data. A reader refuses others."""

_M = TypeVar("_M", bound="Module")
_Fitted = tuple[type[Signature], tuple[Example, ...]]


def dump_state(program: Module) -> dict[str, Any]:
    """Return ``{"format": 1, "predictors": {path: {"instructions", "fields", "demos"}}}``.

    ``fields`` has name, role and type text of each field, desc and prefix where it has them; ``demos``
    are plain data. Raises SnapshotError for a demo that has no plain form, naming it."""
    predictors = {path: _dumped(path, p) for path, p in program.named_predictors()}
    return {"format": STATE_FORMAT, "predictors": predictors}


def _dumped(path: str, predictor: Predict) -> dict[str, Any]:
    fields = predictor.signature.fields
    return {
        "instructions": predictor.signature.instructions,
        "fields": [_field_state(field) for field in fields.values()],
        "demos": [_plain_demo(path, n, fields, demo) for n, demo in enumerate(predictor.demos, 1)],
    }


def _field_state(field: Field) -> dict[str, Any]:
    texts = {"desc": field.desc, "prefix": field.prefix}
    state = {"name": field.name, "role": field.role, "type": field.type_text}
    return {**state, **{name: text for name, text in texts.items() if text is not None}}


def _plain_demo(
    path: str, number: int, fields: Mapping[str, Field], demo: Mapping[str, Any]
) -> dict[str, Any]:
    plain = {}
    for name, field in fields.items():
        if name in demo:
            try:
                plain[name] = field.to_plain(field.accept(demo[name]))
            except ValueError as error:
                raise SnapshotError(f"predictor {path!r}, demo {number}, field {name!r}: {error}") from None
    return plain


def load_state(program: Module, state: Mapping[str, Any], *, source: str | None = None) -> None:
    """Take ``state`` over into ``program``, in place. ``source`` is the file named in errors.

    Raises SnapshotError naming predictor and field where it does not fit; then nothing is changed."""
    fitted = _fit(program, state, source)
    for path, predictor in program.named_predictors():
        predictor.signature, predictor.demos = fitted[path]


def restored(program: _M, state: Mapping[str, Any], *, source: str | None = None) -> _M:
    """Return a copy of ``program`` with ``state``; errors as for ``load_state``."""
    fitted = _fit(program, state, source)

    def edit(path: str, predictor: Predict) -> Predict:
        predictor.signature, predictor.demos = fitted[path]
        return predictor

    return program.with_predictors(edit)


def _fit(program: Module, state: Mapping[str, Any], source: str | None) -> dict[str, _Fitted]:
    try:
        saved = _predictors_of(state)
        predictors = dict(program.named_predictors())
        _check_names(predictors, saved)
        return {path: _fitted(path, p.signature, saved[path]) for path, p in predictors.items()}
    except SnapshotError as error:
        if source is None or error.path is not None:
            raise
        raise SnapshotError(error.message, path=source, hint=error.hint) from None


def _predictors_of(state: Any) -> Mapping[str, Any]:
    if not isinstance(state, Mapping) or not isinstance(state.get("predictors"), Mapping):
        raise SnapshotError("this is not the state of a program: it has no predictors")
    number = state.get("format")
    if number != STATE_FORMAT:
        raise SnapshotError(f"the format {number!r} is unknown; this version reads {STATE_FORMAT}")
    predictors: Mapping[str, Any] = state["predictors"]
    return predictors


_COMPILE_AGAIN = "compile the program again, or bring the signature back to what it was"


def _check_names(predictors: Mapping[str, Any], saved: Mapping[str, Any]) -> None:
    for path in predictors:
        if path not in saved:
            raise SnapshotError(
                f"the program's predictor {path!r} is missing in the saved state", hint=_COMPILE_AGAIN
            )
    for path in saved:
        if path not in predictors:
            have = ", ".join(predictors) or "none"
            raise SnapshotError(
                f"the saved predictor {path!r} is not in the program, which has: {have}", hint=_COMPILE_AGAIN
            )


def _fitted(path: str, signature: type[Signature], saved: Any) -> _Fitted:
    where = f"predictor {path!r}"
    instructions = saved.get("instructions") if isinstance(saved, Mapping) else None
    if not isinstance(instructions, str):
        raise SnapshotError(f"{where} has no instructions")
    new = _with_fields(where, signature, _rows(where, saved, "fields"))
    if new.instructions != instructions:
        new = new.with_instructions(instructions)
    demos = enumerate(_rows(where, saved, "demos"), 1)
    return new, tuple(_typed_demo(f"{where}, demo {n}", new, demo) for n, demo in demos)


def _rows(where: str, saved: Mapping[str, Any], name: str) -> Sequence[Mapping[str, Any]]:
    rows = saved.get(name) or ()
    if not isinstance(rows, list | tuple) or not all(isinstance(row, Mapping) for row in rows):
        raise SnapshotError(f"{where}: {name} is not a list of mappings")
    return rows


def _with_fields(
    where: str, signature: type[Signature], saved: Sequence[Mapping[str, Any]]
) -> type[Signature]:
    """Return the signature with the saved order, descriptions and prefixes."""
    rows = {str(row.get("name")): row for row in saved}
    for name in signature.fields:
        if name not in rows:
            raise SnapshotError(f"{where}: the field {name!r} is not in the saved state", hint=_COMPILE_AGAIN)
    for name, row in rows.items():
        _check_field(where, signature.fields.get(name), name, row)
    new = signature
    for name, row in rows.items():
        field = signature.fields[name]
        if (field.desc, field.prefix) != (row.get("desc"), row.get("prefix")):
            new = new.with_field(name, desc=row.get("desc"), prefix=row.get("prefix"))
    return new if list(rows) == list(new.fields) else new.with_order(list(rows))


def _check_field(where: str, field: Field | None, name: str, row: Mapping[str, Any]) -> None:
    if field is None:
        problem = f"the saved field {name!r} is not in the signature"
    elif row.get("role", field.role) != field.role:
        problem = f"the field {name!r} was an {row['role']} and is an {field.role}"
    elif row.get("type", field.type_text) != field.type_text:
        problem = f"the field {name!r} was {row['type']} and is {field.type_text}"
    elif not all(isinstance(row.get(text), str | None) for text in ("desc", "prefix")):
        problem = f"desc and prefix of the field {name!r} must be texts"
    else:
        return
    raise SnapshotError(f"{where}: {problem}", hint=_COMPILE_AGAIN)


def _typed_demo(where: str, signature: type[Signature], demo: Mapping[str, Any]) -> Example:
    values: dict[str, Any] = {}
    for name, value in demo.items():
        field = signature.fields.get(name)
        if field is None:
            raise SnapshotError(f"{where}: the signature has no field {name!r}", hint=_COMPILE_AGAIN)
        try:
            values[name] = field.accept(value)
        except ValueError as error:
            raise SnapshotError(f"{where}, field {name!r}: {error}", hint=_COMPILE_AGAIN) from None
    return Example(values)


def save_state(program: Module, path: Path) -> None:
    """Write the state to ``path`` (.json, else YAML), atomically. Raises SnapshotError."""
    from pytest_lmprog.programs.statefile import write_state

    write_state(dump_state(program), path)


def read_state(path: Path) -> dict[str, Any]:
    """Return what ``save_state`` wrote. Raises SnapshotError for a file that cannot be read."""
    from pytest_lmprog.programs.statefile import read_file

    return read_file(path)
