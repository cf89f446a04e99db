"""The end of a run that makes baselines: the snapshot of each unit, pending or accepted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field, replace
from typing import TYPE_CHECKING, Any, Literal

from pytest_lmprog.adapters.base import PROMPT_FORMAT
from pytest_lmprog.errors import LmprogError
from pytest_lmprog.harness.judges.calibration import calibration_snapshot
from pytest_lmprog.harness.preparing import (
    fingerprint_of,
    metric_functions,
    teleprompter_of,
    teleprompter_settings,
)
from pytest_lmprog.harness.results import MetricResult, RunResults, UnitResult
from pytest_lmprog.harness.state import Prepared
from pytest_lmprog.harness.verdicts.baseline import unit_baseline
from pytest_lmprog.harness.written.redaction import redacted
from pytest_lmprog.lm.scope import use_scope
from pytest_lmprog.programs import Module
from pytest_lmprog.programs.context import current
from pytest_lmprog.records import dataclass
from pytest_lmprog.snapshots.artifact import (
    CalibrationSnapshot,
    Fingerprint,
    Header,
    MetricBaseline,
    ModelInfo,
    Snapshot,
    TeleprompterInfo,
    Validation,
)
from pytest_lmprog.snapshots.fingerprint import compare, describe
from pytest_lmprog.snapshots.store import pending_path, reject, write_accepted, write_pending
from pytest_lmprog.snapshots.text import to_text
from pytest_lmprog.teleprompt.engine.lineage import lineage

if TYPE_CHECKING:
    from pytest_lmprog.harness.compiling import CompileOutcome
    from pytest_lmprog.harness.session import Session

__all__ = ["Written", "WrittenState", "finish", "tested_text"]

_MANY = 20

WrittenState = Literal["pending", "created", "accepted", "unchanged", "kept", "failed"]
"""``pending``: NAME.new.yaml awaits review. ``created``: NAME.yaml, where there was none. ``accepted``: it
was replaced (``--lm-update``). ``unchanged``: the result equals it. ``kept``: nothing could be said of it.
``failed``: it could not be written."""


@dataclass(frozen=True, slots=True)
class Written:
    """What became of a unit's snapshot.

    ``changes``: what changed since the accepted one was made, in words (``--lm-update``). ``detail``: why
    it was kept or failed, or which metrics have no new baseline. ``snapshot``: as it was to be written.
    """

    unit: str
    state: WrittenState
    path: str
    changes: tuple[str, ...] = ()
    detail: str = ""
    snapshot: Snapshot | None = field(default=None, repr=False)

    @property
    def fails(self) -> bool:
        """Whether the run fails by it."""
        return self.state == "failed"


def finish(session: Session, results: RunResults) -> tuple[Written, ...]:
    """Write what ``--lm-compile`` and ``--lm-update`` ask for, unit by unit; a unit that fails does not
    keep the others from being written."""
    done: list[Written] = []
    for unit_id in sorted(session.states):
        prepared = session.states[unit_id].prepared
        found = results.unit(unit_id) if unit_id in results else None
        try:
            done.append(_finished(session, prepared, found))
        except LmprogError as error:
            done.append(_said(session, prepared, "failed", session.clean(str(error))))
    return tuple(done)


def _said(session: Session, prepared: Prepared, state: WrittenState, detail: str = "") -> Written:
    return Written(prepared.unit.id, state, session.shown(prepared.unit.snapshot), detail=detail)


def _finished(session: Session, prepared: Prepared, found: UnitResult | None) -> Written:
    if session.settings.compile:
        return _write_new(session, prepared, found)
    if prepared.snapshot is None and teleprompter_of(session, prepared.unit) is not None:
        return _said(session, prepared, "kept", "there is no snapshot yet: --lm-compile makes one")
    if found is not None and not found.complete:
        return _said(session, prepared, "kept", f"not scored again: {_incomplete(found)}")
    return _write_rescored(session, prepared, found)


def _incomplete(found: UnitResult) -> str:
    parts = [f"{m.info.name}: {verdict_words(m)}" for m in found.metrics if not m.complete]
    return "; ".join(parts)


def verdict_words(result: MetricResult) -> str:
    """Return how much of a metric ran: ``3 of 40 ran``."""
    ran = min(result.ran - result.count("broken"), result.info.expected)
    return f"{ran} of {result.info.expected} ran"


def _write_new(session: Session, prepared: Prepared, found: UnitResult | None) -> Written:
    """Write what was compiled, or the program as written where the unit has no teleprompter."""
    unanswered = 0 if found is None else sum(m.count("broken") for m in found.metrics)
    if unanswered:
        cases = "case has" if unanswered == 1 else "cases have"
        why = f"{cases} no verdict (no answer, or the metric failed)"
        return _said(session, prepared, "kept", f"{unanswered} {why}; run it again to go on")
    compiled = session.compiled.get(prepared.unit.id)
    if compiled is not None and compiled.empty_handed:
        return _said(session, prepared, "kept", "the budget was spent before anything was learnt")
    snapshot = _snapshot(session, prepared, compiled, ())
    kept = _baseline_to_keep(prepared, snapshot)
    detail = ""
    if found is not None:
        snapshot = replace(
            snapshot,
            baseline=unit_baseline(prepared.unit, found, kept),
            calibration=calibration_snapshot(prepared.unit, found) or _calibration_to_keep(prepared, kept),
        )
        detail = _incomplete(found)
    return replace(_write(session, prepared, snapshot), detail=detail and f"no new baseline: {detail}")


def _calibration_to_keep(prepared: Prepared, kept: Mapping[str, Any]) -> CalibrationSnapshot | None:
    return prepared.snapshot.calibration if kept and prepared.snapshot is not None else None


def _baseline_to_keep(prepared: Prepared, snapshot: Snapshot) -> Mapping[str, MetricBaseline]:
    """An old baseline says something of the new program only if its prompts are the same."""
    old = prepared.snapshot
    if old is None:
        return {}
    now = to_text(Snapshot(old.header, snapshot.predictors))
    return old.baseline if now == to_text(Snapshot(old.header, old.predictors)) else {}


def _write_rescored(session: Session, prepared: Prepared, found: UnitResult | None) -> Written:
    """Write the same prompts with a new baseline and fingerprint."""
    old = prepared.snapshot
    now = fingerprint_of(session, prepared.unit, prepared.written, prepared.lm)
    changes = () if old is None else tuple(describe(compare(old.fingerprint, now), most=_MANY))
    snapshot = _rescored(session, prepared, now, changes)
    if found is not None:
        baseline = unit_baseline(prepared.unit, found, {})
        calibration = calibration_snapshot(prepared.unit, found)
        snapshot = replace(snapshot, baseline=baseline, calibration=calibration)
    return replace(_write(session, prepared, snapshot), changes=changes)


def _rescored(session: Session, prepared: Prepared, now: Fingerprint, changes: tuple[str, ...]) -> Snapshot:
    old = prepared.snapshot
    if old is None or old.header.teleprompter is None:
        return _snapshot(session, prepared, None, ())
    since = tuple(dict.fromkeys([*old.header.changed_since_compile, *changes]))
    new = _snapshot(session, prepared, None, since)
    header = replace(
        old.header,
        program=new.header.program,
        model=new.header.model,
        adapter=new.header.adapter,
        prompt_format=new.header.prompt_format,
        changed_since_compile=since,
    )
    return replace(new, header=header, fingerprint=now)


def _snapshot(
    session: Session, prepared: Prepared, compiled: CompileOutcome | None, changes: tuple[str, ...]
) -> Snapshot:
    from pytest_lmprog.adapters.exchange import adapter_for
    from pytest_lmprog.snapshots.capture import capture, ensemble_of

    with use_scope(prepared.scope):
        adapter = adapter_for(prepared.lm, current().adapter)
        model = ModelInfo(prepared.lm.model, prepared.lm.capabilities())
    header = Header(
        program=_qualified(prepared.written),
        model=model,
        adapter=adapter.name,
        prompt_format=PROMPT_FORMAT,
        changed_since_compile=changes,
        ensemble=ensemble_of(prepared.program, prepared.written),
        **_provenance(session, compiled),
    )
    fingerprint = fingerprint_of(session, prepared.unit, prepared.written, prepared.lm)
    predictors = capture(prepared.program, adapter, tools=model.capabilities.tools is True)
    snapshot = Snapshot(header, predictors, fingerprint=fingerprint)
    return redacted(snapshot, session.clean)


def _provenance(session: Session, compiled: CompileOutcome | None) -> dict[str, Any]:
    """Return the header's words on how the prompts came about."""
    from importlib.metadata import version

    if compiled is None or compiled.result is None or compiled.teleprompter is None:
        return {}
    name, settings = teleprompter_settings(compiled.teleprompter)
    result = compiled.result
    validation = None if result.score is None else Validation(result.score, result.validated_on)
    return {
        "teleprompter": TeleprompterInfo(name, settings),
        "seed": session.settings.seed,
        "validation": validation,
        "lineage": lineage(result),
        "libraries": {name: version(name) for name in getattr(compiled.teleprompter, "libraries", ())},
        "stopped": "budget" if result.stopped == "budget" else None,
    }


