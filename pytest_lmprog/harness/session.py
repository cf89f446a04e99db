"""Session: the LM, stores, recordings, counts and prepared units of one run in one process.

How the plugin uses it::

    session = Session(settings, hooks=Hooks(...), on_warning=warn)

    # --lm-compile: once a unit, before its first case; its cases then test the new program
    outcome = session.compile(unit, progress)          # CompileOutcome; raises LmprogError

    state = session.prepare(unit, fixture_lm=None)     # once a unit, then cheap; raises LmprogError
    state.expect(selected)                             # [(example, rollout), ...] in running order, once
    run = state.run(example, rollout)                  # programs.Run; raises LMError, ReplayMissError, ...
    with state.active(label): ...                      # LM, temperature and call scope, around a test body
    outcome = state.judge(metric, example, rollout, run=run, score=score)
    ratchet.REPORTED[outcome.verdict]                  # how to report it; outcome.detail says why

    # in the report, as plain data:
    state.info(node_ids).to_plain(); outcome.to_plain(); state.drain().to_plain()

    with session.plain(module_path, label): ...        # plain tests that use the lm fixture

    written = session.finish(results)                  # --lm-compile/--lm-update: snapshots
    session.close(passed=True)                         # recordings
    # xdist: the worker hands over session.harvest() (plain data); the controller absorbs it, then closes
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_lmprog.errors import LmprogError
from pytest_lmprog.harness.books import Books, BriefMisses
from pytest_lmprog.harness.hooks import Hooks
from pytest_lmprog.harness.models import Models, temperature
from pytest_lmprog.harness.preparing import as_tested, program_of
from pytest_lmprog.harness.settings import HarnessSettings
from pytest_lmprog.harness.state import Prepared, UnitState
from pytest_lmprog.harness.unit import Unit
from pytest_lmprog.lm.limiter import Limiter
from pytest_lmprog.lm.patience import Patience
from pytest_lmprog.lm.scope import AnswerStore, CallScope, RecordingBook, use_scope
from pytest_lmprog.lm.tally import Tally
from pytest_lmprog.lm.types import Capabilities, LanguageModel
from pytest_lmprog.programs import Module, context
from pytest_lmprog.snapshots.artifact import Snapshot
from pytest_lmprog.snapshots.store import read_if_any

if TYPE_CHECKING:
    from pytest_lmprog.harness.compiling import CompileOutcome
    from pytest_lmprog.harness.coverage.recorder import CoverageRecorder
    from pytest_lmprog.harness.dryrun import UnitBound
    from pytest_lmprog.harness.results import RunResults
    from pytest_lmprog.harness.saved.rescoring import Rescoring
    from pytest_lmprog.harness.saved.run import SavedRun
    from pytest_lmprog.harness.verdicts.named_baseline import Against, Baselines
    from pytest_lmprog.harness.written.snapshots import Written
    from pytest_lmprog.teleprompt.base import Progress

__all__ = ["Session"]

FixtureLM = Callable[[], Any]


def _ignore(message: str) -> None:
    del message


class Session:
    """One run in one process.

    Parameters
    ----------
    on_warning: told once of each thing that is doubtful (a damaged cache, two recorded answers).
    run_id: the same in all workers of a run; under ``--lm-record=all`` each request is asked once a run.
    one_ahead: start one prediction ahead instead of all (``-x``, ``--maxfail``).
    notify: told, a line at a time and from any thread, of what takes long (fetching weights).
    """

    def __init__(
        self,
        settings: HarnessSettings,
        *,
        hooks: Hooks | None = None,
        on_warning: Callable[[str], None] = _ignore,
        run_id: str = "",
        one_ahead: bool = False,
        notify: Callable[[str], None] | None = None,
    ) -> None:
        self.settings = settings
        self._notify = notify
        self.hooks = hooks or Hooks()
        self.warn = _once(on_warning)
        self.tally = Tally()
        self.models = Models(settings, self.hooks)
        self.limiter = Limiter(settings.concurrency)
        self.patience = Patience()
        self.books = Books(settings, warn=self.warn)
        self._run_id = run_id or uuid.uuid4().hex
        self._one_ahead = one_ahead
        self.rescoring: Rescoring | None = None
        self._states: dict[str, UnitState] = {}
        self._compiled: dict[str, CompileOutcome] = {}
        self._tallies: dict[str, Tally] = {}
        self._plain_tally = Tally(self.tally)

    # --- LM, stores, scopes ---------------------------------------------------------------------------

    def lm(self) -> LanguageModel:
        """Return the session's LM (the ``lm`` fixture). Raises ConfigurationError where there is none."""
        return self.models.default()

    @cached_property
    def cache(self) -> AnswerStore:
        """The store of all calls, opened when it is first asked for."""
        from pytest_lmprog.lm.stores import open_store

        return open_store(self.settings.cache_dir, warn=self.warn)

    def redact(self, text: str) -> str:
        """Return ``text`` as the project's hooks want it stored."""
        hook = self.hooks.redact
        if hook is None:
            return text
        redacted = hook(text)
        return text if redacted is None else redacted

    def clean(self, text: str) -> str:
        """Return ``text`` without secrets and as the project's hooks want it stored."""
        return self.redact(self.models.scrub(text))

    def tally_of(self, unit: str) -> Tally:
        """Return the counter of a unit's calls, compile and test together."""
        return self._tallies.setdefault(unit, Tally(self.tally))

    def scope(
        self, book: RecordingBook, tally: Tally, *, known: Mapping[str, Capabilities] | None = None
    ) -> CallScope:
        """Return the surroundings of calls that are recorded in ``book``."""
        settings = self.settings
        return CallScope(
            mode=settings.record,
            recording=book,
            cache=None if settings.record == "none" else self.cache,
            tally=tally,
            refresh_id=self._run_id if settings.record == "all" else "",
            redact=self.redact if self.hooks.redact is not None else CallScope().redact,
            known=known or {},
            limiter=self.limiter,
            patience=self.patience,
            keep_messages=settings.store_messages,
            notify=self._notify,
        )

    @contextmanager
    def plain(self, module: Path, label: str) -> Iterator[None]:
        """Surround a plain test that asks an LM (the session's, unless it has its own): its answers are
        recorded and replayed."""
        scope = replace(self.scope(self.books.of(module), self._plain_tally), label=label)
        lm = self.models.default_if_any()
        with context(**({} if lm is None else {"lm": lm})), use_scope(scope):
            yield

    # --- units ----------------------------------------------------------------------------------------

    def prepare(self, unit: Unit, *, fixture_lm: FixtureLM | None = None) -> UnitState:
        """Return the unit ready to run. The first call reads the snapshot and compares fingerprints.

        ``fixture_lm`` gives the value of an overridden ``lm`` fixture. Raises ConfigurationError (program,
        LM), SnapshotError (damaged, or it no longer fits the program)."""
        state = self._states.get(unit.id)
        if state is None and self.rescoring is not None:
            state = self._states[unit.id] = self.rescoring.state(unit, fixture_lm)
        if state is None:
            state = self._states[unit.id] = self._state(self._prepared(unit, fixture_lm))
        return state

    def rescore(self, saved: SavedRun, name: str) -> None:
        """Take the units' runs from a saved run from now on. ``name``: what it is called in messages."""
        from pytest_lmprog.harness.saved.rescoring import Rescoring

        self.rescoring = Rescoring(self, saved, name)

    def _state(self, prepared: Prepared) -> UnitState:
        return UnitState(
            prepared,
            concurrency=self.settings.concurrency,
            ahead=self._ahead(),
            executor=self.executor() if self._ahead() != 0 else None,
            watch=self.coverage.watch if self.settings.cov else None,
            is_worker=self.settings.worker is not None,
        )

    @cached_property
    def coverage(self) -> CoverageRecorder:
        """Watches the runs of programs (``--lm-cov``)."""
        from pytest_lmprog.harness.coverage.recorder import CoverageRecorder

        return CoverageRecorder(self.settings.rootdir)

    def _ahead(self) -> int | None:
        if self.settings.record == "none" or self.settings.cov:
            return 0  # nothing to wait for: a thread would only cost; what is watched runs one by one
        if self._one_ahead:
            return 1
        # A worker does not know which cases will be its own: it looks ahead only as far as it can ask.
        return None if self.settings.worker is None else self.settings.concurrency

    def executor(self) -> Any:
        """Return the project's executor, or None."""
        return self.hooks.make_executor(self.settings.concurrency)

    def _prepared(self, unit: Unit, fixture_lm: FixtureLM | None) -> Prepared:
        compiled = self._compiled.get(unit.id)
        if compiled is not None:
            return compiled.prepared
        prepared = self.basis(unit, fixture_lm)
        snapshot = prepared.snapshot
        if snapshot is None or self.settings.compile:
            return prepared
        return as_tested(self, prepared, snapshot)

    def prepared_anew(self, unit: Unit, *, fixture_lm: FixtureLM | None = None) -> Prepared:
        """Return what ``prepare`` makes its state of, made once more: running it leaves the state alone."""
        return self._prepared(unit, fixture_lm)

    def basis(self, unit: Unit, fixture_lm: FixtureLM | None = None) -> Prepared:
        """Return the unit with its program as written, LM, scope and accepted snapshot."""
        written = self.coverage.made(unit) if self.settings.cov else program_of(unit)
        lm = self.models.choose(unit.lm, fixture_lm)
        self._warn_of_equal_rollouts(unit, written, lm)
        snapshot = read_if_any(unit.snapshot)
        tally = self.tally_of(unit.id)
        scope = self.scope(BriefMisses(self.books.of(unit.module_path)), tally, known=_known(snapshot))
        notes = ("selected on these cases",) if unit.selected_on_cases else ()
        against = self.against(unit, written)
        return Prepared(
            unit,
            written,
            written,
            lm,
            scope,
            tally,
            snapshot,
            notes=notes if against is None else (*notes, against.note),
            rebasing=self.settings.writes_baseline,
            max_calls=self.enforced_calls(unit, written),
            snapshot_name=None if snapshot is None else self.shown(unit.snapshot),
            against=against,
            clean=self.clean,
        )

    def against(self, unit: Unit, program: Module) -> Against | None:
        """Return the baseline that ``--lm-baseline`` names for a unit; None without that option."""
        if self._baselines is None:
            return None
        from pytest_lmprog.harness.verdicts.named_baseline import against

        return against(self._baselines, unit, program)

    @cached_property
    def _baselines(self) -> Baselines | None:
        if self.settings.baseline is None:
            return None
        from pytest_lmprog.harness.verdicts.named_baseline import open_baselines

        settings = self.settings
        return open_baselines(str(settings.baseline), settings.rootdir, cwd=settings.cwd)

    def _warn_of_equal_rollouts(self, unit: Unit, program: Module, lm: LanguageModel) -> None:
        if unit.repeat < 2 or any(temperature(lm, p) != 0 for p in program.predictors()):
            return
        self.warn(
            f"{unit.id}: {unit.repeat} rollouts at temperature 0 are mostly one answer {unit.repeat} times; "
            f'set a temperature: LM("{lm.model}", temperature=1.0)'
        )

    def enforced_calls(self, unit: Unit, program: Module) -> int | None:
        """Return the most calls of one run, where it is declared or a dry run promised it."""
        if unit.max_calls is not None:
            return unit.max_calls
        return program.max_calls() if self.settings.compile else None

    def shown(self, path: Path) -> str:
        """Return ``path`` relative to the rootdir where it lies within, with forward slashes."""
        if path.is_relative_to(self.settings.rootdir):
            return path.relative_to(self.settings.rootdir).as_posix()
        return path.as_posix()

    # --- compiling ------------------------------------------------------------------------------------

    def compile(
        self, unit: Unit, progress: Progress | None = None, *, fixture_lm: FixtureLM | None = None
    ) -> CompileOutcome:
        """Compile a unit; its cases then test the new program. See ``compiling.compile_unit``."""
        from pytest_lmprog.harness.compiling import compile_unit

        outcome = compile_unit(self, unit, progress=progress, fixture_lm=fixture_lm)
        self._compiled[unit.id] = outcome
        self._states.pop(unit.id, None)
        return outcome

    def bound(self, unit: Unit, *, fixture_lm: FixtureLM | None = None) -> UnitBound:
        """Return the most that compiling and testing a unit can cost; calls nothing."""
        from pytest_lmprog.harness.dryrun import unit_bound

        return unit_bound(self, unit, fixture_lm=fixture_lm)

    @property
    def compiled(self) -> Mapping[str, CompileOutcome]:
        """What was compiled, by unit id."""
        return self._compiled

    @property
    def states(self) -> Mapping[str, UnitState]:
        """The units that were prepared, by id."""
        return self._states

    def finish(self, results: RunResults) -> tuple[Written, ...]:
        """Write the snapshots that ``--lm-compile`` and ``--lm-update`` ask for; say what became of each."""
        if not self.settings.writes_baseline:
            return ()
        from pytest_lmprog.harness.written.snapshots import finish

        return finish(self, results)

    # --- the end --------------------------------------------------------------------------------------

    def drain_plain(self) -> Any:
        """Return the calls of plain tests so far (a TallyCount)."""
        return self._plain_tally.count()

    def harvest(self) -> list[dict[str, Any]]:
        """Return, as plain data, what this worker would record. Later calls return what came since."""
        return self.books.harvest()

    def absorb(self, parts: list[Mapping[str, Any]]) -> None:
        """Take over a worker's harvest. Raises RecordingError."""
        self.books.absorb(parts)

    def close(self, *, passed: bool = False, wait: bool = True, write: bool = True) -> list[LmprogError]:
        """Stop running ahead and write the recordings; return what could not be written.

        Parameters
        ----------
        passed: the run was complete and everything passed: note which answers it used, for ``cache prune``
            (not in CI, whose cache folder nobody prunes by).
        wait: let calls in flight end, so that their answers are stored.
        write: False on an xdist worker, which harvests instead.
        """
        for state in self._states.values():
            state.close(wait=wait)
        errors: list[LmprogError] = []
        for book in self.books.open() if write else ():
            try:
                book.flush()
            except LmprogError as error:
                errors.append(error)
        if passed and write and not errors and not self.settings.in_ci:
            self.books.note_used()
        return errors


def _known(snapshot: Snapshot | None) -> Mapping[str, Capabilities]:
    if snapshot is None or snapshot.header.model is None:
        return {}
    return {snapshot.header.model.name: snapshot.header.model.capabilities}


def _once(tell: Callable[[str], None]) -> Callable[[str], None]:
    told: set[str] = set()

    def warn(message: str) -> None:
        if message not in told:
            told.add(message)
            tell(message)

    return warn
