"""From a unit and its snapshot to what is tested: the program, its restored prompts, what is stale."""

from __future__ import annotations

from dataclasses import replace
from types import FunctionType
from typing import TYPE_CHECKING, Any

from pytest_lmprog.harness.unit import Unit
from pytest_lmprog.lm.types import LanguageModel
from pytest_lmprog.programs import Module, context
from pytest_lmprog.programs.making import instantiate
from pytest_lmprog.snapshots.artifact import Fingerprint, Snapshot

if TYPE_CHECKING:
    from pytest_lmprog.harness.session import Session
    from pytest_lmprog.harness.state import Prepared
    from pytest_lmprog.snapshots.fingerprint import Change
    from pytest_lmprog.snapshots.source import Sources
    from pytest_lmprog.teleprompt.base import Teleprompter

__all__ = [
    "as_tested",
    "fingerprint_of",
    "metric_functions",
    "most_calls",
    "program_of",
    "restored",
    "teleprompter_of",
    "teleprompter_settings",
]


def program_of(unit: Unit) -> Module:
    """Return the program of a unit: made from its class or factory, or as given.

    Raises ConfigurationError where that raises, or gives no Module."""
    return instantiate(unit.program, unit.id)


def restored(
    snapshot: Snapshot, written: Module, path: str, teleprompter: Teleprompter | None = None
) -> Module:
    """Return a new program with the prompts of the snapshot at ``path``. Functions that it names are those
    of the teleprompter.

    Raises SnapshotError, naming what no longer fits."""
    from pytest_lmprog.snapshots.restore import restore

    functions: tuple[Any, ...] = getattr(teleprompter, "functions", tuple)()
    return restore(snapshot, written, path=path, functions=functions)


def most_calls(prepared: Prepared, program: Module) -> int | None:
    """Return the most calls of one run of ``program``, where that is enforced: what holds for the program
    as written holds for each member of an ensemble of it."""
    made_of_several = hasattr(type(program), "takes_inputs_of") and type(program) is not type(
        prepared.written
    )
    if prepared.max_calls is None or not made_of_several:
        return prepared.max_calls
    runs: int = program.runs  # type: ignore[attr-defined]
    return prepared.max_calls * runs


def teleprompter_of(session: Session, unit: Unit) -> Teleprompter | None:
    """Return the teleprompter that compiles the unit: the hook's, else the mark's."""
    made = session.hooks.make_teleprompter(unit.id)
    return unit.teleprompter if made is None else made


def as_tested(session: Session, prepared: Prepared, snapshot: Snapshot) -> Prepared:
    """Return ``prepared`` with the snapshot's prompts, and with what is stale about them.

    ``--lm-update`` takes the prompts of a unit without teleprompter from its code, where that changed."""
    from pytest_lmprog.snapshots.fingerprint import describe

    changes, unchecked = _changes(session, prepared, snapshot)
    updating = session.settings.update
    if updating and snapshot.header.teleprompter is None and any(c.part in _CODE for c in changes):
        return prepared
    stale = () if updating else tuple(describe(changes))
    shown, teleprompter = session.shown(prepared.unit.snapshot), teleprompter_of(session, prepared.unit)
    with context(lm=prepared.lm):  # a model that was finetuned is reached as the unit's is
        program = restored(snapshot, prepared.written, shown, teleprompter)
    notes = (*prepared.notes, *unchecked, *(() if updating else _edits(snapshot, program)))
    most = most_calls(prepared, program)
    return replace(prepared, program=program, stale=stale, notes=notes, max_calls=most)


def _edits(snapshot: Snapshot, program: Module) -> tuple[str, ...]:
    from pytest_lmprog.snapshots.edited import edited_predictors

    edited = edited_predictors(snapshot, program)
    if not edited:
        return ()
    return (f"edited by hand: {', '.join(edited)} (--lm-update renders the messages anew)",)


_CODE = ("program", "signatures")


def _changes(
    session: Session, prepared: Prepared, snapshot: Snapshot
) -> tuple[list[Change], tuple[str, ...]]:
    """Return what changed, and a note of the data that cannot be checked for changes."""
    from pytest_lmprog.snapshots.behind import untold
    from pytest_lmprog.snapshots.fingerprint import compare

    now = fingerprint_of(session, prepared.unit, prepared.written, prepared.lm)
    names = untold(item for part in now.values() for item in part.items())
    note = (f"unchecked: {', '.join(names)} (no fingerprint)",) if names else ()
    return compare(snapshot.fingerprint, now), note


