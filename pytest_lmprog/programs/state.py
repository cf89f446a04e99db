"""What compiling changes in a program, as plain data: instructions, field texts and demos by predictor."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pytest_lmprog.errors import SnapshotError
from pytest_lmprog.lm.finetuning.origin import Origin, origin_of
from pytest_lmprog.lm.types import LanguageModel
from pytest_lmprog.programs.example import Example
from pytest_lmprog.programs.retry import demo_fields
from pytest_lmprog.signatures import Field, Signature

if TYPE_CHECKING:
    from pytest_lmprog.programs.module import Module
    from pytest_lmprog.programs.nearest import Nearest
    from pytest_lmprog.programs.predict import Predict

__all__ = [
    "STATE_FORMAT",
    "Functions",
    "dump_state",
    "load_state",
    "nearest_state",
    "read_state",
    "restored",
    "save_state",
]

STATE_FORMAT = 1
"""Number of the form of the data. A reader refuses others."""

_LM_FIELDS = {"model", *(f.name for f in fields(Origin))}
_M = TypeVar("_M", bound="Module")
_Fitted = tuple[type[Signature], tuple[Example, ...], bool, "Nearest | None", Mapping[str, Any] | None]
Functions = Iterable[Any]
"""Functions that a state names: nothing is imported by the name that stands in a file."""


def dump_state(program: Module) -> dict[str, Any]:
    """Return ``{"format": 1, "predictors": {path: {"instructions", "fields", "demos"}}}``.

    ``fields`` has name, role and type text of each field, desc and prefix where it has them; ``demos``
    are plain data; ``"frozen": True`` is there where the predictor is frozen, ``"nearest"`` (k, vectorizer,
    keys) where it shows the nearest of its demos, ``"lm"`` where it has a model that was finetuned (its name
    and origin). Raises SnapshotError for a demo that has no plain form, naming it."""
    predictors = {path: _dumped(path, p) for path, p in program.named_predictors()}
    return {"format": STATE_FORMAT, "predictors": predictors}


def _dumped(path: str, predictor: Predict) -> dict[str, Any]:
    signature = predictor.signature
    return {
        "instructions": signature.instructions,
        "fields": [_field_state(field) for field in signature.fields.values()],
        "demos": [
            _plain_demo(path, n, demo_fields(signature, demo), demo)
            for n, demo in enumerate(predictor.demos, 1)
        ],
        **({"frozen": True} if predictor.is_frozen else {}),
        **({} if predictor.nearest is None else {"nearest": nearest_state(predictor.nearest)}),
        **_lm_state(predictor.lm),
    }


def nearest_state(nearest: Nearest) -> dict[str, Any]:
    """Return how a predictor chooses among its demos, as plain data."""
    from pytest_lmprog.programs.vectorizers import vectorizer_spec

    vectorizer = vectorizer_spec(nearest.bank.vectorizer)
    return {"k": nearest.k, "vectorizer": vectorizer, "keys": list(nearest.keys)}


def _lm_state(lm: LanguageModel | None) -> dict[str, Any]:
    """Return the part of a model that was finetuned; any other is configuration, and not saved."""
    origin = origin_of(lm)
    if lm is None or origin is None:
        return {}
    return {"lm": {"model": lm.model, **{f.name: getattr(origin, f.name) for f in fields(origin)}}}


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


def load_state(
    program: Module, state: Mapping[str, Any], *, source: str | None = None, functions: Functions = ()
) -> None:
    """Take ``state`` over into ``program``, in place. ``source`` is the file named in errors, ``functions``
    are those that the state names.

    Raises SnapshotError naming predictor and field where it does not fit; then nothing is changed."""
    fitted = _fit(program, state, source, functions)
    for path, predictor in program.named_predictors():
        _take_over(predictor, fitted[path])
    _mark(program)


def restored(
    program: _M, state: Mapping[str, Any], *, source: str | None = None, functions: Functions = ()
) -> _M:
    """Return a copy of ``program`` with ``state``; parameters and errors as for ``load_state``."""
    fitted = _fit(program, state, source, functions)

    def edit(path: str, predictor: Predict) -> Predict:
        _take_over(predictor, fitted[path])
        return predictor

    new = program.with_predictors(edit)
    _mark(new)
    return new


def _mark(program: Module) -> None:
    if any(predictor.nearest is not None for predictor in program.predictors()):
        from pytest_lmprog.programs.nearest import mark_root

        mark_root(program)


def _take_over(predictor: Predict, fitted: _Fitted) -> None:
    predictor.signature, predictor.demos, frozen, nearest, trained = fitted
    if nearest is not None:
        predictor.nearest = nearest
    if frozen != predictor.is_frozen:
        predictor.is_frozen = frozen
    if trained is not None:
        from pytest_lmprog.lm.finetuning.model import restored_lm
        from pytest_lmprog.programs.context import current

        predictor.lm = restored_lm(trained, predictor.lm or current().lm)


def _fit(
    program: Module, state: Mapping[str, Any], source: str | None, functions: Functions
) -> dict[str, _Fitted]:
    try:
        saved = _predictors_of(state)
        predictors = dict(program.named_predictors())
        _check_names(predictors, saved)
        return {path: _fitted(path, p, saved[path], functions) for path, p in predictors.items()}
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


def _fitted(path: str, predictor: Predict, saved: Any, functions: Functions) -> _Fitted:
    where = f"predictor {path!r}"
    signature = predictor.signature
    instructions = saved.get("instructions") if isinstance(saved, Mapping) else None
    if not isinstance(instructions, str):
        raise SnapshotError(f"{where} has no instructions")
    new = _with_fields(where, signature, _rows(where, saved, "fields"))
    if new.instructions != instructions:
        new = new.with_instructions(instructions)
    demos = enumerate(_rows(where, saved, "demos"), 1)
    typed = tuple(_typed_demo(f"{where}, demo {n}", new, demo) for n, demo in demos)
    nearest = _nearest(where, saved["nearest"], len(typed), functions) if "nearest" in saved else None
    return new, typed, bool(saved.get("frozen", predictor.is_frozen)), nearest, _trained(where, saved)


def _nearest(where: str, saved: Any, demos: int, functions: Functions) -> Nearest:
    from pytest_lmprog.programs.nearest import Bank, Nearest
    from pytest_lmprog.programs.vectorizers import vectorizer_of

    k, keys = (saved.get(name) for name in ("k", "keys")) if isinstance(saved, Mapping) else (None, None)
    if type(k) is not int or k < 1 or not isinstance(keys, list | tuple):
        raise SnapshotError(f"{where}: nearest must have a number k and a list of keys")
    if len(keys) != demos or not all(isinstance(key, str) for key in keys):
        raise SnapshotError(
            f"{where}: nearest has {len(keys)} keys for {demos} demos: each demo has one, a text",
            hint="where a demo is added or removed by hand, its key is too",
        )
    vectorizer = vectorizer_of(where, saved.get("vectorizer"), functions)
    return Nearest(k, Bank(keys, vectorizer), tuple(range(len(keys))))


def _trained(where: str, saved: Mapping[str, Any]) -> Mapping[str, Any] | None:
    trained = saved.get("lm")
    if trained is None:
        return None
    if not isinstance(trained, Mapping) or trained.keys() != _LM_FIELDS:
        raise SnapshotError(f"{where}: lm must have {', '.join(sorted(_LM_FIELDS))}")
    return trained


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
    fields = demo_fields(signature, demo)
    for name, value in demo.items():
        field = fields.get(name)
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
