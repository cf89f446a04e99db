"""UnitState: a unit made ready to run: its program as tested, LM, baseline, call scopes and predictions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import field, replace
from typing import TYPE_CHECKING, Any

from pytest_lmprog.evaluation.comparing import comparison
from pytest_lmprog.evaluation.runner import error_info, run_example
from pytest_lmprog.evaluation.scores import Score
from pytest_lmprog.harness.predictions import Predictions
from pytest_lmprog.harness.results import (
    CaseOutcome,
    MetricInfo,
    OutcomeStatus,
    UnitInfo,
)
from pytest_lmprog.harness.unit import Gate, Unit
from pytest_lmprog.harness.verdicts.ratchet import Verdict, judge
from pytest_lmprog.lm.scope import CallScope, use_scope
from pytest_lmprog.lm.tally import Tally, TallyCount
from pytest_lmprog.lm.types import LanguageModel
from pytest_lmprog.programs import Example, Module, Prediction, Run, context
from pytest_lmprog.programs.context import current
from pytest_lmprog.programs.run import predictor_names
from pytest_lmprog.records import dataclass
from pytest_lmprog.snapshots.artifact import CaseBaseline, MetricBaseline, Snapshot

if TYPE_CHECKING:
    from pytest_lmprog.harness.verdicts.named_baseline import Against

__all__ = ["Prepared", "UnitState", "example_digest"]

_DIGEST = 12
_NO_CALLS = TallyCount()
_AS_IS = nullcontext()
_Make = Callable[[Example, int], Run]


@dataclass(frozen=True)
class Prepared:
    """What a unit runs on.

    Parameters
    ----------
    written: the program as written.
    program: the program as tested: restored from the snapshot, newly compiled, or as written.
    snapshot: the accepted snapshot, or None.
    stale: what changed since the snapshot was made, in words.
    notes: remarks for the summary.
    rebasing: the run makes the baseline anew.
    max_calls: the most calls of one run, where that is enforced.
    against: the baseline that ``--lm-baseline`` named, or None: the snapshot's.
    """

    unit: Unit
    written: Module
    program: Module
    lm: LanguageModel
    scope: CallScope
    tally: Tally
    snapshot: Snapshot | None = None
    stale: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    rebasing: bool = False
    max_calls: int | None = None
    snapshot_name: str | None = None
    against: Against | None = None
    clean: Callable[[str], str] = field(default=lambda text: text, repr=False)


class UnitState:
    """A prepared unit while its cases run. ``run`` and ``judge`` may be called from one thread at a time;
    programs run on several.

    ``watch`` returns what runs the program, watched (``--lm-cov``)."""

    def __init__(
        self,
        prepared: Prepared,
        *,
        concurrency: int,
        ahead: int | None,
        executor: Any = None,
        watch: Callable[[Prepared, _Make], _Make] | None = None,
        is_worker: bool = False,
    ) -> None:
        self.prepared = prepared
        self.unit = prepared.unit
        self.texts: tuple[str | None, str | None] | None = None  # of the snapshots, where they are known
        self._baseline: Mapping[str, MetricBaseline] = (
            {} if prepared.snapshot is None else prepared.snapshot.baseline
        )
        self._settings: Mapping[str, Any] = {"lm": prepared.lm}
        # What another worker has asked in this run comes from the cache here.
        self._fresh = ("live", "cache") if is_worker else ("live",)
        self._gates = {m.name: prepared.unit.gate(m.name) for m in prepared.unit.metrics}
        self._digests: dict[str, str] = {}
        self._drained = TallyCount()
        self._names = predictor_names(prepared.program)
        make = self._make if watch is None else watch(prepared, self._make)
        self._predictions = Predictions(make, concurrency=concurrency, ahead=ahead, executor=executor)

    @property
    def program(self) -> Module:
        """The program as tested."""
        return self.prepared.program

    @property
    def lm(self) -> LanguageModel:
        """The LM that it runs on."""
        return self.prepared.lm

    def expect(self, items: Iterable[tuple[Example, int]]) -> None:
        """Say which (example, rollout) the selected items ask for, an entry an item, in running order.
        Runs that nobody announced are made when they are asked for."""
        self._predictions.expect(items)

    def run(self, example: Example, rollout: int = 0) -> Run:
        """Return the program's run on a case, made once for all metrics. Copy its prediction.

        ``Run.error`` is the program's failure. Raises LMError, ReplayMissError, UsageError."""
        return self._predictions.get(example, rollout)

    def _make(self, example: Example, rollout: int) -> Run:
        prepared = self.prepared
        with self._lm_active():
            return run_example(
                prepared.program,
                example,
                rollout=rollout,
                scope=prepared.scope,
                max_calls=prepared.max_calls,
                label=self.label(example, rollout),
                names=self._names,
            )

    def _lm_active(self) -> AbstractContextManager[Any]:
        """Make the unit's LM the active one, if it is not (within ``active`` it is)."""
        return _AS_IS if current().lm is self.prepared.lm else context(**self._settings)

    def label(self, example: Example, rollout: int = 0) -> str:
        """Return what a case is called in messages: ``test_team[refund-1]``."""
        metrics = self.unit.metrics
        suffix = f"-r{rollout + 1}" if self.unit.repeat > 1 else ""
        return f"{metrics[0].name if metrics else self.unit.name}[{example.id}{suffix}]"

    @contextmanager
    def active(self, label: str | None = None) -> Iterator[None]:
        """Make the unit's LM and call scope the active ones: around a metric, which may ask an LM too."""
        scope = self.prepared.scope if label is None else replace(self.prepared.scope, label=label)
        with context(**self._settings), use_scope(scope):
            yield

    def judge(
        self,
        metric: str,
        example: Example,
        rollout: int = 0,
        *,
        run: Run | None = None,
        score: Score | None = None,
        broken: str | None = None,
        message: str = "",
    ) -> CaseOutcome:
        """Return what became of an item, with the ratchet's verdict.

        Parameters
        ----------
        run: the program's; its error decides, where it has one.
        score: the metric's, where it could score.
        broken: kind of what kept the case from being scored, where neither of them says.
        message: why it did not pass, for people.
        """
        gate, prepared = self._gates[metric], self.prepared
        status, error, told = _status(run, score, broken, gate.pass_at)
        words = message or told
        seen = (
            self.unit.id,
            metric,
            example.id,
            self._digest(example),
            status,
            rollout,
            score.value if score is not None and score.graded and status in ("pass", "fail") else None,
            error,
            prepared.clean(words) if words else "",
            example.weight,
            run is not None and any(call.response.source in self._fresh for call in run.trace.calls),
        )
        # A judge's prediction is a Judgement: only then is there something to compare with people's verdict.
        kind = Prediction if run is None else type(run.prediction)
        compared = None if kind is Prediction else comparison(example, run)
        verdict, was = self._beside_baseline(CaseOutcome(*seen), gate)
        # Built twice rather than copied: dataclasses.replace takes ten times as long, and this is per case.
        return CaseOutcome(*seen, verdict.kind, verdict.baseline, was, verdict.detail, compared)

    def _beside_baseline(self, outcome: CaseOutcome, gate: Gate) -> tuple[Verdict, float | None]:
        prepared = self.prepared
        entry = _entry(self._baseline, outcome)
        verdict = judge(
            outcome,
            entry,
            gate,
            has_snapshot=prepared.snapshot is not None,
            rebasing=prepared.rebasing,
        )
        if prepared.against is not None:
            return _beside_other(outcome, gate, prepared.against, prepared.rebasing, verdict)
        return verdict, entry.value if entry is not None and verdict.baseline == "known" else None

    def _digest(self, example: Example) -> str:
        digest = self._digests.get(example.id)
        if digest is None:
            digest = self._digests[example.id] = example_digest(example)
        return digest

    def info(self, node_ids: Mapping[str, str] | None = None) -> UnitInfo:
        """Return the unit as plain data. ``node_ids``: of each metric, without a case."""
        unit, prepared = self.unit, self.prepared
        ids = node_ids or {}
        metrics = unit.metrics if unit.cases else ()  # without cases (lm_compile) they only guide a compile
        return UnitInfo(
            unit.id,
            unit.name,
            unit.module_id,
            tuple(self._metric_info(m.name, ids.get(m.name, f"{unit.id}::{m.name}")) for m in metrics),
            prepared.lm.model,
            prepared.snapshot_name,
            unit.repeat,
            prepared.stale,
            prepared.notes,
            prepared.rebasing,
        )

    def _metric_info(self, name: str, node_id: str) -> MetricInfo:
        repeat = self.unit.rollouts(name)
        expected = len(self.unit.cases) * repeat
        gate, against = self._gates[name], self.prepared.against
        baselines = self._baseline if against is None else against.metrics or {}
        baseline, other = baselines.get(name), None if against is None else against.name
        if baseline is None:
            return MetricInfo(name, node_id, expected, gate, repeat=repeat, against=other)
        known = {example.id for example in self.unit.cases}
        removed = tuple(case for case in baseline.cases if case not in known)
        return MetricInfo(
            name, node_id, expected, gate, baseline.score, baseline.count, removed, repeat, other
        )

    def drain(self) -> TallyCount:
        """Return the calls counted for the unit since the last time."""
        now = self.prepared.tally.count()
        if now == self._drained:
            return _NO_CALLS
        since, self._drained = now - self._drained, now
        return since

    def close(self, *, wait: bool = True) -> None:
        """Stop running ahead."""
        self._predictions.close(wait=wait)