def fingerprint_of(session: Session, unit: Unit, written: Module, lm: LanguageModel) -> Fingerprint:
    """Return the digests of all that a compile of the unit depends on. Not of the cases."""
    from pytest_lmprog.snapshots import code_parts
    from pytest_lmprog.snapshots import fingerprint as parts

    teleprompter = teleprompter_of(session, unit)
    functions = metric_functions(session, unit)
    owner = next((cls for m in unit.metrics if (cls := getattr(m, "cls", None)) is not None), None)
    fixtures = {id(f): f for m in unit.metrics for f in getattr(m, "fixture_functions", ())}
    compiler = _code(teleprompter)
    sources = code_parts.project_sources(
        session.settings.rootdir, type(written), *functions.values(), *compiler.values()
    )
    factory = unit.program if isinstance(unit.program, FunctionType) else None
    metrics = code_parts.metric_parts(functions, owner=owner, fixtures=fixtures.values(), sources=sources)
    learns = teleprompter is not None
    return parts.without_empty(
        {
            "program": code_parts.program_part(written, factory=factory, sources=sources),
            "signatures": parts.signatures_part(written),
            "trainset": parts.data_part(unit.trainset) if learns else {},
            "valset": parts.data_part(unit.valset or ()) if learns else {},
            **metrics,
            "teleprompter": {
                **teleprompter_part(teleprompter),
                **code_parts.compiler_part(compiler, sources),
                **(_teacher(unit, sources) if learns else {}),
            },
            "model": parts.model_part(lm.model),
            "prompt_format": parts.prompt_format_part(),
        }
    )


def metric_functions(session: Session, unit: Unit) -> dict[str, Any]:
    """Return the functions of all metrics that count for the unit, by name, the teleprompter's own too."""
    own = _own_metric(teleprompter_of(session, unit))
    return {m.name: getattr(m, "function", m) for m in unit.metrics} | own


def _own_metric(teleprompter: Teleprompter | None) -> dict[str, Any]:
    """Return the metric that a teleprompter was given (``BootstrapFewShot(metric=f)``), by name, and those of
    the strategies that it is made of."""
    inner = [_own_metric(part) for part in getattr(teleprompter, "parts", tuple)()]
    found = {name: function for metrics in inner for name, function in metrics.items()}
    metric = getattr(teleprompter, "metric", None)
    if metric is None:
        return found
    function = getattr(metric, "function", metric)
    name = next(n for one in (function, type(function)) for n in _names(one) if n)
    return {f"{name} (the teleprompter's)": function, **found}


def _names(thing: Any) -> tuple[Any, Any]:
    return getattr(thing, "__qualname__", None), getattr(thing, "__name__", None)


def _teacher(unit: Unit, sources: Sources) -> dict[str, str]:
    """Return what is noted of the teacher: its model's name, or its program's and a digest of its code."""
    from pytest_lmprog.snapshots import code_parts
    from pytest_lmprog.snapshots import fingerprint as parts

    teacher = unit.teacher
    if teacher is None:
        return {}
    if isinstance(teacher, str):
        return {"teacher": teacher}
    if not isinstance(teacher, Module) and isinstance(teacher, LanguageModel):
        return {"teacher": teacher.model}
    program = program_of(replace(unit, program=teacher))
    code = {**code_parts.program_part(program, sources=sources), **parts.signatures_part(program)}
    return {"teacher": f"{type(program).__qualname__} {parts.short(code)}"}


def _code(teleprompter: Teleprompter | None) -> dict[str, Any]:
    """Return the settings of a teleprompter that are code, by name."""
    code: dict[str, Any] = getattr(teleprompter, "code", dict)()
    return code


def teleprompter_part(teleprompter: Teleprompter | None) -> dict[str, str]:
    """Return the fingerprint's part of a teleprompter."""
    from pytest_lmprog.snapshots import fingerprint as parts

    if teleprompter is None:
        return {}
    name, settings = teleprompter_settings(teleprompter)
    return parts.teleprompter_part(name, settings)


def teleprompter_settings(teleprompter: Teleprompter) -> tuple[str, dict[str, Any]]:
    """Return the class name and the settings of a teleprompter, the name taken out of them."""
    settings = dict(teleprompter.settings())
    name = settings.pop("class", type(teleprompter).__name__)
    return str(name), settings