def _qualified(program: Module) -> str:
    return f"{type(program).__module__}.{type(program).__qualname__}"


def _sourced(session: Session, prepared: Prepared, snapshot: Snapshot) -> Snapshot:
    from pytest_lmprog.harness.written.sources import sources_of

    unit = prepared.unit
    sources = sources_of(snapshot, unit, metric_functions(session, unit), session.settings.rootdir)
    return replace(snapshot, sources=sources)


def _same(new: Snapshot, old: Snapshot) -> bool:
    """Whether there is nothing to review. Where a file lies is no such thing: ``--lm-update`` notes it."""
    return to_text(replace(new, sources=old.sources)) == to_text(replace(old, base=None))


def _write(session: Session, prepared: Prepared, snapshot: Snapshot) -> Written:
    return replace(_placed(session, prepared, snapshot), snapshot=snapshot)


def _placed(session: Session, prepared: Prepared, snapshot: Snapshot) -> Written:
    """Put the snapshot where it belongs. One that equals the accepted one leaves no pending file."""
    path, old = prepared.unit.snapshot, prepared.snapshot
    pending = pending_path(path)
    snapshot = _sourced(session, prepared, snapshot)
    state: WrittenState = "unchanged"
    if old is None or session.settings.update:
        if write_accepted(path, snapshot):
            state = "created" if old is None else "accepted"
    elif not _same(snapshot, old):
        return replace(_said(session, prepared, "pending"), path=session.shown(write_pending(path, snapshot)))
    if pending.exists():
        reject(pending)
    return _said(session, prepared, state)


def tested_text(session: Session, prepared: Prepared) -> str:
    """Return the text of the snapshot that a unit is tested with; without one, of its program as written.

    Raises SnapshotError where the prompts have no text."""
    if prepared.snapshot is not None and not prepared.rebasing:
        return to_text(prepared.snapshot)
    return to_text(_snapshot(session, prepared, session.compiled.get(prepared.unit.id), ()))