def _entry(baseline: Mapping[str, MetricBaseline], outcome: CaseOutcome) -> CaseBaseline | None:
    found = baseline.get(outcome.metric)
    return None if found is None else found.cases.get(outcome.case)


def _beside_other(
    outcome: CaseOutcome, gate: Gate, against: Against, rebasing: bool, accepted: Verdict
) -> tuple[Verdict, float | None]:
    """Judge by another baseline; ``accepted``, the snapshot's verdict, holds for cases that it lacks."""
    if against.metrics is None:
        return Verdict(accepted.kind, accepted.detail, "none"), None
    entry = _entry(against.metrics, outcome)
    verdict = judge(outcome, entry, gate, rebasing=rebasing, against=against.name)
    if entry is None or verdict.baseline != "known":
        return Verdict(accepted.kind, accepted.detail, verdict.baseline), None
    return verdict, entry.value


def example_digest(example: Example) -> str:
    """Return what a baseline notes of an example's fields."""
    return example.digest()[:_DIGEST]


def _status(
    run: Run | None, score: Score | None, broken: str | None, pass_at: float | None
) -> tuple[OutcomeStatus, str | None, str]:
    if run is not None and run.error is not None:
        info = error_info(run.error)
        return "error", info.kind, info.message
    if broken is not None or score is None:
        return "broken", broken or "unknown", ""
    if score.value is None:
        return "unscored", None, score.feedback
    return ("pass" if score.passes(pass_at) else "fail"), None, score.feedback
